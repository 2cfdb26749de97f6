//! Chunks at their places, and their lines.

use super::{Archive, Fault, KeyFault, Opener, Source, fetch};
use crate::seal::{chunk_context, fingerprint_context, fingerprint_from_text};
use crate::{ArchiveError, Chunk, Lines, Table, Version, check_lines, check_tenant, unpack};
use uuid::Uuid;

/// A chunk at its place.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The archive that it belongs to.
    pub archive: &'a Archive,
    /// The table's place among the archive's tables, from 1.
    pub ordinal: u32,
    /// The table.
    pub table: &'a Table,
    /// What its lines are.
    pub lines: Lines,
    /// Its place among the table's chunks of its kind, from 1.
    pub seq: u32,
    /// What the manifest says of it.
    pub chunk: &'a Chunk,
}

impl Stored<'_> {
    /// The version of its archive, which says what the lines of its history are.
    #[must_use]
    pub const fn version(self) -> Version {
        self.archive.manifest.version
    }

    /// Its bytes as they are stored.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Altered`].
    pub async fn fetch<S: Source>(self, source: &S) -> Result<Vec<u8>, S::Error> {
        let Chunk {
            object,
            sha256,
            stored_bytes,
            ..
        } = self.chunk;
        fetch(source, object, sha256, *stored_bytes).await
    }

    /// Its lines, every byte verified: first the hash, then the seal, then what is inside.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read<O: Opener>(self, opener: &O) -> Result<Vec<u8>, O::Error> {
        let stored = self.fetch(opener).await?;
        let packed = self.open(opener, stored).await?;
        Ok(self.in_it(unpack(&packed, self.chunk))?)
    }

    /// The same, and holds it to all that can be known of it without a database: its fingerprint opens, each line has
    /// its table's form, and each row is the tenant's.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read_checked<O: Opener>(self, opener: &O) -> Result<Vec<u8>, O::Error> {
        let lines = self.read(opener).await?;
        self.fingerprint(opener).await?;
        self.check(&lines)?;
        let tenant = &self.archive.manifest.facts.tenant_id;
        self.in_it(check_tenant(
            &lines,
            self.table,
            self.lines,
            self.version(),
            tenant,
        ))?;
        Ok(lines)
    }

    /// Holds its lines to the rules for them.
    ///
    /// # Errors
    /// [`ArchiveError::WrongLine`] of its object.
    pub fn check(self, lines: &[u8]) -> Result<(), Fault> {
        self.in_it(check_lines(lines, self.table, self.lines, self.version()))
    }

    /// The fingerprint of its lines in decimal, where the archive has one.
    ///
    /// # Errors
    /// [`Fault`], where it was not sealed for its place, or is no number.
    pub async fn fingerprint<O: Opener>(self, opener: &O) -> Result<Option<String>, O::Error> {
        let (Some(text), Some(key)) = (&self.chunk.fingerprint, &self.archive.key) else {
            return Ok(self.chunk.fingerprint.clone());
        };
        let object = &self.chunk.object;
        let sealed = self.in_it(fingerprint_from_text(text))?;
        let context = self.context(fingerprint_context);
        let opened = key.open(opener, object, &sealed, &context).await?;
        let number = String::from_utf8(opened).ok();
        let number = number.filter(|text| text.parse::<i128>().is_ok());
        Ok(Some(number.ok_or_else(|| Fault::sealed_otherwise(object))?))
    }

    async fn open<O: Opener>(self, opener: &O, stored: Vec<u8>) -> Result<Vec<u8>, O::Error> {
        match &self.archive.key {
            Some(key) => {
                let context = self.context(chunk_context);
                key.open(opener, &self.chunk.object, &stored, &context)
                    .await
            }
            None if self.archive.is_locked() => Err(Fault::from(KeyFault::NoMaster).into()),
            None => Ok(stored),
        }
    }

    /// What something of it is sealed with.
    fn context(self, of: fn(Uuid, u32, Lines, u32) -> Vec<u8>) -> Vec<u8> {
        let backup = self.archive.manifest.facts.backup_id;
        of(backup, self.ordinal, self.lines, self.seq)
    }

    fn in_it<T>(self, outcome: Result<T, ArchiveError>) -> Result<T, Fault> {
        outcome.map_err(|error| Fault::damaged(&self.chunk.object, error))
    }
}
