//! The edge function `recovery-test`.
//!
//! In scope: its request, checked by the pipeline like every other. Its work is not part of this
//! version, and it says so.

use m23_contract::{FunctionName, RecoveryTestRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::serve;
use worker::{Context, Env, Request, Response, event};

struct RecoveryTest;

impl Function for RecoveryTest {
    type Request = RecoveryTestRequest;
    const NAME: FunctionName = FunctionName::RecoveryTest;

    async fn handle(&self, _: &Admitted, _: Self::Request) -> Result<Answer, Failure> {
        Err(Failure::NotBuilt(Self::NAME))
    }
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    serve(request, env, context, |_| RecoveryTest).await
}
