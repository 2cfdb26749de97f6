//! `backup-restore` for an admitted caller.

use crate::work;
use m23_contract::{BackupRestoreRequest, FunctionName};
use m23_pipeline::{Admitted, Answer, Failure, Function};
use m23_platform::Workers;

/// The function with its outside world.
pub(crate) struct BackupRestore {
    workers: Workers,
}

impl BackupRestore {
    pub(crate) fn new(workers: &Workers) -> Self {
        Self {
            workers: workers.clone(),
        }
    }
}

impl Function for BackupRestore {
    type Request = BackupRestoreRequest;
    const NAME: FunctionName = FunctionName::BackupRestore;

    /// 1. Accepts the restore in the caller's name; the database refuses what it must.
    /// 2. Reads the archive into staging, verifies every byte, and writes the difference; a dry run
    ///    tells it.
    /// 3. Answers with the outcome, or with 202 when that takes longer than a caller should wait.
    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        let order = work::begin(&self.workers, caller, &request).await?;
        let driven = if request.dry_run {
            work::preview(&self.workers, order).await?
        } else {
            work::drive(&self.workers, order).await?
        };
        match driven {
            (response, true) => Answer::done(&response),
            (response, false) => Answer::accepted(&response),
        }
    }
}
