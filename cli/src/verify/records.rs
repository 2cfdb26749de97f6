//! What a database says of its backups, held against the store.

use crate::archive::Backup;
use crate::arguments::Verify;
use crate::database::{connect, fault};
use crate::error::CliError;
use m23_archive::{backup_prefix, manifest_object};
use m23_tenant::TenantId;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use uuid::Uuid;

/// Whom row-level security would show less than there is, the database refuses.
const SETTINGS: &str = "set row_security = off";

/// A snapshot is a position inside the database, and has no archive.
const RECORDS: &str = "\
select j.id::text, j.tenant_id::text, w.manifest_sha256,
       w.manifest,
       j.status = 'completed' and j.deleted_at is null
  from public.backup_jobs j left join m23.backup_work w on w.job_id = j.id
 where j.job_type <> 'snapshot' and ($1::text is null or j.tenant_id::text = $1)";

/// A backup as the database knows it.
pub struct Known {
    pub tenant_id: TenantId,
    pub backup_id: Uuid,
    /// Its manifest's object, and the SHA-256 of that.
    pub manifest: String,
    sha256: Option<String>,
    /// Whether it is complete, and not deleted.
    pub is_held: bool,
}

impl Known {
    fn read(row: &Row) -> Option<Self> {
        let backup_id = row.get::<_, String>(0).parse().ok()?;
        let tenant_id: TenantId = row.get::<_, String>(1).parse().ok()?;
        let noted: Option<String> = row.get(3);
        let usual = || manifest_object(&backup_prefix(&tenant_id.name(), backup_id));
        Some(Self {
            manifest: noted.unwrap_or_else(usual),
            backup_id,
            tenant_id,
            sha256: row.get(2),
            is_held: row.get(4),
        })
    }

    /// How a backup in the store differs from what the database knows.
    pub fn fault(&self, backup: &Backup) -> Option<&'static str> {
        match &self.sha256 {
            _ if !self.is_held => None, // on its way, or on its way out
            Some(sha256) if *sha256 == backup.sha256 => None,
            Some(_) => Some("its SHA-256 is another than the database knows"),
            None => Some("the database knows the backup, and no SHA-256 of it"),
        }
    }
}

/// The backups of a database; none where there is no database to ask.
#[derive(Default)]
pub struct Records {
    known: BTreeMap<Uuid, Known>,
    seen: BTreeSet<Uuid>,
}

impl Records {
    /// Asks the database, if there is one.
    pub async fn read(order: &Verify) -> Result<Self, CliError> {
        let Some(url) = &order.database else {
            return Ok(Self::default());
        };
        let client = connect(url, order.root_certificate.as_deref()).await?;
        let settled = client.batch_execute(SETTINGS).await;
        settled.map_err(|error| fault(&error))?;
        let tenant = order.tenant.as_ref().map(TenantId::to_string);
        let rows = client.query(RECORDS, &[&tenant]).await;
        let rows = rows.map_err(|error| fault(&error))?;
        let known = rows.iter().filter_map(Known::read);
        Ok(Self {
            known: known.map(|one| (one.backup_id, one)).collect(),
            seen: BTreeSet::new(),
        })
    }

    pub fn get(&self, backup: Uuid) -> Option<&Known> {
        self.known.get(&backup)
    }

    /// A backup, or what is left of one, is in the store.
    pub fn seen(&mut self, backup: Uuid) {
        self.seen.insert(backup);
    }

    /// What the database holds to be complete, and nobody has seen.
    pub fn missing(&self) -> impl Iterator<Item = &Known> {
        let is_missing = |one: &&Known| one.is_held && !self.seen.contains(&one.backup_id);
        self.known.values().filter(is_missing)
    }

    /// What was seen, and the database does not know.
    pub fn strangers(&self) -> Vec<Uuid> {
        let is_unknown = |id: &&Uuid| !self.known.contains_key(*id);
        self.seen.iter().filter(is_unknown).copied().collect()
    }
}
