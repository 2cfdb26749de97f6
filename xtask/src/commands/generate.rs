//! `cargo xtask generate`: what is written by programs and kept in the repository all the same.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::report::Step;
use crate::{node, project, schemas, setup};

/// Writes the migrations from the schemas, docs/openapi.json from the contract's types, and client/src/generated from
/// both.
pub fn run() -> Result<ExitCode> {
    migrations()?;
    setup::ensure()?;
    openapi()?;
    client_types()?;
    Ok(ExitCode::SUCCESS)
}

fn migrations() -> Result<()> {
    let step = Step::begin("migrations");
    schemas::write_migrations(&project::root().join("supabase"))?;
    step.done();
    Ok(())
}

/// Arguments of `cargo xtask migrations`.
#[derive(Args)]
pub struct Folder {
    /// A folder as `supabase`: `releases`, `schemas`, `migrations`, `upgrades`.
    folder: PathBuf,
}

/// Writes the migrations of any such folder: versions that were made for a test.
pub fn migrations_of(arguments: &Folder) -> Result<ExitCode> {
    schemas::write_migrations(&arguments.folder)?;
    Ok(ExitCode::SUCCESS)
}

fn openapi() -> Result<()> {
    let mut text = serde_json::to_string_pretty(&m23_openapi::document())?;
    text.push('\n');
    fs::write(project::root().join("docs/openapi.json"), text)
        .context("docs/openapi.json cannot be written")
}

fn client_types() -> Result<()> {
    let step = Step::begin("types of the client");
    let status = node::typescript()?
        .arg("client/generate.ts")
        .status()
        .context("client/generate.ts could not be started")?;
    if !status.success() {
        bail!("the types could not be generated; the reason stands above");
    }
    step.done();
    Ok(())
}
