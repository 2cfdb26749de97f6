//! `recovery-test` for an admitted caller.

use crate::work;
use m23_contract::{FunctionName, RecoveryTestRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Workers;

/// The function with its outside world.
pub(crate) struct RecoveryTest {
    workers: Workers,
}

impl RecoveryTest {
    pub(crate) fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
        }
    }
}

impl Function for RecoveryTest {
    type Request = RecoveryTestRequest;
    const NAME: FunctionName = FunctionName::RecoveryTest;

    /// 1. Accepts the test in the caller's name; the database refuses what it must.
    /// 2. Examines the backup as far as the level says.
    /// 3. Answers with what was found, or with 202 when that takes longer than a caller should wait.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        let test = work::begin(&self.workers, caller, &request).await?;
        work::drive(&self.workers, test).await
    }
}
