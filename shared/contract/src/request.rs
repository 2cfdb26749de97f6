//! The request bodies of the five functions.

use crate::fields::Fields;
use crate::json::StrictObject;
use crate::names::{SchemaName, TableName};
use crate::selection::Selection;
use crate::undo::{OnConflict, Undo, transaction};
use chrono::{DateTime, FixedOffset};
use serde::Serialize;
use uuid::Uuid;

const LONGEST_NAME: usize = 200;
const LONGEST_PROSE: usize = 2_000;
const LONGEST_HASH: usize = 128;

/// What the database must look at before a request can be called valid. It is known as far as the
/// body could be read, even when the body has faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probe {
    /// Does the request only look?
    pub dry_run: bool,
    /// The tables it names.
    pub tables: Option<Vec<TableName>>,
    /// The schema it wants to restore into.
    pub target_schema: Option<SchemaName>,
    /// The moment it wants to go back to.
    pub target_timestamp: Option<DateTime<FixedOffset>>,
    /// The backup that it wants to start from.
    pub base_backup_id: Option<Uuid>,
}

/// A request body that can be read out of [`Fields`].
///
/// An implementation takes every field it knows, in the order of the contract, notes every fault,
/// and fills in the probe as far as it can. `None` is only allowed together with a fault.
pub trait Validate: Sized {
    /// The fields that the contract knows.
    const FIELDS: &'static [&'static str];

    /// Takes the request out of its fields.
    fn take(fields: &mut Fields, probe: &mut Probe) -> Option<Self>;
}

/// What became of a body.
#[derive(Debug)]
pub struct Reading<R> {
    /// The request, or every fault that was found.
    pub request: Result<R, Vec<String>>,
    /// What the database should look at.
    pub probe: Probe,
}

/// Reads a body strictly: a JSON object, known fields only, no name twice, all faults at once.
#[must_use]
pub fn read_request<R: Validate>(body: &[u8]) -> Reading<R> {
    let mut probe = Probe::default();
    let object = match StrictObject::parse(body) {
        Ok(object) => object,
        Err(what) => {
            let request = Err(vec![format!("body: {what}")]);
            return Reading { request, probe };
        }
    };
    let mut fields = Fields::new(object.values);
    for name in &object.repeated {
        fields.fault(name, "is given twice");
    }
    fields.only(R::FIELDS);
    let request = match R::take(&mut fields, &mut probe) {
        Some(request) if !fields.is_faulty() => Ok(request),
        _ => Err(fields.into_faults()),
    };
    Reading { request, probe }
}

/// The kind of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Every row.
    Full,
    /// What changed since its base.
    Incremental,
    /// A position in the log.
    Snapshot,
}

/// A new backup, described in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(deny_unknown_fields, transform = crate::schema::based_when_incremental)
)]
#[serde(rename_all = "camelCase")]
pub struct NewBackup {
    /// The kind.
    pub job_type: JobType,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_line::<LONGEST_NAME>")
    )]
    pub backup_name: Option<String>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_text::<LONGEST_PROSE>")
    )]
    pub description: Option<String>,
    /// Which tables; every protected one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_tables")
    )]
    pub tables: Option<Vec<TableName>>,
    /// What an incremental builds on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_backup_id: Option<Uuid>,
}

/// `backup-create`: a new backup, or the run of a job that is already described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
#[serde(untagged)]
pub enum BackupCreateRequest {
    /// Describe and run.
    New(NewBackup),
    /// Run the pending job of that id.
    Job {
        /// The row of `backup_jobs`.
        #[serde(rename = "jobId")]
        job_id: Uuid,
    },
}

impl Validate for BackupCreateRequest {
    const FIELDS: &'static [&'static str] = &[
        "jobType",
        "backupName",
        "description",
        "tables",
        "baseBackupId",
        "jobId",
    ];

    fn take(fields: &mut Fields, probe: &mut Probe) -> Option<Self> {
        if fields.has("jobId") {
            let (_, others) = Self::FIELDS.split_last()?;
            fields.none_of(others, "cannot be combined with jobId");
            let job_id = fields.uuid("jobId")?;
            return Some(Self::Job { job_id });
        }
        let job_type = fields.choice(
            "jobType",
            &[
                ("full", JobType::Full),
                ("incremental", JobType::Incremental),
                ("snapshot", JobType::Snapshot),
            ],
        );
        let backup_name = fields.line("backupName", LONGEST_NAME);
        let description = fields.text("description", LONGEST_PROSE);
        probe.tables = fields.tables("tables");
        let base_backup_id = fields.uuid("baseBackupId");
        let is_incremental = matches!(job_type, Some(JobType::Incremental));
        if is_incremental && !fields.has("baseBackupId") {
            fields.fault("baseBackupId", "is required for incremental");
        }
        Some(Self::New(NewBackup {
            job_type: job_type?,
            backup_name,
            description,
            tables: probe.tables.clone(),
            // The contract lets every kind name one; only an incremental builds on it.
            base_backup_id: base_backup_id.filter(|_| is_incremental),
        }))
    }
}

