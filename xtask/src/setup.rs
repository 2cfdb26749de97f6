//! What a fresh machine lacks: the packages from npm and the WebAssembly target.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::node;
use crate::project::{self, WASM_TARGET};
use crate::report::Step;

/// Makes sure that everything is there that Cargo does not bring. Quick when it is.
pub fn ensure() -> Result<()> {
    node::check_machine()?;
    npm_packages()?;
    wasm_target()
}

/// Installs what package-lock.json names when it differs from the one last installed.
///
/// `npm install --no-save` and not `npm ci`: the latter begins with removing everything, and refuses
/// the whole installation when the lock file has no entry for a package of *another* platform.
/// Versions and hashes come from the lock file either way, and `--no-save` leaves that file alone.
fn npm_packages() -> Result<()> {
    let root = project::root();
    let lock =
        fs::read(root.join("package-lock.json")).context("package-lock.json cannot be read")?;
    let stamp = root.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let step = Step::begin("npm packages");
    let status = Command::new("npm")
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .arg("--loglevel=error")
        .current_dir(&root)
        .stdin(Stdio::null())
        .status()
        .context("npm is missing: install it (it comes with Node.js), then run this again")?;
    if !status.success() {
        bail!("npm install failed; its own message stands above");
    }
    fs::write(&stamp, lock).context("node_modules cannot be written")?;
    step.done();
    Ok(())
}

/// Adds the WebAssembly target where rustup manages the toolchain and lacks it.
pub fn wasm_target() -> Result<()> {
    let libraries = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .current_dir(project::root())
        .output()
        .context("rustc is missing: install Rust through https://rustup.rs")?;
    let folder = String::from_utf8_lossy(&libraries.stdout);
    if libraries.status.success() && fs::exists(folder.trim()).unwrap_or(false) {
        return Ok(());
    }
    let step = Step::begin("WebAssembly target (rustup target add)");
    let added = Command::new("rustup")
        .args(["target", "add", WASM_TARGET])
        .current_dir(project::root())
        .status();
    if !added.is_ok_and(|status| status.success()) {
        bail!("the Rust target {WASM_TARGET} is missing and rustup could not add it");
    }
    step.done();
    Ok(())
}
