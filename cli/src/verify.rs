//! `m23 archive verify`.

mod records;

use self::records::{Known, Records};
use crate::archive::{Archive, Backup};
use crate::arguments::Verify;
use crate::error::CliError;
use crate::progress;
use crate::report::{print, size};
use crate::terminal::plain;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use m23_archive::definition::statements;
use m23_archive::reader::Stored;
use m23_archive::{backup_prefix, mac_object, manifest_object};
use m23_tenant::{TenantId, TenantName};
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
    /// With a database: backups that it does not know. Another one may.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_to_database: Option<Vec<Uuid>>,
}

#[derive(Serialize)]
struct Verified {
    /// None where only the hash of its key is known.
    tenant_id: Option<TenantId>,
    backup_id: Uuid,
    objects: usize,
    stored_bytes: u64,
    /// Whether chunks were opened: not where there is no key for them.
    opened: bool,
    findings: Vec<Finding>,
    /// Objects below the backup's prefix that do not belong to it. They do no harm.
    strangers: Vec<String>,
    /// Whether its manifest is there at all.
    #[serde(skip)]
    is_there: bool,
    /// The manifest's object.
    #[serde(skip)]
    manifest: String,
}

#[derive(Serialize)]
struct Finding {
    object: String,
    fault: String,
    /// Whether it is the key that is missing, or another one.
    #[serde(skip)]
    is_key: bool,
}

pub async fn run(order: &Verify) -> Result<ExitCode, CliError> {
    let mut archive = Archive::open(&order.place)?;
    if order.require_key {
        archive.require_key()?;
    }
    // The database first: what it holds as complete by now has to be in the store.
    let mut records = Records::read(order).await?;
    let mut report = verify(&archive, order, &records).await?;
    for verified in &report.backups {
        records.seen(verified.backup_id);
    }
    if order.backup.is_none() {
        report
            .backups
            .extend(records.missing().map(Verified::missing));
    }
    report.findings = report.backups.iter().map(|one| one.findings.len()).sum();
    report.unknown_to_database = order.database.as_ref().map(|_| records.strangers());
    print(order.place.json, &report, text)?;
    if report.backups.iter().any(|one| one.is_there) {
        Ok(report.exit_code())
    } else {
        Err(archive.empty())
    }
}

async fn verify(archive: &Archive, order: &Verify, records: &Records) -> Result<Report, CliError> {
    let mut report = Report {
        backups: Vec::new(),
        findings: 0,
        unknown_to_database: None,
    };
    let mut waiting = match order.backup {
        Some(backup) => vec![(archive.tenant_of(backup).await?, backup)],
        None => archive.list(order.tenant.as_ref()).await?,
    };
    while let Some((tenant, id)) = waiting.pop() {
        let place = (report.backups.len() + 1, waiting.len());
        let (verified, parent) =
            backup(archive, order, (&tenant, id), place, records.get(id)).await?;
        report.backups.push(verified);
        // Without a name every backup has its turn anyway. A forged chain may go in a circle.
        let is_done = |id| report.backups.iter().any(|done| done.backup_id == id);
        if let (Some(parent), true) = (parent.filter(|id| !is_done(*id)), order.backup.is_some()) {
            waiting.push((tenant, parent));
        }
    }
    Ok(report)
}

/// Verifies one backup, the `place`-th, after which so many wait; gives the one it builds upon as well.
async fn backup(
    archive: &Archive,
    order: &Verify,
    (tenant, id): (&TenantName, Uuid),
    (place, after): (usize, usize),
    known: Option<&Known>,
) -> Result<(Verified, Option<Uuid>), CliError> {
    let prefix = backup_prefix(tenant, id);
    let object = manifest_object(&prefix);
    let mut verified = Verified::new(tenant.tenant(), id, &object);
    let read = match archive.read(tenant, id).await {
        Ok(Some(read)) => read,
        Ok(None) => {
            // Not finished, or being made: no backup, and nothing to verify.
            verified.strangers = archive.store.sizes(&prefix).await?.into_keys().collect();
            if order.backup.is_some() || known.is_some_and(|known| known.is_held) {
                verified.add(CliError::damaged(&object, "it is missing"))?;
            }
            return Ok((verified, None));
        }
        Err(error) => {
            verified.is_there = true;
            verified.add(error)?;
            return Ok((verified, None));
        }
    };
    verified.is_there = true;
    verified.tenant_id = Some(read.manifest.facts.tenant_id.clone());
    verified.opened = !read.is_locked();
    verified.strangers = strangers(archive, &read).await?;
    if let Some(fault) = known.and_then(|known| known.fault(&read)) {
        verified.add(CliError::damaged(&object, fault))?;
    }
    definitions(&read, &mut verified)?;
    if let Err(error) = archive.parent(&read).await {
        verified.add(error)?;
    }
    let total = place + after;
    let what = format!("verifying {place}/{total}");
    let stored_bytes = read.manifest.stored_bytes;
    let bar = progress::bytes(what, stored_bytes, order.place.json);
    chunks(archive, &read, &bar, &mut verified).await?;
    bar.finish_and_clear();
    let parent = read.manifest.facts.parent.as_ref();
    Ok((verified, parent.map(|parent| parent.backup_id)))
}

