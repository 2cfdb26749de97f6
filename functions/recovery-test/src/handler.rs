//! `recovery-test` for an admitted caller.

use crate::work;
use m23_contract::{FunctionName, RecoveryTestRequest};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Runtime;

/// The function with its runtime.
pub(crate) struct RecoveryTest {
    runtime: Runtime,
}

impl RecoveryTest {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self {
            runtime: runtime.clone(),
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
        let test = work::begin(&self.runtime, caller, &request).await?;
        work::drive(&self.runtime, test).await
    }
}
