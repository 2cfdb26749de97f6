//! The work of `pitr-restore`: looking, accepting, driving.

use m23_contract::{PitrRestoreRequest, PitrRestoreResponse, PitrStats, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, ask_as_user, drive_patiently};
use std::time::Duration;

const BEGIN: Duration = Duration::from_secs(15);

/// A preview reads all that has changed since; the database gives up after 60 s.
const PREVIEW: Duration = Duration::from_secs(65);

/// What would change, and has not.
pub(crate) async fn preview(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRestoreRequest,
) -> Result<PitrRestoreResponse, Failure> {
    let seen: PitrRestoreResponse = ask_as_user(
        workers,
        caller,
        "m23_preview_pitr",
        ("p_restore", request),
        PREVIEW,
    )
    .await?;
    Ok(PitrRestoreResponse {
        success: true,
        ..seen
    })
}

/// Accepts the work in the user's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRestoreRequest,
) -> Result<RestoreOrder, Failure> {
    ask_as_user(
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
