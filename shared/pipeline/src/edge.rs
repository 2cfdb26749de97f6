//! The outermost layer: methods, paths, CORS, and the headers that every response has.

use crate::failure::Failure;
use crate::function::Answer;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use m23_contract::{ErrorBody, ErrorCode, FunctionName};
use m23_rate_limit::Window;
use uuid::Uuid;

const ALLOWED_METHODS: &str = "POST, OPTIONS";
const ALLOWED_HEADERS: &str = "authorization, x-client-info, apikey, content-type, \
     x-retry-count, x-region, idempotency-key";
const EXPOSED_HEADERS: &str = "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, \
     ratelimit-policy, ratelimit, retry-after, x-request-id, idempotent-replayed";

/// What a request is, before anything else is looked at.
pub(crate) enum Kind {
    Preflight,
    Call,
}

/// Sorts a request by method and path.
pub(crate) fn kind(method: &Method, uri: &Uri, function: FunctionName) -> Result<Kind, Failure> {
    if *method == Method::OPTIONS {
        return Ok(Kind::Preflight);
    }
    let last = uri.path().trim_end_matches('/').rsplit('/').next();
    if last.is_some_and(|name| !name.is_empty() && name != function.as_str()) {
        return Err(Failure::NoSuchFunction);
    }
    if *method != Method::POST {
        return Err(Failure::MethodNotAllowed);
    }
    Ok(Kind::Call)
}

/// A response under construction: the headers it will have whatever happens.
pub(crate) struct Envelope {
    headers: HeaderMap,
}

impl Envelope {
    pub(crate) fn new(request_id: Uuid) -> Self {
        let mut headers = HeaderMap::new();
        let fixed = |value| HeaderValue::from_static(value);
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, fixed("*"));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, fixed(EXPOSED_HEADERS));
        headers.insert(CACHE_CONTROL, fixed("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
        let mut envelope = Self { headers };
        envelope.set(HeaderName::from_static("x-request-id"), &request_id);
        envelope
    }

    /// Adds the rate window's headers.
    pub(crate) fn with_window(mut self, window: &Window, now_seconds: u64) -> Self {
        for (name, value) in window.headers(now_seconds) {
            self.set(HeaderName::from_static(name), &value);
        }
        self
    }

    /// Marks an answer as one that was given before.
    pub(crate) fn marked_as_replay(mut self) -> Self {
        self.set(HeaderName::from_static("idempotent-replayed"), &true);
        self
    }

    /// The answer to a preflight.
    pub(crate) fn preflight(mut self) -> Response<Vec<u8>> {
        self.set(ACCESS_CONTROL_ALLOW_METHODS, &ALLOWED_METHODS);
        self.set(ACCESS_CONTROL_ALLOW_HEADERS, &ALLOWED_HEADERS);
        self.set(ACCESS_CONTROL_MAX_AGE, &86_400);
        self.respond(204, Vec::new())
    }

    /// A handler's answer, or one kept from before.
    pub(crate) fn answer(self, answer: &Answer) -> Response<Vec<u8>> {
        let body = serde_json::to_vec(&answer.body).unwrap_or_default();
        self.respond(answer.status, body)
    }

    /// A refusal: the contract's body, and the headers that belong to its code.
    pub(crate) fn refusal(mut self, failure: &Failure) -> Response<Vec<u8>> {
        let report = failure.report();
        if let Some(seconds) = report.retry_after {
            self.set(RETRY_AFTER, &seconds);
        }
        match report.code {
            ErrorCode::AuthRequired => self.set(WWW_AUTHENTICATE, &"Bearer"),
            ErrorCode::MethodNotAllowed => self.set(ALLOW, &ALLOWED_METHODS),
            _ => {}
        }
        let body = ErrorBody::new(report.code, report.sentence, report.details);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        self.respond(report.code.status(), body)
    }

    pub(crate) fn set(&mut self, name: HeaderName, value: &impl ToString) {
        if let Ok(value) = HeaderValue::try_from(value.to_string()) {
            self.headers.insert(name, value);
        }
    }

    pub(crate) fn respond(mut self, status: u16, body: Vec<u8>) -> Response<Vec<u8>> {
        if !body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            self.headers.insert(CONTENT_TYPE, json);
        }
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        response
    }
}
