//! `cargo xtask openapi`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::project;

/// Writes the OpenAPI document of the five functions to docs/openapi.json.
pub fn run() -> Result<ExitCode> {
    let mut text = serde_json::to_string_pretty(&m23_openapi::document())?;
    text.push('\n');
    fs::write(project::root().join("docs/openapi.json"), text)
        .context("docs/openapi.json cannot be written")?;
    Ok(ExitCode::SUCCESS)
}