/// Definitions that nobody should execute. Rows are restored without them.
fn definitions(backup: &Backup, verified: &mut Verified) -> Result<(), CliError> {
    for statement in statements(&backup.manifest) {
        if let Err(fault) = statement.subject {
            let what = format!("a definition {fault}: {}", statement.sql);
            verified.add(CliError::damaged(&backup.object, what))?;
        }
    }
    Ok(())
}

async fn strangers(archive: &Archive, backup: &Backup) -> Result<Vec<String>, CliError> {
    let prefix = backup.manifest.prefix();
    let mut found: BTreeMap<String, u64> = archive.store.sizes(&prefix).await?;
    for stored in backup.all_chunks() {
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
    bar: &ProgressBar,
    verified: &mut Verified,
) -> Result<(), CliError> {
    let mut outcomes = stream::iter(backup.all_chunks())
        .map(|stored| chunk(archive, stored, bar))
        .buffer_unordered(AT_ONCE);
    while let Some((bytes, outcome)) = outcomes.next().await {
        verified.objects += 1;
        verified.stored_bytes += bytes;
        if let Err(error) = outcome {
            verified.add(error)?;
        }
    }
    let by_object = |one: &Finding, next: &Finding| one.object.cmp(&next.object);
    verified.findings.sort_by(by_object);
    Ok(())
}

async fn chunk(
    archive: &Archive,
    stored: Stored<'_>,
    bar: &ProgressBar,
) -> (u64, Result<(), CliError>) {
    let size = stored.chunk.stored_bytes;
    let outcome = if stored.archive.is_locked() {
        archive.fetch(stored).await.map(drop)
    } else {
        archive.lines(stored).await.map(drop)
    };
    bar.inc(size);
    (size, outcome)
}

impl Report {
    /// A key that is missing or another one is told from damage, where there is no other fault.
    fn exit_code(&self) -> ExitCode {
        let findings = || self.backups.iter().flat_map(|one| &one.findings);
        ExitCode::from(match findings().next() {
            None => 0,
            Some(_) if findings().all(|finding| finding.is_key) => 4,
            Some(_) => 1,
        })
    }
}

impl Verified {
    fn new(tenant_id: Option<TenantId>, backup_id: Uuid, manifest: &str) -> Self {
        Self {
            tenant_id,
            backup_id,
            objects: 0,
            stored_bytes: 0,
            opened: false,
            findings: Vec::new(),
            strangers: Vec::new(),
            is_there: false,
            manifest: manifest.to_owned(),
        }
    }

    /// A backup that the database holds to be complete, and of which the store has nothing.
    fn missing(known: &Known) -> Self {
        let mut verified = Self::new(
            Some(known.tenant_id.clone()),
            known.backup_id,
            &known.manifest,
        );
        verified.findings.push(Finding {
            object: known.manifest.clone(),
            fault: "it is missing, and the database holds this backup to be complete".to_owned(),
            is_key: false,
        });
        verified
    }

    /// What is wrong with an object or a key is a finding; anything else ends the command.
    fn add(&mut self, error: CliError) -> Result<(), CliError> {
        let (object, fault, is_key) = match error {
            CliError::Damaged { object, fault } => (object, fault, false),
            CliError::Key(fault) => (self.manifest.clone(), fault, true),
            other => return Err(other),
        };
        self.findings.push(Finding {
            object,
            fault,
            is_key,
        });
        Ok(())
    }

    fn state(&self) -> &'static str {
        match (self.findings.as_slice(), self.opened) {
            ([], _) if !self.is_there => "unfinished: it has no manifest",
            ([], true) => "whole",
            ([], false) => "whole as far as can be seen: encrypted, and ARCHIVE_KEY is not set",
            (found, _) if found.iter().all(|finding| finding.is_key) => "CLOSED",
            (_, _) if !self.is_there => "MISSING",
            _ => "DAMAGED",
        }
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for backup in &report.backups {
        text += &format!(
            "{}  {} objects, {}: {}\n",
            backup.backup_id,
            backup.objects,
            size(backup.stored_bytes),
            backup.state()
        );
        for Finding { object, fault, .. } in &backup.findings {
            text += &format!("  {}: {}\n", plain(object), plain(fault));
        }
        for stranger in &backup.strangers {
            text += &format!("  {}: belongs to no backup\n", plain(stranger));
        }
    }
    for backup in report.unknown_to_database.iter().flatten() {
        text += &format!("{backup}  the database does not know it\n");
    }
    text + &match (report.backups.len(), report.findings) {
        (0, _) => "there is no backup in this store\n".to_owned(),
        (backups, 0) => format!("{backups} verified, nothing wrong\n"),
        (backups, findings) => format!("{backups} verified, {findings} findings\n"),
    }
}
