//! The edge function `pitr-restore`.
//!
//! In scope: its event and its handler. What is done is in `work.rs`, and what it does to the
//! data is the database's: a preview and the real thing are one plan there.

mod handler;
mod work;

use handler::PitrRestore;
use m23_platform::serve;
use worker::{Context, Env, Request, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve(request, env, context, PitrRestore::new).await
}
