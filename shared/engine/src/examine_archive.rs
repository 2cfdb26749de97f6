//! What can be seen of an archive without a database: its manifests, its objects and their sizes,
//! and, one level further, every byte and every line.

use crate::archive::{Archive, Stored, read_manifest};
use crate::error::EngineError;
use crate::examine::{Depth, Plan, Progress, save};
use crate::keys::find_key;
use crate::retry::persistently;
use crate::tally::{Tally, UNSAFE_DEFINITION};
use crate::world::World;
use m23_archive::definition::check_definitions;
use m23_archive::{ArchiveError, Chunk, Lines, Manifest, check_link};
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How far it has come is noted this often, in milliseconds: well within a lease.
const NOTED_EVERY_MS: u64 = 5_000;

/// One archive of a chain, as the database knows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Known {
    backup_id: Uuid,
    manifest: Option<String>,
    manifest_sha256: Option<String>,
}

impl Known {
    /// Whether it lies in the bucket: a snapshot is a position inside the database.
    pub(crate) const fn is_stored(&self) -> bool {
        self.manifest.is_some()
    }
}

/// Examines a chain. Gives whether that is done, or else was stopped by the deadline.
pub(crate) async fn examine(
    world: &impl World,
    plan: &Plan,
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut found = Tally::default();
    let archives = read_archives(world, plan, &mut found).await?;
    if !progress.listed {
        list(world, &archives, &mut found).await?;
        progress.tally.add(found);
        progress.listed = true;
    }
    if plan.level == Depth::Basic {
        return Ok(true);
    }
    read(world, plan, &archives, progress, deadline).await
}

/// The archives whose manifests can be relied on.
async fn read_archives(
    world: &impl World,
    plan: &Plan,
    tally: &mut Tally,
) -> Result<Vec<Archive>, EngineError> {
    let mut archives: Vec<Archive> = Vec::new();
    for known in &plan.archives {
        let Some(object) = known.manifest.as_deref() else {
            tally.find(
                "no_archive",
                &known.backup_id.to_string(),
                "this backup is a position inside the database, and has no archive",
            );
            continue;
        };
        match read_known(world, plan, known, object).await {
            Ok((manifest, bytes)) => {
                tally.pass();
                if let Err(error) = check_definitions(&manifest) {
                    tally.find(UNSAFE_DEFINITION, object, &error.to_string());
                }
                if let Some(parent) = archives.last() {
                    link(known, object, &manifest, &parent.manifest, plan, tally);
                }
                let mut archive = Archive::locked(manifest);
                if archive.manifest.encryption.is_some() {
                    match unlock(world, plan.level, &mut archive, &bytes, archives.last()).await {
                        Ok(()) => tally.pass(),
                        Err(error) => note(tally, object, error, key_kind)?,
                    }
                }
                archives.push(archive);
            }
            Err(error) => note(tally, object, error, manifest_kind)?,
        }
    }
    Ok(archives)
}

async fn read_known(
    world: &impl World,
    plan: &Plan,
    known: &Known,
    object: &str,
) -> Result<(Manifest, Vec<u8>), EngineError> {
    let sha256 = known.manifest_sha256.as_deref().unwrap_or_default();
    let (manifest, bytes) = read_manifest(world, object, sha256).await?;
    let facts = &manifest.facts;
    if (facts.tenant_id, facts.backup_id) == (plan.tenant_id, known.backup_id) {
        Ok((manifest, bytes))
    } else {
        Err(EngineError::Exchanged(object.to_owned()))
    }
}

/// The key is there; one level further, it opens, and the manifest is authentic.
async fn unlock(
    world: &impl World,
    level: Depth,
    archive: &mut Archive,
    bytes: &[u8],
    near: Option<&Archive>,
) -> Result<(), EngineError> {
    match (&archive.manifest.encryption, level) {
        (Some(encryption), Depth::Basic) => {
            let tenant = archive.manifest.facts.tenant_id;
            find_key(world, tenant, encryption.key_id).await?;
            Ok(())
        }
        _ => archive.unlock(world, bytes, near).await,
    }
}

/// A member of a chain builds upon the one before it, as that one is now.
fn link(
    known: &Known,
    object: &str,
    manifest: &Manifest,
    parent: &Manifest,
    plan: &Plan,
    tally: &mut Tally,
) {
    let before = plan
        .archives
        .iter()
        .take_while(|other| other.backup_id != known.backup_id)
        .last();
    let sha256 = before.and_then(|other| other.manifest_sha256.as_deref());
    match check_link(manifest, parent, sha256.unwrap_or_default()) {
        Ok(()) => tally.pass(),
        Err(error) => tally.find("chain_broken", object, &error.to_string()),
    }
}

