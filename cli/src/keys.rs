//! `m23 keys`: a new master key, and keys that nobody shall have any more.

use crate::archive::Archive;
use crate::arguments::{Erase, Place};
use crate::error::CliError;
use crate::keyring::Master;
use crate::report::print;
use crate::store::Store;
use crate::terminal::plain;
use m23_archive::key_object;
use m23_archive::reader::{find_key, unwrap};
use m23_tenant::{TenantId, TenantName};
use serde::Serialize;
use std::io::{BufRead, Write, stderr, stdin};
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Serialize)]
struct Rewrapped {
    rewrapped: usize,
    already: usize,
}

#[derive(Serialize)]
struct Erased {
    tenant_id: TenantId,
    erased: usize,
}

/// Wraps every key with `ARCHIVE_KEY` that is wrapped with `ARCHIVE_KEY_PREVIOUS`.
pub async fn rewrap(place: &Place) -> Result<ExitCode, CliError> {
    let archive = Archive::open(place)?;
    let store = &archive.store;
    let new = needed("ARCHIVE_KEY")?;
    let old = needed("ARCHIVE_KEY_PREVIOUS")?;
    let mut report = Rewrapped {
        rewrapped: 0,
        already: 0,
    };
    let objects = store.sizes("keys").await?;
    if objects.is_empty() {
        let store = store.name();
        return Err(CliError::NotFound(format!(
            "there is no key in {store}: is it the right store?"
        )));
    }
    for object in objects.into_keys() {
        if rewrap_key(&archive, &object, &old, &new).await? {
            report.rewrapped += 1;
        } else {
            report.already += 1;
        }
    }
    print(place.json, &report, |Rewrapped { rewrapped, already }| {
        format!("{rewrapped} keys rewrapped, {already} were already\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Gives whether there was anything to do. A key that neither master key opens ends the command:
/// those before it are done, and it may be run again.
async fn rewrap_key(
    archive: &Archive,
    object: &str,
    old: &Master,
    new: &Master,
) -> Result<bool, CliError> {
    let (tenant, key) =
        named(object).ok_or_else(|| CliError::damaged(object, "it is no key's name"))?;
    let read = find_key(archive, &tenant, key).await?;
    if read.master == new.fingerprint {
        unwrap(archive, &new.key, &read).await?;
        return Ok(false);
    }
    if read.master != old.fingerprint {
        return Err(CliError::Key(format!(
            "{object} is wrapped with the master key {}, neither the new nor the previous one",
            read.master
        )));
    }
    let opened = unwrap(archive, &old.key, &read).await?;
    let wrapped = new.wrap(&read.tenant_id, &opened)?;
    let bytes = wrapped
        .to_bytes()
        .map_err(|error| CliError::in_object(object, &error))?;
    archive.store.put(object, bytes).await?;
    Ok(true)
}

fn needed(variable: &str) -> Result<Master, CliError> {
    Master::from_env(variable)?.ok_or_else(|| CliError::Usage(format!("{variable} is not set")))
}

fn named(object: &str) -> Option<(TenantName, Uuid)> {
    let (tenant, key) = object
        .strip_prefix("keys/")?
        .strip_suffix(".json")?
        .split_once('/')?;
    let (tenant, key) = (tenant.parse().ok()?, key.parse().ok()?);
    (key_object(&tenant, key) == object).then_some((tenant, key))
}

/// Removes a tenant's keys.
pub async fn erase(order: &Erase) -> Result<ExitCode, CliError> {
    let store = Store::open(&order.place)?;
    let objects = store
        .sizes(&format!("keys/{}", order.tenant.name()))
        .await?;
    if objects.is_empty() {
        return Err(CliError::NotFound(format!(
            "there is no key of the tenant {}",
            plain(order.tenant.as_str())
        )));
    }
    if !order.yes && !is_confirmed(&order.tenant, objects.len())? {
        return Err(CliError::Usage(
            "not confirmed: nothing was erased".to_owned(),
        ));
    }
    for object in objects.keys() {
        store.delete(object).await?;
    }
    let report = Erased {
        tenant_id: order.tenant.clone(),
        erased: objects.len(),
    };
    print(order.place.json, &report, |Erased { erased, .. }| {
        format!("{erased} keys erased: what was encrypted with them is unreadable\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn is_confirmed(tenant: &TenantId, count: usize) -> Result<bool, CliError> {
    let mut terminal = stderr();
    write!(
        terminal,
        "{count} keys will be erased, and no encrypted archive of this tenant can be read again.\nType the tenant's key to go on: "
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == tenant.as_str().trim())
}
