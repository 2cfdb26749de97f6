//! The bodies of the fuzz targets hold for every vector, cut short and with a byte changed: they are
//! compiled and run here, without a fuzzer.
#![allow(unused_attributes, reason = "the targets have no main")]
#![allow(
    clippy::expect_used,
    reason = "a target that does not hold ends its test"
)]

extern crate self as libfuzzer_sys;

use std::fs;
use std::path::{Path, PathBuf};

/// What a target is given: bytes as they are, or a chunk after the numbers that it promises.
trait Given<'a> {
    fn read(bytes: &'a [u8]) -> Self;
}

impl<'a> Given<'a> for &'a [u8] {
    fn read(bytes: &'a [u8]) -> Self {
        bytes
    }
}

impl Given<'_> for (u16, u16, Vec<u8>) {
    fn read(bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        let promise = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        (promise(bytes.len()), promise(lines), bytes.to_vec())
    }
}

#[path = "../../../fuzz/fuzz_targets/chunk.rs"]
mod chunk;
#[path = "../../../fuzz/fuzz_targets/definition.rs"]
mod definition;
#[path = "../../../fuzz/fuzz_targets/key.rs"]
mod key;
#[path = "../../../fuzz/fuzz_targets/lines.rs"]
mod lines;
#[path = "../../../fuzz/fuzz_targets/manifest.rs"]
mod manifest;

// After the targets, which find it by its path as they find the fuzzer's.
macro_rules! fuzz_target {
    (|$input:ident: $type:ty| $body:block) => {
        pub fn run(bytes: &[u8]) {
            let $input: $type = crate::Given::read(bytes);
            $body
        }
    };
}
pub(crate) use fuzz_target;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the vectors are there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The input itself, cut at eight places, and with one byte changed at eight.
fn variants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let places = || (0..8).map(|n| bytes.len() * n / 8);
    let cut = places().map(|at| bytes.iter().take(at).copied().collect());
    let changed = places().map(|at| {
        let mut other = bytes.to_vec();
        if let Some(byte) = other.get_mut(at) {
            *byte ^= 1;
        }
        other
    });
    std::iter::once(bytes.to_vec()).chain(cut).chain(changed)
}

#[test]
fn every_target_holds_for_every_vector_and_what_is_near_it() {
    let mut found = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors"),
        &mut found,
    );
    assert!(found.len() > 50, "{} vectors", found.len());
    for path in found {
        for bytes in variants(&fs::read(&path).expect("it can be read")) {
            for target in [
                chunk::run,
                definition::run,
                key::run,
                lines::run,
                manifest::run,
            ] {
                target(&bytes);
            }
        }
    }
}
