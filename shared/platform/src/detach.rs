//! Work that may outlast its caller's patience: it goes on after the answer.

use crate::failure::failure_of;
use crate::runtime::Runtime;
use crate::timeout::bounded;
use futures_channel::oneshot;
use m23_contract::LONGEST_WAIT_SECONDS;
use m23_engine::{EngineError, RestoreOrder};
use m23_pipeline::Failure;
use m23_ports::{Database as _, Level, Log as _, Record};
use serde_json::json;
use std::future::Future;
use std::time::Duration;

const LONGEST_WAIT: Duration = Duration::from_secs(LONGEST_WAIT_SECONDS);

/// Does work that goes on when its caller does not wait for it: `None`, after [`LONGEST_WAIT_SECONDS`].
///
/// # Errors
/// [`Failure::Internal`] when the platform has dropped the work.
pub async fn or_detach<T: 'static>(
    runtime: &Runtime,
    work: impl Future<Output = T> + 'static,
) -> Result<Option<T>, Failure> {
    let (sender, receiver) = oneshot::channel();
    runtime.wait_until(async move {
        let _caller_may_be_gone = sender.send(work.await);
    });
    match bounded(LONGEST_WAIT, receiver).await {
        Ok(Ok(outcome)) => Ok(Some(outcome)),
        Ok(Err(dropped)) => Err(Failure::internal(dropped)),
        Err(_still_running) => Ok(None),
    }
}

/// Drives a restore, a rollback or a dry run. `None`: it goes on by itself, and its log row follows it. The platform
/// ends this Worker soon after its answer: another may go on from now on.
///
/// # Errors
/// Why it failed; live data is then as it was.
pub(crate) async fn drive_or_detach<T: 'static>(
    runtime: &Runtime,
    order: RestoreOrder,
    drive: impl AsyncFnOnce(&Runtime, &RestoreOrder) -> Result<T, EngineError> + 'static,
) -> Result<Option<T>, Failure> {
    let ports = runtime.clone();
    let arguments = json!({ "p_restore_id": order.work_id, "p_lease": order.lease });
    let work = async move { drive(&ports, &order).await };
    let outcome = or_detach(runtime, work).await?;
    let outcome = outcome.transpose().map_err(failure_of)?;
    if outcome.is_none()
        && let Err(error) = runtime.call("m23_detach_restore", &arguments).await
    {
        runtime.log(&Record::new(Level::Warn, "restore_not_detached").with_cause(&error));
    }
    Ok(outcome)
}
