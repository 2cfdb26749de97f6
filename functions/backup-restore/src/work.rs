//! The work of `backup-restore`: accepting a restore, and driving it.

use futures_channel::oneshot;
use m23_contract::{BackupRestoreRequest, BackupRestoreResponse, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome, World as _, drive_restore};
use m23_pipeline::{Admitted, Failure, Level, Log as _, Record};
use m23_platform::{Workers, bounded};
use serde_json::json;
use std::time::Duration;

const BEGIN: Duration = Duration::from_secs(15);

/// A restore that lasts longer is answered with 202 and goes on.
const PATIENCE: Duration = Duration::from_secs(24);

/// Accepts a restore in the user's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &BackupRestoreRequest,
) -> Result<RestoreOrder, Failure> {
    let arguments = json!({ "p_request_id": caller.request_id(), "p_restore": request });
    let answer = workers
        .database()
        .rpc_as_user(caller.token(), "m23_begin_restore", &arguments, BEGIN)
        .await?;
    serde_json::from_value(answer).map_err(Failure::internal)
}

/// Drives a restore. Gives its answer, and whether it is done: the work goes on by itself when
/// it takes longer than a caller should wait.
pub(crate) async fn drive(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<(BackupRestoreResponse, bool), Failure> {
    let restore_log_id = order.restore_log_id;
    let (sender, receiver) = oneshot::channel();
    let world = workers.clone();
    workers.wait_until(async move {
        let _caller_may_be_gone = sender.send(drive_restore(&world, &order).await);
    });
    let begun = BackupRestoreResponse {
        success: true,
        restore_log_id: Some(restore_log_id),
        ..BackupRestoreResponse::default()
    };
    match bounded(PATIENCE, receiver).await {
        Ok(Ok(outcome)) => Ok((completed(begun, outcome?), true)),
        Ok(Err(dropped)) => Err(Failure::internal(dropped)),
        Err(_still_running) => Ok((
            BackupRestoreResponse {
                status: Some(WorkStatus::InProgress),
                ..begun
            },
            false,
        )),
    }
}

fn completed(begun: BackupRestoreResponse, outcome: RestoreOutcome) -> BackupRestoreResponse {
    BackupRestoreResponse {
        status: Some(WorkStatus::Completed),
        restored_tables: Some(outcome.restored_tables),
        rows_restored: Some(outcome.rows_restored),
        duration: Some(outcome.duration),
        snapshot_id: outcome.snapshot_id,
        warnings: Some(outcome.warnings),
        ..begun
    }
}

/// Upkeep: restores whose Worker is gone have changed nothing and end as failed, so that the
/// tenant can begin another.
pub(crate) async fn sweep(workers: &Workers) {
    match workers.call("m23_sweep", &json!({})).await {
        Ok(swept) => workers.log(&Record::new(Level::Info, "swept").with("swept", swept)),
        Err(error) => workers.log(&Record::new(Level::Error, "not_swept").with_cause(&error)),
    }
}
