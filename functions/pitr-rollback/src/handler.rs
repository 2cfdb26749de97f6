//! `pitr-rollback` for an admitted caller.

use crate::work;
use m23_contract::{FunctionName, PitrRollbackRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Workers;

/// The function with its outside world.
pub(crate) struct PitrRollback {
    workers: Workers,
}

impl PitrRollback {
    pub(crate) fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
        }
    }
}

impl Function for PitrRollback {
    type Request = PitrRollbackRequest;
    const NAME: FunctionName = FunctionName::PitrRollback;

    /// 1. A dry run: tells what would change.
    /// 2. Otherwise accepts a rollback to a snapshot in the caller's name, and drives it.
    /// 3. Answers with the outcome, or with 202 when that takes longer than a caller should wait.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        if request.dry_run {
            return Answer::done(&work::preview(&self.workers, caller, &request).await?);
        }
        let order = work::begin(&self.workers, caller, &request).await?;
        match work::drive(&self.workers, order).await? {
            (response, true) => Answer::done(&response),
            (response, false) => Answer::accepted(&response),
        }
    }
}
