//! The backups in a store.

use crate::arguments::Place;
use crate::cipher::{decrypt, sha256};
use crate::error::CliError;
use crate::keyring::Master;
use crate::store::Store;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use m23_archive::reader::{self, Opener, Source, Stored};
use m23_archive::seal::Sealed;
use m23_archive::{Chunk, KEY, backup_prefix, manifest_object};
use m23_tenant::{TenantId, TenantName};
use std::ops::Deref;
use std::pin::pin;
use std::str::FromStr;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// Manifests and folders that are read at the same time.
const AT_ONCE: usize = 8;

/// What chunks in memory may come to, as lines and as stored, in units of [`UNIT`] bytes: the largest
/// that there can be, or many that are as usual.
const ROOM: u32 = 2 * (Chunk::MOST_BYTES / UNIT) as u32 + 1;

const UNIT: u64 = 1 << 20;

/// What a backup's tenant and itself are called in the store.
pub type Id = (TenantName, Uuid);

/// A backup, and what came of reading its manifest.
pub type Read = (TenantName, Uuid, Result<Option<Backup>, CliError>);

/// A store, and what opens it.
pub struct Archive {
    pub store: Store,
    masters: Vec<Master>,
    /// Whether a backup has to be encrypted, with the only master key that is left.
    is_key_required: bool,
    room: Semaphore,
}

/// The bytes of a chunk, which take up room until they are let go.
pub struct Held<'a> {
    bytes: Vec<u8>,
    _room: SemaphorePermit<'a>,
}

impl Deref for Held<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A backup whose manifest has been read, and authenticated where there is a key for it.
pub struct Backup {
    pub archive: reader::Archive,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
}

impl Deref for Backup {
    type Target = reader::Archive;

    fn deref(&self) -> &reader::Archive {
        &self.archive
    }
}

impl Source for Archive {
    type Error = CliError;

    async fn get(&self, object: &str, most: u64) -> Result<Option<Vec<u8>>, CliError> {
        self.store.get(object, most).await
    }

    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], CliError> {
        Ok(sha256(bytes))
    }
}

impl Opener for Archive {
    fn masters(&self) -> impl Iterator<Item = [u8; KEY]> {
        self.masters.iter().map(|master| master.key)
    }

    async fn open(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, CliError> {
        Ok(decrypt(key, sealed, context))
    }
}

impl Archive {
    /// Opens a store with the master keys of the environment.
    pub fn open(place: &Place) -> Result<Self, CliError> {
        let masters = ["ARCHIVE_KEY", "ARCHIVE_KEY_PREVIOUS"].map(Master::from_env);
        Ok(Self {
            store: Store::open(place)?,
            masters: masters
                .into_iter()
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?,
            is_key_required: false,
            room: Semaphore::new(ROOM as usize),
        })
    }

    /// From now on a backup that is not encrypted is refused, and so is one whose key is wrapped with
    /// another master key than `ARCHIVE_KEY`: nobody else can have written what remains.
    pub fn require_key(&mut self) -> Result<(), CliError> {
        let master = Master::from_env("ARCHIVE_KEY")?.ok_or_else(|| {
            CliError::Key("--require-key asks for a key: set ARCHIVE_KEY".to_owned())
        })?;
        self.masters = vec![master];
        self.is_key_required = true;
        Ok(())
    }

    /// There is nothing in the store, so it may be another one than was meant.
    pub fn empty(&self) -> CliError {
        CliError::NotFound(format!(
            "there is no backup in {}: is it the right store?",
            self.store.name()
        ))
    }

    /// The ids of all backups, or of a tenant's; one without a manifest too.
    pub async fn list(&self, tenant: Option<&TenantId>) -> Result<Vec<Id>, CliError> {
        let tenants = match tenant {
            Some(tenant) => vec![tenant.name()],
            None => ids(self.store.folders("tenants").await?),
        };
        let listed = stream::iter(tenants).map(|tenant| self.list_of(tenant));
        let found: Vec<Vec<_>> = listed.buffered(AT_ONCE).try_collect().await?;
        Ok(found.concat())
    }

    async fn list_of(&self, tenant: TenantName) -> Result<Vec<Id>, CliError> {
        let prefix = format!("tenants/{tenant}/backups");
        let backups: Vec<Uuid> = ids(self.store.folders(&prefix).await?);
        Ok(backups
            .into_iter()
            .map(|backup| (tenant.clone(), backup))
            .collect())
    }

