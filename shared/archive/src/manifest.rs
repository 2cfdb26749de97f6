//! The manifest: what a backup is, and every object that belongs to it.

use crate::{ArchiveError, names};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One backup. `manifest.json` is this, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`Manifest::FORMAT`].
    pub format: String,
    /// [`Manifest::VERSION`] of the program that wrote it.
    pub version: u32,
    /// What was backed up, and as of when.
    #[serde(flatten)]
    pub facts: Facts,
    /// Rows in all tables.
    pub rows: u64,
    /// Bytes of all lines.
    pub bytes: u64,
    /// Bytes of all chunks as stored.
    pub stored_bytes: u64,
}

/// What the database says of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The backup's id: `backup_jobs.id`.
    pub backup_id: Uuid,
    /// The only tenant whose rows are inside.
    pub tenant_id: Uuid,
    /// Its name.
    pub backup_name: String,
    /// `full`.
    pub job_type: String,
    /// The moment of every row inside: a `pg_snapshot`, good within one incarnation.
    pub position: String,
    /// The time of that moment.
    pub position_at: DateTime<Utc>,
    /// The life of the database that the position belongs to.
    pub incarnation: Uuid,
    /// `server_version_num` of the server.
    pub server_version: u32,
    /// The tables, in the order in which they were read.
    pub tables: Vec<Table>,
}

/// One table's columns and chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// The column that holds the tenant.
    pub tenant_column: String,
    /// The primary key's columns, in order.
    pub key: Vec<String>,
    /// The columns in the order of a line's fields. Generated ones are not stored.
    pub columns: Vec<Column>,
    /// Its chunks, in key order.
    pub chunks: Vec<Chunk>,
}

