//! `m23 archive extract`.

mod csv;
mod sql;

use crate::archive::{Archive, Backup};
use crate::arguments::{Extract, Format};
use crate::error::CliError;
use crate::layers::key;
use crate::layers::{Moment, Reached, Sink, reach, rows};
use crate::progress;
use crate::report::print;
use crate::terminal::plain;
use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use m23_archive::Table;
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use uuid::Uuid;

/// What was extracted. Printed with `--json`, where the rows go into files.
#[derive(Serialize)]
struct Report {
    backup_id: Uuid,
    /// The time of the state that the rows are in.
    taken: DateTime<Utc>,
    tables: Vec<Extracted>,
}

#[derive(Serialize)]
struct Extracted {
    table: String,
    rows: u64,
}

/// Tables of one state, ready to be read.
struct Source<'a> {
    archive: &'a Archive,
    /// Newest first: the member that the state belongs to, and what it builds upon.
    chain: &'a [Backup],
    moment: Option<Moment>,
    tables: Vec<&'a Table>,
}

pub async fn run(order: &Extract) -> Result<ExitCode, CliError> {
    check(order)?;
    let archive = Archive::open(&order.place)?;
    let chain = archive.chain(archive.find(order.backup).await?).await?;
    let Some(tip) = chain.first() else {
        return Err(CliError::NotFound("there is no such backup".to_owned()));
    };
    let Reached {
        member,
        moment,
        taken,
    } = match order.at {
        Some(at) => reach(&chain, at)?,
        None => Reached {
            member: 0,
            moment: None,
            taken: tip.manifest.facts.position_at,
        },
    };
    let chain = chain.get(member..).unwrap_or_default();
    let tables = chosen(chain, order)?;
    check_reach(&tables, moment.as_ref())?;
    let source = Source {
        archive: &archive,
        chain,
        moment,
        tables,
    };
    source.warn();
    let bar = progress::bytes("extracting", source.bytes(), order.place.json);
    let tables = match order.format {
        Format::Sql => sql::write(&source, order, &bar).await?,
        Format::Csv => csv::write(&source, order, &bar).await?,
    };
    bar.finish_and_clear();
    if order.output.is_some() {
        print(
            order.place.json,
            &Report {
                backup_id: order.backup,
                taken,
                tables,
            },
            text,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(order: &Extract) -> Result<(), CliError> {
    let fault = match (order.format, &order.output) {
        (Format::Csv, None) => "CSV goes into a folder: --output FOLDER",
        (Format::Csv, _) if order.data_only => "--data-only is for SQL; CSV has rows only",
        (Format::Sql, None) if order.place.json => {
            "--json says what was written into a file: --output FILE"
        }
        _ => return Ok(()),
    };
    Err(CliError::Usage(fault.to_owned()))
}

fn chosen<'a>(chain: &'a [Backup], order: &Extract) -> Result<Vec<&'a Table>, CliError> {
    let all: Vec<&Table> = chain
        .iter()
        .take(1)
        .flat_map(|tip| &tip.manifest.facts.tables)
        .collect();
    let is_named = |table: &Table, name: &String| {
        *name == full_name(table) || (table.schema == "public" && *name == table.name)
    };
    for name in &order.tables {
        if !all.iter().any(|table| is_named(table, name)) {
            return Err(CliError::Usage(format!(
                "the backup has no table {name}; see m23 archive inspect"
            )));
        }
    }
    let is_chosen = |table: &&Table| {
        order.tables.is_empty() || order.tables.iter().any(|name| is_named(table, name))
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// A table that a member holds whole has no log that leads back from it.
fn check_reach(tables: &[&Table], moment: Option<&Moment>) -> Result<(), CliError> {
    match tables.iter().find(|table| moment.is_some() && table.whole) {
        None => Ok(()),
        Some(table) => Err(CliError::Usage(format!(
            "the archive has no log of {} for that moment: the next backup holds the table whole; leave it out, or choose a backup's own moment",
            full_name(table)
        ))),
    }
}

impl Source<'_> {
    /// Tells of keys that only a database could put together from several backups.
    fn warn(&self) {
        for table in self.tables.iter().filter(|table| !table.whole) {
            let keys = key::undecided(table);
            if !keys.is_empty() {
                eprintln!(
                    "warning: {}: keys are compared by their text, and values of {} can be equal with another; rows may come twice",
                    plain(&full_name(table)),
                    plain(&keys.join(", "))
                );
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.tables
            .iter()
            .flat_map(|table| {
                self.chain.iter().flat_map(|backup| {
                    let same = backup
                        .manifest
                        .facts
                        .tables
                        .iter()
                        .filter(|one| full_name(one) == full_name(table));
                    same.flat_map(|one| &one.chunks).map(|chunk| chunk.bytes)
                })
            })
            .sum()
    }

    /// Gives a table's rows to a writer; gives how many.
    async fn rows(
        &self,
        table: &Table,
        writer: &mut impl Sink,
        bar: &ProgressBar,
    ) -> Result<Extracted, CliError> {
        let mut counted = Counted {
            writer,
            rows: 0,
            bar,
        };
        rows(
            self.archive,
            self.chain,
            table,
            self.moment.as_ref(),
            &mut counted,
        )
        .await?;
        Ok(Extracted {
            table: full_name(table),
            rows: counted.rows,
        })
    }
}

struct Counted<'a, S> {
    writer: &'a mut S,
    rows: u64,
    bar: &'a ProgressBar,
}

impl<S: Sink> Sink for Counted<'_, S> {
    fn row(&mut self, line: &str) -> Result<(), CliError> {
        self.rows += 1;
        self.bar.inc(line.len() as u64 + 1);
        self.writer.row(line)
    }
}

fn full_name(table: &Table) -> String {
    format!("{}.{}", table.schema, table.name)
}

/// A new file; what is there already is left alone.
fn create(path: &Path) -> Result<Box<dyn Write>, CliError> {
    let file = File::create_new(path)
        .map_err(|error| CliError::Output(format!("{}: {error}", path.display())))?;
    Ok(Box::new(BufWriter::new(file)))
}

fn output(path: Option<&Path>) -> Result<Box<dyn Write>, CliError> {
    match path {
        Some(path) => create(path),
        None => Ok(Box::new(BufWriter::new(stdout().lock()))),
    }
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "as of {}\n",
        report
            .taken
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    );
    for Extracted { table, rows } in &report.tables {
        text += &format!("{}: {rows} rows\n", plain(table));
    }
    text
}