/// What a restore does with live rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestoreMode {
    /// The tables become what they were.
    #[default]
    Exact,
    /// Rows that are gone come back; what is there stays as it is.
    MissingOnly,
    /// Rows of the backup come back and replace what is there; rows that it does not have stay.
    OverwriteExisting,
}

impl RestoreMode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What becomes of rows that need a row which is not there and cannot come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnBlocked {
    /// Nothing is done.
    #[default]
    Refuse,
    /// They are left as they are, with what hangs on them.
    Skip,
    /// Their reference is set null; where it may not be, they are skipped.
    Null,
}

impl OnBlocked {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `backup-restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = crate::schema::live_or_beside))]
#[serde(rename_all = "camelCase")]
pub struct BackupRestoreRequest {
    /// Which backup.
    pub backup_job_id: Uuid,
    /// Which of its tables; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_tables")
    )]
    pub tables: Option<Vec<TableName>>,
    /// Restore beside the live data, into this schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_schema")
    )]
    pub target_schema: Option<SchemaName>,
    /// What becomes of live rows; `exact` when absent.
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_mode")
    )]
    pub mode: RestoreMode,
    /// Which of the changed rows; all when absent.
    #[serde(flatten)]
    pub selection: Selection,
    /// What becomes of rows that need a row which is not there and cannot come; `refuse` when absent.
    #[serde(skip_serializing_if = "OnBlocked::is_default")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_on_blocked")
    )]
    pub on_blocked: OnBlocked,
    /// Only look?
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_boolean")
    )]
    pub dry_run: bool,
    /// Said for what is no dry run: the database looks for it, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub confirm_restore: bool,
    /// The plan that the caller saw and confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_line::<LONGEST_HASH>")
    )]
    pub plan_hash: Option<String>,
}

impl Validate for BackupRestoreRequest {
    const FIELDS: &'static [&'static str] = &[
        "backupJobId",
        "tables",
        "targetSchema",
        "mode",
        "rows",
        "exceptRows",
        "where",
        "operations",
        "withRelated",
        "onBlocked",
        "dryRun",
        "confirmRestore",
        "planHash",
    ];

    fn take(fields: &mut Fields, probe: &mut Probe) -> Option<Self> {
        let backup_job_id = fields.required_uuid("backupJobId");
        probe.tables = fields.tables("tables");
        let selection = Selection::take(fields);
        let on_blocked = on_blocked(fields);
        probe.dry_run = dry_run_or_confirmed(fields, "confirmRestore");
        probe.target_schema = fields.schema("targetSchema");
        let mode = restore_mode(fields);
        let plan_hash = fields.line("planHash", LONGEST_HASH);
        live_or_beside(fields, probe, mode, &selection);
        Some(Self {
            backup_job_id: backup_job_id?,
            tables: probe.tables.clone(),
            target_schema: probe.target_schema.clone(),
            mode,
            selection,
            on_blocked,
            dry_run: probe.dry_run,
            confirm_restore: !probe.dry_run,
            plan_hash,
        })
    }
}

/// Refuses what only live tables have, where rows are restored beside them.
fn live_or_beside(fields: &mut Fields, probe: &Probe, mode: RestoreMode, selection: &Selection) {
    if probe.target_schema.is_none() {
        return;
    }
    let reason = "is for live tables, not for targetSchema";
    if !mode.is_default() {
        fields.fault("mode", reason);
    }
    if selection.with_related.is_some() {
        fields.fault("withRelated", reason);
    }
    if probe.dry_run {
        fields.fault("dryRun", reason);
    }
}

fn restore_mode(fields: &mut Fields) -> RestoreMode {
    if !fields.has("mode") {
        return RestoreMode::Exact;
    }
    let choices = [
        ("exact", RestoreMode::Exact),
        ("missing_only", RestoreMode::MissingOnly),
        ("overwrite_existing", RestoreMode::OverwriteExisting),
    ];
    fields.choice("mode", &choices).unwrap_or_default()
}

fn on_blocked(fields: &mut Fields) -> OnBlocked {
    if !fields.has("onBlocked") {
        return OnBlocked::Refuse;
    }
    let choices = [
        ("refuse", OnBlocked::Refuse),
        ("skip", OnBlocked::Skip),
        ("null", OnBlocked::Null),
    ];
    fields.choice("onBlocked", &choices).unwrap_or_default()
}

/// `pitr-restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = crate::schema::one_target))]
#[serde(rename_all = "camelCase")]
pub struct PitrRestoreRequest {
    /// The moment to go back to. One of this, `beforeTransaction` and `undo` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_timestamp: Option<DateTime<FixedOffset>>,
    /// Go back to just before this transaction was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_transaction")
    )]
    pub before_transaction: Option<String>,
    /// Take changes back, and leave what others did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_undo")
    )]
    pub undo: Option<Undo>,
    /// With `undo`: what becomes of values that others have set since; `skip` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    /// The backup to start from, where the log does not reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_backup_id: Option<Uuid>,
    /// Which tables; every protected one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_tables")
    )]
    pub tables: Option<Vec<TableName>>,
    /// Also the tables that the chosen ones are tied to by foreign keys?
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_boolean")
    )]
    pub include_related: bool,
    /// Restore beside the live data, into this schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_schema")
    )]
    pub target_schema: Option<SchemaName>,
    /// What becomes of live rows; `exact` when absent.
    #[serde(skip_serializing_if = "RestoreMode::is_default")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_mode")
    )]
    pub mode: RestoreMode,
    /// Which of the changed rows; all when absent.
    #[serde(flatten)]
    pub selection: Selection,
    /// What becomes of rows that need a row which is not there and cannot come; when absent `refuse`, and `skip` with
    /// `undo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_on_blocked")
    )]
    pub on_blocked: Option<OnBlocked>,
    /// Only look?
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_boolean")
    )]
    pub dry_run: bool,
    /// Said for what is no dry run: the database looks for it, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub confirm_restore: bool,
    /// The plan that the caller saw and confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_line::<LONGEST_HASH>")
    )]
    pub plan_hash: Option<String>,
}

