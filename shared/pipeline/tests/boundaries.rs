//! Only `m23-platform` and the functions may know the Workers platform; every other shared crate
//! builds and tests natively, in milliseconds.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const PLATFORM: [&str; 4] = [
    "worker ",
    "worker-sys ",
    "web-sys ",
    "wasm-bindgen-futures ",
];

/// The native dependencies of a crate, one `name version` a line.
fn dependencies(package: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--prefix",
            "none",
            "-e",
            "normal",
            "-p",
            package,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{package}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_the_platform_crate_knows_the_platform() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut checked = 0;
    for folder in shared.read_dir().unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        if name == "platform" {
            continue;
        }
        let tree = dependencies(&format!("m23-{name}"));
        for forbidden in PLATFORM {
            let found = tree.lines().any(|line| line.starts_with(forbidden));
            assert!(!found, "m23-{name} depends on {forbidden}");
        }
        checked += 1;
    }
    assert!(checked >= 4);
    assert!(
        dependencies("m23-platform").contains("worker v"),
        "the check sees what it looks for"
    );
}
