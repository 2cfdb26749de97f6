//! The headers of requests and responses.

use serde_json::{Map, Value, json};

const RATE_LIMIT: [&str; 3] = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// The header that makes a repeated request safe.
pub(crate) fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A word of the caller's own for this request, such as a UUID. A repetition with the same key \
            and body gets the first answer again (`Idempotent-Replayed: true`) and is not counted; with another \
            body it is `VALIDATION_FAILED`; before the first one has ended it is `UNAVAILABLE`.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" },
    })
}

/// All headers of responses, by name.
pub(crate) fn of_responses() -> Map<String, Value> {
    let number = json!({ "type": "integer", "minimum": 0 });
    let describe =
        |description: &str, schema: &Value| json!({ "description": description, "schema": schema });
    [
        (
            "X-Request-Id",
            describe(
                "The id under which our log has this request.",
                &json!({ "type": "string", "format": "uuid" }),
            ),
        ),
        (
            "X-RateLimit-Limit",
            describe(
                "Requests per sliding hour, for this tenant and function.",
                &number,
            ),
        ),
        (
            "X-RateLimit-Remaining",
            describe("How many are left now.", &number),
        ),
        (
            "X-RateLimit-Reset",
            describe(
                "When the oldest counted request leaves the window, in Unix seconds.",
                &number,
            ),
        ),
        (
            "Retry-After",
            describe("Seconds to wait before another attempt.", &number),
        ),
        (
            "Idempotent-Replayed",
            describe(
                "`true` when this answer was given before.",
                &json!({ "const": "true" }),
            ),
        ),
    ]
    .into_iter()
    .map(|(name, header)| (name.to_owned(), header))
    .collect()
}

/// The headers of an answer.
pub(crate) fn of_answer() -> Value {
    let mut names = vec!["X-Request-Id", "Idempotent-Replayed"];
    names.extend(RATE_LIMIT);
    references(&names)
}

/// The headers of a refusal; those of the rate window once the caller is known.
pub(crate) fn of_refusal(status: u16) -> Value {
    let mut names = vec!["X-Request-Id"];
    if matches!(status, 409 | 429 | 503) {
        names.push("Retry-After");
    }
    if !matches!(status, 401 | 405) {
        names.extend(RATE_LIMIT);
    }
    references(&names)
}

fn references(names: &[&str]) -> Value {
    let headers: Map<String, Value> = names
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                json!({ "$ref": format!("#/components/headers/{name}") }),
            )
        })
        .collect();
    Value::Object(headers)
}
