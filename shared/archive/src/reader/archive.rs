//! The archive of one backup: its manifest, verified, and what opens its chunks.

use super::key::{DataKey, read_key};
use super::{Fault, Opener, Source, Stored, fetch};
use crate::{Lines, Manifest, Table, check_link, manifest_object};

/// More than any manifest has; what is larger is not read.
const MOST_MANIFEST_BYTES: u64 = 64 << 20;

/// A manifest, and the key of its chunks where it is encrypted and has been unlocked.
#[derive(Debug)]
pub struct Archive {
    /// What it holds.
    pub manifest: Manifest,
    /// The manifest's object.
    pub object: String,
    /// The SHA-256 of the manifest's bytes.
    pub sha256: String,
    pub(super) key: Option<DataKey>,
}

impl Archive {
    /// Reads a manifest whose SHA-256 is known: that alone refuses one that was made to look plain. An encrypted
    /// archive stays locked; its manifest's bytes unlock it.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read<S: Source>(
        source: &S,
        object: &str,
        sha256: &str,
    ) -> Result<(Self, Vec<u8>), S::Error> {
        let bytes = fetch(source, object, sha256, MOST_MANIFEST_BYTES).await?;
        Ok((Self::parse(&bytes, object, sha256.to_owned())?, bytes))
    }

    /// Reads the manifest below a prefix, whatever its SHA-256 is. None when there is no manifest: then there is no
    /// backup.
    ///
    /// # Errors
    /// [`Fault`], and where it is another backup's.
    pub async fn find<S: Source>(
        source: &S,
        prefix: &str,
    ) -> Result<Option<(Self, Vec<u8>)>, S::Error> {
        let object = manifest_object(prefix);
        let Some(bytes) = source.get(&object, MOST_MANIFEST_BYTES).await? else {
            return Ok(None);
        };
        let sha256 = hex::encode(source.sha256(&bytes).await?);
        let archive = Self::parse(&bytes, &object, sha256)?;
        if archive.manifest.prefix() == prefix {
            Ok(Some((archive, bytes)))
        } else {
            Err(Fault::Exchanged(object).into())
        }
    }

    fn parse(bytes: &[u8], object: &str, sha256: String) -> Result<Self, Fault> {
        let manifest = Manifest::parse(bytes).map_err(|error| Fault::damaged(object, error))?;
        Ok(Self {
            manifest,
            object: object.to_owned(),
            sha256,
            key: None,
        })
    }

    /// Gets the key of an encrypted one, and authenticates the manifest with it. `near` is an archive
    /// of the same chain, which has the same key more often than not.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn unlock<O: Opener>(
        &mut self,
        opener: &O,
        bytes: &[u8],
        near: Option<&Self>,
    ) -> Result<(), O::Error> {
        let Some(encryption) = &self.manifest.encryption else {
            return Ok(());
        };
        let (tenant, id) = (&self.manifest.facts.tenant_id, encryption.key_id);
        let known = near.and_then(|archive| archive.key.clone());
        let key = match known.filter(|key| key.id == id) {
            Some(key) => key,
            None => read_key(opener, tenant, id).await?,
        };
        let prefix = self.manifest.prefix();
        key.check_manifest(opener, &prefix, bytes).await?;
        self.key = Some(key);
        Ok(())
    }

    /// The archive that this one builds upon, locked, and its manifest's bytes; none for a full one.
    ///
    /// # Errors
    /// [`Fault`], and where it is not what this one builds upon.
    pub async fn read_parent<S: Source>(
        &self,
        source: &S,
    ) -> Result<Option<(Self, Vec<u8>)>, S::Error> {
        let Some(named) = &self.manifest.facts.parent else {
            return Ok(None);
        };
        let (parent, bytes) = Self::read(source, &named.manifest, &named.sha256).await?;
        check_link(&self.manifest, &parent.manifest, &parent.sha256)
            .map_err(|error| Fault::damaged(&named.manifest, error))?;
        Ok(Some((parent, bytes)))
    }

    /// Whether it is encrypted, and its key is not there.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.manifest.encryption.is_some() && self.key.is_none()
    }

    /// Its tables, each with its place.
    pub fn tables(&self) -> impl Iterator<Item = (u32, &Table)> {
        (1_u32..).zip(&self.manifest.facts.tables)
    }

    /// The chunks of a table.
    pub fn chunks<'a>(
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
            ordinal,
            table,
            lines,
            seq,
            chunk,
        })
    }

    /// All its chunks: of each table the rows, then the history.
    pub fn all_chunks(&self) -> impl Iterator<Item = Stored<'_>> {
        let of_a_table = move |placed| {
            let kinds = [Lines::Rows, Lines::History].into_iter();
            kinds.flat_map(move |lines| self.chunks(placed, lines))
        };
        self.tables().flat_map(of_a_table)
    }
}
