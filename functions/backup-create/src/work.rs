//! The work of `backup-create`: accepting a job, and driving it.

use m23_contract::{BackupCreateRequest, BackupCreateResponse, JobStatus};
use m23_engine::{
    ParentManifest, check_accepted, collect, do_in_shares, drive_backup, erase_keys,
    take_up_backups,
};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Runtime, failure_of, rpc_as_user};
use m23_ports::Clock as _;
use serde::Deserialize;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// How long a request's Worker goes on after its answer; the platform ends it after 30 s.
const AFTER_ANSWER_MS: u64 = 25_000;

/// How long one scheduled event drives jobs; the next comes a minute later.
const SCHEDULED_MS: u64 = 50_000;

/// How long it begins what is due before it drives jobs: thousands, with time left to bring them further.
const BEGIN_MS: u64 = 20_000;

/// The answer of `m23_begin_backup`.
#[derive(Deserialize)]
struct Begun {
    job_id: Uuid,
    backup_name: String,
    estimated_duration: f64,
    status: JobStatus,
    /// It must not be plain.
    #[serde(default)]
    sealed: bool,
    /// What an incremental builds on.
    parent: Option<ParentManifest>,
}

/// Accepts a job in the caller's name. What an incremental builds on, and whether there is a key where
/// there has to be one, is looked at before the answer.
pub(crate) async fn begin(
    runtime: &Runtime,
    caller: &Admitted,
    request: &BackupCreateRequest,
) -> Result<BackupCreateResponse, Failure> {
    let begun: Begun = rpc_as_user(
        runtime,
        caller,
        "m23_begin_backup",
        ("p_backup", request),
        BEGIN,
    )
    .await?;
    check_accepted(runtime, begun.job_id, begun.sealed, begun.parent.as_ref())
        .await
        .map_err(failure_of)?;
    Ok(BackupCreateResponse {
        success: true,
        job_id: begun.job_id,
        backup_name: begun.backup_name,
        estimated_duration: begun.estimated_duration,
        status: begun.status,
    })
}

/// Drives a job from here on, after the answer.
pub(crate) fn drive(runtime: &Runtime, job: Uuid) {
    let ports = runtime.clone();
    runtime.wait_until(async move {
        let deadline = ports.now_ms() + AFTER_ANSWER_MS;
        drive_backup(&ports, Some(job), deadline).await;
    });
}

/// Erases the keys that are to be erased, begins what plans say is due, and takes up jobs that nobody drives:
/// their Worker is gone, or its time was up.
pub(crate) async fn take_up(runtime: &Runtime) {
    erase_keys(runtime).await;
    let begin_until = runtime.now_ms() + BEGIN_MS;
    do_in_shares(runtime, "m23_begin_scheduled_backups", begin_until).await;
    let deadline = runtime.now_ms() + SCHEDULED_MS;
    take_up_backups(runtime, deadline).await;
    collect(runtime, deadline).await;
}
