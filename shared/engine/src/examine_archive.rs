//! What can be seen of an archive without a database: its manifests, its objects and their sizes,
//! and, one level further, every byte and every line.

use crate::error::EngineError;
use crate::examine::{Depth, Plan, Progress, save};
use crate::examine_lines::foreign_rows;
use crate::objects::fetch;
use crate::restore::verified;
use crate::retry::persistently;
use crate::tally::Tally;
use crate::world::World;
use m23_archive::{ArchiveError, Chunk, Lines, Manifest, Table, check_lines, check_link};
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How far it has come is noted this often, in milliseconds: well within a lease.
const NOTED_EVERY_MS: u64 = 5_000;

/// One archive of a chain, as the database knows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Archive {
    backup_id: Uuid,
    manifest: Option<String>,
    manifest_sha256: Option<String>,
}

/// Examines a chain. Gives whether that is done, or else was stopped by the deadline.
pub(crate) async fn examine(
    world: &impl World,
    plan: &Plan,
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut found = Tally::default();
    let manifests = read_manifests(world, plan, &mut found).await?;
    if !progress.listed {
        list(world, &manifests, &mut found).await?;
        progress.tally.add(found);
        progress.listed = true;
    }
    if plan.level == Depth::Basic {
        return Ok(true);
    }
    read(world, plan, &manifests, progress, deadline).await
}

/// The manifests that can be relied on.
async fn read_manifests(
    world: &impl World,
    plan: &Plan,
    tally: &mut Tally,
) -> Result<Vec<Manifest>, EngineError> {
    let mut manifests: Vec<Manifest> = Vec::new();
    for archive in &plan.archives {
        let Some(object) = archive.manifest.as_deref() else {
            tally.find(
                "no_archive",
                &archive.backup_id.to_string(),
                "this backup is a position inside the database, and has no archive",
            );
            continue;
        };
        match read_manifest(world, plan, archive, object).await {
            Ok(manifest) => {
                tally.pass();
                if let Some(parent) = manifests.last() {
                    link(archive, object, &manifest, parent, plan, tally);
                }
                manifests.push(manifest);
            }
            Err(error) => note(tally, object, error, manifest_kind)?,
        }
    }
    Ok(manifests)
}

async fn read_manifest(
    world: &impl World,
    plan: &Plan,
    archive: &Archive,
    object: &str,
) -> Result<Manifest, EngineError> {
    let sha256 = archive.manifest_sha256.as_deref().unwrap_or_default();
    let bytes = fetch(world, object, sha256).await?;
    let manifest = Manifest::parse(&bytes).map_err(|error| EngineError::in_part(object, error))?;
    let facts = &manifest.facts;
    if (facts.tenant_id, facts.backup_id) == (plan.tenant_id, archive.backup_id) {
        Ok(manifest)
    } else {
        Err(EngineError::Exchanged(object.to_owned()))
    }
}

/// A member of a chain builds upon the one before it, as that one is now.
fn link(
    archive: &Archive,
    object: &str,
    manifest: &Manifest,
    parent: &Manifest,
    plan: &Plan,
    tally: &mut Tally,
) {
    let before = plan
        .archives
        .iter()
        .take_while(|other| other.backup_id != archive.backup_id)
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
    manifests: &[Manifest],
    tally: &mut Tally,
) -> Result<(), EngineError> {
    for manifest in manifests {
        let prefix = format!("{}/", manifest.prefix());
        let sizes = persistently(world, async || world.sizes(&prefix).await).await?;
        for (_, _, chunk) in chunks(std::slice::from_ref(manifest)) {
            check_size(chunk, &sizes, tally);
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

fn chunks(manifests: &[Manifest]) -> impl Iterator<Item = (&Table, Lines, &Chunk)> {
    manifests
        .iter()
        .flat_map(|manifest| &manifest.facts.tables)
        .flat_map(|table| {
            table
                .objects()
                .map(move |(lines, _, chunk)| (table, lines, chunk))
        })
}

/// Reads every byte from where an earlier driver stopped.
async fn read(
    world: &impl World,
    plan: &Plan,
    manifests: &[Manifest],
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut noted_at = world.now_ms();
    let done = usize::try_from(progress.read).unwrap_or(usize::MAX);
    for (place, (table, lines, chunk)) in chunks(manifests).skip(done).enumerate() {
        // However little time there is, a drive brings its test further.
        if place > 0 && world.now_ms() >= deadline {
            return Ok(false);
        }
        if !progress.tally.knows(&chunk.object) {
            match read_chunk(world, plan, table, lines, chunk).await {
                Ok(0) => progress.tally.pass(),
                Ok(rows) => progress.tally.find(
                    "foreign_row",
                    &chunk.object,
                    &format!("{} holds {rows} row(s) of another tenant", chunk.object),
                ),
                Err(error) => note(&mut progress.tally, &chunk.object, error, chunk_kind)?,
            }
        }
        progress.read += 1;
        if world.now_ms() >= noted_at + NOTED_EVERY_MS {
            save(world, plan, progress).await?;
            noted_at = world.now_ms();
        }
    }
    Ok(true)
}

/// Gives how many rows are another tenant's.
async fn read_chunk(
    world: &impl World,
    plan: &Plan,
    table: &Table,
    kind: Lines,
    chunk: &Chunk,
) -> Result<usize, EngineError> {
    let lines = verified(world, chunk).await?;
    let checked = check_lines(&lines, table, kind).and_then(|()| match kind {
        Lines::Rows => foreign_rows(&lines, table, plan.tenant_id),
        Lines::History => Ok(0),
    });
    checked.map_err(|error| EngineError::in_part(&chunk.object, error))
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

fn chunk_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Missing(_) => Some("object_missing"),
        EngineError::Altered(_) => Some("object_altered"),
        EngineError::Archive { error, .. } => Some(match error {
            ArchiveError::WrongLine { .. } => "line_malformed",
            ArchiveError::Sealed(_) => "undecryptable",
            _ => "object_damaged",
        }),
        _ => None,
    }
}
