//! What may rest on what: by `cargo tree`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What only `m23-platform` and the functions may have below them.
const PLATFORM: [&str; 4] = ["worker", "worker-sys", "web-sys", "wasm-bindgen-futures"];

/// Of HTTP requests; jobs know nothing of them.
const REQUESTS: [&str; 4] = ["m23-pipeline", "m23-auth", "m23-rate-limit", "http"];

/// The names of what is below a crate.
fn below(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal,build", "--package", package])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{package}: {said}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.skip(1).map(ToOwned::to_owned).collect()
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// The crates of a folder, by their folders.
fn crates(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut crates: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    crates.retain(|path| path.join("Cargo.toml").exists());
    assert!(!crates.is_empty());
    crates
}

fn assert_absent(package: &str, forbidden: &[&str]) {
    let below = below(package);
    for name in forbidden {
        assert!(!below.contains(*name), "{package} depends on {name}");
    }
}

#[test]
fn only_the_platform_crate_knows_the_platform() {
    for path in crates("shared") {
        let name = path.file_name().unwrap().to_string_lossy();
        if name != "platform" {
            assert_absent(&format!("m23-{name}"), &PLATFORM);
        }
    }
    assert_absent("m23-cli", &["worker", "worker-sys"]);
    assert!(
        below("m23-platform").contains("worker"),
        "the check sees what it looks for"
    );
}

#[test]
fn jobs_know_nothing_of_requests() {
    for package in ["m23-engine", "m23-alerts", "m23-archive", "m23-ports"] {
        assert_absent(package, &REQUESTS);
    }
    assert!(below("m23-platform").is_superset(&REQUESTS.map(ToOwned::to_owned).into()));
}

#[test]
fn requests_know_nothing_of_jobs() {
    assert_absent("m23-pipeline", &["m23-engine", "m23-archive"]);
}
