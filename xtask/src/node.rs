//! Which Node runs what: the machine's own runs npm, the pinned one from npm runs TypeScript.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::project;

/// The oldest Node of the machine that npm and its packages accept.
const OLDEST_FOR_NPM: (u32, u32) = (20, 0);
/// The oldest Node that runs TypeScript files as they are.
const OLDEST_FOR_TYPESCRIPT: (u32, u32) = (22, 18);

/// Refuses a machine without Node ≥ 20, in one sentence.
pub fn check_machine() -> Result<()> {
    let (major, minor) = version_of("node").context(
        "Node.js is missing: install Node 20 or newer (https://nodejs.org), then run this again",
    )?;
    if (major, minor) < OLDEST_FOR_NPM {
        bail!("Node.js {major}.{minor} is too old: install Node 20 or newer");
    }
    Ok(())
}

/// A command that runs the Node which understands TypeScript, in the repository's root.
pub fn typescript() -> Result<Command> {
    let mut command = Command::new(program()?);
    command
        .current_dir(project::root())
        // Type stripping warns on every start that it is experimental.
        .arg("--disable-warning=ExperimentalWarning")
        .env("NODE_OPTIONS", "--disable-warning=ExperimentalWarning")
        // Each test file is a process of its own, and compiles the same packages.
        .env(
            "NODE_COMPILE_CACHE",
            project::target_dir().join("node-cache"),
        )
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CI", "1");
    Ok(command)
}

/// The pinned Node, or the machine's own where npm has none for this platform.
fn program() -> Result<PathBuf> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let modules = project::root().join("node_modules");
    let places = [format!("node-{os}-{arch}/bin/node"), "node/bin/node".into()];
    if let Some(pinned) = places.iter().map(|p| modules.join(p)).find(|p| p.is_file()) {
        return Ok(pinned);
    }
    if version_of("node").is_some_and(|version| version >= OLDEST_FOR_TYPESCRIPT) {
        return Ok("node".into());
    }
    bail!("npm has no Node 22 for {os}-{arch}: install Node 22.18 or newer on this machine");
}

fn version_of(program: &str) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
