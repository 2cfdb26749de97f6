//! `cargo xtask history`: the random-history tests for as long as one likes.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::commands::scripts;

/// Arguments of `cargo xtask history`.
#[derive(Args)]
pub struct Arguments {
    /// Run this seed again [default: a random one, which is printed].
    #[arg(long, value_name = "N")]
    seed: Option<u32>,

    /// How long to go on; the round that is under way then is finished.
    #[arg(long, value_name = "N", default_value_t = 120)]
    seconds: u32,

    /// How many connections write at once [default: 6; with --capture 3].
    #[arg(long, value_name = "N")]
    clients: Option<u16>,

    /// Only capture, on every version of PostgreSQL: its log against rows that were kept with their positions.
    #[arg(long)]
    capture: bool,
}

/// Runs the history; 0 when every answer was right.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let program = if arguments.capture {
        "tests/history/capture/run.ts"
    } else {
        "tests/history/run.ts"
    };
    let mut passed_on = vec![format!("--seconds={}", arguments.seconds)];
    passed_on.extend(arguments.clients.map(|count| format!("--clients={count}")));
    passed_on.extend(arguments.seed.map(|seed| format!("--seed={seed}")));
    scripts::run(program, &scripts::Arguments::from(passed_on))
}
