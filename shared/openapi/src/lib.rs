//! The OpenAPI 3.1 document of the five functions and their health endpoints, derived from the contract's own types.
//!
//! `cargo xtask generate` writes it to `docs/openapi.json`; a test fails when that file is another.

mod components;
mod errors;
mod examples;
mod headers;
mod health;
mod operation;

pub use errors::codes_of;
pub use examples::{Example, examples_of};

use m23_contract::{FunctionName, LONGEST_WAIT_SECONDS};
use serde_json::{Map, Value, json};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = components::Schemas::new();
    let mut paths: Map<String, Value> = FunctionName::ALL
        .into_iter()
        .map(|function| {
            let item = json!({ "post": operation::operation(function, &mut schemas) });
            (format!("/functions/v1/{function}"), item)
        })
        .collect();
    paths.extend(health::paths(&mut schemas));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "M23",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Tenant-level backup and point-in-time recovery for Postgres.",
            "description": description(),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The address that serves this document." }],
        "security": [{ "user": [] }, { "service": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "user": user(), "service": service() },
            "parameters": { "IdempotencyKey": headers::idempotency_key() },
            "headers": headers::of_responses(),
            "schemas": schemas.into_definitions(),
        },
    })
}

fn description() -> String {
    format!(
        "Everything is confined to the tenant of the caller: the one that the user belongs to, \
    or the one picked in `app_metadata.tenant_id`. Quotas are counted per tenant and function over a sliding \
    hour. Work that outlasts {LONGEST_WAIT_SECONDS} s goes on after a 202; its log row shows how it ended. The eight database functions \
    and the tables are PostgREST's, and described in docs/api/rpc.md."
    )
}

/// Its headers stand here and not among the parameters: a user who sends them is refused.
fn service() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "description": "The project's service key, never from a browser. The call is for the tenant that the header \
            `x-m23-tenant` names, with an owner's rights, and counts against no limit. `x-m23-reason` (at most 500 \
            characters) says why, and is required but for a dry run and a recovery test; `x-m23-operator` (at most \
            200) may name a person. All three are percent-encoded UTF-8; the tenant's audit keeps the last two.",
    })
}

fn user() -> Value {
    json!({
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of Supabase Auth, of a signed-in user.",
    })
}
