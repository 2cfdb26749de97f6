//! The public contract as types: what the five functions take, what they answer, how they refuse.
//!
//! In scope: the names, limits and roles of the functions ([`FunctionName`], [`Role`]), the error
//! table ([`ErrorCode`]), the response bodies, and the reading of a request body that reports
//! *every* fault at once, each naming its field ([`read_request`]).
//!
//! Not in scope: anything that needs the database (does the table exist? may this user?), which
//! `m23-pipeline` asks, and anything of HTTP beyond a status number.

mod error;
mod fields;
mod function;
mod health;
mod json;
mod names;
mod request;
mod response;
#[cfg(feature = "schema")]
mod schema;
mod selection;
mod similar;
mod undo;

pub use error::{ErrorBody, ErrorCode, WouldFail};
pub use fields::Fields;
pub use function::{FunctionName, LONGEST_WAIT_SECONDS, Role};
pub use health::{DatabaseHealth, Health, HealthStatus, PartStatus, Versions};
pub use names::{SchemaName, TableName};
pub use request::{
    BackupCreateRequest, BackupRestoreRequest, JobType, NewBackup, OnBlocked, PitrRestoreRequest,
    PitrRollbackRequest, Probe, Reading, RecoveryTestRequest, RestoreMode, TestType, Validate,
    ValidationLevel, read_request,
};
pub use response::{
    BackupCreateResponse, BackupRestoreCompleted, BackupRestoreResponse, Because, Conflict,
    ConflictingChange, Finding, JobStatus, Operation, PitrRestoreCompleted, PitrRestoreResponse,
    PitrRollbackCompleted, PitrRollbackResponse, PitrStats, Preview, PreviewChange,
    RecoveryTestAccepted, RecoveryTestCompleted, RecoveryTestResponse, RecoveryTestResults,
    RestoreAccepted, RollbackAccepted, RowOf, RowsLost, WorkStatus,
};
pub use selection::{ChangeKind, Selection, WithRelated};
pub use undo::{OnConflict, Undo};
