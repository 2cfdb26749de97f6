//! No input panics, and none is accepted wrongly.
//!
//! A quick run is part of `cargo test`; `PROPTEST_CASES=1000000` makes it a long one. A failure
//! prints its seed, and `PROPTEST_RNG_SEED` runs that one again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use m23_archive::{
    Chunk, Entry, KeyObject, Lines, Manifest, Op, Position, Table, Version, check_lines, lines,
    pack, unpack, value,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{read, read_dir};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// One of each version.
const BACKUPS: [&str; 2] = [
    "tenants/00000000-0000-0000-0000-00000000000a/backups/00000000-0000-0000-0000-0000000000a2",
    "tenants/00000000-0000-0000-0000-00000000000b/backups/00000000-0000-0000-0000-0000000000b2",
];
const VERSIONS: [Version; 2] = [Version::One, Version::Two];

/// Runs a property on many inputs, under a seed that is printed.
fn holds<S: Strategy>(inputs: S, property: impl Fn(S::Value)) {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if config.rng_seed == RngSeed::Random {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        config.rng_seed = RngSeed::Fixed(u64::from(now.subsec_nanos()));
    }
    println!("seed: {:?}", config.rng_seed);
    let checked = TestRunner::new(config).run(&inputs, |input| {
        property(input);
        Ok(())
    });
    checked.unwrap();
}

/// What is done to bytes.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

fn damages() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

fn damaged(bytes: &[u8], damage: &Damage) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = |at: &Index| at.index(bytes.len());
    match damage {
        Damage::Flip(at, bits) => {
            let at = place(at);
            bytes[at] ^= bits;
        }
        Damage::Remove(at, count) => {
            let at = place(at);
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Damage::Insert(at, more) => {
            let at = place(at);
            bytes.splice(at..at, more.iter().copied());
        }
        Damage::Repeat(at, count) => {
            let at = place(at);
            let again = bytes[at..(at + count).min(bytes.len())].to_vec();
            bytes.splice(at..at, again);
        }
    }
    bytes
}

/// A backup's objects by name.
fn objects_of(backup: &str) -> BTreeMap<String, Vec<u8>> {
    let bucket = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/bucket");
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![bucket.join(backup)];
    while let Some(folder) = folders.pop() {
        for entry in read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(&bucket)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.insert(name, read(&path).unwrap());
            }
        }
    }
    found
}

