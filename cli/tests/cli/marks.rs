//! Images that leave columns out: archives whose log was written otherwise, with sums that hold.

use crate::bucket::{Bucket, PLAIN, SECOND, backup};
use crate::extract::assert_states;
use m23_archive::{Chunk, ChunkPlace, Lines, Manifest, pack, unpack};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// Chunks of lines.
type History = Vec<Vec<String>>;

/// Writes the log of a plain backup's first table anew. No other backup may build upon it.
fn rewrite(bucket: &Bucket, backup: &str, edit: impl Fn(&mut History)) {
    rewrite_lines(bucket, backup, Lines::History, edit);
}

/// The same with lines of either kind.
pub fn rewrite_lines(bucket: &Bucket, backup: &str, kind: Lines, edit: impl Fn(&mut History)) {
    let path = &bucket.objects(backup, "manifest.json")[0];
    let mut manifest = Manifest::parse(&fs::read(path).unwrap()).unwrap();
    let folder = bucket.folder.join("bucket");
    let prefix = manifest.prefix();
    let table = &mut manifest.facts.tables[0];
    let chunks = match kind {
        Lines::Rows => &mut table.chunks,
        Lines::History => &mut table.history,
    };
    let mut history: History = chunks.iter().map(|chunk| read(&folder, chunk)).collect();
    edit(&mut history);
    let place = |seq| ChunkPlace {
        prefix: &prefix,
        ordinal: 1,
        schema: &table.schema,
        table: &table.name,
        lines: kind,
        seq,
        sealed: false,
    };
    let numbered = (1..).zip(&history);
    *chunks = numbered
        .map(|(seq, lines)| write(&folder, &place(seq), lines))
        .collect();
    let again = Manifest::new(manifest.facts, None).unwrap();
    fs::write(path, again.to_bytes().unwrap()).unwrap();
}

fn read(folder: &Path, chunk: &Chunk) -> Vec<String> {
    let stored = fs::read(folder.join(&chunk.object)).unwrap();
    let lines = String::from_utf8(unpack(&stored, chunk).unwrap()).unwrap();
    lines.lines().map(ToOwned::to_owned).collect()
}

fn write(folder: &Path, place: &ChunkPlace<'_>, lines: &[String]) -> Chunk {
    let text = lines.join("\n") + "\n";
    let stored = pack(text.as_bytes()).unwrap();
    let digest = Sha256::digest(&stored);
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let chunk = Chunk {
        object: place.object(&sha256),
        rows: lines.len() as u64,
        bytes: text.len() as u64,
        stored_bytes: stored.len() as u64,
        sha256,
        fingerprint: None,
    };
    fs::write(folder.join(&chunk.object), stored).unwrap();
    chunk
}

/// Replaces a text that stands once in the log.
fn replace(history: &mut History, old: &str, new: &str) {
    let is_it = |line: &&mut String| line.contains(old);
    let mut found: Vec<&mut String> = history.iter_mut().flatten().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{old}");
    *found[0] = found[0].replacen(old, new, 1);
}

#[test]
fn what_is_left_out_is_found_whatever_the_order_of_lines() {
    let bucket = Bucket::copy("marks-order").with_key();
    for (tenant, number) in [(PLAIN, 4), (SECOND, 2)] {
        rewrite(&bucket, &backup(tenant, number), |history| {
            history.reverse();
            history.iter_mut().for_each(|chunk| chunk.reverse());
        });
    }
    assert_states(&bucket, "states.json");
}

#[test]
fn what_stands_in_no_image_and_no_row_is_told_as_damage() {
    let bucket = Bucket::copy("marks-nowhere");
    // The entry that says where article 4 went lost its old row's body, which stands nowhere else.
    rewrite(&bucket, &backup(SECOND, 2), |history| {
        let entry = |bits: u32, body: &str| format!("\t{bits}\t4\t{SECOND}\tFourth\t0\t{body}\t");
        replace(history, &entry(0, "four\\nlines"), &entry(4, "\\N"));
    });
    let extract = |at: &str| {
        let backup = backup(SECOND, 2);
        bucket.m23(&format!(
            "archive extract BUCKET --backup {backup} --at {at}"
        ))
    };
    let ran = extract("2026-01-31T10:35:00Z");
    assert_eq!(ran.code, 1);
    assert!(ran.error.contains("stand nowhere else"), "{}", ran.error);
    assert!(!ran.output.contains("commit;"));
    let later = extract("2026-01-31T10:42:00Z");
    assert_eq!(later.code, 0, "nobody asks for it: {}", later.error);
}

#[test]
fn a_log_that_leaves_out_what_it_may_not_is_found_and_not_extracted() {
    for (old, new, what) in [
        ("10:25:00+00\t0", "10:25:00+00\t1", "is no update"),
        (
            "10:30:00+00\t8",
            "10:30:00+00\t24",
            "a group that its table does not have",
        ),
        (
            "10:30:00+00\t8",
            "10:30:00+00\t08",
            "no number of unchanged groups",
        ),
        ("10:30:00+00\t8", "10:30:00+00\t2", "has a value for body"),
        ("10:30:00+00\t8", "10:30:00+00", "fewer fields"),
        ("\tone\t\\N", "\tone\t{a}", "has a value for tags"),
        ("\t12\t1\t", "\t8\t1\t", "no value for body"),
    ] {
        let bucket = Bucket::copy("marks-wrong");
        rewrite(&bucket, &backup(SECOND, 2), |history| {
            replace(history, old, new);
        });
        let verified = bucket.m23(&format!("archive verify BUCKET --tenant {SECOND}"));
        assert_eq!(verified.code, 1, "{new:?}");
        assert!(
            verified.output.contains(what),
            "{new:?}: {}",
            verified.output
        );
        let backup = backup(SECOND, 2);
        let extracted = bucket.m23(&format!("archive extract BUCKET --backup {backup}"));
        assert_eq!(extracted.code, 1, "{new:?}");
        assert!(extracted.error.contains(what), "{}", extracted.error);
    }
}
