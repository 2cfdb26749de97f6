//! `cargo xtask history`: the random-history test for as long as one likes.

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

    /// How many connections write at once.
    #[arg(long, value_name = "N", default_value_t = 6)]
    clients: u16,
}

/// Runs the history; 0 when every answer was right.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut passed_on = vec![
        format!("--seconds={}", arguments.seconds),
        format!("--clients={}", arguments.clients),
    ];
    passed_on.extend(arguments.seed.map(|seed| format!("--seed={seed}")));
    scripts::run("tests/history/run.ts", &scripts::Arguments::from(passed_on))
}
