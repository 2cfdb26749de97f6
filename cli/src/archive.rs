//! The backups in a store.

use crate::arguments::Place;
use crate::cipher::{Cipher, sha256_hex};
use crate::error::CliError;
use crate::keyring::{Master, open_key};
use crate::store::Store;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use m23_archive::{
    Chunk, Lines, Manifest, Table, check_lines, check_link, check_tenant, mac_object,
    manifest_object, seal, unpack,
};
use std::ops::Deref;
use std::pin::pin;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// Manifests and folders that are read at the same time.
const AT_ONCE: usize = 8;

/// More than any manifest has; what is larger is not read.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// What chunks in memory may come to, as lines and as stored, in units of [`UNIT`] bytes: the largest
/// that there can be, or many that are as usual.
const ROOM: u32 = 2 * (Chunk::MOST_BYTES / UNIT) as u32 + 1;

const UNIT: u64 = 1 << 20;

/// A tenant, a backup of it, and what came of reading its manifest.
pub type Read = (Uuid, Uuid, Result<Option<Backup>, CliError>);

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

/// A backup whose manifest has been read.
pub struct Backup {
    pub manifest: Manifest,
    /// The manifest's object.
    pub object: String,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// What opens it: none when it is plain, or when there is no key here.
    pub cipher: Option<Cipher>,
}

/// Where a chunk stands in its backup.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    pub ordinal: u32,
    pub table: &'a Table,
    pub lines: Lines,
    pub seq: u32,
    pub chunk: &'a Chunk,
}

