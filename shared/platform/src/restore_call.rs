//! The one way that a restore, a restore to a moment and a rollback are called: look or begin in the caller's name,
//! drive, answer.

use crate::detach::drive_or_detach;
use crate::rpc_as_user::rpc_as_user;
use crate::runtime::Runtime;
use crate::serve::serve;
use m23_contract::{FunctionName, Preview, Validate};
use m23_engine::{RestoreOrder, RestoreOutcome, drive_preview, drive_restore};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use serde::Serialize;
use serde_json::Value;
use std::marker::PhantomData;
use std::time::Duration;
use uuid::Uuid;
use worker::{Context, Env, Request, Response};

const BEGIN: Duration = Duration::from_secs(15);

/// A preview reads all that has changed since; the database gives up after 60 s.
const PREVIEW: Duration = Duration::from_secs(65);

/// What tells the three functions from each other.
pub trait RestoreCall: 'static {
    /// Its request.
    type Request: Validate + Serialize;

    /// Its answer, one shape a case.
    type Answer: Serialize + From<Preview>;

    /// Its name.
    const NAME: FunctionName;

    /// The database's function that looks. It answers with a preview, or with work that has to be driven for one.
    const PREVIEW: &'static str;

    /// The database's function that accepts the work.
    const BEGIN: &'static str;

    /// The parameter of both for the request.
    const PARAMETER: &'static str;

    /// Whether a request only looks.
    fn is_dry_run(request: &Self::Request) -> bool;

    /// Work that goes on after the answer.
    fn accepted(work: Uuid) -> Self::Answer;

    /// Work that is done.
    fn completed(work: Uuid, outcome: RestoreOutcome) -> Self::Answer;
}

/// Serves a request with one of the three functions.
///
/// # Errors
/// Only when the platform cannot even make a response.
pub async fn serve_restore<C: RestoreCall>(
    request: Request,
    env: Env,
    context: Context,
) -> worker::Result<Response> {
    serve(request, env, context, Restore::<C>::new).await
}

/// One of the three functions with its runtime.
struct Restore<C> {
    runtime: Runtime,
    call: PhantomData<C>,
}

impl<C: RestoreCall> Function for Restore<C> {
    type Request = C::Request;
    const NAME: FunctionName = C::NAME;

    /// 1. Looks, or accepts the work, in the caller's name; the database refuses what it must.
    /// 2. Drives what there is to drive.
    /// 3. Answers with the outcome, or with 202 when that takes longer than a caller should wait.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        if C::is_dry_run(&request) {
            self.look(caller, &request).await
        } else {
            self.restore(caller, &request).await
        }
    }
}

impl<C: RestoreCall> Restore<C> {
    fn new(runtime: &Runtime) -> Self {
        Self {
            runtime: runtime.clone(),
            call: PhantomData,
        }
    }

    async fn look(&self, caller: &Admitted, request: &C::Request) -> Result<Answer, Failure> {
        let argument = (C::PARAMETER, request);
        let told: Value = rpc_as_user(&self.runtime, caller, C::PREVIEW, argument, PREVIEW).await?;
        if told.get("work_id").is_none() {
            let seen: Preview = read(told)?;
            return Answer::done(&C::Answer::from(seen));
        }
        let order: RestoreOrder = read(told)?;
        let work = order.work_id;
        match drive_or_detach(&self.runtime, order, drive_preview).await? {
            Some(seen) => Answer::done(&C::Answer::from(seen)),
            None => Answer::accepted(&C::accepted(work)),
        }
    }

    async fn restore(&self, caller: &Admitted, request: &C::Request) -> Result<Answer, Failure> {
        let argument = (C::PARAMETER, request);
        let order: RestoreOrder =
            rpc_as_user(&self.runtime, caller, C::BEGIN, argument, BEGIN).await?;
        let work = order.work_id;
        match drive_or_detach(&self.runtime, order, drive_restore).await? {
            Some(outcome) => Answer::done(&C::completed(work, outcome)),
            None => Answer::accepted(&C::accepted(work)),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(told: Value) -> Result<T, Failure> {
    serde_json::from_value(told).map_err(Failure::internal)
}
