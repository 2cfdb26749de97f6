//! One archive: its manifest, verified, what opens its chunks, and the chunks at their places.

use crate::data_key::DataKey;
use crate::error::EngineError;
use crate::key_fault::KeyFault;
use crate::keys::read_key;
use crate::objects::fetch;
use crate::world::World;
use m23_archive::seal::{chunk_context, fingerprint_context, fingerprint_from_text};
use m23_archive::{Chunk, Lines, Manifest, Table, Version, check_lines, check_tenant, unpack};
use serde_json::{Value, json};

/// A manifest, and the key of its chunks where it is encrypted and has been unlocked.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) manifest: Manifest,
    key: Option<DataKey>,
}

/// Reads a manifest whose SHA-256 is known: that alone refuses one that was made to look plain.
pub(crate) async fn read_manifest(
    world: &impl World,
    object: &str,
    sha256: &str,
) -> Result<(Manifest, Vec<u8>), EngineError> {
    let bytes = fetch(world, object, sha256).await?;
    let manifest = Manifest::parse(&bytes).map_err(|error| EngineError::in_part(object, error))?;
    Ok((manifest, bytes))
}

impl Archive {
    /// An archive as it is; an encrypted one stays locked.
    pub(crate) const fn locked(manifest: Manifest) -> Self {
        Self {
            manifest,
            key: None,
        }
    }

    /// Gets the key of an encrypted one, and authenticates the manifest with it. `near` is an archive
    /// of the same chain, which has the same key more often than not.
    pub(crate) async fn unlock(
        &mut self,
        world: &impl World,
        bytes: &[u8],
        near: Option<&Self>,
    ) -> Result<(), EngineError> {
        let Some(encryption) = &self.manifest.encryption else {
            return Ok(());
        };
        let (tenant, id) = (self.manifest.facts.tenant_id, encryption.key_id);
        let known = near
            .and_then(|archive| archive.key.clone())
            .filter(|key| key.id == id);
        let key = match known {
            Some(key) => key,
            None => read_key(world, tenant, id).await?,
        };
        key.check_manifest(world, &self.manifest.prefix(), bytes)
            .await?;
        self.key = Some(key);
        Ok(())
    }

    /// Its tables, each with its place.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (u32, &Table)> {
        (1_u32..).zip(&self.manifest.facts.tables)
    }

    /// The chunks of a table.
    pub(crate) fn chunks<'a>(
        &'a self,
        (ordinal, table): (u32, &'a Table),
        lines: Lines,
    ) -> impl Iterator<Item = Stored<'a>> {
        let chunks = match lines {
            Lines::Rows => &table.chunks,
            Lines::History => &table.history,
        };
        (1_u32..).zip(chunks).map(move |(seq, chunk)| Stored {
            archive: self,
            table,
            ordinal,
            lines,
            seq,
            chunk,
        })
    }
}

/// A chunk at its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    archive: &'a Archive,
    pub(crate) table: &'a Table,
    ordinal: u32,
    pub(crate) lines: Lines,
    seq: u32,
    pub(crate) chunk: &'a Chunk,
}

impl Stored<'_> {
    /// Where it stands in its backup, as the database knows it.
    pub(crate) fn place(self) -> Value {
        json!({
            "backup_id": self.archive.manifest.facts.backup_id, "ordinal": self.ordinal,
            "seq": self.seq, "history": self.lines == Lines::History,
        })
    }

    /// The version of its archive, which says what the lines of its history are.
    pub(crate) const fn version(self) -> Version {
        self.archive.manifest.version
    }

    /// Holds its lines to the rules for them.
    pub(crate) fn check(self, lines: &[u8]) -> Result<(), EngineError> {
        check_lines(lines, self.table, self.lines, self.version())
            .map_err(|error| EngineError::in_part(&self.chunk.object, error))
    }

    /// Holds its rows to be the tenant's. A restore leaves that to the database, which has them anyway.
    pub(crate) fn check_tenant(self, lines: &[u8]) -> Result<(), EngineError> {
        let tenant = self.archive.manifest.facts.tenant_id.to_string();
        check_tenant(lines, self.table, self.lines, self.version(), &tenant)
            .map_err(|error| EngineError::in_part(&self.chunk.object, error))
    }

    /// Its lines, every byte verified: first the hash, then the seal, then what is inside.
    pub(crate) async fn read(self, world: &impl World) -> Result<Vec<u8>, EngineError> {
        let chunk = self.chunk;
        let stored = self.fetch(world).await?;
        let packed = self.open(world, stored).await?;
        unpack(&packed, chunk).map_err(|error| EngineError::in_part(&chunk.object, error))
    }

    /// The fingerprint of its lines in decimal, where the archive has one.
    pub(crate) async fn fingerprint(
        self,
        world: &impl World,
    ) -> Result<Option<String>, EngineError> {
        let (Some(text), Some(key)) = (&self.chunk.fingerprint, &self.archive.key) else {
            return Ok(self.chunk.fingerprint.clone());
        };
        let fault = |error| EngineError::in_part(&self.chunk.object, error);
        let sealed = fingerprint_from_text(text).map_err(fault)?;
        let backup = self.archive.manifest.facts.backup_id;
        let context = fingerprint_context(backup, self.ordinal, self.lines, self.seq);
        let opened = key
            .open(world, &self.chunk.object, &sealed, &context)
            .await?;
        Ok(Some(String::from_utf8_lossy(&opened).into_owned()))
    }

    /// Its bytes as they are stored.
    pub(crate) async fn fetch(self, world: &impl World) -> Result<Vec<u8>, EngineError> {
        fetch(world, &self.chunk.object, &self.chunk.sha256).await
    }

    /// Whether it is encrypted, and its key is not there.
    pub(crate) fn is_locked(self) -> bool {
        self.archive.manifest.encryption.is_some() && self.archive.key.is_none()
    }

    async fn open(self, world: &impl World, stored: Vec<u8>) -> Result<Vec<u8>, EngineError> {
        let Some(key) = &self.archive.key else {
            return if self.is_locked() {
                Err(KeyFault::NoMaster.into())
            } else {
                Ok(stored)
            };
        };
        let backup = self.archive.manifest.facts.backup_id;
        let context = chunk_context(backup, self.ordinal, self.lines, self.seq);
        key.open(world, &self.chunk.object, &stored, &context).await
    }
}
