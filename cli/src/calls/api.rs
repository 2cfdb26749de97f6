//! The functions over HTTP, and the rows that tell how their work ends.

use crate::calls::arguments::Connection;
use crate::error::{CliError, Refusal};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

const CONNECT: Duration = Duration::from_secs(15);

/// A function answers within half a minute, with 202 where its work goes on.
const ANSWER: Duration = Duration::from_secs(90);

/// A call whose answer was lost, or that is to come again, is sent so often in all. It has an
/// Idempotency-Key, so its work is done once.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who calls, and where.
pub struct Api {
    client: Client,
    url: String,
    /// For the database's API: it wants a key of the project beside the token.
    apikey: Option<HeaderValue>,
    authorization: HeaderValue,
    /// The service's headers.
    purpose: HeaderMap,
}

impl Api {
    pub fn open(connection: &Connection) -> Result<Self, CliError> {
        let (token, is_service) = credential(connection)?;
        let apikey = if is_service {
            Some(token)
        } else {
            connection.anon_key.as_deref()
        };
        let client = Client::builder()
            .user_agent(concat!("m23/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Self {
            client,
            url: connection.url.trim_end_matches('/').to_owned(),
            apikey: apikey.map(secret).transpose()?,
            authorization: secret(&format!("Bearer {token}"))?,
            purpose: purpose(connection, is_service)?,
        })
    }

    /// Calls a function.
    pub async fn call(
        &self,
        function: &str,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, CliError> {
        let body = serde_json::to_vec(body).map_err(|error| CliError::Usage(error.to_string()))?;
        let key = Uuid::new_v4().to_string();
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .post(format!("{}/functions/v1/{function}", self.url))
                .header("authorization", self.authorization.clone())
                .header("content-type", "application/json")
                .header("idempotency-key", &key)
                .headers(self.purpose.clone())
                .body(body.clone());
            let sent = sent(request).await;
            let pause = match &sent {
                Ok(answer) if answer.is_to_come_again() => answer.pause,
                Err(error) if !error.is_connect() && !error.is_builder() => PAUSE,
                _ => break judged(sent, &self.url),
            };
            if attempt == ATTEMPTS {
                break judged(sent, &self.url);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// Asks a function of the database that only reads.
    pub async fn ask(&self, function: &str, args: &Map<String, Value>) -> Result<Value, CliError> {
        let body = serde_json::to_vec(args).map_err(|error| CliError::Usage(error.to_string()))?;
        let mut attempt = 1;
        loop {
            let mut request = self
                .client
                .post(format!("{}/rest/v1/rpc/{function}", self.url))
                .header("authorization", self.authorization.clone())
                .header("content-type", "application/json")
                .body(body.clone());
            if let Some(key) = &self.apikey {
                request = request.header("apikey", key.clone());
            }
            match sent(request).await {
                Ok(answer) if !answer.is_to_come_again() || attempt == ATTEMPTS => {
                    return answer.given();
                }
                Ok(answer) => sleep(answer.pause).await,
                Err(error) if attempt == ATTEMPTS || error.is_builder() => {
                    return Err(unreachable(error, &self.url));
                }
                Err(_) => sleep(PAUSE).await,
            }
            attempt += 1;
        }
    }

    /// The row that follows some work; `None` where no answer came, which may pass.
    pub async fn row(&self, table: &str, id: &str) -> Result<Option<Map<String, Value>>, CliError> {
        let mut request = self
            .client
            .get(format!("{}/rest/v1/{table}?id=eq.{id}&select=*", self.url))
            .header("authorization", self.authorization.clone());
        if let Some(key) = &self.apikey {
            request = request.header("apikey", key.clone());
        }
        let answer = match sent(request).await {
            Ok(answer) if !answer.is_to_come_again() => answer,
            Ok(_) | Err(_) => return Ok(None),
        };
        if !answer.status.is_success() {
            answer.judged()?;
        }
        match answer.body {
            Value::Array(rows) => rows
                .into_iter()
                .next()
                .and_then(|row| match row {
                    Value::Object(row) => Some(Some(row)),
                    _ => None,
                })
                .ok_or_else(|| CliError::NotFound(format!("{table} has no row {id}"))),
            _ => Ok(None),
        }
    }
}

fn judged(sent: Result<Answer, reqwest::Error>, url: &str) -> Result<Map<String, Value>, CliError> {
    sent.map_err(|error| unreachable(error, url))?.judged()
}

fn unreachable(error: reqwest::Error, url: &str) -> CliError {
    CliError::Unreachable {
        what: url.to_owned(),
        cause: causes(&error.without_url()),
    }
}

fn credential(connection: &Connection) -> Result<(&str, bool), CliError> {
    match (&connection.token, &connection.service_key) {
        (Some(token), None) => Ok((token, false)),
        (None, Some(key)) => Ok((key, true)),
        (None, None) => Err(CliError::Usage(
            "give --token or --service-key (M23_TOKEN, M23_SERVICE_KEY)".to_owned(),
        )),
        (Some(_), Some(_)) => Err(CliError::Usage(
            "give --token or --service-key, not both (M23_TOKEN and M23_SERVICE_KEY count as given)"
                .to_owned(),
        )),
    }
}

/// A tenant is named whoever calls: that a user may not is for the API to say. The rest is the
/// service's alone.
fn purpose(connection: &Connection, is_service: bool) -> Result<HeaderMap, CliError> {
    let named = [
        ("x-m23-tenant", connection.tenant.as_ref()),
        (
            "x-m23-reason",
            connection.reason.as_ref().filter(|_| is_service),
        ),
        (
            "x-m23-operator",
            connection.operator.as_ref().filter(|_| is_service),
        ),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        let Some(value) = value else { continue };
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let value = HeaderValue::try_from(value).map_err(|_| no_header(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn secret(text: &str) -> Result<HeaderValue, CliError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| no_header("authorization"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn no_header(name: &str) -> CliError {
    CliError::Usage(format!("what was given for {name} cannot be sent"))
}

/// An answer, whatever it says.
struct Answer {
    status: StatusCode,
    pause: Duration,
    request_id: Option<String>,
    body: Value,
}

impl Answer {
    fn is_to_come_again(&self) -> bool {
        matches!(self.status.as_u16(), 502..=504)
    }

    /// The body, or what the refusal means.
    fn judged(&self) -> Result<Map<String, Value>, CliError> {
        match &self.body {
            Value::Object(body) if self.status.is_success() => Ok(body.clone()),
            _ => Err(self.refusal()),
        }
    }

    /// The body, whatever it is made of, or what the refusal means.
    fn given(self) -> Result<Value, CliError> {
        if self.status.is_success() {
            Ok(self.body)
        } else {
            Err(self.refusal())
        }
    }

    fn refusal(&self) -> CliError {
        let refusal = Refusal::of(&self.body, self.status.as_u16(), self.request_id.clone());
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => CliError::OverTheLimit(Box::new(refusal)),
            _ if self.is_to_come_again() => CliError::Away(Box::new(refusal)),
            _ => CliError::RefusedByApi(Box::new(refusal)),
        }
    }
}

async fn sent(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status();
    let text = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let seconds = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
    let request_id = text("x-request-id");
    let bytes = response.bytes().await?;
    Ok(Answer {
        status,
        pause: seconds
            .map_or(PAUSE, Duration::from_secs)
            .min(LONGEST_PAUSE),
        request_id,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}

fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