impl Backup {
    /// Every chunk of the backup.
    pub fn chunks(&self) -> impl Iterator<Item = Stored<'_>> {
        (1..)
            .zip(&self.manifest.facts.tables)
            .flat_map(|(ordinal, table)| {
                table.objects().map(move |(lines, seq, chunk)| Stored {
                    ordinal,
                    table,
                    lines,
                    seq,
                    chunk,
                })
            })
    }

    /// Whether its chunks can be opened here.
    pub fn is_open(&self) -> bool {
        self.manifest.encryption.is_none() || self.cipher.is_some()
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
    pub async fn list(&self, tenant: Option<Uuid>) -> Result<Vec<(Uuid, Uuid)>, CliError> {
        let tenants = match tenant {
            Some(tenant) => vec![tenant],
            None => ids(self.store.folders("tenants").await?),
        };
        let listed = stream::iter(tenants).map(|tenant| self.list_of(tenant));
        let found: Vec<Vec<_>> = listed.buffered(AT_ONCE).try_collect().await?;
        Ok(found.concat())
    }

    async fn list_of(&self, tenant: Uuid) -> Result<Vec<(Uuid, Uuid)>, CliError> {
        let prefix = format!("tenants/{tenant}/backups");
        let backups = ids(self.store.folders(&prefix).await?).into_iter();
        Ok(backups.map(|backup| (tenant, backup)).collect())
    }

    /// Reads the manifests of backups, in their order.
    pub fn read_all(&self, backups: Vec<(Uuid, Uuid)>) -> impl Stream<Item = Read> {
        let read = move |(tenant, backup)| async move {
            (tenant, backup, self.read(tenant, backup).await)
        };
        stream::iter(backups).map(read).buffered(AT_ONCE)
    }

    /// Finds a backup by its id alone.
    pub async fn find(&self, backup: Uuid) -> Result<Backup, CliError> {
        let tenant = self.tenant_of(backup).await?;
        let found = self.read(tenant, backup).await?;
        found.ok_or_else(|| no_backup(backup))
    }

    /// Whose a backup is that has a manifest, whatever that says.
    pub async fn tenant_of(&self, backup: Uuid) -> Result<Uuid, CliError> {
        let tenants = ids(self.store.folders("tenants").await?);
        let look = |tenant: Uuid| async move {
            let object = manifest_object(&format!("tenants/{tenant}/backups/{backup}"));
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
    pub async fn read(&self, tenant: Uuid, backup: Uuid) -> Result<Option<Backup>, CliError> {
        let prefix = format!("tenants/{tenant}/backups/{backup}");
        let object = manifest_object(&prefix);
        let Some(bytes) = self.store.get(&object, MANIFEST_LIMIT).await? else {
            return Ok(None);
        };
        let manifest =
            Manifest::parse(&bytes).map_err(|error| CliError::in_object(&object, &error))?;
        if manifest.prefix() != prefix {
            return Err(CliError::damaged(&object, "it is another backup's"));
        }
        let mut backup = Backup {
            sha256: sha256_hex(&bytes),
            manifest,
            object,
            bytes,
            cipher: None,
        };
        self.unlock(&mut backup).await?;
        Ok(Some(backup))
    }

    async fn unlock(&self, backup: &mut Backup) -> Result<(), CliError> {
        let Some(encryption) = &backup.manifest.encryption else {
            return if self.is_key_required {
                Err(CliError::damaged(&backup.object, "it is not encrypted"))
            } else {
                Ok(())
            };
        };
        let tenant = backup.manifest.facts.tenant_id;
        backup.cipher = open_key(&self.store, &self.masters, tenant, encryption.key_id).await?;
        match &backup.cipher {
            Some(cipher) => self.authenticate(backup, cipher).await,
            None => Ok(()),
        }
    }

    async fn authenticate(&self, backup: &Backup, cipher: &Cipher) -> Result<(), CliError> {
        let object = mac_object(&backup.manifest.prefix());
        let bytes = self.store.get(&object, 1024).await?;
        let bytes = bytes.ok_or_else(|| CliError::damaged(&object, "it is missing"))?;
        let fault = |error| CliError::in_object(&object, &error);
        let mac = seal::mac_from_bytes(&bytes).map_err(fault)?;
        let context = seal::manifest_context(&backup.bytes);
        match cipher.open(&mac, &context).map_err(fault)? {
            Some(empty) if empty.is_empty() => Ok(()),
            _ => Err(CliError::damaged(
                &backup.object,
                "it was not written with this tenant's key, or was altered",
            )),
        }
    }

    /// The backup that another one builds upon; none for a full one.
    pub async fn parent(&self, backup: &Backup) -> Result<Option<Backup>, CliError> {
        let facts = &backup.manifest.facts;
        let Some(named) = &facts.parent else {
            return Ok(None);
        };
        let parent = self
            .read(facts.tenant_id, named.backup_id)
            .await?
            .ok_or_else(|| {
                CliError::damaged(
                    &named.manifest,
                    "it is missing, and a backup builds upon it",
                )
            })?;
        check_link(&backup.manifest, &parent.manifest, &parent.sha256)
            .map_err(|error| CliError::in_object(&named.manifest, &error))?;
        Ok(Some(parent))
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

    /// A chunk's bytes as they were stored, once there is room for them and for its lines.
    pub async fn fetch(&self, chunk: &Chunk) -> Result<Held<'_>, CliError> {
        let units = (chunk.bytes.saturating_add(chunk.stored_bytes) / UNIT).saturating_add(1);
        let units = u32::try_from(units).unwrap_or(ROOM).min(ROOM);
        // In the order in which it is asked for: whoever waits holds nothing that the first one needs.
        let room = self.room.acquire_many(units).await;
        let room = room.map_err(|error| CliError::Output(error.to_string()))?;
        let bytes = self.store.get(&chunk.object, chunk.stored_bytes).await?;
        let bytes = bytes.ok_or_else(|| CliError::damaged(&chunk.object, "it is missing"))?;
        if sha256_hex(&bytes) == chunk.sha256 {
            Ok(Held { bytes, _room: room })
        } else {
            Err(CliError::damaged(&chunk.object, "it was altered"))
        }
    }

    /// A chunk's lines, every one of them checked.
    pub async fn lines(&self, backup: &Backup, stored: Stored<'_>) -> Result<Held<'_>, CliError> {
        let Held { bytes, _room } = self.fetch(stored.chunk).await?;
        let bytes = open_chunk(backup, stored, bytes)?;
        Ok(Held { bytes, _room })
    }
}

/// The lines in a chunk's stored bytes, held to all that can be known of them without a database.
fn open_chunk(backup: &Backup, stored: Stored<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, CliError> {
    let Stored {
        table,
        lines,
        chunk,
        ..
    } = stored;
    let packed = decrypt(backup, stored, bytes)?;
    check_fingerprint(backup, stored)?;
    let checked = || {
        let unpacked = unpack(&packed, chunk)?;
        let (version, tenant) = (backup.manifest.version, backup.manifest.facts.tenant_id);
        check_lines(&unpacked, table, lines, version)?;
        check_tenant(&unpacked, table, lines, version, &tenant.to_string())?;
        Ok(unpacked)
    };
    checked().map_err(|error| CliError::in_object(&chunk.object, &error))
}

fn decrypt(backup: &Backup, stored: Stored<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, CliError> {
    let object = &stored.chunk.object;
    match (&backup.manifest.encryption, &backup.cipher) {
        (None, _) => Ok(bytes),
        (Some(_), None) => Err(CliError::Key(
            "the backup is encrypted: set ARCHIVE_KEY to its master key".to_owned(),
        )),
        (Some(_), Some(cipher)) => {
            let opened = cipher.open(&bytes, &context(backup, stored, seal::chunk_context));
            let opened = opened.map_err(|error| CliError::in_object(object, &error))?;
            opened.ok_or_else(|| {
                CliError::damaged(
                    object,
                    "it cannot be decrypted: it is another's, or of another place",
                )
            })
        }
    }
}

/// The fingerprint of an encrypted chunk is sealed for its place, and a number.
fn check_fingerprint(backup: &Backup, stored: Stored<'_>) -> Result<(), CliError> {
    let (Some(text), Some(cipher)) = (&stored.chunk.fingerprint, &backup.cipher) else {
        return Ok(());
    };
    let object = &stored.chunk.object;
    let fault = |error| CliError::in_object(object, &error);
    let sealed = seal::fingerprint_from_text(text).map_err(fault)?;
    let context = context(backup, stored, seal::fingerprint_context);
    let opened = cipher.open(&sealed, &context).map_err(fault)?;
    let number = opened.and_then(|opened| String::from_utf8(opened).ok()?.parse::<i128>().ok());
    match number {
        Some(_) => Ok(()),
        None => Err(CliError::damaged(
            object,
            "its fingerprint was not sealed for its place",
        )),
    }
}

/// What something of a chunk's is sealed with.
fn context(
    backup: &Backup,
    stored: Stored<'_>,
    of: fn(Uuid, u32, Lines, u32) -> Vec<u8>,
) -> Vec<u8> {
    let backup_id = backup.manifest.facts.backup_id;
    of(backup_id, stored.ordinal, stored.lines, stored.seq)
}

fn no_backup(backup: Uuid) -> CliError {
    CliError::NotFound(format!(
        "there is no backup {backup} in this store, or it has no manifest"
    ))
}

fn ids(names: Vec<String>) -> Vec<Uuid> {
    names
        .iter()
        .filter_map(|name| Uuid::parse_str(name).ok())
        .collect()
}
