//! Work that may outlast its caller's patience.

use crate::bounded::bounded;
use crate::workers::Workers;
use futures_channel::oneshot;
use m23_engine::{RestoreOrder, RestoreOutcome, World as _, drive_preview, drive_restore};
use m23_pipeline::{Failure, Level, Log as _, Record};
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;

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
    let detached = json!({ "p_restore_id": order.work_id, "p_lease": order.lease });
    let drive = async move { drive_restore(&world, &order).await };
    let outcome = patiently(workers, drive).await?.transpose()?;
    if outcome.is_none() {
        detach(workers, &detached).await;
    }
    Ok(outcome)
}

/// The platform ends this Worker soon after its answer: from now on another may go on.
async fn detach(workers: &Workers, work: &Value) {
    if let Err(error) = workers.call("m23_detach_restore", work).await {
        workers.log(&Record::new(Level::Warn, "restore_not_detached").with_cause(&error));
    }
}

/// Drives a dry run. `None`: it takes longer than a caller should wait, and goes on to its end.
///
/// # Errors
/// Why it failed.
pub async fn preview_patiently(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<Option<Value>, Failure> {
    let world = workers.clone();
    let drive = async move { drive_preview(&world, &order).await };
    Ok(patiently(workers, drive).await?.transpose()?)
}
