//! `backup-create` for an admitted caller.

use crate::work;
use m23_contract::{BackupCreateRequest, FunctionName};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Runtime;

/// The function with its runtime.
pub(crate) struct BackupCreate {
    runtime: Runtime,
}

impl BackupCreate {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        Self {
            runtime: runtime.clone(),
        }
    }
}

impl Function for BackupCreate {
    type Request = BackupCreateRequest;
    const NAME: FunctionName = FunctionName::BackupCreate;

    /// 1. Accepts the job in the caller's name; the database refuses what it must.
    /// 2. Answers with the job's id and an estimate.
    /// 3. Drives the job after the answer; the clock goes on with what is left of it then.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        let begun = work::begin(&self.runtime, caller, &request).await?;
        work::drive(&self.runtime, begun.job_id);
        Answer::done(&begun)
    }
}
