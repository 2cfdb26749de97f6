//! Asking the database's functions, and reading what they answer.

use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::retry::retry_passing;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Calls a function until it answers, and reads the answer.
pub(crate) async fn ask<T: DeserializeOwned>(
    ports: &impl JobPorts,
    name: &'static str,
    arguments: &Value,
) -> Result<T, EngineError> {
    let reply = retry_passing(ports, async || ports.call(name, arguments).await).await?;
    parse(name, reply)
}

/// Reads an answer.
pub(crate) fn parse<T: DeserializeOwned>(
    call: &'static str,
    reply: Value,
) -> Result<T, EngineError> {
    serde_json::from_value(reply).map_err(|error| EngineError::UnknownReply {
        call,
        cause: error.to_string(),
    })
}

/// Calls a function until it has taken what it is told.
pub(crate) async fn tell(
    ports: &impl JobPorts,
    name: &'static str,
    arguments: &Value,
) -> Result<(), EngineError> {
    retry_passing(ports, async || ports.call(name, arguments).await).await?;
    Ok(())
}