/// Every object is there, with its size.
async fn list(
    world: &impl World,
    archives: &[Archive],
    tally: &mut Tally,
) -> Result<(), EngineError> {
    for archive in archives {
        let prefix = format!("{}/", archive.manifest.prefix());
        let sizes = persistently(world, async || world.sizes(&prefix).await).await?;
        for stored in chunks(std::slice::from_ref(archive)) {
            check_size(stored.chunk, &sizes, tally);
        }
    }
    Ok(())
}

fn check_size(chunk: &Chunk, sizes: &BTreeMap<String, u64>, tally: &mut Tally) {
    match sizes.get(&chunk.object) {
        Some(size) if *size == chunk.stored_bytes => tally.pass(),
        Some(size) => tally.find(
            "object_size",
            &chunk.object,
            &format!(
                "{} is {size} bytes long, not {}",
                chunk.object, chunk.stored_bytes
            ),
        ),
        None => tally.find(
            "object_missing",
            &chunk.object,
            &EngineError::Missing(chunk.object.clone()).to_string(),
        ),
    }
}

fn chunks(archives: &[Archive]) -> impl Iterator<Item = Stored<'_>> {
    archives.iter().flat_map(|archive| {
        archive.tables().flat_map(move |placed| {
            [Lines::Rows, Lines::History]
                .into_iter()
                .flat_map(move |lines| archive.chunks(placed, lines))
        })
    })
}

/// Reads every byte from where an earlier driver stopped.
async fn read(
    world: &impl World,
    plan: &Plan,
    archives: &[Archive],
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut noted_at = world.now_ms();
    let done = usize::try_from(progress.read).unwrap_or(usize::MAX);
    for (place, stored) in chunks(archives).skip(done).enumerate() {
        let chunk = stored.chunk;
        // However little time there is, a drive brings its test further.
        if place > 0 && world.now_ms() >= deadline {
            return Ok(false);
        }
        if !progress.tally.knows(&chunk.object) {
            match read_chunk(world, stored).await {
                Ok(()) => progress.tally.pass(),
                Err(error) => note(&mut progress.tally, &chunk.object, error, chunk_kind)?,
            }
        }
        progress.read += 1;
        plan.meter.count(chunk.rows, chunk.stored_bytes);
        if world.now_ms() >= noted_at + NOTED_EVERY_MS {
            save(world, plan, progress).await?;
            noted_at = world.now_ms();
        }
    }
    Ok(true)
}

/// Every byte and line of a chunk. What cannot be decrypted is compared with its hash.
async fn read_chunk(world: &impl World, stored: Stored<'_>) -> Result<(), EngineError> {
    if stored.is_locked() {
        stored.fetch(world).await?;
        return Ok(());
    }
    let lines = stored.read(world).await?;
    stored.check(&lines)?;
    stored.check_tenant(&lines)
}

/// What is wrong with the archive is a finding; anything else ends the drive.
fn note(
    tally: &mut Tally,
    object: &str,
    error: EngineError,
    kind: fn(&EngineError) -> Option<&'static str>,
) -> Result<(), EngineError> {
    match kind(&error) {
        Some(kind) => {
            tally.find(kind, object, &error.to_string());
            Ok(())
        }
        None => Err(error),
    }
}

fn manifest_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Missing(_) => Some("manifest_missing"),
        EngineError::Altered(_) => Some("manifest_altered"),
        EngineError::Exchanged(_) => Some("exchanged"),
        EngineError::Archive { .. } => Some("manifest_invalid"),
        _ => None,
    }
}

/// Of a key object, and of `manifest.mac`.
fn key_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Key(_) | EngineError::Missing(_) | EngineError::Archive { .. } => {
            Some("undecryptable")
        }
        _ => None,
    }
}

fn chunk_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Missing(_) => Some("object_missing"),
        EngineError::Altered(_) => Some("object_altered"),
        EngineError::Archive { error, .. } => Some(match error {
            ArchiveError::WrongLine { .. } => "line_malformed",
            ArchiveError::ForeignRows(_) => "foreign_row",
            ArchiveError::Sealed(_) => "undecryptable",
            _ => "object_damaged",
        }),
        _ => None,
    }
}
