//! The command line.

use crate::calls::arguments::{Backup, Restore, Rollback, Test};
use crate::history::arguments::History;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use m23_tenant::TenantId;
use std::path::PathBuf;
use uuid::Uuid;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing is wrong
  1  something is missing, altered or refused; the output says what
  2  the command line is wrong
  3  the store or the database cannot be reached
  4  the key is missing, or is another one
  5  there is no such backup, or none at all in the store
  6  the output cannot be written
  7  the API refuses the call; the output says why
  8  the tenant's limit for this function is used up";

/// M23 from a terminal: tenants are backed up, restored, tested and looked into through its API; archives are
/// inspected, verified and extracted without it.
#[derive(Parser)]
#[command(name = "m23", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Back a tenant up, or bring a backup back.
    #[command(subcommand)]
    Backup(Backup),
    /// Take a tenant back to a moment, or look at what that would change.
    ///
    /// Without --confirm it only looks.
    #[command(after_help = "\
Examples:
  m23 restore --to 2026-01-31T10:31:00Z
  m23 restore --to 2026-01-31T10:31:00Z --confirm --plan-hash 3f1c…
  m23 restore --to 2026-01-31T10:31:00Z --select '{\"rows\": {\"orders\": [{\"id\": 17}]}, \"withRelated\": \"children\"}'
  m23 restore --to 2026-01-31T10:31:00Z --tenant 0b7e… --reason \"ticket 4711\" --confirm")]
    Restore(Restore),
    /// Undo a restore by its snapshot, or look at what that would change.
    ///
    /// Without --confirm it only looks.
    #[command(after_help = "\
Example:
  m23 rollback 8e3f… --reason \"the wrong day\" --confirm")]
    Rollback(Rollback),
    /// Prove that a backup can be restored.
    #[command(after_help = "\
Examples:
  m23 test
  m23 test --backup 6f1c… --level deep --tenant 0b7e…")]
    Test(Test),
    /// Tell what happened to a tenant's rows.
    #[command(subcommand)]
    History(History),
    /// Look into archives, verify them, extract their rows.
    #[command(subcommand)]
    Archive(Archive),
    /// Look after the keys of encrypted archives.
    #[command(subcommand)]
    Keys(Keys),
    /// Make a database know its backups again.
    #[command(subcommand)]
    Catalogue(Catalogue),
    /// Protect every table of a database that hangs on a tenant.
    ///
    /// Tables are found by foreign keys and by the tenant columns in use. Those that only look like a
    /// tenant's are shown with the statement to call, and are left to you.
    #[command(after_help = "\
Examples:
  m23 protect --database \"$DATABASE_URL\" public.organizations --dry-run   # shows the plan
  m23 protect --database \"$DATABASE_URL\" public.organizations
  m23 protect --database \"$DATABASE_URL\" --tenant-column workspace_id

A table is protected in a transaction of its own. May be run again: what is protected stays as it is.")]
    Protect(Protect),
}

#[derive(Subcommand)]
pub enum Archive {
    /// List the backups of a store, or show one with its chain and tables.
    #[command(after_help = "\
Examples:
  m23 archive inspect ./bucket
  m23 archive inspect s3://backups --endpoint https://ACCOUNT.r2.cloudflarestorage.com
  m23 archive inspect ./bucket --backup 6f1c… --json")]
    Inspect(Inspect),
    /// Check that every object is there and is what its manifest says.
    ///
    /// Sizes, SHA-256, gzip, every line and its fields, whose rows they are, definitions that nobody
    /// should execute, and the hashes that link the members of a chain. With ARCHIVE_KEY, encrypted
    /// chunks are opened and manifests authenticated as well. With --database, every completed backup
    /// that the database knows has to be there as it knows it. A store without any backup is exit code 5.
    #[command(after_help = "\
Examples:
  m23 archive verify ./bucket                      # every backup
  m23 archive verify s3://backups --backup 6f1c…   # one, and all that its chain needs
  ARCHIVE_KEY=… m23 archive verify ./bucket --json --require-key
  m23 archive verify s3://backups --database \"$DATABASE_URL\"

Memory: the chunks that are read at the same time, at most one of the largest that there can be.")]
    Verify(Verify),
    /// Write the rows of a backup, or of a moment inside its chain, as SQL or CSV.
    ///
    /// SQL is a script for psql: types, tables and rows in one transaction, then keys, indexes,
    /// policies and foreign keys one by one. CSV is a file per table with a header; a null is an
    /// empty field, an empty text is \"\".
    #[command(after_help = "\
Examples:
  m23 archive extract ./bucket --backup 6f1c… | psql \"$DATABASE_URL\"
  m23 archive extract ./bucket --backup 6f1c… --format csv --output ./rows
  m23 archive extract ./bucket --backup 6f1c… --at 2026-01-31T10:31:00Z --table orders --output orders.sql

A definition is one statement of a known kind about its own table, and no command of psql's; where
one is anything else, only --data-only and CSV are written. It stays SQL, which may call functions.

Memory: four chunks, and with a chain the keys of the rows that have changed in it.")]
    Extract(Extract),
}

