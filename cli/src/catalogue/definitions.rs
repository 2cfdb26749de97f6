//! The definitions of a store's tables: which of them are needed, and their execution.
//!
//! They come from the store. Each one has to be a single statement of a known kind about its own table
//! (`m23_archive::definition`), and is executed by the extended protocol, in which the server refuses a
//! second statement as well, with the rights of whoever has connected.

use super::found::Found;
use crate::archive::Archive;
use crate::database::fault;
use crate::error::CliError;
use crate::progress;
use m23_archive::definition::{Name, Stage, Statement, Subject, statements};
use serde::Serialize;
use std::collections::BTreeSet;
use tokio_postgres::Client;

/// What the text of definitions depends on, for one transaction: as it was when they were written.
pub const SETTINGS: &str = "\
set local standard_conforming_strings = on;
set local client_encoding = 'UTF8';
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local timezone = 'UTC';
set local lc_monetary = 'C';
set local search_path = '';
";

/// A definition, and what has become of it.
#[derive(Serialize)]
pub struct Step {
    pub statement: String,
    #[serde(flatten)]
    pub state: State,
    #[serde(skip)]
    stage: Stage,
    /// The table that it belongs to.
    #[serde(skip)]
    table: Option<Name>,
}

impl Step {
    /// Whether it is to make something of a table.
    pub fn is_planned_for(&self, schema: &str, name: &str) -> bool {
        let is_it = |table: &Name| (table.schema.as_str(), table.name.as_str()) == (schema, name);
        self.state == State::Planned && self.table.as_ref().is_some_and(is_it)
    }
}

#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It is to be executed.
    Planned,
    /// It has been.
    Made,
    /// What it makes, or its table, was there before.
    There,
    /// The database did not take it.
    Failed { fault: String },
    /// It is nothing that a manifest may hold.
    Refused { fault: String },
    /// Its table could not be made.
    Skipped { fault: String },
}

impl State {
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Planned | Self::Made | Self::There)
    }

    pub const fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Made => "made",
            Self::There => "there",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Skipped { .. } => "skipped",
        }
    }
}

/// All definitions that the tables of a store need, in order. Of a table that is there already none is
/// executed: the application may have changed it since, and what it took away must not come back.
pub async fn plan(
    archive: &Archive,
    client: &Client,
    found: &Found,
) -> Result<Vec<Step>, CliError> {
    let mut planner = Planner {
        client,
        known: BTreeSet::new(),
        steps: Vec::new(),
    };
    for source in found.sources() {
        let Some(backup) = archive.read(&source.tenant, source.backup_id).await? else {
            continue;
        };
        for statement in statements(&backup.manifest) {
            let is_wanted = statement
                .table
                .is_none_or(|table| found.is_source(source.backup_id, &table.schema, &table.name));
            if is_wanted {
                planner.add(&statement).await?;
            }
        }
    }
    // Types of all tables first, foreign keys last.
    planner.steps.sort_by_key(|step| step.stage as u8);
    Ok(planner.steps)
}

struct Planner<'a> {
    client: &'a Client,
    /// What is there, or planned already.
    known: BTreeSet<Subject>,
    steps: Vec<Step>,
}

impl Planner<'_> {
    async fn add(&mut self, statement: &Statement<'_>) -> Result<(), CliError> {
        let table = statement.table.map(|table| Name {
            schema: table.schema.clone(),
            name: table.name.clone(),
        });
        let state = match &statement.subject {
            Err(fault) => State::Refused {
                fault: fault.clone(),
            },
            Ok(subject) => {
                if self.has(table.as_ref(), subject).await? {
                    State::There
                } else {
                    State::Planned
                }
            }
        };
        // The tables of many tenants name the same types: once is enough.
        let is_again = table.is_none() && {
            let known = |step: &Step| step.table.is_none() && step.statement == statement.sql;
            self.steps.iter().any(known)
        };
        if !is_again {
            self.steps.push(Step {
                statement: statement.sql.to_owned(),
                state,
                stage: statement.stage,
                table,
            });
        }
        Ok(())
    }

    /// Whether a definition's table, or what it makes, is there or planned already.
    async fn has(&mut self, table: Option<&Name>, subject: &Subject) -> Result<bool, CliError> {
        if let Some(table) = table
            && is_there(self.client, &Subject::Table(table.clone())).await?
        {
            return Ok(true);
        }
        if matches!(subject, Subject::PartOf(_) | Subject::Reference(_)) {
            return Ok(false);
        }
        let is_new = self.known.insert(subject.clone());
        Ok(!is_new || is_there(self.client, subject).await?)
    }
}

/// Whether the database has what a definition makes.
async fn is_there(client: &Client, subject: &Subject) -> Result<bool, CliError> {
    let no_schema = String::new();
    let (query, schema, name) = match subject {
        Subject::Schema(name) => (
            "select to_regnamespace(quote_ident(concat($1::text, $2::text))) is not null",
            &no_schema,
            name,
        ),
        Subject::Extension(name) => (
            "select exists (select from pg_catalog.pg_extension where extname = concat($1::text, $2::text))",
            &no_schema,
            name,
        ),
        Subject::Type(of) => (
            "select to_regtype(format('%I.%I', $1::text, $2::text)) is not null",
            &of.schema,
            &of.name,
        ),
        Subject::Collation(of) => (
            "select to_regcollation(format('%I.%I', $1::text, $2::text)) is not null",
            &of.schema,
            &of.name,
        ),
        Subject::Sequence(of)
        | Subject::Table(of)
        | Subject::Partition { name: of, .. }
        | Subject::PartOf(of)
        | Subject::Reference(of) => (
            "select to_regclass(format('%I.%I', $1::text, $2::text)) is not null",
            &of.schema,
            &of.name,
        ),
    };
    let row = client.query_one(query, &[schema, name]).await;
    Ok(row.map_err(|error| fault(&error))?.get(0))
}

/// Executes what is planned. What fails is taken back by itself, and the rest goes on.
pub async fn execute(client: &Client, steps: &mut [Step], quiet: bool) -> Result<(), CliError> {
    let bar = progress::count("making", steps.len(), quiet);
    for step in steps {
        if step.state == State::Planned {
            step.state = execute_step(client, step).await?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn execute_step(client: &Client, step: &Step) -> Result<State, CliError> {
    let needs_table = matches!(step.stage, Stage::Finish | Stage::References);
    if let (true, Some(table)) = (needs_table, &step.table)
        && !is_there(client, &Subject::Table(table.clone())).await?
    {
        let fault = "its table could not be made".to_owned();
        return Ok(State::Skipped { fault });
    }
    execute_one(client, &step.statement).await
}

async fn execute_one(client: &Client, statement: &str) -> Result<State, CliError> {
    let run = async |sql: &str| {
        let ran = client.batch_execute(sql).await;
        ran.map_err(|error| fault(&error))
    };
    run("savepoint definition").await?;
    // `execute` prepares: the server refuses more than one statement.
    match client.execute(statement, &[]).await {
        Ok(_) => {
            run("release savepoint definition").await?;
            Ok(State::Made)
        }
        Err(error) => match fault(&error) {
            CliError::Refused(fault) => {
                run("rollback to savepoint definition").await?;
                Ok(State::Failed { fault })
            }
            other => Err(other),
        },
    }
}
