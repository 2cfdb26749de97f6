//! The bodies of the five functions' answers.

use crate::error::WouldFail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
#[cfg(feature = "schema")]
use std::collections::BTreeMap;
use uuid::Uuid;

/// Where a backup job stands right after `backup-create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
}

/// Where work stands when a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkStatus {
    /// It goes on after the answer (202).
    InProgress,
    /// It is done (200).
    Completed,
}

/// The answer of `backup-create`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BackupCreateResponse {
    /// Always `true`.
    pub success: bool,
    /// The row of `backup_jobs`.
    pub job_id: Uuid,
    /// Its name, given or made up.
    pub backup_name: String,
    /// Seconds, from measured throughput.
    pub estimated_duration: f64,
    /// Where it stands.
    pub status: JobStatus,
}

/// Net row changes of a point-in-time restore.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PitrStats {
    /// All of them.
    pub total_operations: u64,
    /// Rows that come back.
    pub insert_count: u64,
    /// Rows that change back.
    pub update_count: u64,
    /// Rows that go.
    pub delete_count: u64,
    /// Tables with at least one.
    pub affected_tables: Vec<String>,
}

/// What a restore does with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It comes back.
    Insert,
    /// It changes back.
    Update,
    /// It goes.
    Delete,
}

/// A row of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviewChange {
    /// What would happen to it.
    pub operation: Operation,
    /// Its primary key.
    pub key: Map<String, Value>,
    /// The row as it is; of an update, only the columns that differ.
    pub now: Option<Map<String, Value>>,
    /// The row as it was then; of an update, only the columns that differ.
    pub then: Option<Map<String, Value>>,
    /// Why it is there.
    pub because: Because,
}

/// Why a row is in a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::any_of))]
#[serde(rename_all = "camelCase")]
pub enum Because {
    /// It was chosen.
    Chosen,
    /// It refers to this row, which was chosen or comes along.
    ChildOf(RowOf),
    /// This row, which comes back, needs it.
    ParentOf(RowOf),
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowOf {
    /// The table, as callers write it.
    pub table: String,
    /// The row's key.
    pub key: Map<String, Value>,
}

/// Who touched a row in conflict last, since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConflictingChange {
    /// The user; none for the service.
    pub actor: Option<Uuid>,
    /// The transaction.
    pub transaction_id: String,
    /// When it was committed.
    pub at: String,
    /// Where it came from, as far as that is known.
    pub source: Option<String>,
}

/// A row where keeping what others did since, and taking the changes back wholly, come to different results; or one that
/// something stands in the way of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// Its table.
    pub table: String,
    /// Its primary key.
    pub key: Map<String, Value>,
    /// The columns in conflict; all of them, where it is the row itself.
    pub columns: Vec<String>,
    /// Those columns with the changes taken back wholly; none, if there would be no row.
    pub before: Option<Map<String, Value>>,
    /// Those columns after the last change that is taken back; none, if that deleted the row.
    pub undone: Option<Map<String, Value>>,
    /// Those columns as they are; none, if there is no row.
    pub now: Option<Map<String, Value>>,
    /// Who touched the row last, since; none, if nobody did.
    pub by: Option<ConflictingChange>,
    /// `changed`: others have changed it. `key`, `unique`, `reference`: another row has its key, has a value that only
    /// one may have, or needs it or is needed by it. `history`: its changes do not fit together.
    pub reason: String,
}

/// Rows that somebody has written after the moment and that would be lost: they would go, or get other values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowsLost {
    /// Who wrote them; null where that is nobody in particular.
    pub actor: Option<Uuid>,
    /// From where, such as `api: POST /orders as authenticated`; null where nobody knows.
    pub source: Option<String>,
    /// The tables that they are in.
    pub tables: Vec<String>,
    /// How many. A row that two have written counts for both.
    pub rows: u64,
}

/// What a restore or rollback would do, and has not done: the answer of a dry run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The first changes of each table that has any.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "BTreeMap<String, Vec<PreviewChange>>")
    )]
    pub preview_changes: Map<String, Value>,
    /// The preview, whose next rows `get_pitr_preview_page` gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_id: Option<Uuid>,
    /// How many rows of each table would change.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u64>"))]
    pub change_counts: Map<String, Value>,
    /// What was written after the moment and would be lost, by who wrote it and from where; most rows first.
    #[serde(default)]
    pub rows_lost: Vec<RowsLost>,
    /// The figures.
    pub stats: PitrStats,
    /// The plan, to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether the preview was cut at 1 MB; the pages give the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Why the execution would be refused; absent where it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fail: Option<WouldFail>,
    /// What could not be as asked.
    pub warnings: Vec<String>,
    /// Of an undo: how many rows are in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_count: Option<u64>,
    /// Of an undo: the first 100 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<Conflict>>,
}

