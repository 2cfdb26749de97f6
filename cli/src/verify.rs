//! `m23 archive verify`.

use crate::archive::{Archive, Backup, Stored, open_chunk};
use crate::arguments::Verify;
use crate::error::CliError;
use crate::progress;
use crate::report::{print, size};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use m23_archive::{mac_object, manifest_object};
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;
use uuid::Uuid;

/// Objects that are fetched at the same time.
const AT_ONCE: usize = 4;

#[derive(Serialize)]
struct Report {
    backups: Vec<Verified>,
    findings: usize,
}

#[derive(Serialize)]
struct Verified {
    tenant_id: Uuid,
    backup_id: Uuid,
    objects: usize,
    stored_bytes: u64,
    /// Whether chunks were opened: not where there is no key for them.
    opened: bool,
    findings: Vec<Finding>,
    /// Objects below the backup's prefix that do not belong to it. They do no harm.
    strangers: Vec<String>,
}

#[derive(Serialize)]
struct Finding {
    object: String,
    fault: String,
}

pub async fn run(order: &Verify) -> Result<ExitCode, CliError> {
    let archive = Archive::open(&order.place)?;
    let mut report = Report {
        backups: Vec::new(),
        findings: 0,
    };
    let mut waiting = match order.backup {
        Some(backup) => vec![(archive.find(backup).await?.manifest.facts.tenant_id, backup)],
        None => archive.list(order.tenant).await?,
    };
    while let Some((tenant, id)) = waiting.pop() {
        let (verified, parent) = backup(&archive, order, tenant, id).await?;
        report.findings += verified.findings.len();
        report.backups.push(verified);
        // Without a name every backup has its turn anyway. A forged chain may go in a circle.
        let is_done = |id| report.backups.iter().any(|done| done.backup_id == id);
        if let (Some(parent), true) = (parent.filter(|id| !is_done(*id)), order.backup.is_some()) {
            waiting.push((tenant, parent));
        }
    }
    print(order.place.json, &report, text)?;
    Ok(ExitCode::from(u8::from(report.findings > 0)))
}

/// Verifies one backup; gives the one it builds upon as well.
async fn backup(
    archive: &Archive,
    order: &Verify,
    tenant: Uuid,
    id: Uuid,
) -> Result<(Verified, Option<Uuid>), CliError> {
    let prefix = format!("tenants/{tenant}/backups/{id}");
    let mut verified = Verified {
        tenant_id: tenant,
        backup_id: id,
        objects: 0,
        stored_bytes: 0,
        opened: false,
        findings: Vec::new(),
        strangers: Vec::new(),
    };
    let read = match archive.read(tenant, id).await {
        Ok(Some(read)) => read,
        Ok(None) => {
            // Not finished, or being made: no backup, and nothing to verify.
            verified.strangers = archive.store.sizes(&prefix).await?.into_keys().collect();
            if order.backup.is_some() {
                verified.add(CliError::damaged(
                    &manifest_object(&prefix),
                    "it is missing",
                ))?;
            }
            return Ok((verified, None));
        }
        Err(error) => {
            verified.add(error)?;
            return Ok((verified, None));
        }
    };
    verified.opened = read.is_open();
    verified.strangers = strangers(archive, &read).await?;
    if let Err(error) = archive.parent(&read).await {
        verified.add(error)?;
    }
    chunks(archive, &read, order.place.json, &mut verified).await?;
    let parent = read
        .manifest
        .facts
        .parent
        .as_ref()
        .map(|parent| parent.backup_id);
    Ok((verified, parent))
}

async fn strangers(archive: &Archive, backup: &Backup) -> Result<Vec<String>, CliError> {
    let prefix = backup.manifest.prefix();
    let mut found: BTreeMap<String, u64> = archive.store.sizes(&prefix).await?;
    for stored in backup.chunks() {
        found.remove(&stored.chunk.object);
    }
    found.remove(&backup.object);
    if backup.manifest.encryption.is_some() {
        found.remove(&mac_object(&prefix));
    }
    Ok(found.into_keys().collect())
}

async fn chunks(
    archive: &Archive,
    backup: &Backup,
    quiet: bool,
    verified: &mut Verified,
) -> Result<(), CliError> {
    let bar = progress::bytes("verifying", backup.manifest.stored_bytes, quiet);
    let mut outcomes = stream::iter(backup.chunks())
        .map(|stored| chunk(archive, backup, stored, &bar))
        .buffer_unordered(AT_ONCE);
    while let Some((bytes, outcome)) = outcomes.next().await {
        verified.objects += 1;
        verified.stored_bytes += bytes;
        if let Err(error) = outcome {
            verified.add(error)?;
        }
    }
    verified
        .findings
        .sort_by(|one, next| one.object.cmp(&next.object));
    bar.finish_and_clear();
    Ok(())
}

async fn chunk(
    archive: &Archive,
    backup: &Backup,
    stored: Stored<'_>,
    bar: &ProgressBar,
) -> (u64, Result<(), CliError>) {
    let size = stored.chunk.stored_bytes;
    let outcome = match archive.fetch(stored.chunk).await {
        Ok(bytes) if backup.is_open() => open_chunk(backup, stored, bytes).map(drop),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    bar.inc(size);
    (size, outcome)
}

impl Verified {
    /// What is wrong with an object is a finding; anything else ends the command.
    fn add(&mut self, error: CliError) -> Result<(), CliError> {
        match error {
            CliError::Damaged { object, fault } => {
                self.findings.push(Finding { object, fault });
                Ok(())
            }
            other => Err(other),
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for backup in &report.backups {
        let state = match (backup.findings.len(), backup.opened) {
            (0, _) if backup.objects == 0 && !backup.opened => "unfinished: it has no manifest",
            (0, true) => "whole",
            (0, false) => "whole as far as can be seen: encrypted, and ARCHIVE_KEY is not set",
            _ => "DAMAGED",
        };
        text += &format!(
            "{}  {} objects, {}: {state}\n",
            backup.backup_id,
            backup.objects,
            size(backup.stored_bytes)
        );
        for Finding { object, fault } in &backup.findings {
            text += &format!("  {object}: {fault}\n");
        }
        for stranger in &backup.strangers {
            text += &format!("  {stranger}: belongs to no backup\n");
        }
    }
    text + &match (report.backups.len(), report.findings) {
        (0, _) => "there is no backup in this store\n".to_owned(),
        (backups, 0) => format!("{backups} verified, nothing wrong\n"),
        (backups, findings) => format!("{backups} verified, {findings} findings\n"),
    }
}
