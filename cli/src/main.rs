//! `m23`: calls the five functions over HTTP; reads, verifies and extracts archives on a folder or an
//! S3-compatible store, looks after their keys, and rebuilds a database's catalogue of them; protects
//! a database's tables. For these no service need run.

mod archive;
mod arguments;
mod calls;
mod catalogue;
mod cipher;
mod database;
mod error;
mod extract;
mod history;
mod inspect;
mod keyring;
mod keys;
mod layers;
mod progress;
mod protect;
mod report;
mod store;
mod terminal;
mod verify;

use arguments::{Arguments, Command};
use calls::arguments::Backup;
use clap::Parser;
use error::CliError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match started(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.shown());
            error.exit_code()
        }
    }
}

fn started(command: Command) -> Result<ExitCode, CliError> {
    // Who connects by TLS asks rustls for its cryptography.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Output(error.to_string()))?
        .block_on(run(command))
}

async fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Backup(Backup::Create(order)) => calls::create(&order).await,
        Command::Backup(Backup::Restore(order)) => calls::restore_backup(&order).await,
        Command::Restore(order) => calls::restore(&order).await,
        Command::Rollback(order) => calls::rollback(&order).await,
        Command::Test(order) => calls::test(&order).await,
        Command::History(order) => history::run(&order).await,
        Command::Archive(arguments::Archive::Inspect(order)) => inspect::run(&order).await,
        Command::Archive(arguments::Archive::Verify(order)) => verify::run(&order).await,
        Command::Archive(arguments::Archive::Extract(order)) => extract::run(&order).await,
        Command::Keys(arguments::Keys::Rewrap(order)) => keys::rewrap(&order).await,
        Command::Keys(arguments::Keys::Erase(order)) => keys::erase(&order).await,
        Command::Protect(order) => protect::run(&order).await,
        Command::Catalogue(arguments::Catalogue::Rebuild(order)) => {
            catalogue::rebuild(&order).await
        }
    }
}
