//! The manifest: what a backup is, and every object that belongs to it.

mod check;

use crate::table::sum;
use crate::version::FORMAT;
use crate::{ArchiveError, Chunk, Position, Table, Version, names, strict};
use chrono::{DateTime, Utc};
use m23_tenant::TenantId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One backup. `manifest.json` is this, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`Manifest::FORMAT`].
    pub format: String,
    /// [`Manifest::VERSION`] of the program that wrote it. It says what the lines of its history are.
    pub version: Version,
    /// How its chunks are encrypted; none when they are plain.
    #[serde(default)]
    pub encryption: Option<Encryption>,
    /// What was backed up, and as of when.
    #[serde(flatten)]
    pub facts: Facts,
    /// Rows in all tables; entries of the log are not counted.
    pub rows: u64,
    /// Bytes of all lines, the log's too.
    pub bytes: u64,
    /// Bytes of all chunks as stored, the log's too.
    pub stored_bytes: u64,
}

/// How chunks are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// The tenant's data key; its object is [`crate::key_object`].
    pub key_id: Uuid,
    /// The cipher.
    pub algorithm: Algorithm,
}

/// A cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// AES-256 in Galois/counter mode, with a random nonce of 12 bytes and a tag of 16.
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
}

/// What the database says of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The backup's id: `backup_jobs.id`.
    pub backup_id: Uuid,
    /// The only tenant whose rows are inside.
    pub tenant_id: TenantId,
    /// Its name.
    pub backup_name: String,
    /// What it builds upon.
    pub job_type: JobType,
    /// The full backup that its chain begins with; none for a full one.
    #[serde(default)]
    pub base_backup_id: Option<Uuid>,
    /// The backup before it in its chain; none for a full one.
    #[serde(default)]
    pub parent: Option<Parent>,
    /// The moment of every row inside.
    pub position: Position,
    /// The time of that moment.
    pub position_at: DateTime<Utc>,
    /// The life of the database that positions and transactions belong to.
    pub incarnation: Uuid,
    /// `server_version_num` of the server.
    pub server_version: u32,
    /// What a time between the parent and this backup is resolved by.
    #[serde(default)]
    pub commit_times: CommitTimes,
    /// Where commit times are not native: the moments since the parent that can be reached, in order.
    #[serde(default)]
    pub ticks: Vec<Tick>,
    /// SQL for the types, domains and enums that the tables need, in order.
    #[serde(default)]
    pub definitions: Vec<String>,
    /// The tables, in the order in which they were read.
    pub tables: Vec<Table>,
}

/// What a backup builds upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Nothing: every row is inside.
    Full,
    /// Its parent: what has changed since is inside.
    Incremental,
}

/// The backup before an incremental one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its id.
    pub backup_id: Uuid,
    /// Its manifest's object.
    pub manifest: String,
    /// SHA-256 of its manifest, in lower-case hexadecimal.
    pub sha256: String,
    /// Its position.
    pub position: Position,
    /// The time of that.
    pub position_at: DateTime<Utc>,
}

/// What a time is resolved by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitTimes {
    /// The time at which each transaction was committed: exact.
    #[default]
    Native,
    /// The last tick before the time.
    Ticks,
}

/// A moment that can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Its time.
    pub at: DateTime<Utc>,
    /// What was committed by then.
    pub position: Position,
}

impl Manifest {
    /// What a manifest calls itself.
    pub const FORMAT: &'static str = FORMAT;
    /// The version that this program writes, and the newest that it reads.
    pub const VERSION: Version = Version::NEWEST;

    /// The manifest of a backup that has just been stored.
    ///
    /// # Errors
    /// [`ArchiveError::Inconsistent`] when the facts break a rule of the format.
    pub fn new(facts: Facts, encryption: Option<Encryption>) -> Result<Self, ArchiveError> {
        let mut manifest = Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            encryption,
            facts,
            rows: 0,
            bytes: 0,
            stored_bytes: 0,
        };
        [manifest.rows, manifest.bytes, manifest.stored_bytes] = manifest.sums();
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// Reads a manifest and checks its rules. A field that this version does not know is refused:
    /// what it means may change what the others do.
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
        if head.format != Self::FORMAT || Version::try_from(head.version).is_err() {
            return Err(ArchiveError::UnknownFormat {
                format: head.format,
                version: head.version,
            });
        }
        let manifest: Self = strict::read(bytes).map_err(ArchiveError::Unreadable)?;
        check::manifest(&manifest)?;
        Ok(manifest)
    }

    /// The bytes of `manifest.json`.
    ///
    /// # Errors
    /// [`ArchiveError::Unreadable`] if it cannot be written as JSON, which does not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArchiveError> {
        strict::write(self).map_err(ArchiveError::Unreadable)
    }

    /// Where its objects lie.
    #[must_use]
    pub fn prefix(&self) -> String {
        names::backup_prefix(&self.facts.tenant_id.name(), self.facts.backup_id)
    }

    /// Its rows, bytes and stored bytes, as its chunks have them.
    pub(crate) fn sums(&self) -> [u64; 3] {
        let tables = &self.facts.tables;
        let total = |count: fn(&Chunk) -> u64| {
            sum(tables
                .iter()
                .flat_map(Table::objects)
                .map(|(_, _, chunk)| count(chunk)))
        };
        [
            sum(tables.iter().map(Table::rows)),
            total(|chunk| chunk.bytes),
            total(|chunk| chunk.stored_bytes),
        ]
    }
}