    /// Reads the manifests of backups, in their order.
    pub fn read_all(&self, backups: Vec<Id>) -> impl Stream<Item = Read> {
        let read = move |(tenant, backup)| async move {
            let read = self.read(&tenant, backup).await;
            (tenant, backup, read)
        };
        stream::iter(backups).map(read).buffered(AT_ONCE)
    }

    /// Finds a backup by its id alone.
    pub async fn find(&self, backup: Uuid) -> Result<Backup, CliError> {
        let tenant = self.tenant_of(backup).await?;
        let found = self.read(&tenant, backup).await?;
        found.ok_or_else(|| no_backup(backup))
    }

    /// Whose a backup is that has a manifest, whatever that says.
    pub async fn tenant_of(&self, backup: Uuid) -> Result<TenantName, CliError> {
        let tenants: Vec<TenantName> = ids(self.store.folders("tenants").await?);
        let look = |tenant: TenantName| async move {
            let object = manifest_object(&backup_prefix(&tenant, backup));
            let is_there = self.store.has(&object).await?;
            Ok::<_, CliError>(is_there.then_some(tenant))
        };
        let mut looked = pin!(stream::iter(tenants).map(look).buffered(AT_ONCE));
        while let Some(found) = looked.next().await {
            if let Some(tenant) = found? {
                return Ok(tenant);
            }
        }
        Err(no_backup(backup))
    }

    /// Reads a backup's manifest and, with the key, checks that it was written by who has it.
    /// None when there is no manifest: then there is no backup.
    pub async fn read(
        &self,
        tenant: &TenantName,
        backup: Uuid,
    ) -> Result<Option<Backup>, CliError> {
        let prefix = backup_prefix(tenant, backup);
        match reader::Archive::find(self, &prefix).await? {
            Some(found) => self.unlock(found, None).await.map(Some),
            None => Ok(None),
        }
    }

    /// Without any master key an encrypted backup stays locked.
    async fn unlock(
        &self,
        (mut archive, bytes): (reader::Archive, Vec<u8>),
        near: Option<&reader::Archive>,
    ) -> Result<Backup, CliError> {
        if self.is_key_required && archive.manifest.encryption.is_none() {
            return Err(CliError::damaged(&archive.object, "it is not encrypted"));
        }
        if !self.masters.is_empty() {
            archive.unlock(self, &bytes, near).await?;
        }
        Ok(Backup { archive, bytes })
    }

    /// The backup that another one builds upon; none for a full one.
    pub async fn parent(&self, backup: &Backup) -> Result<Option<Backup>, CliError> {
        let found = backup.read_parent(self).await;
        match found.map_err(|error| error.with("a backup builds upon it"))? {
            Some(found) => self.unlock(found, Some(backup)).await.map(Some),
            None => Ok(None),
        }
    }

    /// A backup and all that it builds upon, itself first.
    pub async fn chain(&self, tip: Backup) -> Result<Vec<Backup>, CliError> {
        let mut chain = vec![tip];
        while let Some(last) = chain.last() {
            match self.parent(last).await? {
                Some(parent) => chain.push(parent),
                None => break,
            }
        }
        Ok(chain)
    }

    /// A chunk's bytes as they were stored, once there is room for them.
    pub async fn fetch(&self, stored: Stored<'_>) -> Result<Held<'_>, CliError> {
        let room = self.room_for(stored.chunk).await?;
        let bytes = stored.fetch(self).await?;
        Ok(Held { bytes, _room: room })
    }

    /// A chunk's lines, every one of them checked, once there is room for them.
    pub async fn lines(&self, stored: Stored<'_>) -> Result<Held<'_>, CliError> {
        let room = self.room_for(stored.chunk).await?;
        let bytes = stored.read_checked(self).await?;
        Ok(Held { bytes, _room: room })
    }

    /// Room for a chunk as it is stored and for its lines, in the order in which it is asked for: whoever waits holds
    /// nothing that the first one needs.
    async fn room_for(&self, chunk: &Chunk) -> Result<SemaphorePermit<'_>, CliError> {
        let units = (chunk.bytes.saturating_add(chunk.stored_bytes) / UNIT).saturating_add(1);
        let units = u32::try_from(units).unwrap_or(ROOM).min(ROOM);
        let room = self.room.acquire_many(units).await;
        room.map_err(|error| CliError::Output(error.to_string()))
    }
}

fn no_backup(backup: Uuid) -> CliError {
    CliError::NotFound(format!(
        "there is no backup {backup} in this store, or it has no manifest"
    ))
}

/// What is called as it should be, of the names of folders.
fn ids<T: FromStr>(names: Vec<String>) -> Vec<T> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
