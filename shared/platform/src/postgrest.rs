//! The database's functions through PostgREST.

use crate::fetch::Outgoing;
use crate::version::version;
use m23_auth::Secret;
use m23_pipeline::{Caller, Settings, decode_error};
use m23_ports::DatabaseError;
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;
use worker::Method;

/// What is still to come of an answer.
pub(crate) type Rest = Pin<Box<dyn Future<Output = Result<Vec<u8>, DatabaseError>>>>;

/// What a call sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// Named arguments.
    Json(&'a Value),
    /// One unnamed `bytea` parameter: the fast way for megabytes.
    Bytes(&'a [u8]),
}

/// What a call wants back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accept {
    /// JSON.
    Json,
    /// The raw bytes of a function that returns `bytea`.
    Bytes,
}

/// One call of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RpcCall<'a> {
    /// In whose name.
    pub(crate) caller: Caller<'a>,
    /// Which function of the API schema.
    pub(crate) name: &'a str,
    /// What is sent.
    pub(crate) payload: Payload<'a>,
    /// What is wanted back.
    pub(crate) accept: Accept,
    /// How long to wait for the whole answer.
    pub(crate) timeout: Duration,
}

/// A project's PostgREST.
#[derive(Debug, Clone)]
pub(crate) struct PostgRest {
    base: String,
    anon_key: Secret,
    service_role_key: Secret,
}

impl PostgRest {
    /// The PostgREST of a deployment.
    #[must_use]
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            base: format!("{}/rest/v1/rpc", settings.supabase_url),
            anon_key: settings.anon_key.clone(),
            service_role_key: settings.service_role_key.clone(),
        }
    }

    /// Calls a function with the service key, JSON to JSON.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn rpc_as_service(
        &self,
        name: &str,
        arguments: &Value,
        timeout: Duration,
    ) -> Result<Value, DatabaseError> {
        self.rpc(Caller::Service, name, arguments, timeout).await
    }

    /// Calls a function with the service key, for its raw bytes: the first line without its end, and
    /// what is still to come, which is aborted where it is not waited for.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn rpc_lines_as_service(
        &self,
        name: &str,
        arguments: &Value,
        timeout: Duration,
    ) -> Result<(Vec<u8>, Rest), DatabaseError> {
        let call = RpcCall {
            caller: Caller::Service,
            name,
            payload: Payload::Json(arguments),
            accept: Accept::Bytes,
            timeout,
        };
        let (line, begun) = self
            .exchange(call, async |outgoing| outgoing.begin().await)
            .await?;
        let status = begun.status;
        let rest = begun.rest();
        if (200..=299).contains(&status) {
            let name = name.to_owned();
            let rest = async move { rest.await.map_err(|cause| unavailable(&name, &cause)) };
            return Ok((line, Box::pin(rest)));
        }
        let more = rest.await.map_err(|cause| unavailable(name, &cause))?;
        let body = [line, more].join(&b'\n');
        Err(decode_error(call.caller, status, &body))
    }

    /// Calls a function, JSON to JSON.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn rpc(
        &self,
        caller: Caller<'_>,
        name: &str,
        arguments: &Value,
        timeout: Duration,
    ) -> Result<Value, DatabaseError> {
        let call = RpcCall {
            caller,
            name,
            payload: Payload::Json(arguments),
            accept: Accept::Json,
            timeout,
        };
        self.send_for_json(call).await
    }

    /// Makes a call whose answer is JSON.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn send_for_json(&self, call: RpcCall<'_>) -> Result<Value, DatabaseError> {
        parsed(&self.send(call).await?)
    }

    /// Calls a function and gives its answer's body as it came.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub(crate) async fn send(&self, call: RpcCall<'_>) -> Result<Vec<u8>, DatabaseError> {
        let incoming = self
            .exchange(call, async |outgoing| outgoing.send().await)
            .await?;
        match incoming.status {
            200..=299 => Ok(incoming.body),
            status => Err(decode_error(call.caller, status, &incoming.body)),
        }
    }

    async fn exchange<T>(
        &self,
        call: RpcCall<'_>,
        send: impl AsyncFnOnce(Outgoing<'_>) -> Result<T, String>,
    ) -> Result<T, DatabaseError> {
        let url = format!("{}/{}", self.base, call.name);
        let (key, bearer) = match call.caller {
            Caller::User(token) => (self.anon_key.reveal(), token.reveal()),
            Caller::Service => {
                let key = self.service_role_key.reveal();
                (key, key)
            }
        };
        let authorization = format!("Bearer {bearer}");
        let body = call.payload.bytes()?;
        let outgoing = Outgoing {
            method: Method::Post,
            url: &url,
            headers: &[
                ("apikey", key),
                ("x-m23-version", version()),
                ("authorization", &authorization),
                ("content-type", call.payload.content_type()),
                ("accept", call.accept.media_type()),
            ],
            body: Some(&body),
            timeout: call.timeout,
        };
        send(outgoing)
            .await
            .map_err(|cause| unavailable(call.name, &cause))
    }
}

fn unavailable(name: &str, cause: &str) -> DatabaseError {
    DatabaseError::Unavailable(format!("{name}: {cause}"))
}

impl Payload<'_> {
    fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Bytes(_) => "application/octet-stream",
        }
    }

    fn bytes(&self) -> Result<std::borrow::Cow<'_, [u8]>, DatabaseError> {
        match self {
            Self::Json(value) => serde_json::to_vec(value)
                .map(Into::into)
                .map_err(|error| DatabaseError::Failed(error.to_string())),
            Self::Bytes(bytes) => Ok((*bytes).into()),
        }
    }
}

impl Accept {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Bytes => "application/octet-stream",
        }
    }
}

/// An answer as JSON; a function that returns nothing gives null.
fn parsed(body: &[u8]) -> Result<Value, DatabaseError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body)
        .map_err(|_| DatabaseError::Failed("an answer that is not JSON".to_owned()))
}
