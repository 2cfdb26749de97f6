//! `cargo xtask test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::commands::build;
use crate::project;
use crate::report::seconds;
use crate::{node, setup, supervise};

/// Arguments of `cargo xtask test`.
#[derive(Args)]
pub struct Arguments {
    /// The suites to run; all when none is named.
    #[arg(value_name = "SUITE")]
    suites: Vec<Suite>,

    /// Only TypeScript test files and SQL files whose path contains this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// A group of tests with a runner of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Unit tests of the native crates (cargo test).
    Rust,
    /// The TypeScript type check (tsc).
    Types,
    /// pgTAP tests of the database half.
    Sql,
    /// Tests against the real stack (node --test).
    Typescript,
}

impl Suite {
    const ALL: [Self; 4] = [Self::Rust, Self::Types, Self::Sql, Self::Typescript];

    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Types => "types",
            Self::Sql => "SQL",
            Self::Typescript => "TypeScript",
        }
    }
}

struct Outcome {
    suite: Suite,
    passed: bool,
    took: Duration,
}

/// Runs the suites one after the other, all of them even when one fails.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::ensure()?;
    let suites = if arguments.suites.is_empty() {
        Suite::ALL.to_vec()
    } else {
        arguments.suites.clone()
    };
    if suites.contains(&Suite::Typescript) {
        build::all()?;
        build::tool()?;
        build::client()?;
    }
    let mut outcomes = Vec::new();
    for suite in suites {
        println!("\n── {} ──", suite.name());
        let started = Instant::now();
        let (passed, stop) = run_suite(suite, arguments.only.as_deref())?;
        let took = started.elapsed();
        outcomes.push(Outcome {
            suite,
            passed,
            took,
        });
        if stop {
            break;
        }
    }
    Ok(summary(&outcomes))
}

/// Whether the suite passed, and whether we were asked to stop meanwhile.
fn run_suite(suite: Suite, only: Option<&str>) -> Result<(bool, bool)> {
    match suite {
        Suite::Rust => Ok((cargo_test()?, false)),
        Suite::Types => supervised(with(
            node::typescript()?,
            &["node_modules/typescript/bin/tsc", "--noEmit"],
        )),
        Suite::Sql => {
            let mut command = with(node::typescript()?, &["stack/sql-tests.ts"]);
            command.args(only);
            supervised(command)
        }
        Suite::Typescript => typescript_tests(only),
    }
}

fn cargo_test() -> Result<bool> {
    let mut cargo = project::native_cargo("test");
    let status = cargo.status().context("cargo could not be started")?;
    Ok(status.success())
}

fn typescript_tests(only: Option<&str>) -> Result<(bool, bool)> {
    let root = project::root();
    let mut files = Vec::new();
    test_files(&root.join("tests"), &mut files)?;
    files.retain(|file| only.is_none_or(|text| name_has(file, text)));
    files.sort();
    if let (true, Some(text)) = (files.is_empty(), only) {
        // Without a file node would run all of them.
        println!("no test file has \"{text}\" in its name");
        return Ok((false, false));
    }
    let mut command = with(
        node::typescript()?,
        &[
            "--test",
            "--test-reporter=spec",
            "--test-concurrency=2",
            // A file whose processes outlive a failure is ended, and fails; the longest takes a minute.
            "--test-timeout=600000",
        ],
    );
    if let Ok(own) = std::env::current_exe() {
        command.env("M23_XTASK", own);
    }
    command.env("M23_TOOL", project::tool());
    for file in files {
        command.arg(file.strip_prefix(&root).unwrap_or(&file));
    }
    supervised(command)
}

fn name_has(file: &Path, text: &str) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().contains(text))
}

fn test_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            test_files(&path, found)?;
        } else if path.to_string_lossy().ends_with(".test.ts") {
            found.push(path);
        }
    }
    Ok(())
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

fn supervised(command: Command) -> Result<(bool, bool)> {
    let ended = supervise::run(command)?;
    Ok((ended.status.success(), ended.asked))
}

fn summary(outcomes: &[Outcome]) -> ExitCode {
    println!();
    for outcome in outcomes {
        let mark = if outcome.passed { "passed" } else { "FAILED" };
        println!(
            "{:<12} {mark}  {:>8}",
            outcome.suite.name(),
            seconds(outcome.took)
        );
    }
    if outcomes.iter().all(|outcome| outcome.passed) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
