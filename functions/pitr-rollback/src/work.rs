//! The work of `pitr-rollback`: looking, accepting, driving.

use m23_contract::{PitrRollbackRequest, PitrRollbackResponse, WorkStatus};
use m23_engine::{RestoreOrder, RestoreOutcome};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, drive_patiently};
use serde::de::DeserializeOwned;
use serde_json::json;
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
    let seen: PitrRollbackResponse =
        ask(workers, caller, "m23_preview_rollback", request, PREVIEW).await?;
    Ok(PitrRollbackResponse {
        success: true,
        ..seen
    })
}

/// Accepts the work in the user's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &PitrRollbackRequest,
) -> Result<RestoreOrder, Failure> {
    ask(workers, caller, "m23_begin_rollback", request, BEGIN).await
}

async fn ask<T: DeserializeOwned>(
    workers: &Workers,
    caller: &Admitted,
    function: &str,
    request: &PitrRollbackRequest,
    patience: Duration,
) -> Result<T, Failure> {
    let arguments = json!({ "p_request_id": caller.request_id(), "p_rollback": request });
    let answer = workers
        .database()
        .rpc_as_user(caller.token(), function, &arguments, patience)
        .await?;
    serde_json::from_value(answer).map_err(Failure::internal)
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
