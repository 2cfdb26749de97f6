//! The task runner: `cargo xtask <command>`.
//!
//! It sets up what a fresh machine lacks, builds the functions and supervises the processes of
//! the development stack. The stack itself is TypeScript in `stack/`; nothing here knows how
//! Postgres or a Worker is started.

#![forbid(unsafe_code)]

mod commands;
mod console;
mod node;
mod project;
mod report;
mod schemas;
mod setup;
mod state;
mod supervise;
mod wasm;

use std::process::ExitCode;

use clap::Parser;

use commands::Cli;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