/// A restore that goes on after this answer (202).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RestoreAccepted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `restore_logs`.
    pub restore_log_id: Uuid,
    /// `in_progress`.
    pub status: WorkStatus,
}

/// A rollback that goes on after this answer (202).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RollbackAccepted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `pitr_rollbacks`.
    pub rollback_id: Uuid,
    /// `in_progress`.
    pub status: WorkStatus,
}

/// A recovery test that goes on after this answer (202).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryTestAccepted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `recovery_tests`.
    pub test_id: Uuid,
    /// `in_progress`.
    pub status: WorkStatus,
}

/// A backup that has been restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BackupRestoreCompleted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `restore_logs`.
    pub restore_log_id: Uuid,
    /// `completed`.
    pub status: WorkStatus,
    /// Which tables were restored.
    pub restored_tables: Vec<String>,
    /// Net row changes.
    pub rows_restored: u64,
    /// Seconds.
    pub duration: f64,
    /// The `pre_restore` snapshot that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    pub warnings: Vec<String>,
}

/// A moment that has been restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PitrRestoreCompleted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `restore_logs`.
    pub restore_log_id: Uuid,
    /// `completed`.
    pub status: WorkStatus,
    /// The figures.
    pub stats: PitrStats,
    /// The `pre_restore` snapshot that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    pub warnings: Vec<String>,
    /// The transaction that wrote it, by which an undo can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Of an undo: how many rows are in conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_count: Option<u64>,
    /// Of an undo: the first 100 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<Conflict>>,
}

/// A rollback that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PitrRollbackCompleted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `pitr_rollbacks`.
    pub rollback_id: Uuid,
    /// `completed`.
    pub status: WorkStatus,
    /// Tables with at least one change.
    pub affected_tables: Vec<String>,
    /// Net row changes.
    pub rows_restored: u64,
    /// The `pre_restore` snapshot that undoes the rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    pub warnings: Vec<String>,
}

/// The answer of `backup-restore`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum BackupRestoreResponse {
    /// Of a dry run.
    Preview(Preview),
    /// It is done (200).
    Completed(BackupRestoreCompleted),
    /// It goes on after the answer (202).
    Accepted(RestoreAccepted),
}

/// The answer of `pitr-restore`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum PitrRestoreResponse {
    /// Of a dry run.
    Preview(Preview),
    /// It is done (200).
    Completed(PitrRestoreCompleted),
    /// It goes on after the answer (202).
    Accepted(RestoreAccepted),
}

/// The answer of `pitr-rollback`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum PitrRollbackResponse {
    /// Of a dry run.
    Preview(Preview),
    /// It is done (200).
    Completed(PitrRollbackCompleted),
    /// It goes on after the answer (202).
    Accepted(RollbackAccepted),
}

impl From<Preview> for BackupRestoreResponse {
    fn from(preview: Preview) -> Self {
        Self::Preview(preview)
    }
}

impl From<Preview> for PitrRestoreResponse {
    fn from(preview: Preview) -> Self {
        Self::Preview(preview)
    }
}

impl From<Preview> for PitrRollbackResponse {
    fn from(preview: Preview) -> Self {
        Self::Preview(preview)
    }
}

/// A check of a recovery test that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// A word for a program.
    pub kind: String,
    /// The object of the archive, or the table, that it is about.
    pub object: String,
    /// A sentence for a person.
    pub sentence: String,
}

/// What a recovery test found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryTestResults {
    /// Seconds.
    pub duration: f64,
    /// Checks that failed.
    pub issues_found: u64,
    /// Checks that passed.
    pub validations_passed: u64,
    /// What to do about it.
    pub recommendations: Vec<String>,
    /// The checks that failed, the first hundred of them.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The backup that was tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_job_id: Option<Uuid>,
    /// Seconds between the moment of the backup and the end of the test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_age_seconds: Option<f64>,
    /// Seconds that reading back and restoring took (deep only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_seconds: Option<f64>,
    /// Rows that were restored (deep only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_restored: Option<u64>,
    /// Rows that were damaged in the copy, restored in place and taken back again (deep only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_undone: Option<u64>,
}

/// A recovery test that ran. What it found is in the results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecoveryTestCompleted {
    /// Always `true`.
    #[serde(default = "yes")]
    pub success: bool,
    /// The row of `recovery_tests`.
    pub test_id: Uuid,
    /// `completed`.
    pub status: WorkStatus,
    /// What it found.
    pub results: RecoveryTestResults,
}

/// The answer of `recovery-test`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RecoveryTestResponse {
    /// It ran (200).
    Completed(RecoveryTestCompleted),
    /// It goes on after the answer (202).
    Accepted(RecoveryTestAccepted),
}

const fn yes() -> bool {
    true
}
