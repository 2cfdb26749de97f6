//! The tables of a store's backups are protected, where they are there.

use super::definitions::Step;
use super::found::{Found, Newest};
use crate::arguments::Rebuild;
use crate::database::fault;
use crate::error::CliError;
use crate::progress;
use crate::terminal::plain;
use serde::Serialize;
use tokio_postgres::Client;

const IS_PROTECTED: &str =
    "select (m23.find_table(concat($1::text, '.', $2::text))).id is not null";

const IS_THERE: &str = "select to_regclass(format('%I.%I', $1::text, $2::text)) is not null";

const PROTECT: &str =
    "select m23.protect_table(t, $3::text::name, m23.via_of_facts(t, $4::text::jsonb))
       from format('%I.%I', $1::text, $2::text) n, lateral (select n::regclass as t) r";

/// A table, and whether it is protected.
#[derive(Serialize)]
pub struct Protection {
    table: String,
    protection: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Planned,
    Made,
    There,
    Failed,
}

impl Protection {
    pub fn is_well(&self) -> bool {
        self.protection != Outcome::Failed
    }

    /// A line about it, where there is something to say.
    pub fn text(&self) -> String {
        let table = plain(&self.table);
        match (&self.protection, &self.fault) {
            (Outcome::Planned, _) => format!("{table}: to be protected\n"),
            (Outcome::Failed, fault) => {
                let fault = fault.as_deref().unwrap_or_default();
                format!("failed: {table} is not protected: {}\n", plain(fault))
            }
            (Outcome::Made | Outcome::There, _) => String::new(),
        }
    }
}

pub async fn protect(
    client: &Client,
    found: &Found,
    definitions: &[Step],
    order: &Rebuild,
) -> Result<Vec<Protection>, CliError> {
    let bar = progress::count("protecting", found.tables.len(), order.place.json);
    let mut all = Vec::new();
    for ((schema, name), newest) in parents_first(found) {
        let done = if order.dry_run {
            let will_be_made = |step: &Step| step.is_planned_for(schema, name);
            let will_be_made = definitions.iter().any(will_be_made);
            foresee(client, schema, name, will_be_made).await
        } else {
            protect_one(client, schema, name, newest).await
        };
        let (protection, fault) = match done {
            Ok(outcome) => (outcome, None),
            Err(CliError::Refused(fault)) => (Outcome::Failed, Some(fault)),
            Err(other) => return Err(other),
        };
        all.push(Protection {
            table: format!("{schema}.{name}"),
            protection,
            fault,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(all)
}

/// The tables, those behind which others find their tenants before these.
fn parents_first(found: &Found) -> Vec<(&(String, String), &Newest)> {
    let mut all: Vec<_> = found.tables.iter().collect();
    all.sort_by_key(|(_, newest)| hops(found, newest, found.tables.len()));
    all
}

/// How many hops a path has, at most so many.
fn hops(found: &Found, newest: &Newest, most: usize) -> usize {
    let Some(path) = newest.path.as_ref().filter(|_| most > 0) else {
        return 0;
    };
    let parent = (path.parent.schema.clone(), path.parent.name.clone());
    let above = found.tables.get(&parent);
    1 + above.map_or(0, |above| hops(found, above, most - 1))
}

async fn foresee(
    client: &Client,
    schema: &str,
    name: &str,
    will_be_made: bool,
) -> Result<Outcome, CliError> {
    if ask(client, IS_PROTECTED, schema, name).await? {
        Ok(Outcome::There)
    } else if will_be_made || ask(client, IS_THERE, schema, name).await? {
        Ok(Outcome::Planned)
    } else {
        Err(CliError::Refused("it cannot be made".to_owned()))
    }
}

async fn protect_one(
    client: &Client,
    schema: &str,
    name: &str,
    newest: &Newest,
) -> Result<Outcome, CliError> {
    if ask(client, IS_PROTECTED, schema, name).await? {
        return Ok(Outcome::There);
    }
    let path = newest.path.as_ref().map(serde_json::to_string).transpose();
    let path = path.map_err(|error| CliError::Refused(error.to_string()))?;
    let protected = client
        .execute(PROTECT, &[&schema, &name, &newest.tenant_column, &path])
        .await;
    protected.map_err(|error| fault(&error))?;
    Ok(Outcome::Made)
}

async fn ask(client: &Client, query: &str, schema: &str, name: &str) -> Result<bool, CliError> {
    let row = client.query_one(query, &[&schema, &name]).await;
    Ok(row.map_err(|error| fault(&error))?.get(0))
}
