//! The health endpoints as operations: of each function, and of the whole.

use crate::components::Schemas;
use m23_contract::{FunctionName, Health};
use serde_json::{Map, Value, json};

/// The paths of all health endpoints.
pub(crate) fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    let schema = schemas.response::<Health>();
    let of_functions = FunctionName::ALL.into_iter().map(|function| {
        let path = format!("/functions/v1/{function}/health");
        (path, item(&format!("health-{function}"), &schema))
    });
    let whole = "/functions/v1/health".to_owned();
    std::iter::once((whole, item("health", &schema)))
        .chain(of_functions)
        .collect()
}

fn item(operation_id: &str, schema: &Value) -> Value {
    let answer = |meaning: &str| {
        json!({
            "description": meaning,
            "headers": { "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } },
            "content": { "application/json": { "schema": schema } },
        })
    };
    json!({ "get": {
        "operationId": operation_id,
        "summary": "Whether the service works",
        "description": "For monitors: no token, no limit. What is answered is at most 10 seconds old.",
        "security": [],
        "responses": {
            "200": answer("It works, or some of it does not (`degraded`)."),
            "503": answer("Nothing can be asked of it (`down`)."),
        },
    } })
}
