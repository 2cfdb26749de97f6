//! The edge function `backup-restore`.
//!
//! In scope: its two events. A request goes through the pipeline to [`handler`]; the clock goes to
//! [`work`], which takes up or ends what a Worker left behind. What is done there is in `work.rs`.

mod handler;
mod work;

use handler::BackupRestore;
use m23_contract::FunctionName;
use m23_platform::{scheduled, serve};
use worker::{Context, Env, Request, Response, ScheduleContext, ScheduledEvent, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve(request, env, context, BackupRestore::new).await
}

#[event(scheduled)]
async fn on_schedule(_event: ScheduledEvent, env: Env, context: ScheduleContext) {
    scheduled(env, context, FunctionName::BackupRestore, work::keep_up).await;
}
