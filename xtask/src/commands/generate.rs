//! `cargo xtask generate`: what is written by programs and kept in the repository all the same.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::report::Step;
use crate::{node, project, setup};

/// Writes docs/openapi.json from the contract's types, and client/src/generated from it and the migrations.
pub fn run() -> Result<ExitCode> {
    setup::ensure()?;
    openapi()?;
    client_types()?;
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
