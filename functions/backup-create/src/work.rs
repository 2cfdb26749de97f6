//! The work of `backup-create`: accepting a job, and driving it.

use m23_contract::{BackupCreateRequest, BackupCreateResponse, JobStatus};
use m23_pipeline::{Admitted, Failure};
use m23_platform::Workers;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// The answer of `m23_begin_backup`.
#[derive(Deserialize)]
struct Begun {
    job_id: Uuid,
    backup_name: String,
    estimated_duration: f64,
    status: JobStatus,
}

/// Accepts a job in the user's name.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &BackupCreateRequest,
) -> Result<BackupCreateResponse, Failure> {
    let arguments = json!({ "p_request_id": caller.request_id(), "p_backup": request });
    let answer = workers
        .database()
        .rpc_as_user(caller.token(), "m23_begin_backup", &arguments, BEGIN)
        .await?;
    let begun: Begun = serde_json::from_value(answer).map_err(Failure::internal)?;
    Ok(BackupCreateResponse {
        success: true,
        job_id: begun.job_id,
        backup_name: begun.backup_name,
        estimated_duration: begun.estimated_duration,
        status: begun.status,
    })
}

/// Takes up jobs whose Worker is gone.
pub(crate) async fn take_up(_workers: &Workers) {}
