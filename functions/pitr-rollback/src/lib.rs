//! The edge function `pitr-rollback`.
//!
//! What is done is [`RestoreCall`]'s, and what it does to the data is the database's: a preview and the real thing
//! are one plan there.

use m23_contract::{
    FunctionName, PitrRollbackCompleted, PitrRollbackRequest, PitrRollbackResponse,
    RollbackAccepted, WorkStatus,
};
use m23_engine::RestoreOutcome;
use m23_platform::{RestoreCall, serve_restore};
use uuid::Uuid;
use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve_restore::<PitrRollback>(request, env, context).await
}

struct PitrRollback;

impl RestoreCall for PitrRollback {
    type Request = PitrRollbackRequest;
    type Answer = PitrRollbackResponse;
    const NAME: FunctionName = FunctionName::PitrRollback;
    const PREVIEW: &'static str = "m23_preview_rollback";
    const BEGIN: &'static str = "m23_begin_rollback";
    const PARAMETER: &'static str = "p_rollback";

    fn is_dry_run(request: &PitrRollbackRequest) -> bool {
        request.dry_run
    }

    fn accepted(work: Uuid) -> PitrRollbackResponse {
        PitrRollbackResponse::Accepted(RollbackAccepted {
            success: true,
            rollback_id: work,
            status: WorkStatus::InProgress,
        })
    }

    fn completed(work: Uuid, outcome: RestoreOutcome) -> PitrRollbackResponse {
        PitrRollbackResponse::Completed(PitrRollbackCompleted {
            success: true,
            rollback_id: work,
            status: WorkStatus::Completed,
            affected_tables: outcome.stats.affected_tables,
            rows_restored: outcome.rows_restored,
            snapshot_id: outcome.snapshot_id,
            warnings: outcome.warnings,
        })
    }
}
