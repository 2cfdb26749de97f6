//! `m23 catalogue rebuild`: a database gets the tables of a store's backups, and learns of them, from
//! the store alone.

mod definitions;
mod found;
mod tables;

use self::definitions::{State, Step};
use self::found::{Found, Refusal, find};
use self::tables::Protection;
use crate::archive::{Archive, Backup};
use crate::arguments::Rebuild;
use crate::database::{connect, fault};
use crate::error::CliError;
use crate::progress;
use crate::report::print;
use crate::terminal::plain;
use serde::Serialize;
use std::process::ExitCode;
use tokio_postgres::Client;
use uuid::Uuid;

const ADOPT: &str = "select m23.adopt_backup($1::text::jsonb, $2::text, $3::text)";

#[derive(Serialize)]
struct Report {
    /// Whether nothing was changed, and this is what would be.
    dry_run: bool,
    /// The SQL of the archives, in the order in which it is executed.
    definitions: Vec<Step>,
    /// The tables of the archives, and whether they are protected.
    tables: Vec<Protection>,
    adopted: Vec<Uuid>,
    /// Backups that could not be recorded, and why.
    refused: Vec<Refusal>,
}

pub async fn rebuild(order: &Rebuild) -> Result<ExitCode, CliError> {
    let mut archive = Archive::open(&order.place)?;
    if order.require_key {
        archive.require_key()?;
    }
    let found = find(&archive, order).await?;
    let client = connect(&order.database, order.root_certificate.as_deref()).await?;
    begin(&client, order.dry_run).await?;
    let mut definitions = definitions::plan(&archive, &client, &found).await?;
    if !order.dry_run {
        definitions::execute(&client, &mut definitions, order.place.json).await?;
    }
    end(&client, order.dry_run).await?;
    let tables = tables::protect(&client, &found, &definitions, order).await?;
    let mut report = Report {
        dry_run: order.dry_run,
        definitions,
        tables,
        adopted: Vec::new(),
        refused: found.refused.clone(),
    };
    adopt_all(&archive, &client, order, &found, &mut report).await?;
    print(order.place.json, &report, text)?;
    Ok(ExitCode::from(u8::from(!report.is_whole())))
}

/// All definitions are made in one transaction: what is interrupted leaves none behind.
async fn begin(client: &Client, dry_run: bool) -> Result<(), CliError> {
    let mode = if dry_run { "read only" } else { "read write" };
    let settings = definitions::SETTINGS;
    client
        .batch_execute(&format!("begin transaction {mode};\n{settings}"))
        .await
        .map_err(|error| fault(&error))
}

async fn end(client: &Client, dry_run: bool) -> Result<(), CliError> {
    let end = if dry_run { "rollback" } else { "commit" };
    let ended = client.batch_execute(end).await;
    ended.map_err(|error| fault(&error))
}

/// Records backups, parents before those that build upon them.
async fn adopt_all(
    archive: &Archive,
    client: &Client,
    order: &Rebuild,
    found: &Found,
    report: &mut Report,
) -> Result<(), CliError> {
    let bar = progress::count("recording", found.backups.len(), order.place.json);
    for one in &found.backups {
        let read = archive.read(&one.tenant, one.backup_id).await;
        let adopted = match read {
            Ok(Some(_)) if order.dry_run => Ok(()),
            Ok(Some(backup)) => adopt(client, &backup).await,
            Ok(None) => continue, // deleted meanwhile
            Err(error) => Err(error),
        };
        match adopted {
            Ok(()) => report.adopted.push(one.backup_id),
            Err(error) => report.refused.push(Refusal::of(one.backup_id, error)?),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn adopt(client: &Client, backup: &Backup) -> Result<(), CliError> {
    let manifest = String::from_utf8_lossy(&backup.bytes).into_owned();
    client
        .execute(ADOPT, &[&manifest, &backup.object, &backup.sha256])
        .await
        .map_err(|error| fault(&error))?;
    Ok(())
}

impl Report {
    /// Whether nothing failed and nothing was refused.
    fn is_whole(&self) -> bool {
        self.refused.is_empty()
            && self.definitions.iter().all(|step| step.state.is_well())
            && self.tables.iter().all(Protection::is_well)
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for Step {
        statement, state, ..
    } in &report.definitions
    {
        match state {
            State::Planned => text += &format!("{};\n", plain(statement)),
            State::Failed { fault } | State::Refused { fault } | State::Skipped { fault } => {
                let state = state.word();
                text += &format!("{state}: {}: {}\n", plain(fault), plain(statement));
            }
            State::Made | State::There => {}
        }
    }
    for table in &report.tables {
        text += &table.text();
    }
    for Refusal { backup_id, fault } in &report.refused {
        text += &format!("{backup_id}: {}\n", plain(fault));
    }
    let count = |state: State| {
        let same = report.definitions.iter().filter(|step| step.state == state);
        same.count()
    };
    let (made, planned, there) = (
        count(State::Made),
        count(State::Planned),
        count(State::There),
    );
    let backups = report.adopted.len();
    text + &if report.dry_run {
        format!(
            "dry run, nothing was changed: {planned} definitions to execute, {there} there already, \
             {backups} backups to record\n"
        )
    } else {
        format!("{made} definitions executed, {there} there already, {backups} backups recorded\n")
    }
}
