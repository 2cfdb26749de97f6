//! The health endpoint: which requests are for it, and the form of its answer. Anybody may ask, without a token.

use crate::edge::Envelope;
use http::header::{ACCESS_CONTROL_ALLOW_METHODS, ALLOW};
use http::{Method, Response, Uri};
use m23_contract::{ErrorBody, ErrorCode, FunctionName, Health};
use uuid::Uuid;

const ALLOWED_METHODS: &str = "GET, HEAD, OPTIONS";

/// A request to the health endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inquiry {
    /// It wants to know.
    Ask,
    /// It wants the headers alone.
    Head,
    /// A browser asks whether it may.
    Preflight,
    /// Another method.
    Other,
}

/// What a request asks of the health endpoint, if it is for it: `/health` at the function's own address, and
/// below its name or `/functions/v1`.
#[must_use]
pub fn health_inquiry(method: &Method, uri: &Uri, function: FunctionName) -> Option<Inquiry> {
    let mut segments = uri.path().trim_end_matches('/').rsplit('/');
    if segments.next() != Some("health") {
        return None;
    }
    let place = segments.next().unwrap_or_default();
    (place.is_empty() || place == "v1" || place == function.as_str()).then_some(match *method {
        Method::GET => Inquiry::Ask,
        Method::HEAD => Inquiry::Head,
        Method::OPTIONS => Inquiry::Preflight,
        _ => Inquiry::Other,
    })
}

/// The answer to an inquiry. `health` is needed by those that ask.
#[must_use]
pub fn health_response(
    request_id: Uuid,
    inquiry: Inquiry,
    health: Option<&Health>,
) -> Response<Vec<u8>> {
    let mut envelope = Envelope::new(request_id);
    match (inquiry, health) {
        (Inquiry::Preflight, _) => {
            envelope.set(ACCESS_CONTROL_ALLOW_METHODS, &ALLOWED_METHODS);
            envelope.respond(204, Vec::new())
        }
        (Inquiry::Ask, Some(health)) => envelope.respond(health.http_status(), json(health)),
        (Inquiry::Head, Some(health)) => envelope.respond(health.http_status(), Vec::new()),
        _ => {
            envelope.set(ALLOW, &ALLOWED_METHODS);
            let code = ErrorCode::MethodNotAllowed;
            let body = ErrorBody::new(code, "Use GET.".to_owned(), Vec::new());
            envelope.respond(code.status(), json(&body))
        }
    }
}

fn json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn inquiry(method: &str, path: &str) -> Option<Inquiry> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        health_inquiry(&method, &path.parse().unwrap(), FunctionName::PitrRestore)
    }

    #[test]
    fn health_is_asked_at_a_functions_own_address_below_its_name_and_below_all_functions() {
        for path in [
            "/health",
            "/health/",
            "/pitr-restore/health",
            "/functions/v1/pitr-restore/health",
            "/functions/v1/health",
        ] {
            assert_eq!(inquiry("GET", path), Some(Inquiry::Ask), "{path}");
        }
        for path in [
            "/",
            "/pitr-restore",
            "/healthy",
            "/health/more",
            "/functions/v1/backup-create/health",
        ] {
            assert_eq!(inquiry("GET", path), None, "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_which_ones_there_are() {
        let response = health_response(Uuid::nil(), inquiry("POST", "/health").unwrap(), None);
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], ALLOWED_METHODS);
    }
}
