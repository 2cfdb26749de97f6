//! `m23 catalogue rebuild`: a database learns of its backups from the store alone.

use crate::archive::{Archive, Backup};
use crate::arguments::Rebuild;
use crate::error::CliError;
use crate::report::print;
use futures_util::StreamExt;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use serde::Serialize;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use uuid::Uuid;

const ADOPT: &str = "select m23.adopt_backup($1::text::jsonb, $2::text, $3::text)";

/// How long a database may take to answer at all.
const CONNECT: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct Report {
    adopted: Vec<Uuid>,
    /// Backups that could not be recorded, and why.
    refused: Vec<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    backup_id: Uuid,
    fault: String,
}

pub async fn rebuild(order: &Rebuild) -> Result<ExitCode, CliError> {
    let archive = Archive::open(&order.place)?;
    let mut report = Report {
        adopted: Vec::new(),
        refused: Vec::new(),
    };
    let backups = readable(&archive, order, &mut report).await?;
    let client = connect(order).await?;
    for backup in backups {
        let backup_id = backup.manifest.facts.backup_id;
        match adopt(&client, &backup).await {
            Ok(()) => report.adopted.push(backup_id),
            Err(CliError::Refused(fault)) => report.refused.push(Refusal { backup_id, fault }),
            Err(error) => return Err(error),
        }
    }
    print(order.place.json, &report, text)?;
    Ok(ExitCode::from(u8::from(!report.refused.is_empty())))
}

/// Every backup with a manifest, parents before those that build upon them.
async fn readable(
    archive: &Archive,
    order: &Rebuild,
    report: &mut Report,
) -> Result<Vec<Backup>, CliError> {
    let mut backups = Vec::new();
    let mut found = pin!(archive.read_all(archive.list(order.tenant).await?));
    while let Some((_, backup_id, read)) = found.next().await {
        match read {
            Ok(read) => backups.extend(read),
            Err(error @ (CliError::Damaged { .. } | CliError::Key(_))) => {
                report.refused.push(Refusal {
                    backup_id,
                    fault: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    backups.sort_by_key(|backup| {
        (
            backup.manifest.facts.position_at,
            backup.manifest.facts.parent.is_some(),
        )
    });
    Ok(backups)
}

async fn adopt(client: &Client, backup: &Backup) -> Result<(), CliError> {
    let manifest = String::from_utf8_lossy(&backup.bytes).into_owned();
    match client
        .execute(ADOPT, &[&manifest, &backup.object, &backup.sha256])
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.as_db_error() {
            Some(refusal) => CliError::Refused(refusal.message().to_owned()),
            None => unreachable(&error),
        }),
    }
}

async fn connect(order: &Rebuild) -> Result<Client, CliError> {
    let mut config: Config = order
        .database
        .parse()
        .map_err(|_| CliError::Usage("--database is no postgresql:// address".to_owned()))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    let tls = MakeRustlsConnect::new(tls(order.root_certificate.as_deref())?);
    let (client, connection) = config
        .connect(tls)
        .await
        .map_err(|error| unreachable(&error))?;
    // It ends with the client; what breaks it is what the next query says.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

fn tls(root_certificate: Option<&Path>) -> Result<ClientConfig, CliError> {
    let Some(file) = root_certificate else {
        return ClientConfig::with_platform_verifier()
            .map_err(|error| CliError::Usage(error.to_string()));
    };
    let fault = |error: String| CliError::Usage(format!("{}: {error}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(file).map_err(|error| fault(error.to_string()))?
    {
        let certificate = certificate.map_err(|error| fault(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| fault(error.to_string()))?;
    }
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The address may hold a password: it is not repeated.
fn unreachable(error: &tokio_postgres::Error) -> CliError {
    let cause =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    CliError::Unreachable {
        what: "the database".to_owned(),
        cause,
    }
}

fn text(report: &Report) -> String {
    let mut text = format!("{} backups recorded\n", report.adopted.len());
    for Refusal { backup_id, fault } in &report.refused {
        text += &format!("{backup_id}: {fault}\n");
    }
    text
}
