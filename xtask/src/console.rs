//! Builds the console, the page at `/m23/`, into `console/build/`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{node, project};

/// What the page is made of.
const INPUTS: [&str; 6] = [
    "console/index.html",
    "console/public",
    "console/src",
    "console/vite.config.ts",
    "client/src",
    "package-lock.json",
];

/// Builds it, unless it was built from the same files before.
pub fn build() -> Result<()> {
    let place = project::target_dir().join("xtask-console.lock");
    fs::create_dir_all(project::target_dir()).context("the target folder cannot be made")?;
    let lock =
        File::create(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    lock.lock().context("the build lock cannot be had")?;
    let stamp = project::target_dir().join("xtask-console.input");
    let input = fingerprint()?;
    let page = project::root().join("console/build/index.html");
    if page.is_file() && fs::read_to_string(&stamp).ok().as_deref() == Some(&input) {
        return Ok(());
    }
    bundle()?;
    fs::write(&stamp, input).with_context(|| format!("{} cannot be written", stamp.display()))
}

fn bundle() -> Result<()> {
    let status = node::typescript()?
        .args(["node_modules/vite/bin/vite.js", "build"])
        .args(["--config", "console/vite.config.ts"])
        .status()
        .context("vite could not be started")?;
    if !status.success() {
        bail!("console/ does not build; vite's own messages stand above");
    }
    Ok(())
}

fn fingerprint() -> Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&project::root().join(input), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let bytes =
            fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        (file, bytes).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if place.is_file() {
        files.push(place.to_path_buf());
        return Ok(());
    }
    let entries =
        fs::read_dir(place).with_context(|| format!("{} cannot be read", place.display()))?;
    for entry in entries {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
