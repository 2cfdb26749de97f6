//! Which codes a function answers with, and what they are for.

use m23_contract::{ErrorBody, ErrorCode, FunctionName};
use serde_json::{Map, Value, json};

use crate::components::Schemas;
use crate::headers;

/// The codes that any of the five may answer with.
const COMMON: [ErrorCode; 10] = [
    ErrorCode::AuthRequired,
    ErrorCode::TenantNotFound,
    ErrorCode::InsufficientPermissions,
    ErrorCode::ValidationFailed,
    ErrorCode::RateLimitExceeded,
    ErrorCode::MethodNotAllowed,
    ErrorCode::NotFound,
    ErrorCode::PayloadTooLarge,
    ErrorCode::Unavailable,
    ErrorCode::Internal,
];

/// Every code that `function` may answer with, in the order of the contract.
#[must_use]
pub fn codes_of(function: FunctionName) -> Vec<ErrorCode> {
    let own: &[ErrorCode] = match function {
        FunctionName::BackupCreate | FunctionName::RecoveryTest => {
            &[ErrorCode::BackupNotFound, ErrorCode::BackupUnusable]
        }
        FunctionName::BackupRestore | FunctionName::PitrRestore => &[
            ErrorCode::BackupNotFound,
            ErrorCode::RestoreInProgress,
            ErrorCode::PlanChanged,
            ErrorCode::Conflict,
            ErrorCode::BackupUnusable,
        ],
        FunctionName::PitrRollback => &[
            ErrorCode::SnapshotNotFound,
            ErrorCode::RestoreInProgress,
            ErrorCode::PlanChanged,
            ErrorCode::Conflict,
        ],
    };
    ErrorCode::ALL
        .into_iter()
        .filter(|code| COMMON.contains(code) || own.contains(code))
        .collect()
}

/// The refusals of a function as responses, one a status.
pub(crate) fn responses(function: FunctionName, schemas: &mut Schemas) -> Map<String, Value> {
    let codes = codes_of(function);
    let mut responses = Map::new();
    for code in &codes {
        let status = code.status();
        let same: Vec<ErrorCode> = codes
            .iter()
            .copied()
            .filter(|other| other.status() == status)
            .collect();
        responses
            .entry(status.to_string())
            .or_insert_with(|| refusal(status, &same, schemas));
    }
    responses
}

fn refusal(status: u16, codes: &[ErrorCode], schemas: &mut Schemas) -> Value {
    let description: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`: {}", meaning(*code)))
        .collect();
    let examples: Map<String, Value> = codes
        .iter()
        .map(|code| (code.to_string(), json!({ "value": example(*code) })))
        .collect();
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let schema = json!({
        "allOf": [
            schemas.response::<ErrorBody>(),
            { "properties": { "success": { "const": false }, "code": { "enum": names } } },
        ],
    });
    json!({
        "description": description.join(" "),
        "headers": headers::of_refusal(status),
        "content": { "application/json": { "schema": schema, "examples": examples } },
    })
}

fn example(code: ErrorCode) -> ErrorBody {
    let details = match code {
        ErrorCode::ValidationFailed => vec!["confirmRestore: must be true".to_owned()],
        _ => Vec::new(),
    };
    ErrorBody::new(code, meaning(code), details)
}

const fn meaning(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AuthRequired => {
            "There is no access token, or not a good one of a signed-in user; or the service key names no tenant."
        }
        ErrorCode::TenantNotFound => {
            "The user belongs to no tenant, or to several and has picked none of them; or the service named one that nothing knows."
        }
        ErrorCode::InsufficientPermissions => "The user's role in the tenant does not allow this.",
        ErrorCode::ValidationFailed => {
            "The input is invalid; `details` lists every fault, each naming its field."
        }
        ErrorCode::BackupNotFound => "There is no such backup in this tenant.",
        ErrorCode::SnapshotNotFound => {
            "There is no such snapshot in this tenant that can still be used."
        }
        ErrorCode::RestoreInProgress => {
            "A restore or rollback of this tenant is running; try again after `Retry-After`."
        }
        ErrorCode::RateLimitExceeded => "The tenant's hourly quota of this function is used up.",
        ErrorCode::MethodNotAllowed => "Only POST is answered, and the OPTIONS of a preflight.",
        ErrorCode::NotFound => "There is nothing at this address.",
        ErrorCode::PayloadTooLarge => "The body is larger than 64 KB.",
        ErrorCode::PlanChanged => {
            "The data has changed since the plan of `planHash` was made; look at a new one."
        }
        ErrorCode::Conflict => {
            "Rows are blocked and `onBlocked` is `refuse`, or a table's present rules do not take them; `details` name \
             table, column, constraint, and the way on."
        }
        ErrorCode::BackupUnusable => {
            "The backup is unfinished, damaged, cannot be decrypted, or its chain is broken."
        }
        ErrorCode::Unavailable => {
            "The database or the store does not answer; try again after `Retry-After`."
        }
        ErrorCode::Internal => "A fault of ours; the log has it under the `X-Request-Id`.",
    }
}
