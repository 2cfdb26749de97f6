//! The commands and their arguments.

mod bench;
mod build;
mod dev;
mod generate;
mod history;
mod scripts;
mod test;
mod torture;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// M23's task runner. Needs Rust, Node 20 or newer and npm; brings everything else itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the main job end to end on real data: back a tenant up, damage it, restore it, check it.
    Demo(scripts::Arguments),
    /// Run the whole stack in the foreground, with two demo tenants; Ctrl-C stops it.
    Dev(dev::Arguments),
    /// Run every test: Rust, SQL, TypeScript against the real stack, and the checks of format, lints and types.
    Test(test::Arguments),
    /// Build the edge functions as WebAssembly modules, release, and show their sizes.
    Build(build::Arguments),
    /// Run the benchmarks and print a table of ratios.
    Bench(bench::Arguments),
    /// Write a random history, and compare every answer about its past with a record of its own.
    History(history::Arguments),
    /// Attack every promise: cuts at every step, random histories, isolation, hostile archives and tokens, load.
    Torture(torture::Arguments),
    /// Write what is generated anew: the migrations, docs/openapi.json and the client's types.
    Generate,
    /// Write the migrations of another folder than supabase, for a test.
    #[command(hide = true)]
    Migrations(generate::Folder),
}

/// Runs the command that was asked for.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Demo(arguments) => scripts::run("demo/demo.ts", &arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Torture(arguments) => torture::run(&arguments),
        Command::Generate => generate::run(),
        Command::Migrations(arguments) => generate::migrations_of(&arguments),
    }
}
