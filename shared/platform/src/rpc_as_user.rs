//! Calls of the database in the name of a request's caller.

use crate::runtime::Runtime;
use m23_pipeline::{Admitted, Failure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

/// Calls a function that takes an admitted request (`p_request_id`) and its body, under the name
/// that the function gives it.
///
/// # Errors
/// What the database refuses, or [`Failure::Internal`] for an answer of another form.
pub async fn rpc_as_user<T: DeserializeOwned>(
    runtime: &Runtime,
    caller: &Admitted,
    function: &str,
    (parameter, request): (&str, &impl Serialize),
    patience: Duration,
) -> Result<T, Failure> {
    let arguments = json!({ "p_request_id": caller.request_id(), parameter: request });
    let answer = runtime
        .database()
        .rpc(caller.caller(), function, &arguments, patience)
        .await?;
    serde_json::from_value(answer).map_err(Failure::internal)
}
