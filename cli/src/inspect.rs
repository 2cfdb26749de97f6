//! `m23 archive inspect`.

use crate::archive::{Archive, Backup};
use crate::arguments::Inspect;
use crate::error::CliError;
use crate::report::{columns, print, size};
use crate::terminal::plain;
use futures_util::StreamExt;
use m23_archive::{JobType, Table, Version};
use m23_tenant::{TenantId, TenantName};
use serde::Serialize;
use std::pin::pin;
use std::process::ExitCode;
use uuid::Uuid;

/// A backup in a list.
#[derive(Serialize)]
struct Listed {
    /// None where only the hash of its key is known.
    tenant_id: Option<TenantId>,
    #[serde(skip)]
    tenant: TenantName,
    backup_id: Uuid,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Found {
    Complete(Box<Summary>),
    /// No manifest: it was not finished, or is being made.
    Unfinished,
    Damaged {
        fault: String,
    },
}

#[derive(Serialize)]
struct Summary {
    version: Version,
    backup_name: String,
    job_type: JobType,
    base_backup_id: Option<Uuid>,
    parent_backup_id: Option<Uuid>,
    position: String,
    position_at: String,
    encrypted: bool,
    key_id: Option<Uuid>,
    tables: usize,
    rows: u64,
    bytes: u64,
    stored_bytes: u64,
}

/// A backup by itself.
#[derive(Serialize)]
struct Shown {
    tenant_id: TenantId,
    backup_id: Uuid,
    #[serde(flatten)]
    summary: Summary,
    manifest: String,
    manifest_sha256: String,
    incarnation: Uuid,
    server_version: u32,
    /// From the full backup to this one.
    chain: Vec<Uuid>,
    #[serde(rename = "table_list")]
    tables: Vec<ShownTable>,
}

#[derive(Serialize)]
struct ShownTable {
    name: String,
    columns: usize,
    whole: bool,
    /// What an image of its log may leave out, by bit.
    groups: Vec<Vec<String>>,
    rows: u64,
    history_entries: u64,
    stored_bytes: u64,
    defined: bool,
}

pub async fn run(order: &Inspect) -> Result<ExitCode, CliError> {
    let archive = Archive::open(&order.place)?;
    match order.backup {
        Some(backup) => show(&archive, order, backup).await?,
        None => list(&archive, order).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(archive: &Archive, order: &Inspect) -> Result<(), CliError> {
    let mut listed = Vec::new();
    let mut read = pin!(archive.read_all(archive.list(order.tenant.as_ref()).await?));
    while let Some((tenant, backup_id, found)) = read.next().await {
        let known = found.as_ref().ok().and_then(Option::as_ref);
        let tenant_id = known.map_or_else(
            || tenant.tenant(),
            |backup| Some(backup.manifest.facts.tenant_id.clone()),
        );
        let found = match found {
            Ok(Some(backup)) => Found::Complete(Box::new(summary(&backup))),
            Ok(None) => Found::Unfinished,
            Err(error @ (CliError::Damaged { .. } | CliError::Key(_))) => Found::Damaged {
                fault: error.to_string(),
            },
            Err(error) => return Err(error),
        };
        listed.push(Listed {
            tenant_id,
            tenant,
            backup_id,
            found,
        });
    }
    listed.sort_by_key(|one| match &one.found {
        Found::Complete(summary) => (one.tenant.clone(), summary.position_at.clone()),
        _ => (one.tenant.clone(), String::new()),
    });
    print(order.place.json, &listed, |listed| list_text(listed))
}

fn list_text(listed: &[Listed]) -> String {
    if listed.is_empty() {
        return "there is no backup in this store\n".to_owned();
    }
    let head = [
        "backup", "tenant", "type", "moment", "tables", "rows", "stored", "",
    ];
    let mut rows = vec![head.map(ToOwned::to_owned).to_vec()];
    for Listed {
        tenant_id,
        tenant,
        backup_id,
        found,
    } in listed
    {
        let shown = tenant_id.as_ref().map_or(tenant.to_string(), shown_tenant);
        let mut row = vec![backup_id.to_string(), shown];
        match found {
            Found::Complete(of) => row.extend([
                job_type(of.job_type).to_owned(),
                of.position_at.clone(),
                of.tables.to_string(),
                of.rows.to_string(),
                size(of.stored_bytes),
                if of.encrypted {
                    "encrypted".to_owned()
                } else {
                    String::new()
                },
            ]),
            Found::Unfinished => row.push("unfinished: it has no manifest".to_owned()),
            Found::Damaged { fault } => row.push(format!("unreadable: {}", plain(fault))),
        }
        rows.push(row);
    }
    columns(&rows)
}

async fn show(archive: &Archive, order: &Inspect, backup: Uuid) -> Result<(), CliError> {
    let chain = archive.chain(archive.find(backup).await?).await?;
    if let Some(tip) = chain.first() {
        let facts = &tip.manifest.facts;
        let shown = Shown {
            tenant_id: facts.tenant_id.clone(),
            backup_id: facts.backup_id,
            summary: summary(tip),
            manifest: tip.object.clone(),
            manifest_sha256: tip.sha256.clone(),
            incarnation: facts.incarnation,
            server_version: facts.server_version,
            chain: chain
                .iter()
                .rev()
                .map(|member| member.manifest.facts.backup_id)
                .collect(),
            tables: facts.tables.iter().map(shown_table).collect(),
        };
        print(order.place.json, &shown, show_text)?;
    }
    Ok(())
}

fn shown_tenant(tenant: &TenantId) -> String {
    plain(tenant.as_str()).into_owned()
}

fn show_text(shown: &Shown) -> String {
    let of = &shown.summary;
    let mut text = columns(&[
        vec![
            "backup".to_owned(),
            format!("{} \"{}\"", shown.backup_id, plain(&of.backup_name)),
        ],
        vec!["tenant".to_owned(), shown_tenant(&shown.tenant_id)],
        vec!["type".to_owned(), job_type(of.job_type).to_owned()],
        vec!["format".to_owned(), format!("version {}", of.version)],
        vec![
            "moment".to_owned(),
            format!("{} (position {})", of.position_at, of.position),
        ],
        vec![
            "size".to_owned(),
            format!(
                "{} rows, {} as lines, {} stored",
                of.rows,
                size(of.bytes),
                size(of.stored_bytes)
            ),
        ],
        vec![
            "encryption".to_owned(),
            of.key_id
                .map_or("none".to_owned(), |key| format!("AES-256-GCM, key {key}")),
        ],
        vec![
            "manifest".to_owned(),
            format!(
                "{} (SHA-256 {})",
                plain(&shown.manifest),
                shown.manifest_sha256
            ),
        ],
        vec![
            "chain".to_owned(),
            shown
                .chain
                .iter()
                .map(Uuid::to_string)
                .collect::<Vec<_>>()
                .join(" → "),
        ],
    ]);
    let mut rows = vec![
        ["table", "columns", "rows", "log", "stored", ""]
            .map(ToOwned::to_owned)
            .to_vec(),
    ];
    for table in &shown.tables {
        rows.push(vec![
            plain(&table.name).into_owned(),
            table.columns.to_string(),
            table.rows.to_string(),
            table.history_entries.to_string(),
            size(table.stored_bytes),
            if table.whole {
                String::new()
            } else {
                "changes since the parent".to_owned()
            },
        ]);
    }
    text.push('\n');
    text.push_str(&columns(&rows));
    text
}

fn summary(backup: &Backup) -> Summary {
    let manifest = &backup.manifest;
    let facts = &manifest.facts;
    Summary {
        version: manifest.version,
        backup_name: facts.backup_name.clone(),
        job_type: facts.job_type,
        base_backup_id: facts.base_backup_id,
        parent_backup_id: facts.parent.as_ref().map(|parent| parent.backup_id),
        position: facts.position.to_string(),
        position_at: facts
            .position_at
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        encrypted: manifest.encryption.is_some(),
        key_id: manifest
            .encryption
            .as_ref()
            .map(|encryption| encryption.key_id),
        tables: facts.tables.len(),
        rows: manifest.rows,
        bytes: manifest.bytes,
        stored_bytes: manifest.stored_bytes,
    }
}

fn shown_table(table: &Table) -> ShownTable {
    ShownTable {
        name: format!("{}.{}", table.schema, table.name),
        columns: table.columns.len(),
        whole: table.whole,
        groups: table.groups().to_vec(),
        rows: table.rows(),
        history_entries: table.history.iter().map(|chunk| chunk.rows).sum(),
        stored_bytes: table
            .objects()
            .map(|(_, _, chunk)| chunk.stored_bytes)
            .sum(),
        defined: !table.definition.create.is_empty(),
    }
}

const fn job_type(job_type: JobType) -> &'static str {
    match job_type {
        JobType::Full => "full",
        JobType::Incremental => "incremental",
    }
}
