//! What a store holds: its backups, and which of them knows best what each table is.

use crate::archive::Archive;
use crate::arguments::Rebuild;
use crate::error::CliError;
use crate::progress;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use m23_archive::TenantPath;
use m23_tenant::TenantName;
use serde::Serialize;
use std::collections::BTreeMap;
use std::pin::pin;
use uuid::Uuid;

/// A table, by schema and name.
pub type TableName = (String, String);

/// The backups of a store, without what is in their manifests: those can be many and large.
pub struct Found {
    /// Those that can be read, parents before those that build upon them.
    pub backups: Vec<Place>,
    /// Each table, and the newest backup that has it.
    pub tables: BTreeMap<TableName, Newest>,
    /// Those that cannot be read, and why.
    pub refused: Vec<Refusal>,
}

/// Where a backup lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    position_at: DateTime<Utc>,
    builds_on: bool,
    pub tenant: TenantName,
    pub backup_id: Uuid,
}

/// The newest backup that has a table.
#[derive(Clone)]
pub struct Newest {
    pub place: Place,
    pub tenant_column: Option<String>,
    pub path: Option<TenantPath>,
}

/// A backup that cannot be recorded, and why.
#[derive(Clone, Serialize)]
pub struct Refusal {
    pub backup_id: Uuid,
    pub fault: String,
}

impl Refusal {
    /// What is wrong with a backup stands in the report; anything else ends the command.
    pub fn of(backup_id: Uuid, error: CliError) -> Result<Self, CliError> {
        let fault = match error {
            CliError::Refused(fault) => fault,
            CliError::Damaged { .. } | CliError::Key(_) => error.to_string(),
            other => return Err(other),
        };
        Ok(Self { backup_id, fault })
    }
}

/// Reads every manifest.
pub async fn find(archive: &Archive, order: &Rebuild) -> Result<Found, CliError> {
    let mut found = Found {
        backups: Vec::new(),
        tables: BTreeMap::new(),
        refused: Vec::new(),
    };
    let listed = archive.list(order.tenant.as_ref()).await?;
    let bar = progress::count("reading manifests", listed.len(), order.place.json);
    let mut reading = pin!(archive.read_all(listed));
    while let Some((tenant, backup_id, read)) = reading.next().await {
        bar.inc(1);
        let facts = match read {
            Ok(Some(backup)) => backup.archive.manifest.facts,
            Ok(None) => continue,
            Err(error) => {
                found.refused.push(Refusal::of(backup_id, error)?);
                continue;
            }
        };
        let place = Place {
            position_at: facts.position_at,
            builds_on: facts.parent.is_some(),
            tenant,
            backup_id,
        };
        for table in facts.tables {
            let newest = Newest {
                place: place.clone(),
                tenant_column: table.tenant_column,
                path: table.path,
            };
            let known = found.tables.entry((table.schema, table.name));
            let known = known.or_insert_with(|| newest.clone());
            if known.place < newest.place {
                *known = newest;
            }
        }
        found.backups.push(place);
    }
    bar.finish_and_clear();
    if found.backups.is_empty() && found.refused.is_empty() {
        return Err(archive.empty());
    }
    found.backups.sort();
    Ok(found)
}

impl Found {
    /// The backups whose definitions are used, the newest first.
    pub fn sources(&self) -> Vec<Place> {
        let mut sources: Vec<Place> = self.tables.values().map(|one| one.place.clone()).collect();
        sources.sort();
        sources.dedup();
        sources.reverse();
        sources
    }

    /// Whether a table's definition is taken from a backup.
    pub fn is_source(&self, backup: Uuid, schema: &str, name: &str) -> bool {
        let known = self.tables.get(&(schema.to_owned(), name.to_owned()));
        known.is_some_and(|newest| newest.place.backup_id == backup)
    }
}
