//! The edge function `backup-restore`.
//!
//! In scope: its two events, and what it calls and answers. A request is served as every restore is ([`RestoreCall`]);
//! the clock takes up or ends what a Worker left behind.

use m23_contract::{
    BackupRestoreCompleted, BackupRestoreRequest, BackupRestoreResponse, FunctionName,
    RestoreAccepted, WorkStatus,
};
use m23_engine::{RestoreOutcome, resume_restores};
use m23_platform::{RestoreCall, Runtime, scheduled, serve_restore};
use m23_ports::{Clock as _, Database as _, Level, Log as _, Record};
use serde_json::json;
use uuid::Uuid;
use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

/// How long one scheduled event takes restores up; the next comes a minute later. One that is
/// taken up is driven to its end.
const SCHEDULED_MS: u64 = 50_000;

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve_restore::<BackupRestore>(request, env, context).await
}

#[event(scheduled)]
async fn on_schedule(_event: ScheduledEvent, env: Env, context: ScheduleContext) {
    scheduled(env, context, FunctionName::BackupRestore, keep_up).await;
}

struct BackupRestore;

impl RestoreCall for BackupRestore {
    type Request = BackupRestoreRequest;
    type Answer = BackupRestoreResponse;
    const NAME: FunctionName = FunctionName::BackupRestore;
    const PREVIEW: &'static str = "m23_begin_restore";
    const BEGIN: &'static str = "m23_begin_restore";
    const PARAMETER: &'static str = "p_restore";

    fn is_dry_run(request: &BackupRestoreRequest) -> bool {
        request.dry_run
    }

    fn accepted(work: Uuid) -> BackupRestoreResponse {
        BackupRestoreResponse::Accepted(RestoreAccepted {
            success: true,
            restore_log_id: work,
            status: WorkStatus::InProgress,
        })
    }

    fn completed(work: Uuid, outcome: RestoreOutcome) -> BackupRestoreResponse {
        BackupRestoreResponse::Completed(BackupRestoreCompleted {
            success: true,
            restore_log_id: work,
            status: WorkStatus::Completed,
            restored_tables: outcome.restored_tables,
            rows_restored: outcome.rows_restored,
            duration: outcome.duration,
            snapshot_id: outcome.snapshot_id,
            warnings: outcome.warnings,
        })
    }
}

/// Upkeep: restores that were answered with 202 go on; others whose Worker is gone have changed
/// nothing and end as failed, so that the tenant can begin another. Says what there was to do.
async fn keep_up(runtime: &Runtime) {
    sweep(runtime).await;
    resume_restores(runtime, runtime.now_ms() + SCHEDULED_MS).await;
}

async fn sweep(runtime: &Runtime) {
    match runtime.call("m23_sweep", &json!({})).await {
        Ok(swept) if swept == json!({}) => (),
        Ok(swept) => runtime.log(&Record::new(Level::Info, "swept").with("swept", swept)),
        Err(error) => runtime.log(&Record::new(Level::Error, "not_swept").with_cause(&error)),
    }
}
