//! The command line of the five functions.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Where the functions are, who calls, and for whom.
#[derive(Args)]
pub struct Connection {
    /// The project's address, or the gateway's.
    #[arg(long, value_name = "URL", env = "M23_URL")]
    pub url: String,

    /// A user's access token.
    #[arg(long, env = "M23_TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// The project's service key instead: calls for the tenant that is named, with an owner's rights.
    #[arg(
        long,
        value_name = "KEY",
        env = "M23_SERVICE_KEY",
        hide_env_values = true
    )]
    pub service_key: Option<String>,

    /// The project's anon key, which its address may ask for beside a user's token.
    #[arg(long, value_name = "KEY", env = "M23_ANON_KEY", hide_env_values = true)]
    pub anon_key: Option<String>,

    /// With the service key: whose tenant.
    #[arg(long, value_name = "ID", env = "M23_TENANT")]
    pub tenant: Option<String>,

    /// Why. With the service key the tenant's audit keeps it, and what changes something must have it.
    #[arg(long, value_name = "TEXT", env = "M23_REASON")]
    pub reason: Option<String>,

    /// With the service key: who is behind the call, for the tenant's audit.
    #[arg(long, value_name = "NAME", env = "M23_OPERATOR")]
    pub operator: Option<String>,

    /// End as soon as the work has begun.
    #[arg(long)]
    pub no_wait: bool,

    /// Print JSON, and no progress.
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Backup {
    /// Back a tenant up, and wait for the end.
    #[command(after_help = "\
Examples:
  m23 backup create --name \"before the import\"
  m23 backup create --tenant 0b7e… --reason \"ticket 4711\"
  m23 backup create --type incremental --base 6f1c…")]
    Create(Create),
    /// Bring a backup back, or look at what that would change.
    ///
    /// Without --confirm it only looks.
    #[command(after_help = "\
Examples:
  m23 backup restore 6f1c…
  m23 backup restore 6f1c… --confirm --plan-hash 3f1c… --tenant 0b7e… --reason \"ticket 4711\"
  m23 backup restore 6f1c… --into copy_of_monday --confirm")]
    Restore(BackupRestore),
}

/// The kind of a backup.
#[derive(Clone, Copy, ValueEnum)]
pub enum JobType {
    /// Every row.
    Full,
    /// What has changed since its base.
    Incremental,
    /// A moment that is kept inside the database.
    Snapshot,
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    pub connection: Connection,

    /// The kind.
    #[arg(long = "type", value_enum, default_value_t = JobType::Full)]
    pub job_type: JobType,

    /// Its name.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,

    /// A remark.
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// Only this table (`orders`, or `schema.orders`). May be given several times.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,

    /// The backup that an incremental builds on.
    #[arg(long, value_name = "ID")]
    pub base: Option<Uuid>,
}

/// What becomes of rows that need a row which is not there and cannot come.
#[derive(Clone, Copy, ValueEnum)]
pub enum OnBlocked {
    /// Nothing is done.
    Refuse,
    /// They are left as they are, with what hangs on them.
    Skip,
    /// Their reference is set null; where it may not be, they are skipped.
    Null,
}

/// Whether to look or to do it, and what may be left out.
#[derive(Args)]
pub struct Decision {
    /// Only look, as without --confirm.
    #[arg(long, conflicts_with = "confirm")]
    pub dry_run: bool,

    /// Do it.
    #[arg(long)]
    pub confirm: bool,

    /// Do what the dry run with this hash has shown, or nothing.
    #[arg(long, value_name = "HASH")]
    pub plan_hash: Option<String>,

    /// What becomes of rows that need a row which is not there and cannot come; `refuse` without it.
    #[arg(long, value_enum)]
    pub on_blocked: Option<OnBlocked>,
}

/// What a restore does with live rows.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Mode {
    /// The tables become what they were.
    Exact,
    /// Rows that are gone come back; what is there stays.
    MissingOnly,
    /// Rows of the backup replace what is there; others stay.
    OverwriteExisting,
}

/// What of the tables is restored, and where.
#[derive(Args)]
pub struct Choice {
    /// Only some of the changed rows: a JSON object with `rows`, `exceptRows`, `where`, `operations`, `withRelated`.
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub select: Option<Map<String, Value>>,

    /// What becomes of live rows.
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,

    /// Restore beside the live tables, into this schema.
    #[arg(long, value_name = "SCHEMA", requires = "confirm")]
    pub into: Option<String>,
}

/// Reads a JSON object with the fields that choose rows.
fn object(text: &str) -> Result<Map<String, Value>, String> {
    const FIELDS: [&str; 5] = ["rows", "exceptRows", "where", "operations", "withRelated"];
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    match object.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        Some(name) => Err(format!("{name} is none of {}", FIELDS.join(", "))),
        None => Ok(object),
    }
}

#[derive(Args)]
pub struct BackupRestore {
    #[command(flatten)]
    pub connection: Connection,

    /// The backup.
    #[arg(value_name = "BACKUP")]
    pub backup: Uuid,

    /// Only this table (`orders`, or `schema.orders`). May be given several times.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,

    #[command(flatten)]
    pub choice: Choice,

    #[command(flatten)]
    pub decision: Decision,
}

#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    pub connection: Connection,

    /// The moment, with its zone.
    #[arg(long, value_name = "TIME")]
    pub to: DateTime<Utc>,

    /// Only this table (`orders`, or `schema.orders`). May be given several times.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,

    /// Also the tables that those are tied to by foreign keys.
    #[arg(long)]
    pub include_related: bool,

    /// The backup to start from, where the log does not reach.
    #[arg(long, value_name = "ID")]
    pub base_backup: Option<Uuid>,

    #[command(flatten)]
    pub choice: Choice,

    #[command(flatten)]
    pub decision: Decision,
}

#[derive(Args)]
pub struct Rollback {
    #[command(flatten)]
    pub connection: Connection,

    /// The snapshot: a restore names the one that undoes it.
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: Uuid,

    #[command(flatten)]
    pub decision: Decision,
}

/// How far a recovery test goes.
#[derive(Clone, Copy, ValueEnum)]
pub enum Level {
    /// Every object is there.
    Basic,
    /// Every byte and row is what it was.
    Full,
    /// It is restored into a place of its own, and compared.
    Deep,
}

#[derive(Args)]
pub struct Test {
    #[command(flatten)]
    pub connection: Connection,

    /// The backup; the tenant's newest one without it.
    #[arg(long, value_name = "ID")]
    pub backup: Option<Uuid>,

    /// A plan, whose newest backup is tested.
    #[arg(long, value_name = "ID")]
    pub plan: Option<Uuid>,

    /// How far it goes.
    #[arg(long, value_enum, default_value_t = Level::Full)]
    pub level: Level,

    /// The test's name.
    #[arg(long, value_name = "TEXT", default_value = "from the command line")]
    pub name: String,
}
