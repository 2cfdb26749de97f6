//! `cargo xtask build`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::project::{self, FUNCTIONS};
use crate::report::{kilobytes, seconds};
use crate::{console, node, setup, wasm};

/// Arguments of `cargo xtask build`.
#[derive(Args)]
pub struct Arguments {
    /// What to build: functions, and the console; all of it when nothing is named. Output: the build/ of each
    #[arg(value_name = "PART", value_parser = PossibleValuesParser::new(parts()))]
    parts: Vec<String>,
}

/// The name of what is no function.
const CONSOLE: &str = "console";

fn parts() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().chain([CONSOLE])
}

/// Builds and prints a table of sizes.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let started = Instant::now();
    let mut names = arguments.parts.clone();
    if names.is_empty() {
        names = parts().map(String::from).collect();
    }
    if names.iter().any(|name| name == CONSOLE) {
        setup::ensure()?;
        console::build()?;
        names.retain(|name| name != CONSOLE);
    }
    if names.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    setup::wasm_target()?;
    wasm::build(&names)?;
    println!(
        "{:<16} {:>12} {:>12} {:>12}",
        "function", "wasm", "script", "gzipped"
    );
    for name in names {
        let one = wasm::measure(&name)?;
        println!(
            "{:<16} {:>12} {:>12} {:>12}",
            one.name,
            kilobytes(one.wasm),
            kilobytes(one.script),
            kilobytes(one.gzipped)
        );
    }
    println!("built in {}", seconds(started.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Builds all functions and the console before the stack needs them.
pub fn all() -> Result<()> {
    let page = crate::report::Step::begin("console (Vite)");
    console::build()?;
    page.done();
    let step = crate::report::Step::begin("functions (release, WebAssembly)");
    wasm::build(&FUNCTIONS.map(String::from))?;
    step.done();
    Ok(())
}

/// Builds the command-line tool before tests need it.
pub fn tool() -> Result<()> {
    let step = crate::report::Step::begin("m23, the command-line tool");
    let mut cargo = project::native_cargo("build");
    cargo.args(["--bin", "m23", "--quiet"]);
    let status = cargo.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the tool does not compile; the compiler's message stands above");
    }
    step.done();
    Ok(())
}

/// Builds the client package, which tests import as users do.
pub fn client() -> Result<()> {
    let step = crate::report::Step::begin("client package (TypeScript)");
    let status = node::typescript()?
        .args(["node_modules/typescript/bin/tsc", "--project", "client"])
        .status()
        .context("tsc could not be started")?;
    if !status.success() {
        bail!("client/ does not compile; the compiler's own messages stand above");
    }
    step.done();
    Ok(())
}
