//! `cargo xtask test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// All HTTP tests on every PostgreSQL, in place of a few on one of them.
    #[arg(long)]
    all: bool,
}

/// A group of tests with a runner of its own.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Unit tests of the native crates (cargo test).
    Rust,
    /// Format and lints of TypeScript and JavaScript (biome).
    Style,
    /// The TypeScript type check (tsc).
    Types,
    /// pgTAP tests of the database half.
    Sql,
    /// Tests against the real stack (node --test).
    Typescript,
    /// Tests against the real stack with another PostgreSQL than the stack's own: a few of them, on another version each day.
    Versions,
}

impl Suite {
    const ALL: [Self; 6] = [
        Self::Rust,
        Self::Style,
        Self::Types,
        Self::Sql,
        Self::Typescript,
        Self::Versions,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Style => "style",
            Self::Types => "types",
            Self::Sql => "SQL",
            Self::Typescript => "TypeScript",
            Self::Versions => "versions",
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
    if suites.contains(&Suite::Typescript) || suites.contains(&Suite::Versions) {
        build::all()?;
        build::tool()?;
        build::client()?;
    }
    let mut outcomes = Vec::new();
    for suite in suites {
        println!("\n── {} ──", suite.name());
        let started = Instant::now();
        let (passed, stop) = run_suite(suite, arguments)?;
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
fn run_suite(suite: Suite, arguments: &Arguments) -> Result<(bool, bool)> {
    let only = arguments.only.as_deref();
    match suite {
        Suite::Rust => Ok((cargo_test()?, false)),
        Suite::Style => supervised(with(
            node::typescript()?,
            &[
                "node_modules/@biomejs/biome/bin/biome",
                "ci",
                "--error-on-warnings",
            ],
        )),
        Suite::Types => supervised(with(
            node::typescript()?,
            &["node_modules/typescript/bin/tsc", "--noEmit"],
        )),
        Suite::Sql => {
            let mut command = with(node::typescript()?, &["stack/sql-tests.ts"]);
            command.args(only);
            supervised(command)
        }
        Suite::Typescript => typescript_tests(&named(test_files()?, only), None),
        Suite::Versions => on_other_versions(arguments),
    }
}

fn cargo_test() -> Result<bool> {
    let mut cargo = project::native_cargo("test");
    cargo.arg("--no-fail-fast");
    let status = cargo.status().context("cargo could not be started")?;
    Ok(status.success())
}

/// The versions of PostgreSQL that the stack can run beside its own, 17.
const OTHER_VERSIONS: [u8; 3] = [15, 16, 18];

/// What is run on a version where not all is.
const SAMPLE: [&str; 4] = [
    "backups/chains.test.ts",
    "proof/recovery-tests.test.ts",
    "restores/backup-restore.test.ts",
    "restores/pitr.test.ts",
];

fn on_other_versions(arguments: &Arguments) -> Result<(bool, bool)> {
    let mut files = test_files()?;
    if arguments.all {
        files.retain(|file| starts_stack(file));
    } else {
        files.retain(|file| SAMPLE.iter().any(|name| file.ends_with(name)));
    }
    let files = named(files, arguments.only.as_deref());
    let versions = if arguments.all {
        OTHER_VERSIONS.to_vec()
    } else {
        vec![of_today()]
    };
    let mut passed = true;
    for version in versions {
        println!("PostgreSQL {version}");
        let (held, asked) = typescript_tests(&files, Some(version))?;
        passed &= held;
        if asked {
            return Ok((passed, true));
        }
    }
    Ok((passed, false))
}

/// Each day has the next one.
fn of_today() -> u8 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let [first, second, third] = OTHER_VERSIONS;
    match since.as_secs() / 86_400 % 3 {
        0 => first,
        1 => second,
        _ => third,
    }
}

/// How a test file starts a stack: by a fixture, most of them.
const STARTERS: [&str; 5] = [
    "openBackedUpShop(",
    "openShopStack(",
    "openStack(",
    "startStack(",
    "startWith(",
];

fn starts_stack(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| STARTERS.iter().any(|starter| text.contains(starter)))
}

/// Runs test files, on the stack's own PostgreSQL or on another.
fn typescript_tests(files: &[PathBuf], version: Option<u8>) -> Result<(bool, bool)> {
    if files.is_empty() {
        // Without a file node would run all of them.
        println!("no test file has that name");
        return Ok((false, false));
    }
    let mut command = with(node::typescript()?, &["stack/typescript-tests.ts"]);
    if let Ok(own) = std::env::current_exe() {
        command.env("M23_XTASK", own);
    }
    if let Some(version) = version {
        command.env("M23_POSTGRES", version.to_string());
    }
    command.env("M23_TOOL", project::tool());
    command.env("M23_TEMPLATES", project::target_dir().join("databases"));
    let root = project::root();
    for file in files {
        command.arg(file.strip_prefix(&root).unwrap_or(file));
    }
    supervised(command)
}

/// The files whose path below `tests` contains a text, in their order.
fn named(mut files: Vec<PathBuf>, only: Option<&str>) -> Vec<PathBuf> {
    let folder = project::root().join("tests");
    files.retain(|file| {
        only.is_none_or(|text| path_has(file.strip_prefix(&folder).unwrap_or(file), text))
    });
    files.sort();
    files
}

/// `restores/` means that folder, and `pitr` any file that has it in its name.
fn path_has(file: &Path, text: &str) -> bool {
    file.to_string_lossy().contains(text)
}

fn test_files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    find_tests(&project::root().join("tests"), &mut files)?;
    Ok(files)
}

fn find_tests(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            find_tests(&path, found)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: Option<&str>) -> Vec<PathBuf> {
        let folder = project::root().join("tests");
        let files =
            ["restores/pitr.test.ts", "backups/chains.test.ts"].map(|file| folder.join(file));
        let chosen = named(files.to_vec(), only);
        chosen
            .iter()
            .filter_map(|file| file.strip_prefix(&folder).ok())
            .map(Path::to_path_buf)
            .collect()
    }

    #[test]
    fn only_is_a_part_of_the_path_below_tests() {
        assert_eq!(
            chosen(Some("restores/")),
            [Path::new("restores/pitr.test.ts")]
        );
        assert_eq!(
            chosen(Some("chains")),
            [Path::new("backups/chains.test.ts")]
        );
        assert_eq!(chosen(Some("tests/")), [] as [&Path; 0]);
        assert_eq!(chosen(None).len(), 2);
    }

    #[test]
    fn the_sample_is_there() {
        let folder = project::root().join("tests");
        assert!(SAMPLE.iter().all(|file| folder.join(file).is_file()));
    }
}
