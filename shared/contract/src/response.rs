//! The bodies of the five functions' answers.

use crate::error::WouldFail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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

/// The answer of `backup-restore`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct BackupRestoreResponse {
    /// Did it work (or is it under way)?
    pub success: bool,
    /// The row of `restore_logs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_log_id: Option<Uuid>,
    /// `completed`, or `in_progress` with a 202.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkStatus>,
    /// Which tables were restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_tables: Option<Vec<String>>,
    /// Net row changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_restored: Option<u64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// What would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_changes: Option<BTreeMap<String, Vec<PreviewChange>>>,
    /// The preview, whose next rows `get_pitr_preview_page` gives (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_id: Option<Uuid>,
    /// How many rows of each table would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_counts: Option<BTreeMap<String, u64>>,
    /// The figures (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PitrStats>,
    /// The plan, to be confirmed (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether the preview was cut at 1 MB; the pages give the rest (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Why the execution would be refused; absent where it would not (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fail: Option<WouldFail>,
    /// The `pre_restore` snapshot that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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
}

/// The answer of `pitr-restore`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PitrRestoreResponse {
    /// Did it work (or is it under way)?
    pub success: bool,
    /// The row of `restore_logs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_log_id: Option<Uuid>,
    /// `completed`, or `in_progress` with a 202.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkStatus>,
    /// What would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_changes: Option<BTreeMap<String, Vec<PreviewChange>>>,
    /// The preview, whose next rows `get_pitr_preview_page` gives (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_id: Option<Uuid>,
    /// How many rows of each table would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_counts: Option<BTreeMap<String, u64>>,
    /// The figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PitrStats>,
    /// The plan, to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether the preview was cut at 1 MB; the pages give the rest (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Why the execution would be refused; absent where it would not (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fail: Option<WouldFail>,
    /// The `pre_restore` snapshot that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer of `pitr-rollback`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct PitrRollbackResponse {
    /// Did it work (or is it under way)?
    pub success: bool,
    /// The row of `pitr_rollbacks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_id: Option<Uuid>,
    /// `completed`, or `in_progress` with a 202.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkStatus>,
    /// What would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_changes: Option<BTreeMap<String, Vec<PreviewChange>>>,
    /// The preview, whose next rows `get_pitr_preview_page` gives (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_id: Option<Uuid>,
    /// How many rows of each table would change (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_counts: Option<BTreeMap<String, u64>>,
    /// The figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<PitrStats>,
    /// Tables with at least one change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected_tables: Option<Vec<String>>,
    /// Net row changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_restored: Option<u64>,
    /// The plan, to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// Whether the preview was cut at 1 MB; the pages give the rest (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// Why the execution would be refused; absent where it would not (dry run only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_fail: Option<WouldFail>,
    /// The `pre_restore` snapshot that undoes the rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
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

/// The answer of `recovery-test`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct RecoveryTestResponse {
    /// Did the test run (or does it)? What it found is in the results.
    pub success: bool,
    /// The row of `recovery_tests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_id: Option<Uuid>,
    /// `completed`, or `in_progress` with a 202.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WorkStatus>,
    /// What it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<RecoveryTestResults>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
