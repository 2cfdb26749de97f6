//! The edge function `pitr-restore`.
//!
//! What is done is [`RestoreCall`]'s, and what it does to the data is the database's: a preview and the real thing
//! are one plan there.

use m23_contract::{
    FunctionName, PitrRestoreCompleted, PitrRestoreRequest, PitrRestoreResponse, RestoreAccepted,
    WorkStatus,
};
use m23_engine::RestoreOutcome;
use m23_platform::{RestoreCall, serve_restore};
use uuid::Uuid;
use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve_restore::<PitrRestore>(request, env, context).await
}

struct PitrRestore;

impl RestoreCall for PitrRestore {
    type Request = PitrRestoreRequest;
    type Answer = PitrRestoreResponse;
    const NAME: FunctionName = FunctionName::PitrRestore;
    const PREVIEW: &'static str = "m23_preview_pitr";
    const BEGIN: &'static str = "m23_begin_pitr";
    const PARAMETER: &'static str = "p_restore";

    fn is_dry_run(request: &PitrRestoreRequest) -> bool {
        request.dry_run
    }

    fn accepted(work: Uuid) -> PitrRestoreResponse {
        PitrRestoreResponse::Accepted(RestoreAccepted {
            success: true,
            restore_log_id: work,
            status: WorkStatus::InProgress,
        })
    }

    fn completed(work: Uuid, outcome: RestoreOutcome) -> PitrRestoreResponse {
        PitrRestoreResponse::Completed(PitrRestoreCompleted {
            success: true,
            restore_log_id: work,
            status: WorkStatus::Completed,
            stats: outcome.stats,
            snapshot_id: outcome.snapshot_id,
            warnings: outcome.warnings,
            transaction_id: outcome.transaction_id,
            conflict_count: outcome.conflict_count,
            conflicts: outcome.conflicts,
        })
    }
}
