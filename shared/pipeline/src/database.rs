//! Calls of the database's functions, and what its refusals mean.

use m23_auth::BearerToken;
use m23_contract::ErrorCode;
use m23_ports::DatabaseError;
use serde::Deserialize;
use serde_json::Value;

/// In whose name a call is made.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// The user's own token: row-level security and roles apply.
    User(&'a BearerToken),
    /// The service key: for what the user must not do themselves, and for unattended work.
    Service,
}

/// The database's functions as a request calls them, by name with JSON.
#[allow(async_fn_in_trait)]
pub trait RequestDatabase {
    /// Calls a function, in bounded time.
    async fn call(
        &self,
        caller: Caller<'_>,
        name: &str,
        arguments: &Value,
    ) -> Result<Value, DatabaseError>;
}

#[derive(Deserialize)]
struct ErrorReply {
    code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    details: Value,
}

/// Reads an error answer of PostgREST.
#[must_use]
pub fn decode_error(caller: Caller<'_>, status: u16, body: &[u8]) -> DatabaseError {
    let Ok(reply) = serde_json::from_slice::<ErrorReply>(body) else {
        let cause = format!("status {status} without an error body");
        return if matches!(status, 408 | 429 | 502..=504 | 520..=530) {
            DatabaseError::Unavailable(cause)
        } else {
            DatabaseError::Failed(cause)
        };
    };
    if let Some(code) = ErrorCode::parse(&reply.code) {
        return DatabaseError::Refused {
            code,
            sentence: reply.message.unwrap_or_default(),
            details: detail_lines(&reply.details),
        };
    }
    let cause = shown(status, &reply);
    if is_about_the_token(&reply.code) && matches!(caller, Caller::User(_)) {
        DatabaseError::TokenRefused(cause)
    } else if is_passing(&reply.code) || matches!(status, 503 | 504) {
        DatabaseError::Unavailable(cause)
    } else {
        DatabaseError::Failed(cause)
    }
}

/// `details` is a JSON list, itself written as text in PostgREST's answer.
fn detail_lines(details: &Value) -> Vec<String> {
    match details {
        Value::Array(lines) => lines
            .iter()
            .filter_map(|line| line.as_str().map(ToOwned::to_owned))
            .collect(),
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| vec![text.clone()]),
        _ => Vec::new(),
    }
}

fn is_about_the_token(code: &str) -> bool {
    matches!(code, "PGRST300" | "PGRST301" | "PGRST302" | "PGRST303")
}

/// Connection trouble, resources, shutdowns and cancelled statements, deadlocks, lock timeouts, a database
/// that was made read-only, as hosted ones are when their disk is nearly full.
/// A server that died in the middle of an answer left no code at all.
fn is_passing(code: &str) -> bool {
    ["PGRST00", "08", "53", "57"]
        .iter()
        .any(|class| code.starts_with(class))
        || matches!(code, "" | "25006" | "40P01" | "55P03")
}

/// What may be logged. Messages of some classes repeat a row's values (a value that does not
/// parse, what a user's trigger raised), so only those of other classes are kept.
fn shown(status: u16, reply: &ErrorReply) -> String {
    let tells_no_values = [
        "PGRST", "08", "23", "25", "40", "42", "53", "55", "57", "XX",
    ]
    .iter()
    .any(|class| reply.code.starts_with(class));
    let what = match &reply.message {
        Some(message) if tells_no_values => format!("{} ({status}): {message}", reply.code),
        _ => format!("{} ({status})", reply.code),
    };
    match shortage(&reply.code) {
        Some(hint) => format!("{what}; {hint}"),
        None => what,
    }
}

/// What the database lacks, and what its operator does about it.
fn shortage(code: &str) -> Option<&'static str> {
    match code {
        "25006" => Some("the database is read-only: see \"A full disk\" in docs/on-call.md"),
        "53100" => Some("the database's disk is full: see \"A full disk\" in docs/on-call.md"),
        "53200" => Some(
            "the database is out of memory, or max_locks_per_transaction is too low for so many tables",
        ),
        "53300" => {
            Some("all connections are in use: max_connections or PostgREST's pool is too small")
        }
        _ => None,
    }
}
