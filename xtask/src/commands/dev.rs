//! `cargo xtask dev`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};

use crate::commands::build;
use crate::project::{self, FUNCTIONS};
use crate::state::State;
use crate::{node, setup, supervise};

/// Arguments of `cargo xtask dev`.
#[derive(Args)]
pub struct Arguments {
    /// The port of the one address that serves everything (127.0.0.1 only); 0 takes any free one.
    #[arg(long, value_name = "N", default_value_t = 54321)]
    port: u16,

    /// Keep nothing: database, bucket and KV are removed at the end.
    #[arg(long)]
    ephemeral: bool,

    /// Where database, bucket, KV and dev.json lie [default: .m23 in the repository].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Limits per tenant and hour that differ from the contract's, such as '{"pitr-restore": 1000}'.
    #[arg(long, value_name = "JSON", value_parser = rate_limits)]
    rate_limits: Option<String>,
}

/// Runs the stack until it is stopped.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let folder = arguments
        .state_dir
        .clone()
        .unwrap_or_else(|| project::root().join(".m23"));
    let state = State::open(&folder, arguments.ephemeral)?;
    setup::ensure()?;
    build::all()?;

    let mut command = node::typescript()?;
    command
        .arg("stack/dev.ts")
        .arg("--port")
        .arg(arguments.port.to_string())
        .arg("--state-dir")
        .arg(state.folder());
    if arguments.ephemeral {
        command.arg("--ephemeral");
    }
    if let Some(limits) = &arguments.rate_limits {
        command.arg("--rate-limits").arg(limits);
    }
    let ended = supervise::run(command);
    // Also after a crash: an ephemeral run keeps nothing, and dev.json must not promise a stack.
    let _ = std::fs::remove_file(state.folder().join("dev.json"));
    state.close()?;
    let ended = ended?;
    Ok(ExitCode::from(if ended.asked { 0 } else { ended.code() }))
}

/// Accepts a JSON object of known functions and whole numbers, and says what else it found.
fn rate_limits(text: &str) -> Result<String, String> {
    let limits: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    for (function, limit) in &limits {
        if !FUNCTIONS.contains(&function.as_str()) {
            return Err(format!(
                "no function \"{function}\"; there are {}",
                FUNCTIONS.join(", ")
            ));
        }
        if limit.as_u64().is_none() {
            return Err(format!("the limit of {function} must be a whole number"));
        }
    }
    Ok(text.to_owned())
}