impl Table {
    /// Rows in all its chunks.
    #[must_use]
    pub fn rows(&self) -> u64 {
        sum(self.chunks.iter().map(|chunk| chunk.rows))
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its PostgreSQL type, without length or precision.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it takes no null.
    #[serde(default)]
    pub not_null: bool,
    /// `a` (always) or `d` (by default) for an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The object's name in the store.
    pub object: String,
    /// Its lines.
    pub rows: u64,
    /// Bytes of its lines.
    pub bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// SHA-256 of the stored bytes, in lower-case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// What a manifest calls itself.
    pub const FORMAT: &'static str = "m23-archive";
    /// The version that this program writes, and the newest that it reads.
    pub const VERSION: u32 = 1;

    /// The manifest of a backup that has just been stored.
    ///
    /// # Errors
    /// [`ArchiveError::Inconsistent`] when the facts break a rule of the format.
    pub fn new(facts: Facts) -> Result<Self, ArchiveError> {
        let total = |count: fn(&Chunk) -> u64| {
            sum(facts
                .tables
                .iter()
                .flat_map(|table| &table.chunks)
                .map(count))
        };
        let manifest = Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            rows: total(|chunk| chunk.rows),
            bytes: total(|chunk| chunk.bytes),
            stored_bytes: total(|chunk| chunk.stored_bytes),
            facts,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads a manifest and checks its rules.
    ///
    /// # Errors
    /// [`ArchiveError::Unreadable`], [`ArchiveError::UnknownFormat`] or
    /// [`ArchiveError::Inconsistent`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let unreadable = |error: serde_json::Error| ArchiveError::Unreadable(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.format != Self::FORMAT || head.version == 0 || head.version > Self::VERSION {
            return Err(ArchiveError::UnknownFormat {
                format: head.format,
                version: head.version,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes of `manifest.json`.
    ///
    /// # Errors
    /// [`ArchiveError::Unreadable`] if it cannot be written as JSON, which does not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Where its objects lie.
    #[must_use]
    pub fn prefix(&self) -> String {
        names::prefix(self.facts.tenant_id, self.facts.backup_id)
    }

    fn check(&self) -> Result<(), ArchiveError> {
        let prefix = format!("{}/", self.prefix());
        let mut objects = BTreeSet::new();
        let mut tables = BTreeSet::new();
        for table in &self.facts.tables {
            if !tables.insert((&table.schema, &table.name)) {
                return inconsistent(table, "stands there twice");
            }
            check_columns(table)?;
            for chunk in &table.chunks {
                check_chunk(table, chunk, &prefix)?;
                if !objects.insert(&chunk.object) {
                    return inconsistent(table, "has the same chunk twice");
                }
            }
        }
        self.check_sums()
    }

    fn check_sums(&self) -> Result<(), ArchiveError> {
        let chunks = || self.facts.tables.iter().flat_map(|table| &table.chunks);
        let sums = [
            (self.rows, sum(chunks().map(|chunk| chunk.rows))),
            (self.bytes, sum(chunks().map(|chunk| chunk.bytes))),
            (
                self.stored_bytes,
                sum(chunks().map(|chunk| chunk.stored_bytes)),
            ),
        ];
        if sums.iter().all(|(said, counted)| said == counted) {
            Ok(())
        } else {
            Err(ArchiveError::Inconsistent(
                "its sums are not those of its chunks".to_owned(),
            ))
        }
    }
}

/// Adds without overflow: the numbers come from outside.
fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

fn check_columns(table: &Table) -> Result<(), ArchiveError> {
    let names: BTreeSet<&String> = table.columns.iter().map(|column| &column.name).collect();
    if names.len() != table.columns.len() {
        return inconsistent(table, "has a column twice");
    }
    if table.key.is_empty() || !table.key.iter().all(|name| names.contains(name)) {
        return inconsistent(table, "has no key among its columns");
    }
    if !names.contains(&table.tenant_column) {
        return inconsistent(table, "has no tenant column among its columns");
    }
    Ok(())
}

fn check_chunk(table: &Table, chunk: &Chunk, prefix: &str) -> Result<(), ArchiveError> {
    let is_digest = chunk.sha256.len() == 64
        && chunk
            .sha256
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digest {
        return inconsistent(table, "has a chunk without a SHA-256");
    }
    if !chunk.object.starts_with(prefix) {
        return inconsistent(table, "has a chunk of another backup");
    }
    if chunk.rows == 0 || chunk.bytes < chunk.rows {
        return inconsistent(table, "has an empty chunk");
    }
    Ok(())
}

fn inconsistent(table: &Table, what: &str) -> Result<(), ArchiveError> {
    Err(ArchiveError::Inconsistent(format!(
        "{}.{} {what}",
        table.schema, table.name
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn facts() -> Value {
        json!({
            "backup_id": "00000000-0000-4000-8000-00000000000b",
            "tenant_id": "00000000-0000-4000-8000-00000000000a",
            "backup_name": "nightly", "job_type": "full",
            "position": "10:12:11", "position_at": "2026-01-02T03:04:05.678901+00:00",
            "incarnation": "00000000-0000-4000-8000-00000000000c", "server_version": 170010,
            "tables": [{
                "schema": "public", "name": "orders", "tenant_column": "tenant_id", "key": ["id"],
                "columns": [{"name": "id", "type": "bigint", "not_null": true, "identity": "a"},
                            {"name": "tenant_id", "type": "uuid", "not_null": true}],
                "chunks": [{"object": "tenants/00000000-0000-4000-8000-00000000000a/backups/00000000-0000-4000-8000-00000000000b/001-public.orders/000001-aa.copy.gz",
                            "rows": 2, "bytes": 80, "stored_bytes": 40, "sha256": "a".repeat(64)}]
            }]
        })
    }

    fn manifest() -> Manifest {
        Manifest::new(serde_json::from_value(facts()).unwrap()).unwrap()
    }

    fn parse_edited(edit: impl FnOnce(&mut Value)) -> Result<Manifest, ArchiveError> {
        let mut value = serde_json::to_value(manifest()).unwrap();
        edit(&mut value);
        Manifest::parse(&serde_json::to_vec(&value).unwrap())
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let written = manifest();
        assert_eq!(
            Manifest::parse(&written.to_bytes().unwrap()).unwrap(),
            written
        );
        assert_eq!(
            (written.rows, written.bytes, written.stored_bytes),
            (2, 80, 40)
        );
    }

    #[test]
    fn another_format_or_a_later_version_is_refused_by_name() {
        let refused = parse_edited(|m| m["version"] = json!(2)).unwrap_err();
        assert!(refused.to_string().contains("version 2"), "{refused}");
        assert!(matches!(
            parse_edited(|m| m["format"] = json!("tar")),
            Err(ArchiveError::UnknownFormat { .. })
        ));
    }

    #[test]
    fn a_chunk_of_another_backup_is_refused() {
        let edited = parse_edited(|m| {
            m["tables"][0]["chunks"][0]["object"] = json!("tenants/x/backups/y/chunk");
        });
        assert!(matches!(edited, Err(ArchiveError::Inconsistent(_))));
    }

    #[test]
    fn a_chunk_named_twice_is_refused() {
        let edited = parse_edited(|m| {
            let chunk = m["tables"][0]["chunks"][0].clone();
            m["tables"][0]["chunks"] = json!([chunk, chunk]);
        });
        assert!(matches!(edited, Err(ArchiveError::Inconsistent(_))));
    }

    #[test]
    fn sums_that_do_not_add_up_are_refused() {
        assert!(matches!(
            parse_edited(|m| m["rows"] = json!(3)),
            Err(ArchiveError::Inconsistent(_))
        ));
    }

    #[test]
    fn a_key_outside_the_columns_is_refused() {
        assert!(matches!(
            parse_edited(|m| m["tables"][0]["key"] = json!(["nope"])),
            Err(ArchiveError::Inconsistent(_))
        ));
    }

    #[test]
    fn no_input_panics() {
        let good = manifest().to_bytes().unwrap();
        for end in 0..good.len() {
            assert!(Manifest::parse(&good[..end]).is_err() || end + 1 == good.len());
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            let _ = Manifest::parse(&bad);
        }
    }
}
