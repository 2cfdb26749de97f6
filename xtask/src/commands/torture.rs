//! `cargo xtask torture`: the trials that attack every promise, for as long as one likes.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::commands::scripts;

/// The trials, as `tests/torture/trials.ts` knows them.
const NAMES: [&str; 5] = ["cuts", "histories", "isolation", "hostile", "load"];

/// Arguments of `cargo xtask torture`.
#[derive(Args)]
pub struct Arguments {
    /// Only this trial; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES))]
    only: Vec<String>,

    /// How long each trial goes on [default: cuts 3600, histories 600, isolation until all is tried, hostile 600, load 600].
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,

    /// Run this seed again [default: a random one, which is printed].
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
}

/// Builds, then runs the trials; 0 when every promise held.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut passed_on: Vec<String> = arguments
        .only
        .iter()
        .map(|name| format!("--only={name}"))
        .collect();
    passed_on.extend(arguments.seconds.map(|count| format!("--seconds={count}")));
    passed_on.extend(arguments.seed.map(|seed| format!("--seed={seed}")));
    scripts::run("tests/torture/run.ts", &passed_on.into())
}
