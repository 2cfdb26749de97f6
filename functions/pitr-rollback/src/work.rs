//! The work of `pitr-rollback`: looking, accepting, driving.

use m23_contract::{PitrRollbackRequest, PitrRollbackResponse, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, ask_as_caller, drive_patiently};
use std::time::Duration;

const BEGIN: Duration = Duration::from_secs(15);

/// A preview reads all that has changed since; the database gives up after 60 s.
const PREVIEW: Duration = Duration::from_secs(65);

/// What would change, and has not.
pub(crate) async fn preview(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRollbackRequest,
) -> Result<PitrRollbackResponse, Failure> {
    let seen: PitrRollbackResponse = ask_as_caller(
        workers,
        caller,
        "m23_preview_rollback",
        ("p_rollback", request),
        PREVIEW,
    )
    .await?;
    Ok(PitrRollbackResponse {
        success: true,
        ..seen
    })
}

/// Accepts the work in the caller's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRollbackRequest,
) -> Result<RestoreOrder, Failure> {
    ask_as_caller(
        workers,
        caller,
        "m23_begin_rollback",
        ("p_rollback", request),
        BEGIN,
    )
    .await
}

/// Drives the work. Gives its answer, and whether it is done.
pub(crate) async fn drive(
    workers: &Workers,
    order: RestoreOrder,
) -> Result<(PitrRollbackResponse, bool), Failure> {
    let begun = PitrRollbackResponse {
        success: true,
        rollback_id: Some(order.work_id),
        status: Some(WorkStatus::InProgress),
        ..PitrRollbackResponse::default()
    };
    Ok(match drive_patiently(workers, order).await? {
        Some(outcome) => (completed(begun, outcome), true),
        None => (begun, false),
    })
}

fn completed(begun: PitrRollbackResponse, outcome: RestoreOutcome) -> PitrRollbackResponse {
    PitrRollbackResponse {
        status: Some(WorkStatus::Completed),
        affected_tables: Some(outcome.stats.affected_tables),
        rows_restored: Some(outcome.rows_restored),
        snapshot_id: outcome.snapshot_id,
        warnings: Some(outcome.warnings),
        ..begun
    }
}
