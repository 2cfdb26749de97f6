//! The work of `backup-restore`: accepting a restore, and driving it.

use m23_contract::{BackupRestoreRequest, BackupRestoreResponse, WorkStatus};
use m23_pipeline::{Admitted, Failure};
use m23_platform::Workers;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// The answer of `m23_begin_restore`, as far as a caller may know it.
#[derive(Deserialize)]
struct Begun {
    restore_log_id: Uuid,
}

/// Accepts a restore in the user's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &BackupRestoreRequest,
) -> Result<BackupRestoreResponse, Failure> {
    let arguments = json!({ "p_request_id": caller.request_id(), "p_restore": request });
    let answer = workers
        .database()
        .rpc_as_user(caller.token(), "m23_begin_restore", &arguments, BEGIN)
        .await?;
    let begun: Begun = serde_json::from_value(answer).map_err(Failure::internal)?;
    Ok(BackupRestoreResponse {
        success: true,
        restore_log_id: Some(begun.restore_log_id),
        status: Some(WorkStatus::InProgress),
        ..BackupRestoreResponse::default()
    })
}

/// Takes up restores whose Worker is gone.
pub(crate) async fn take_up(_workers: &Workers) {}
