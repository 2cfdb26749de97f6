//! The edge function `pitr-restore`.
//!
//! In scope: its request, checked by the pipeline like every other. Its work is not part of this
//! version, and it says so.

use m23_contract::{FunctionName, PitrRestoreRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::serve;
use worker::{Context, Env, Request, Response, event};

struct PitrRestore;

impl Function for PitrRestore {
    type Request = PitrRestoreRequest;
    const NAME: FunctionName = FunctionName::PitrRestore;

    async fn handle(&self, _: &Admitted, _: Self::Request) -> Result<Answer, Failure> {
        Err(Failure::NotBuilt(Self::NAME))
    }
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve(request, env, context, |_| PitrRestore).await
}