#[derive(Subcommand)]
pub enum Keys {
    /// Wrap every tenant's key with a new master key. Archives are not touched.
    #[command(after_help = "\
Example:
  ARCHIVE_KEY=$NEW ARCHIVE_KEY_PREVIOUS=$OLD m23 keys rewrap s3://backups

May be run again at any time: what is wrapped with the new key already stays as it is.")]
    Rewrap(Place),
    /// Erase a tenant's keys: nobody can read its encrypted archives any more, ever.
    #[command(after_help = "\
Example:
  m23 keys erase s3://backups 0b7e…

Asks before it does so; --yes answers. Plain archives stay readable. A store with versions keeps
the erased object as an old version: remove that too.")]
    Erase(Erase),
}

#[derive(Subcommand)]
pub enum Catalogue {
    /// Record every backup of a store in a database that has lost its records.
    ///
    /// The database needs M23's migrations. Tables that are missing are made again and protected:
    /// the definitions of the newest backup that has each are executed, one statement at a time, with
    /// the rights of whoever connects, and nothing of a table that is there already.
    #[command(after_help = "\
Examples:
  m23 catalogue rebuild --database \"$DATABASE_URL\" s3://backups --dry-run   # shows the SQL
  m23 catalogue rebuild --database \"$DATABASE_URL\" s3://backups

Definitions come from the store, and may call functions (in a default, a check): look at them first.
What fails is told, and the rest goes on. May be run again: what is there already stays as it is. Then
restore as always.")]
    Rebuild(Rebuild),
}

/// A store of archives.
#[derive(Args)]
pub struct Place {
    /// A folder, or s3://BUCKET/PREFIX: what holds `tenants/`.
    #[arg(value_name = "STORE")]
    pub place: String,

    /// The address of an S3-compatible store, such as R2. Credentials: AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN.
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL")]
    pub endpoint: Option<String>,

    /// The bucket's region.
    #[arg(long, env = "AWS_REGION")]
    pub region: Option<String>,

    /// Print JSON, and no progress.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Inspect {
    #[command(flatten)]
    pub place: Place,

    /// Only this tenant's backups.
    #[arg(long, value_name = "KEY")]
    pub tenant: Option<TenantId>,

    /// Show this backup.
    #[arg(long, value_name = "ID")]
    pub backup: Option<Uuid>,
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    pub place: Place,

    /// Only this tenant's backups.
    #[arg(long, value_name = "KEY")]
    pub tenant: Option<TenantId>,

    /// Only this backup and those that its chain needs.
    #[arg(long, value_name = "ID")]
    pub backup: Option<Uuid>,

    /// A backup that is not encrypted, or not with ARCHIVE_KEY, is a fault.
    #[arg(long)]
    pub require_key: bool,

    /// Hold every completed backup of this database against the store, as its owner: postgresql://…
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,

    /// Certificates (PEM) that vouch for the database's, where the system's do not.
    #[arg(long, value_name = "FILE", env = "PGSSLROOTCERT")]
    pub root_certificate: Option<PathBuf>,
}

#[derive(Args)]
pub struct Extract {
    #[command(flatten)]
    pub place: Place,

    /// The backup; the members of its chain are found by themselves.
    #[arg(long, value_name = "ID")]
    pub backup: Uuid,

    /// A moment between the chain's full backup and this one, with its zone; without it, the
    /// moment of the backup.
    #[arg(long, value_name = "TIME")]
    pub at: Option<DateTime<Utc>>,

    /// Only this table (`orders`, or `schema.orders`). May be given several times.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,

    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Sql)]
    pub format: Format,

    /// SQL: the file to write; standard output without it. CSV: the folder for the files.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// SQL: rows only, for tables that are there already.
    #[arg(long)]
    pub data_only: bool,
}

/// What an extraction writes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A script for psql.
    Sql,
    /// A file per table.
    Csv,
}

#[derive(Args)]
pub struct Erase {
    #[command(flatten)]
    pub place: Place,

    /// The tenant whose archives are to become unreadable.
    #[arg(value_name = "TENANT")]
    pub tenant: TenantId,

    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Args)]
pub struct Rebuild {
    #[command(flatten)]
    pub place: Place,

    /// Show what would be executed and recorded, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// A backup that is not encrypted, or not with ARCHIVE_KEY, is refused.
    #[arg(long)]
    pub require_key: bool,

    /// The database, as its owner: postgresql://…
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,

    /// Certificates (PEM) that vouch for the database's, where the system's do not.
    #[arg(long, value_name = "FILE", env = "PGSSLROOTCERT")]
    pub root_certificate: Option<PathBuf>,

    /// Only this tenant's backups.
    #[arg(long, value_name = "KEY")]
    pub tenant: Option<TenantId>,
}

#[derive(Args)]
pub struct Protect {
    /// The table whose rows are the tenants. Without it, tenant columns in use tell.
    #[arg(value_name = "ROOT")]
    pub root: Option<String>,

    /// The column that tells tenants apart where no foreign key does.
    #[arg(long, value_name = "NAME")]
    pub tenant_column: Option<String>,

    /// Show the plan, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// The database, as its owner: postgresql://…
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,

    /// Certificates (PEM) that vouch for the database's, where the system's do not.
    #[arg(long, value_name = "FILE", env = "PGSSLROOTCERT")]
    pub root_certificate: Option<PathBuf>,

    /// Print JSON, and no progress.
    #[arg(long)]
    pub json: bool,
}
