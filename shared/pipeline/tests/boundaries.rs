//! What may rest on what: crates by `cargo tree`, the modules of a crate by their imports.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
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

#[test]
fn the_modules_of_a_crate_do_not_import_each_other_in_a_circle() {
    let mut all = [crates("shared"), crates("functions")].concat();
    all.extend([root().join("cli"), root().join("xtask")]);
    let mut imports = 0;
    let mut circles = Vec::new();
    for path in all {
        let graph = imports_of(&path.join("src"));
        imports += graph.values().map(BTreeSet::len).sum::<usize>();
        for module in graph.keys() {
            let circle = way_back(&graph, module);
            circles.extend(circle.map(|way| format!("{}: {}", path.display(), way.join(" → "))));
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
    assert!(imports > 100, "the check sees what it looks for");
}

type Imports = BTreeMap<String, BTreeSet<String>>;

/// For each module below a crate's root, the others that it names: by `crate::`, itself or what the root takes
/// from it for everybody.
fn imports_of(source: &Path) -> Imports {
    let mut named = Imports::new();
    let mut homes = BTreeMap::new();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if module == "lib" || module == "main" {
            homes = re_exports(&code(&path));
        } else {
            named.insert(module, names_after("crate::", &code(&path)));
        }
    }
    let modules: BTreeSet<String> = named.keys().cloned().collect();
    for (module, names) in &mut named {
        let home = |name: &String| homes.get(name).unwrap_or(name).clone();
        *names = names.iter().map(home).collect();
        names.retain(|name| name != module && modules.contains(name));
    }
    named
}

/// Where the names come from that a crate's root takes from its modules.
fn re_exports(root: &str) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for line in root.split(';') {
        let Some((_, path)) = line.split_once("use ") else {
            continue;
        };
        let Some((module, _)) = path.split_once("::") else {
            continue;
        };
        let names = names_after(&format!("{module}::"), path);
        homes.extend(
            names
                .into_iter()
                .map(|name| (name, module.trim().to_owned())),
        );
    }
    homes
}

/// The code of a file, or of all files of a folder, without comments.
fn code(path: &Path) -> String {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.map(|entry| code(&entry.unwrap().path())).collect();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines()
        .filter(is_code)
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The first names after each `path`, one or several in braces.
fn names_after(path: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split(path).skip(1) {
        let list = after
            .strip_prefix('{')
            .and_then(|list| list.split_once('}'));
        let (many, one) = list.map_or((None, Some(after)), |(list, _)| (Some(list), None));
        let items = many.into_iter().flat_map(|list| list.split(',')).chain(one);
        let end = |letter: char| !letter.is_alphanumeric() && letter != '_';
        names.extend(items.filter_map(|item| Some(item.trim().split(end).next()?.to_owned())));
    }
    names
}

/// A way from a module back to itself.
fn way_back(graph: &Imports, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in graph.get(way.last()?)? {
            let on = [way.clone(), vec![next.clone()]].concat();
            if next == start {
                return Some(on);
            }
            if seen.insert(next.clone()) {
                ways.push(on);
            }
        }
    }
    None
}