fn manifest_bytes(backup: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/bucket");
    read(path.join(backup).join("manifest.json")).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// All lines of a backup, read as a reader must; none when it is refused.
fn read_whole(
    backup: &str,
    objects: &BTreeMap<String, Vec<u8>>,
    manifest_sha256: &str,
) -> Option<Vec<Vec<u8>>> {
    let bytes = objects.get(&format!("{backup}/manifest.json"))?;
    let manifest = Manifest::parse(bytes)
        .ok()
        .filter(|_| sha256(bytes) == manifest_sha256)?;
    let mut whole = Vec::new();
    for table in &manifest.facts.tables {
        for (kind, _, chunk) in table.objects() {
            let stored = objects
                .get(&chunk.object)
                .filter(|stored| sha256(stored) == chunk.sha256)?;
            let lines = unpack(stored, chunk).ok()?;
            check_lines(&lines, table, kind, manifest.version).ok()?;
            whole.push(lines);
        }
    }
    Some(whole)
}

#[test]
fn a_backup_with_a_damaged_exchanged_or_missing_object_is_refused_or_the_same() {
    for backup in BACKUPS {
        assert_damage_is_noticed(backup);
    }
}

fn assert_damage_is_noticed(backup: &str) {
    let whole = objects_of(backup);
    let trusted = sha256(&manifest_bytes(backup));
    let wanted = read_whole(backup, &whole, &trusted).unwrap();
    let names: Vec<String> = whole.keys().cloned().collect();
    let inputs = (any::<Index>(), any::<Index>(), 0..10_u8, damages());
    holds(inputs, |(one, other, kind, damage)| {
        let (one, other) = (one.get(&names), other.get(&names));
        let mut objects = whole.clone();
        match kind {
            0 => drop(objects.remove(one)),
            1 => drop(objects.insert(one.clone(), whole[other].clone())),
            _ => drop(objects.insert(one.clone(), damaged(&whole[one], &damage))),
        }
        let read = read_whole(backup, &objects, &trusted);
        assert!(read.is_none() || read.as_ref() == Some(&wanted));
        assert_eq!(
            read.is_some(),
            objects == whole,
            "any other byte is noticed"
        );
    });
}

#[test]
fn a_damaged_manifest_is_refused_or_is_one_that_holds_its_rules() {
    let good = BACKUPS.map(manifest_bytes);
    let inputs = (0..2_usize, prop::collection::vec(damages(), 1..4));
    holds(inputs, |(which, damages)| {
        let good = &good[which];
        let bad = damages.iter().fold(good.clone(), |bytes, damage| {
            if bytes.is_empty() {
                bytes
            } else {
                damaged(&bytes, damage)
            }
        });
        assert_is_refused_or_sound(&bad);
    });
}

/// What is accepted reads back as it was written, names objects of its own places alone, and adds up.
fn assert_is_refused_or_sound(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(bytes) else {
        return;
    };
    assert_eq!(
        Manifest::parse(&manifest.to_bytes().unwrap()).unwrap(),
        manifest
    );
    let again = Manifest::new(manifest.facts.clone(), manifest.encryption.clone()).unwrap();
    let version = manifest.version;
    assert_eq!(Manifest { version, ..again }, manifest);
    for (_, _, chunk) in manifest.facts.tables.iter().flat_map(Table::objects) {
        assert!(chunk.object.starts_with(&manifest.prefix()) && !chunk.object.contains(".."));
    }
}

/// A place in a document: at each level the which-th member, as long as there are any.
fn edit(document: &mut Value, path: &[Index], value: Value) {
    let Some((at, rest)) = path.split_first() else {
        *document = value;
        return;
    };
    match document {
        Value::Array(items) if !items.is_empty() => {
            let at = at.index(items.len());
            edit(&mut items[at], rest, value);
        }
        Value::Object(fields) if !fields.is_empty() => {
            let name = fields.keys().nth(at.index(fields.len())).cloned().unwrap();
            edit(&mut fields[&name], rest, value);
        }
        _ => *document = value,
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[0-9]{1,3}:[0-9]{1,3}:[0-9]{0,3}".prop_map(Value::from),
        Just(Value::from("2026-01-31T10:30:00Z")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..3)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

#[test]
fn an_edited_manifest_is_refused_or_is_one_that_holds_its_rules() {
    let good =
        BACKUPS.map(|backup| -> Value { serde_json::from_slice(&manifest_bytes(backup)).unwrap() });
    let path = prop::collection::vec(any::<Index>(), 1..6);
    holds((0..2_usize, path, values()), |(which, path, value)| {
        let mut bad = good[which].clone();
        edit(&mut bad, &path, value);
        assert_is_refused_or_sound(&serde_json::to_vec(&bad).unwrap());
    });
}

#[test]
fn a_damaged_chunk_is_refused_or_the_same() {
    let rows = b"1\tone\n2\ttwo \\N\n3\t\\N\n".repeat(40);
    let stored = pack(&rows).unwrap();
    let chunk = |bytes: &[u8]| Chunk {
        object: "o".to_owned(),
        rows: 120,
        bytes: rows.len() as u64,
        stored_bytes: bytes.len() as u64,
        sha256: String::new(),
        fingerprint: None,
    };
    holds(damages(), |damage| {
        let bad = damaged(&stored, &damage);
        if let Ok(read) = unpack(&bad, &chunk(&bad)) {
            assert_eq!(read, rows, "nobody notices, and nothing is lost");
        }
    });
}

#[test]
fn any_bytes_are_refused_without_a_panic() {
    let tables = BACKUPS.map(|backup| {
        let manifest = Manifest::parse(&manifest_bytes(backup)).unwrap();
        manifest.facts.tables[0].clone()
    });
    let chunk = Chunk {
        object: "o".to_owned(),
        rows: 1,
        bytes: 10,
        stored_bytes: 0,
        sha256: String::new(),
        fingerprint: None,
    };
    holds(prop::collection::vec(any::<u8>(), 0..300), |bytes| {
        assert!(Manifest::parse(&bytes).is_err());
        assert!(KeyObject::parse(&bytes).is_err());
        let chunk = Chunk {
            stored_bytes: bytes.len() as u64,
            ..chunk.clone()
        };
        let _ = unpack(&bytes, &chunk);
        for (table, version) in tables.iter().zip(VERSIONS) {
            for kind in [Lines::Rows, Lines::History] {
                let _ = check_lines(&bytes, table, kind, version);
            }
        }
    });
}

/// As PostgreSQL writes a value.
fn written(value: Option<&str>) -> String {
    match value {
        None => "\\N".to_owned(),
        Some(text) => text
            .replace('\\', "\\\\")
            .replace('\t', "\\t")
            .replace('\n', "\\n")
            .replace('\r', "\\r"),
    }
}

#[test]
fn every_value_comes_back_as_it_was() {
    holds(
        prop::collection::vec(any::<Option<String>>(), 1..6),
        |row| {
            let fields: Vec<String> = row.iter().map(|value| written(value.as_deref())).collect();
            let line = fields.join("\t") + "\n";
            let (number, found) = lines(line.as_bytes()).unwrap().next().unwrap();
            assert_eq!(number, 1);
            let read: Vec<Option<String>> = found
                .split('\t')
                .map(|field| value(field).unwrap().map(Into::into))
                .collect();
            assert_eq!(read, row);
        },
    );
}

#[test]
fn a_field_that_is_accepted_is_the_only_text_of_its_value() {
    holds("[\\\\Ntrnxa\r\\.]{0,6}", |field| {
        if let Ok(read) = value(&field) {
            assert_eq!(written(read.as_deref()), field);
        }
    });
}

#[test]
fn an_entry_or_a_position_that_is_accepted_reads_as_it_stands() {
    let head = "[IDUonlaX]\t[0-9]{1,21}\t[0-9]{1,21}\t(\\\\N|2026-01-31 10:00:00\\+00|x)";
    let line = format!("{head}\t([0-9]{{1,11}}|.)\t?.{{0,9}}");
    holds((&*line, "[0-9:,]{0,12}"), |(line, text)| {
        for version in VERSIONS {
            if let Ok(entry) = Entry::parse(&line, version) {
                let head = format!("\t{}\t{}\t", entry.change_id, entry.xid);
                assert!(line[1..].starts_with(&head) && line.ends_with(entry.row));
                let groups = format!("\t{}\t{}", entry.unchanged, entry.row);
                assert!(version == Version::One || line.ends_with(&groups));
            }
        }
        if let Ok(position) = text.parse::<Position>() {
            assert_eq!(position.to_string(), text);
        }
    });
}

/// A line of history of the second backup's table: what its columns ask for, but for those in groups.
fn entries() -> impl Strategy<Value = String> {
    let field = || prop_oneof![Just("\\N".to_owned()), "[a-z{}]{0,3}"];
    ("[UUUUDI]", 0..20_u32, field(), field()).prop_map(|(op, bits, body, tags)| {
        format!("{op}\t1\t1\t\\N\t{bits}\t1\tt\tFirst\t0\t{body}\t{tags}\n")
    })
}

#[test]
fn an_accepted_image_carries_just_what_its_groups_do_not_leave_out() {
    let manifest = Manifest::parse(&manifest_bytes(BACKUPS[1])).unwrap();
    let table = &manifest.facts.tables[0];
    let accepted = Cell::new(0);
    holds(entries(), |line| {
        if check_lines(line.as_bytes(), table, Lines::History, Version::Two).is_err() {
            return;
        }
        let entry = Entry::parse(line.trim_end_matches('\n'), Version::Two).unwrap();
        let fields: Vec<&str> = entry.row.split('\t').collect();
        assert_eq!(fields.len(), table.columns.len());
        for (place, group) in table.groups().iter().enumerate() {
            let is_left_out = entry.unchanged >> place & 1 == 1;
            for (column, field) in table.columns.iter().zip(&fields) {
                assert!(!is_left_out || !group.contains(&column.name) || *field == "\\N");
            }
        }
        assert!(entry.unchanged == 0 || entry.op == Op::Updated);
        assert!(entry.unchanged >> table.groups().len() == 0);
        accepted.set(accepted.get() + 1);
    });
    assert!(accepted.get() > 0);
}
