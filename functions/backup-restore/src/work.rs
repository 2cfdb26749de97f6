//! The work of `backup-restore`: accepting a restore, and driving it.

use m23_contract::{BackupRestoreRequest, BackupRestoreResponse, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome, resume_restores};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, ask_as_caller, drive_patiently, preview_patiently};
use m23_ports::{Clock as _, Database as _, Level, Log as _, Record};
use serde_json::json;
use std::time::Duration;

const BEGIN: Duration = Duration::from_secs(15);

/// How long one scheduled event takes restores up; the next comes a minute later. One that is
/// taken up is driven to its end.
const SCHEDULED_MS: u64 = 50_000;

/// Accepts a restore in the caller's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &BackupRestoreRequest,
) -> Result<RestoreOrder, Failure> {
    ask_as_caller(
        workers,
        caller,
        "m23_begin_restore",
        ("p_restore", request),
        BEGIN,
    )
    .await
}

/// Drives a restore. Gives its answer, and whether it is done.
pub(crate) async fn drive(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<(BackupRestoreResponse, bool), Failure> {
    let begun = BackupRestoreResponse {
        success: true,
        restore_log_id: Some(order.work_id),
        status: Some(WorkStatus::InProgress),
        ..BackupRestoreResponse::default()
    };
    Ok(match drive_patiently(workers, order).await? {
        Some(outcome) => (completed(begun, outcome), true),
        None => (begun, false),
    })
}

/// Drives a dry run. Gives what would change, and whether that is known yet.
pub(crate) async fn preview(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<(BackupRestoreResponse, bool), Failure> {
    let work_id = order.work_id;
    let Some(seen) = preview_patiently(workers, order).await? else {
        let begun = BackupRestoreResponse {
            success: true,
            restore_log_id: Some(work_id),
            status: Some(WorkStatus::InProgress),
            ..BackupRestoreResponse::default()
        };
        return Ok((begun, false));
    };
    let seen: BackupRestoreResponse = serde_json::from_value(seen).map_err(Failure::internal)?;
    let seen = BackupRestoreResponse {
        success: true,
        ..seen
    };
    Ok((seen, true))
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

/// Upkeep: restores that were answered with 202 go on; others whose Worker is gone have changed
/// nothing and end as failed, so that the tenant can begin another. Says what there was to do.
pub(crate) async fn keep_up(workers: &Workers) {
    sweep(workers).await;
    resume_restores(workers, workers.now_ms() + SCHEDULED_MS).await;
}

async fn sweep(workers: &Workers) {
    match workers.call("m23_sweep", &json!({})).await {
        Ok(swept) if swept == json!({}) => (),
        Ok(swept) => workers.log(&Record::new(Level::Info, "swept").with("swept", swept)),
        Err(error) => workers.log(&Record::new(Level::Error, "not_swept").with_cause(&error)),
    }
}
