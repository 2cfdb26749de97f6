//! `pitr-restore` for an admitted caller.

use crate::work;
use m23_contract::{FunctionName, PitrRestoreRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Workers;

/// The function with its outside world.
pub(crate) struct PitrRestore {
    workers: Workers,
}

impl PitrRestore {
    pub(crate) fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
        }
    }
}

impl Function for PitrRestore {
    type Request = PitrRestoreRequest;
    const NAME: FunctionName = FunctionName::PitrRestore;

    /// 1. A dry run: tells what would change.
    /// 2. Otherwise accepts a restore to a moment in the caller's name, and drives it.
    /// 3. Answers with the outcome, or with 202 when that takes longer than a caller should wait.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        let driven = if request.dry_run {
            work::preview(&self.workers, caller, &request).await?
        } else {
            let order = work::begin(&self.workers, caller, &request).await?;
            work::drive(&self.workers, order).await?
        };
        match driven {
            (response, true) => Answer::done(&response),
            (response, false) => Answer::accepted(&response),
        }
    }
}
