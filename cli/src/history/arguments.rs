//! The command line of `m23 history`.

use crate::calls::arguments::Connection;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

#[derive(Subcommand)]
pub enum History {
    /// List transactions: the newest first, or the largest.
    #[command(after_help = "\
Examples:
  m23 history transactions --since 2026-01-31T10:00:00Z --until 2026-01-31T11:00:00Z
  m23 history transactions --order deletes --limit 20")]
    Transactions(Transactions),
    /// Show what a transaction has changed, with each row before and after it.
    #[command(after_help = "\
Example:
  m23 history transaction 48213 --tenant 0b7e…")]
    Transaction(Transaction),
    /// Show every change of one row.
    #[command(after_help = "\
Examples:
  m23 history row customers --key id=3
  m23 history row shop.prices --key region=eu --key item=7 --json")]
    Row(Row),
    /// Find rows as they were before they were changed or deleted.
    #[command(after_help = "\
Examples:
  m23 history find customers --where email=ada@acme.example --operation DELETE
  m23 history find orders --filter '{\"total\": {\"gte\": 100}, \"paid\": null}'")]
    Find(Find),
    /// Count changes over time.
    #[command(after_help = "\
Example:
  m23 history counts --since 2026-01-31T00:00:00Z --until 2026-02-01T00:00:00Z --buckets 24")]
    Counts(Counts),
    /// List backups, snapshots, restores, tests, gaps and schema changes.
    #[command(after_help = "\
Example:
  m23 history events --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z")]
    Events(Events),
}

/// A part of a list.
#[derive(Args)]
pub struct Page {
    /// At most this many, up to 1,000.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub limit: u32,

    /// Where the page before ended: its last row, as --json prints it.
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub before: Option<serde_json::Value>,
}

/// A range of time that may be open.
#[derive(Args)]
pub struct Range {
    /// Committed at or after this time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<DateTime<Utc>>,

    /// Committed before this time.
    #[arg(long, value_name = "TIME")]
    pub until: Option<DateTime<Utc>>,
}

/// What transactions are ordered by.
#[derive(Clone, Copy, ValueEnum)]
pub enum Order {
    /// When they began, the newest first.
    Time,
    /// The rows that they changed.
    Rows,
    /// The rows that they deleted.
    Deletes,
}

#[derive(Args)]
pub struct Transactions {
    #[command(flatten)]
    pub connection: Connection,

    #[command(flatten)]
    pub range: Range,

    /// The newest first, or the largest.
    #[arg(long, value_enum, default_value_t = Order::Time)]
    pub order: Order,

    /// Only those of this user.
    #[arg(long, value_name = "ID")]
    pub actor: Option<Uuid>,

    /// Only those of this source, such as `restore ID`.
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,

    #[command(flatten)]
    pub page: Page,
}

#[derive(Args)]
pub struct Transaction {
    #[command(flatten)]
    pub connection: Connection,

    /// The transaction.
    #[arg(value_name = "TRANSACTION")]
    pub transaction: String,

    #[command(flatten)]
    pub page: Page,
}

#[derive(Args)]
pub struct Row {
    #[command(flatten)]
    pub connection: Connection,

    /// Its table (`orders`, or `schema.orders`).
    #[arg(value_name = "TABLE")]
    pub table: String,

    /// A column of its key. May be given several times.
    #[arg(long, value_name = "COLUMN=VALUE", required = true, value_parser = pair)]
    pub key: Vec<(String, String)>,

    #[command(flatten)]
    pub page: Page,
}

/// Before what the row was there.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Operation {
    /// It was changed.
    Update,
    /// It was deleted.
    Delete,
}

#[derive(Args)]
pub struct Find {
    #[command(flatten)]
    pub connection: Connection,

    /// The table (`orders`, or `schema.orders`).
    #[arg(value_name = "TABLE")]
    pub table: String,

    /// What a column was. May be given several times.
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair)]
    pub columns: Vec<(String, String)>,

    /// More than that: {"column": {"gte": 1, "lt": 5}}, {"column": {"in": [1, 2]}}, {"column": null}.
    #[arg(long, value_name = "JSON", value_parser = object, conflicts_with = "columns")]
    pub filter: Option<serde_json::Value>,

    /// Only before such a change.
    #[arg(long, value_enum)]
    pub operation: Option<Operation>,

    #[command(flatten)]
    pub range: Range,

    #[command(flatten)]
    pub page: Page,
}

#[derive(Args)]
pub struct Counts {
    #[command(flatten)]
    pub connection: Connection,

    /// From this time on.
    #[arg(long, value_name = "TIME")]
    pub since: DateTime<Utc>,

    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub until: DateTime<Utc>,

    /// Into how many parts the time is divided, up to 1,000.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub buckets: u32,

    /// Only this table (`orders`, or `schema.orders`). May be given several times.
    #[arg(long = "table", value_name = "NAME")]
    pub tables: Vec<String>,

    /// Only changes of this user.
    #[arg(long, value_name = "ID")]
    pub actor: Option<Uuid>,
}

#[derive(Args)]
pub struct Events {
    #[command(flatten)]
    pub connection: Connection,

    /// From this time on.
    #[arg(long, value_name = "TIME")]
    pub since: DateTime<Utc>,

    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub until: DateTime<Utc>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, value)) if !column.is_empty() => Ok((column.to_owned(), value.to_owned())),
        _ => Err("write COLUMN=VALUE".to_owned()),
    }
}

fn object(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("write a JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
