//! A connection to a database, by TLS where that has it.

use crate::error::CliError;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long a database may take to answer at all.
const CONNECT: Duration = Duration::from_secs(15);

/// Connects to a `postgresql://` address.
pub async fn connect(url: &str, root_certificate: Option<&Path>) -> Result<Client, CliError> {
    let mut config: Config = url
        .parse()
        .map_err(|_| CliError::Usage("--database is no postgresql:// address".to_owned()))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    let tls = MakeRustlsConnect::new(tls(root_certificate)?);
    let (client, connection) = config.connect(tls).await.map_err(|error| fault(&error))?;
    // It ends with the client; what breaks it is what the next query says.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// What the database said, or else that it cannot be reached. The address may hold a password: it is
/// not repeated.
pub fn fault(error: &tokio_postgres::Error) -> CliError {
    if let Some(refusal) = error.as_db_error() {
        return CliError::Refused(refusal.message().to_owned());
    }
    let cause =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    CliError::Unreachable {
        what: "the database".to_owned(),
        cause,
    }
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
