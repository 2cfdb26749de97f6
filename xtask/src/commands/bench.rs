//! `cargo xtask bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::commands::scripts;

/// The groups of benchmarks, as `benches/options.ts` knows them.
const NAMES: [&str; 11] = [
    "capture",
    "paths",
    "rewind",
    "independence",
    "references",
    "many",
    "writers",
    "fleet",
    "backup",
    "proof",
    "find",
];

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct Arguments {
    /// Smaller tables and fewer repetitions: under a minute instead of some.
    #[arg(long)]
    quick: bool,

    /// Only this group of benchmarks; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES))]
    only: Vec<String>,

    /// A checkout of dalibo/emaj 5 to compare with; its rows are "not measured" without one.
    #[arg(long, value_name = "emaj=DIR", value_parser = peer)]
    peer: Option<PathBuf>,
}

/// Builds, then measures, and prints a table of ratios.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut passed_on = Vec::new();
    if arguments.quick {
        passed_on.push("--quick".to_owned());
    }
    for name in &arguments.only {
        passed_on.extend(["--only".to_owned(), name.clone()]);
    }
    if let Some(folder) = &arguments.peer {
        // The program runs in the repository's root, wherever we were called.
        let folder = folder
            .canonicalize()
            .with_context(|| format!("{} cannot be found", folder.display()))?;
        passed_on.extend(["--peer".to_owned(), format!("emaj={}", folder.display())]);
    }
    scripts::run("benches/bench.ts", &passed_on.into())
}

fn peer(text: &str) -> Result<PathBuf, String> {
    match text.split_once('=') {
        Some(("emaj", folder)) if !folder.is_empty() => Ok(folder.into()),
        _ => Err("must be emaj=DIR".to_owned()),
    }
}
