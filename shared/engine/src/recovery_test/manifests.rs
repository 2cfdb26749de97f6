//! What can be seen of a chain without reading its chunks: its manifests, its keys, its objects and their sizes.

use super::kinds::{key_kind, manifest_kind, note};
use super::plan::{Depth, Known, Plan};
use super::tally::{Tally, UNSAFE_DEFINITION};
use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::retry::retry_passing;
use m23_archive::definition::check_definitions;
use m23_archive::reader::{Archive, Fault, find_key};
use m23_archive::{Chunk, Manifest, check_link};
use std::collections::BTreeMap;

/// The archives whose manifests can be relied on.
pub(super) async fn read_archives(
    ports: &impl JobPorts,
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
        match read_known(ports, plan, known, object).await {
            Ok((mut archive, bytes)) => {
                tally.pass();
                if let Err(error) = check_definitions(&archive.manifest) {
                    tally.find(UNSAFE_DEFINITION, object, &error.to_string());
                }
                if let Some(parent) = archives.last() {
                    let (manifest, parent) = (&archive.manifest, &parent.manifest);
                    link(known, object, manifest, parent, plan, tally);
                }
                if archive.manifest.encryption.is_some() {
                    match unlock(ports, plan.level, &mut archive, &bytes, archives.last()).await {
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
    ports: &impl JobPorts,
    plan: &Plan,
    known: &Known,
    object: &str,
) -> Result<(Archive, Vec<u8>), EngineError> {
    let sha256 = known.manifest_sha256.as_deref().unwrap_or_default();
    let (archive, bytes) = Archive::read(&Bucket(ports), object, sha256).await?;
    let facts = &archive.manifest.facts;
    if (&facts.tenant_id, facts.backup_id) == (&plan.tenant_id, known.backup_id) {
        Ok((archive, bytes))
    } else {
        Err(Fault::Exchanged(object.to_owned()).into())
    }
}

/// The key is there; one level further, it opens, and the manifest is authentic.
async fn unlock(
    ports: &impl JobPorts,
    level: Depth,
    archive: &mut Archive,
    bytes: &[u8],
    near: Option<&Archive>,
) -> Result<(), EngineError> {
    match (&archive.manifest.encryption, level) {
        (Some(encryption), Depth::Basic) => {
            let tenant = archive.manifest.facts.tenant_id.name();
            find_key(&Bucket(ports), &tenant, encryption.key_id).await?;
            Ok(())
        }
        _ => archive.unlock(&Bucket(ports), bytes, near).await,
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
pub(super) async fn list(
    ports: &impl JobPorts,
    archives: &[Archive],
    tally: &mut Tally,
) -> Result<(), EngineError> {
    for archive in archives {
        let prefix = format!("{}/", archive.manifest.prefix());
        let sizes = retry_passing(ports, async || ports.sizes(&prefix).await).await?;
        for stored in archive.all_chunks() {
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
            &Fault::Missing(chunk.object.clone()).to_string(),
        ),
    }
}
