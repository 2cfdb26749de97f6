//! Builds the edge functions: Rust to WebAssembly, its JavaScript glue, and the Worker's module.
//!
//! The output of a function is `functions/<name>/build/`: `index.js` is the Worker (from
//! `worker.js` here), `glue.js` is wasm-bindgen's, `index_bg.wasm` is the module.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasm_bindgen_cli_support::Bindgen;

use crate::project::{self, WASM_TARGET};

const WORKER: &str = include_str!("worker.js");

/// A built function and its sizes in bytes.
pub struct Built {
    /// The function's name.
    pub name: String,
    /// The size of the WebAssembly module.
    pub wasm: usize,
    /// The size of its JavaScript.
    pub script: usize,
    /// The size of both, as uploaded.
    pub gzipped: usize,
}

/// Builds the named functions. Functions that have not changed are left as they are.
pub fn build(names: &[String]) -> Result<()> {
    compile(names)?;
    // Two runs at once (a test that deploys beside a stack that starts) must not write into one
    // another's output.
    let place = project::target_dir().join("xtask-bind.lock");
    let lock =
        File::create(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    lock.lock().context("the build lock cannot be had")?;
    names.iter().try_for_each(|name| bind(name))
}

fn compile(names: &[String]) -> Result<()> {
    let mut cargo = project::cargo();
    cargo.args(["build", "--release", "--lib", "--target", WASM_TARGET]);
    for name in names {
        cargo.args(["--package", name]);
    }
    let status = cargo.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the functions do not compile; the compiler's message stands above");
    }
    Ok(())
}

/// Writes `build/` from cargo's output, unless it was written from the same input before.
fn bind(name: &str) -> Result<()> {
    let input = project::target_dir()
        .join(WASM_TARGET)
        .join("release")
        .join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = fs::read(&input).with_context(|| format!("{} is missing", input.display()))?;
    let folder = output_of(name);
    let stamp = folder.join(".input");
    let fingerprint = fingerprint(&bytes);
    if fs::read_to_string(&stamp).ok().as_deref() != Some(&fingerprint) {
        generate(&input, &folder).with_context(|| format!("{name} cannot be bound"))?;
        fs::write(&stamp, &fingerprint)
            .with_context(|| format!("{} cannot be written", stamp.display()))?;
    }
    Ok(())
}

fn output_of(name: &str) -> PathBuf {
    project::root().join("functions").join(name).join("build")
}

fn fingerprint(wasm: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    (wasm, WORKER, wasm_bindgen_version()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn wasm_bindgen_version() -> &'static str {
    "0.2.130"
}

/// Runs wasm-bindgen into a folder beside the target, then swaps the two, so that nobody reads
/// half an output.
fn generate(input: &Path, folder: &Path) -> Result<()> {
    let fresh = folder.with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    Bindgen::new()
        .input_path(input)
        .module(true)
        .and_then(|bindgen| {
            bindgen
                .out_name("index")
                .typescript(false)
                .demangle(false)
                .remove_name_section(true)
                .remove_producers_section(true)
                // Lets a Worker that has trapped start afresh instead of failing for ever.
                .reset_state_function(true)
                .force_enable_abort_handler(true)
                .generate(&fresh)
        })
        .map_err(|error| anyhow!("wasm-bindgen: {error:#}"))?;
    place_scripts(&fresh)?;
    let _ = fs::remove_dir_all(folder);
    fs::rename(&fresh, folder).with_context(|| format!("{} cannot be written", folder.display()))
}

/// Gives wasm-bindgen's script its place beside the Worker's.
fn place_scripts(folder: &Path) -> Result<()> {
    let generated = folder.join("index.js");
    let glue = fs::read_to_string(&generated).context("wasm-bindgen wrote no index.js")?;
    // workerd gives a compiled module for a plain import; it has no source phase imports yet.
    let glue = glue.replace("import source ", "import ");
    fs::write(folder.join("glue.js"), &glue).context("glue.js cannot be written")?;
    fs::write(&generated, worker_for(&glue)).context("index.js cannot be written")
}

/// The Worker with the handlers that the module really has: a `scheduled` handler without a
/// function behind it would make cron triggers fail instead of being refused at deployment.
fn worker_for(glue: &str) -> String {
    if glue.contains("function scheduled(") || glue.contains(" as scheduled") {
        return WORKER.to_owned();
    }
    let mut kept = String::new();
    let mut inside = false;
    for line in WORKER.lines() {
        inside |= line.trim() == "// scheduled:begin";
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line.trim() != "// scheduled:end";
    }
    kept
}

/// The sizes of a function that has been built.
pub fn measure(name: &str) -> Result<Built> {
    let folder = output_of(name);
    let read =
        |file: PathBuf| fs::read(&file).with_context(|| format!("{} is missing", file.display()));
    let wasm = read(folder.join("index_bg.wasm"))?;
    let mut script = read(folder.join("index.js"))?;
    script.extend(read(folder.join("glue.js"))?);
    Ok(Built {
        name: name.to_owned(),
        wasm: wasm.len(),
        script: script.len(),
        gzipped: gzipped(&wasm)? + gzipped(&script)?,
    })
}

fn gzipped(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}
