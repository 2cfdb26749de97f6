//! Trying again, where that can help.

use crate::error::EngineError;
use crate::job_ports::JobPorts;

/// Waits between tries, in milliseconds.
const PAUSES: [u32; 3] = [200, 1_000, 3_000];

/// Does a step until it succeeds, fails for good, or has been tried four times. Every step of
/// the engine may be done twice.
pub(crate) async fn retry_passing<T, E: Into<EngineError>>(
    ports: &impl JobPorts,
    mut step: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, EngineError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        match (step().await.map_err(Into::into), pauses.next()) {
            (Err(error), Some(pause)) if error.is_passing() => ports.pause(pause).await,
            (outcome, _) => return outcome,
        }
    }
}
