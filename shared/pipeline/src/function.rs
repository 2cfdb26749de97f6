//! What a function adds to the pipeline: its request's type and its work.

use crate::admitted::Admitted;
use crate::failure::Failure;
use m23_contract::{FunctionName, Validate};
use serde::Serialize;
use serde_json::Value;

/// One of the five functions.
#[allow(async_fn_in_trait)]
pub trait Function {
    /// Its request body.
    type Request: Validate;

    /// Its name, which decides its limit and who may call it.
    const NAME: FunctionName;

    /// Does the work for a caller who has passed everything.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure>;
}

/// The answer of a handler.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// Whether it was given before, to the first request with its Idempotency-Key.
    pub(crate) replayed: bool,
}

impl Answer {
    /// 200: the work is done (or, for `backup-create`, taken on).
    ///
    /// # Errors
    /// [`Failure::Internal`] when the body is no JSON, which a response type never is.
    pub fn done(body: &impl Serialize) -> Result<Self, Failure> {
        Self::with_status(200, body)
    }

    /// 202: the work goes on after the answer.
    ///
    /// # Errors
    /// [`Failure::Internal`] when the body is no JSON, which a response type never is.
    pub fn accepted(body: &impl Serialize) -> Result<Self, Failure> {
        Self::with_status(202, body)
    }

    fn with_status(status: u16, body: &impl Serialize) -> Result<Self, Failure> {
        let body = serde_json::to_value(body).map_err(Failure::internal)?;
        Ok(Self {
            status,
            body,
            replayed: false,
        })
    }
}