impl Validate for PitrRestoreRequest {
    const FIELDS: &'static [&'static str] = &[
        "targetTimestamp",
        "beforeTransaction",
        "undo",
        "onConflict",
        "baseBackupId",
        "tables",
        "includeRelated",
        "targetSchema",
        "mode",
        "rows",
        "exceptRows",
        "where",
        "operations",
        "withRelated",
        "onBlocked",
        "dryRun",
        "confirmRestore",
        "planHash",
    ];

    fn take(fields: &mut Fields, probe: &mut Probe) -> Option<Self> {
        only_one_target(fields);
        probe.target_timestamp = fields
            .has("targetTimestamp")
            .then(|| fields.moment("targetTimestamp"))
            .flatten();
        let before_transaction = transaction(fields, "beforeTransaction");
        let undo = Undo::take(fields);
        let on_conflict = OnConflict::take(fields);
        let base_backup_id = fields.uuid("baseBackupId");
        probe.base_backup_id = base_backup_id;
        probe.tables = fields.tables("tables");
        let include_related = fields.boolean("includeRelated").unwrap_or(false);
        let selection = Selection::take(fields);
        let on_blocked = fields.has("onBlocked").then(|| on_blocked(fields));
        probe.dry_run = dry_run_or_confirmed(fields, "confirmRestore");
        probe.target_schema = fields.schema("targetSchema");
        let mode = restore_mode(fields);
        let plan_hash = fields.line("planHash", LONGEST_HASH);
        live_or_beside(fields, probe, mode, &selection);
        Some(Self {
            target_timestamp: probe.target_timestamp,
            before_transaction,
            undo,
            on_conflict,
            base_backup_id,
            tables: probe.tables.clone(),
            include_related,
            target_schema: probe.target_schema.clone(),
            mode,
            selection,
            on_blocked,
            dry_run: probe.dry_run,
            confirm_restore: !probe.dry_run,
            plan_hash,
        })
    }
}

/// A restore goes to a moment, to before a transaction, or takes some back.
fn only_one_target(fields: &mut Fields) {
    const TARGETS: [&str; 3] = ["targetTimestamp", "beforeTransaction", "undo"];
    let given: Vec<&str> = TARGETS
        .into_iter()
        .filter(|name| fields.has(name))
        .collect();
    match given.as_slice() {
        [] => fields.fault(
            "targetTimestamp",
            "is required and must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z; or \
             beforeTransaction or undo",
        ),
        [first, others @ ..] => {
            for other in others {
                fields.fault(other, &format!("cannot be combined with {first}"));
            }
        }
    }
    if fields.has("beforeTransaction") {
        fields.none_of(
            &["baseBackupId"],
            "cannot be combined with beforeTransaction",
        );
    }
    if fields.has("undo") {
        let others = [
            "baseBackupId",
            "rows",
            "exceptRows",
            "where",
            "operations",
            "withRelated",
            "mode",
            "targetSchema",
        ];
        fields.none_of(&others, "cannot be combined with undo");
        if fields.boolean("includeRelated") == Some(true) {
            fields.fault("includeRelated", "cannot be combined with undo");
        }
    }
}

