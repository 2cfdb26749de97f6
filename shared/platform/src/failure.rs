//! What a caller is told of a job that has failed.

use m23_engine::{EngineError, ErrorClass};
use m23_pipeline::Failure;

/// The failure of a request whose job ended with this error.
#[must_use]
pub fn failure_of(error: EngineError) -> Failure {
    match error.classify() {
        ErrorClass::Archive(fault) => Failure::BackupUnusable(vec![fault]),
        ErrorClass::Database(error) => error.into(),
        ErrorClass::Store(error) => Failure::unavailable(error),
        ErrorClass::Internal(error) => Failure::internal(error),
    }
}
