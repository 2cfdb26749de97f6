//! The work of `pitr-restore`: looking, accepting, driving.

use m23_contract::{PitrRestoreRequest, PitrRestoreResponse, PitrStats, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, ask_as_caller, drive_patiently, preview_patiently};
use serde_json::Value;
use std::time::Duration;

const BEGIN: Duration = Duration::from_secs(15);

/// A preview reads all that has changed since; the database gives up after 60 s.
const PREVIEW: Duration = Duration::from_secs(65);

/// What would change, and has not; and whether that is known yet. What the log cannot tell is
/// read from the archive first.
pub(crate) async fn preview(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRestoreRequest,
) -> Result<(PitrRestoreResponse, bool), Failure> {
    let told: Value = ask_as_caller(
        workers,
        caller,
        "m23_preview_pitr",
        ("p_restore", request),
        PREVIEW,
    )
    .await?;
    let (work_id, seen) = if told.get("work_id").is_some() {
        let order: RestoreOrder = serde_json::from_value(told).map_err(Failure::internal)?;
        (
            Some(order.work_id),
            preview_patiently(workers, order).await?,
        )
    } else {
        (None, Some(told))
    };
    let Some(seen) = seen else {
        let begun = PitrRestoreResponse {
            success: true,
            restore_log_id: work_id,
            status: Some(WorkStatus::InProgress),
            ..PitrRestoreResponse::default()
        };
        return Ok((begun, false));
    };
    let seen: PitrRestoreResponse = serde_json::from_value(seen).map_err(Failure::internal)?;
    let seen = PitrRestoreResponse {
        success: true,
        ..seen
    };
    Ok((seen, true))
}

/// Accepts the work in the caller's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRestoreRequest,
) -> Result<RestoreOrder, Failure> {
    ask_as_caller(
        workers,
        caller,
        "m23_begin_pitr",
        ("p_restore", request),
        BEGIN,
    )
    .await
}

/// Drives the work. Gives its answer, and whether it is done.
pub(crate) async fn drive(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<(PitrRestoreResponse, bool), Failure> {
    let begun = PitrRestoreResponse {
        success: true,
        restore_log_id: Some(order.work_id),
        status: Some(WorkStatus::InProgress),
        ..PitrRestoreResponse::default()
    };
    Ok(match drive_patiently(workers, order).await? {
        Some(outcome) => (completed(begun, outcome), true),
        None => (begun, false),
    })
}

fn completed(begun: PitrRestoreResponse, outcome: RestoreOutcome) -> PitrRestoreResponse {
    PitrRestoreResponse {
        status: Some(WorkStatus::Completed),
        stats: Some(PitrStats {
            total_operations: outcome.stats.total_operations,
            insert_count: outcome.stats.insert_count,
            update_count: outcome.stats.update_count,
            delete_count: outcome.stats.delete_count,
            affected_tables: outcome.stats.affected_tables,
        }),
        snapshot_id: outcome.snapshot_id,
        warnings: Some(outcome.warnings),
        ..begun
    }
}