/// `pitr-rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = crate::schema::confirmed_or_dry_rollback))]
#[serde(rename_all = "camelCase")]
pub struct PitrRollbackRequest {
    /// The snapshot to go back to.
    pub snapshot_id: Uuid,
    /// Why, for the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_text::<LONGEST_PROSE>")
    )]
    pub reason: Option<String>,
    /// What becomes of rows that need a row which is not there and cannot come; `refuse` when absent.
    #[serde(skip_serializing_if = "OnBlocked::is_default")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_on_blocked")
    )]
    pub on_blocked: OnBlocked,
    /// Only look?
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_boolean")
    )]
    pub dry_run: bool,
    /// Said for what is no dry run: the database looks for it, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub confirm_rollback: bool,
    /// The plan that the caller saw and confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_line::<LONGEST_HASH>")
    )]
    pub plan_hash: Option<String>,
}

impl Validate for PitrRollbackRequest {
    const FIELDS: &'static [&'static str] = &[
        "snapshotId",
        "reason",
        "onBlocked",
        "dryRun",
        "confirmRollback",
        "planHash",
    ];

    fn take(fields: &mut Fields, probe: &mut Probe) -> Option<Self> {
        let snapshot_id = fields.required_uuid("snapshotId");
        let reason = fields.text("reason", LONGEST_PROSE);
        let on_blocked = on_blocked(fields);
        probe.dry_run = dry_run_or_confirmed(fields, "confirmRollback");
        let plan_hash = fields.line("planHash", LONGEST_HASH);
        Some(Self {
            snapshot_id: snapshot_id?,
            reason,
            on_blocked,
            dry_run: probe.dry_run,
            confirm_rollback: !probe.dry_run,
            plan_hash,
        })
    }
}

/// Reads `dryRun`; anything that is not a dry run must be confirmed.
fn dry_run_or_confirmed(fields: &mut Fields, confirmation: &str) -> bool {
    let dry_run = fields.boolean("dryRun") == Some(true);
    if dry_run {
        fields.boolean(confirmation);
    } else {
        fields.confirmation(confirmation);
    }
    dry_run
}

/// Who asked for a recovery test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TestType {
    /// A person.
    Manual,
    /// A program.
    Automated,
    /// A calendar.
    Scheduled,
}

/// How far a recovery test goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ValidationLevel {
    /// The archive is whole.
    Basic,
    /// It loads.
    Full,
    /// It loads and every row is checked.
    Deep,
}

/// `recovery-test` (snake case, as the contract has it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields))]
pub struct RecoveryTestRequest {
    /// The plan whose newest backup is tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dr_plan_id: Option<Uuid>,
    /// The backup to test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_job_id: Option<Uuid>,
    /// The test's name.
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::line::<LONGEST_NAME>")
    )]
    pub test_name: String,
    /// Who asked.
    pub test_type: TestType,
    /// How far it goes.
    pub validation_level: ValidationLevel,
}

impl Validate for RecoveryTestRequest {
    const FIELDS: &'static [&'static str] = &[
        "dr_plan_id",
        "backup_job_id",
        "test_name",
        "test_type",
        "validation_level",
    ];

    fn take(fields: &mut Fields, _probe: &mut Probe) -> Option<Self> {
        let dr_plan_id = fields.uuid("dr_plan_id");
        let backup_job_id = fields.uuid("backup_job_id");
        let test_name = fields.line("test_name", LONGEST_NAME);
        if !fields.has("test_name") {
            fields.fault("test_name", "is required");
        }
        let test_type = fields.choice(
            "test_type",
            &[
                ("manual", TestType::Manual),
                ("automated", TestType::Automated),
                ("scheduled", TestType::Scheduled),
            ],
        );
        let validation_level = fields.choice(
            "validation_level",
            &[
                ("basic", ValidationLevel::Basic),
                ("full", ValidationLevel::Full),
                ("deep", ValidationLevel::Deep),
            ],
        );
        Some(Self {
            dr_plan_id,
            backup_job_id,
            test_name: test_name?,
            test_type: test_type?,
            validation_level: validation_level?,
        })
    }
}
