//! Where things lie in the repository.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The five edge functions, in the order in which they are built and shown.
pub const FUNCTIONS: [&str; 5] = [
    "backup-create",
    "backup-restore",
    "pitr-restore",
    "pitr-rollback",
    "recovery-test",
];

/// Crates that only make sense as WebAssembly; everything else is built and tested natively.
pub const WASM_ONLY: [&str; 6] = [
    "m23-platform",
    "backup-create",
    "backup-restore",
    "pitr-restore",
    "pitr-rollback",
    "recovery-test",
];

/// The target that the functions are built for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The repository's root: the folder that holds this crate's.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Cargo's output folder, wherever the caller has put it.
pub fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that runs the same cargo as the one that started us, in the repository's root.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A command of cargo for all native crates. Always the same crates, so that each is built once.
pub fn native_cargo(subcommand: &str) -> Command {
    let mut command = cargo();
    command.args([subcommand, "--workspace"]);
    for name in WASM_ONLY {
        command.args(["--exclude", name]);
    }
    command
}

/// The command-line tool, built for tests.
pub fn tool() -> PathBuf {
    target_dir().join("debug").join("m23")
}
