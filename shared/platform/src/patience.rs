//! Work that may outlast its caller's patience.

use crate::bounded::bounded;
use crate::failure::failure_of;
use crate::workers::Workers;
use futures_channel::oneshot;
use m23_engine::{RestoreOrder, RestoreOutcome, drive_preview, drive_restore};
use m23_pipeline::Failure;
use m23_ports::{Database as _, Level, Log as _, Record};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;
use uuid::Uuid;

/// A call that lasts longer is answered with 202, and its work goes on.
const PATIENCE: Duration = Duration::from_secs(24);

/// Does work that goes on when its caller does not wait for it: `None`, after 24 s.
///
/// # Errors
/// [`Failure::Internal`] when the platform has dropped the work.
pub async fn patiently<T: 'static>(
    workers: &Workers,
    work: impl Future<Output = T> + 'static,
) -> Result<Option<T>, Failure> {
    let (sender, receiver) = oneshot::channel();
    workers.wait_until(async move {
        let _caller_may_be_gone = sender.send(work.await);
    });
    match bounded(PATIENCE, receiver).await {
        Ok(Ok(outcome)) => Ok(Some(outcome)),
        Ok(Err(dropped)) => Err(Failure::internal(dropped)),
        Err(_still_running) => Ok(None),
    }
}

/// Drives a restore or rollback. `None`: it goes on by itself, and its log row follows it.
///
/// # Errors
/// Why it failed; live data is then as it was.
pub async fn drive_patiently(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<Option<RestoreOutcome>, Failure> {
    let world = workers.clone();
    let work = (order.work_id, order.lease);
    let drive = async move { drive_restore(&world, &order).await };
    detached(
        workers,
        work,
        patiently(workers, drive)
            .await?
            .transpose()
            .map_err(failure_of)?,
    )
    .await
}

/// The platform ends this Worker soon after its answer: where there is no outcome yet, another may
/// go on from now on.
async fn detached<T>(
    workers: &Workers,
    (work, lease): (Uuid, Uuid),
    outcome: Option<T>,
) -> Result<Option<T>, Failure> {
    if outcome.is_none() {
        let arguments = json!({ "p_restore_id": work, "p_lease": lease });
        if let Err(error) = workers.call("m23_detach_restore", &arguments).await {
            workers.log(&Record::new(Level::Warn, "restore_not_detached").with_cause(&error));
        }
    }
    Ok(outcome)
}

/// Drives a dry run. `None`: it goes on by itself, and has a log row that follows it.
///
/// # Errors
/// Why it failed.
pub async fn preview_patiently(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<Option<Value>, Failure> {
    let world = workers.clone();
    let work = (order.work_id, order.lease);
    let drive = async move { drive_preview(&world, &order).await };
    detached(
        workers,
        work,
        patiently(workers, drive)
            .await?
            .transpose()
            .map_err(failure_of)?,
    )
    .await
}
