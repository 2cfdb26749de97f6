//! `m23 protect`: the tables that hang on a tenant come under protection, one transaction each.

use crate::arguments::Protect;
use crate::database::{connect, fault};
use crate::error::CliError;
use crate::progress;
use crate::report::{columns, print};
use crate::terminal::plain;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const PLAN: &str = "select table_name, belongs, how, statement, why_not, advice
    from m23.plan_protection($1::text::regclass, $2::text::name)";

/// What the plan says of relatives that are not protected yet would be said of each table before the last.
const SETTINGS: &str = "set lock_timeout = '200ms'; set client_min_messages = error";

/// How often a table is tried whose lock somebody holds, and the pause between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Report {
    /// Whether nothing was changed, and this is what would be.
    dry_run: bool,
    tables: Vec<Table>,
}

/// A table, and what has become of it.
#[derive(Serialize)]
struct Table {
    table: String,
    belongs: String,
    how: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// It is to be protected.
    Planned,
    Made,
    There,
    /// It was no tenant's, or is not for this command to protect.
    Left,
    Failed,
}

pub async fn run(order: &Protect) -> Result<ExitCode, CliError> {
    let client = connect(&order.database, order.root_certificate.as_deref()).await?;
    client
        .batch_execute(SETTINGS)
        .await
        .map_err(|error| fault(&error))?;
    let mut report = Report {
        dry_run: order.dry_run,
        tables: plan(&client, order).await?,
    };
    if !order.dry_run {
        protect(&client, &mut report.tables, order.json).await?;
    }
    print(order.json, &report, text)?;
    let failed = report
        .tables
        .iter()
        .any(|table| table.outcome == Outcome::Failed);
    Ok(ExitCode::from(u8::from(failed)))
}

async fn plan(client: &Client, order: &Protect) -> Result<Vec<Table>, CliError> {
    let rows = client
        .query(PLAN, &[&order.root, &order.tenant_column])
        .await
        .map_err(|error| fault(&error))?;
    let table = |row: &tokio_postgres::Row| {
        let (statement, why_not): (Option<String>, Option<String>) = (row.get(3), row.get(4));
        let belongs: String = row.get(1);
        let outcome = match (&statement, &why_not) {
            (_, Some(_)) => Outcome::Left,
            (Some(_), None) => Outcome::Planned,
            (None, None) if belongs == "global" => Outcome::Left,
            (None, None) => Outcome::There,
        };
        Table {
            table: row.get(0),
            belongs,
            how: row.get(2),
            outcome,
            statement,
            why_not,
            advice: row.get(5),
        }
    };
    Ok(rows.iter().map(table).collect())
}

async fn protect(client: &Client, tables: &mut [Table], quiet: bool) -> Result<(), CliError> {
    let is_planned = |table: &&mut Table| table.outcome == Outcome::Planned;
    let planned: Vec<_> = tables.iter_mut().filter(is_planned).collect();
    let bar = progress::count("protecting", planned.len(), quiet);
    for table in planned {
        match protect_one(client, table.statement.as_deref().unwrap_or_default()).await {
            Ok(()) => table.outcome = Outcome::Made,
            Err(CliError::Refused(fault)) => {
                table.outcome = Outcome::Failed;
                table.why_not = Some(fault);
            }
            Err(other) => return Err(other),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// One statement is one transaction. Somebody who holds a lock of the table is waited for, holding nothing.
async fn protect_one(client: &Client, statement: &str) -> Result<(), CliError> {
    for tries in 1.. {
        match client.batch_execute(statement).await {
            Ok(()) => break,
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && tries < TRIES => {
                sleep(PAUSE).await;
            }
            Err(error) => return Err(fault(&error)),
        }
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let is_told = |table: &&Table| table.belongs != "global";
    let line = |table: &Table| {
        let said = table.why_not.as_ref().map(|why| format!("; {why}"));
        let said = format!("{}{}", table.how, said.unwrap_or_default());
        let call = match (&table.statement, table.outcome) {
            (Some(statement), Outcome::Planned | Outcome::Left) => format!(": {statement}"),
            _ => String::new(),
        };
        let cells = [table.table.as_str(), &table.belongs, word(table.outcome)];
        let mut cells: Vec<_> = cells.iter().map(|cell| plain(cell).into_owned()).collect();
        cells.push(plain(&format!("{said}{call}")).into_owned());
        cells
    };
    let lines: Vec<_> = report.tables.iter().filter(is_told).map(line).collect();
    let count = |outcome: Outcome| {
        let same = report
            .tables
            .iter()
            .filter(is_told)
            .filter(|table| table.outcome == outcome);
        same.count()
    };
    let (there, left) = (count(Outcome::There), count(Outcome::Left));
    columns(&lines)
        + &if report.dry_run {
            let planned = count(Outcome::Planned);
            format!(
                "dry run, nothing was changed: {planned} tables to protect, {there} protected already, \
                 {left} left to you\n"
            )
        } else {
            let (made, failed) = (count(Outcome::Made), count(Outcome::Failed));
            format!(
                "{made} tables protected, {there} protected already, {left} left to you, {failed} failed\n"
            )
        }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Planned => "to be protected",
        Outcome::Made => "protected now",
        Outcome::There => "protected",
        Outcome::Left => "left",
        Outcome::Failed => "failed",
    }
}
