//! `cargo xtask demo` and `cargo xtask bench`: programs in TypeScript that start the stack.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::commands::build;
use crate::project;
use crate::{node, setup, supervise};

/// Arguments that are passed on to the program as they are.
#[derive(Args)]
pub struct Arguments {
    /// Passed on to the program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl From<Vec<String>> for Arguments {
    fn from(arguments: Vec<String>) -> Self {
        Self { arguments }
    }
}

/// Sets everything up, then runs the program and passes its exit code on.
pub fn run(program: &str, arguments: &Arguments) -> Result<ExitCode> {
    if !project::root().join(program).is_file() {
        bail!("{program} is not there yet");
    }
    setup::ensure()?;
    build::all()?;
    let mut command = node::typescript()?;
    command.arg(program).args(&arguments.arguments);
    Ok(ExitCode::from(supervise::run(command)?.code()))
}
