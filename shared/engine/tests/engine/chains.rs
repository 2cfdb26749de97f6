//! A chain is read back to its full backup, and staged in its order; every object of it is verified.

use crate::backups::{JOB, TENANT};
use crate::fake_ports::{FakePorts, sha256};
use crate::faults::{BOTH, Break, Fault};
use crate::restores::{begin, begun, everything};
use m23_archive::{Chunk, ChunkPlace, Facts, Lines, Manifest, Version, manifest_object, pack};
use m23_engine::{ErrorClass, RestoreOrder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

pub const TIP: Uuid = Uuid::from_u128(0xd);

/// The update leaves out a group whose columns are gone.
pub const HISTORY: &str = "U\t1\t13\t2026-01-02 04:00:00+00\t1\t0001\trow of a\n\
                       D\t2\t13\t2026-01-02 04:00:00+00\t0\t0002\trow of a\n\
                       I\t3\t14\t2026-01-02 05:00:00+00\t0\t0009\t\\N\n";
const FIRST_HISTORY: &str = "U\t1\t13\t2026-01-02 04:00:00+00\t0001\trow of a\n\
                             D\t2\t13\t2026-01-02 04:00:00+00\t0002\trow of a\n\
                             I\t3\t14\t2026-01-02 05:00:00+00\t0009\t\\N\n";
const ROWS: &str = "0001\tchanged\n0009\tnew\n";

fn store(ports: &FakePorts, lines: Lines, text: &str) -> Chunk {
    let stored = pack(text.as_bytes()).unwrap();
    let sha256 = sha256(&stored);
    let prefix = format!("tenants/{TENANT}/backups/{TIP}");
    let place = ChunkPlace {
        prefix: &prefix,
        ordinal: 1,
        schema: "public",
        table: "a",
        lines,
        seq: 1,
        sealed: false,
    };
    let chunk = Chunk {
        object: place.object(&sha256),
        rows: text.lines().count() as u64,
        bytes: text.len() as u64,
        stored_bytes: stored.len() as u64,
        sha256,
        fingerprint: None,
    };
    ports
        .objects
        .borrow_mut()
        .insert(chunk.object.clone(), stored);
    chunk
}

/// A ports with a full backup and an incremental one, and a restore of that.
fn chained() -> (FakePorts, RestoreOrder) {
    chained_by(Version::Two, json!([[]]), HISTORY)
}

/// The same with an incremental of a version, with groups and a log for its first table.
pub fn chained_by(version: Version, groups: Value, history: &str) -> (FakePorts, RestoreOrder) {
    let (ports, full) = begun();
    let history = store(&ports, Lines::History, history);
    let rows = store(&ports, Lines::Rows, ROWS);
    let table = |name: &str| {
        let groups = (name == "a").then(|| groups.clone());
        let chunks = |chunk: &Chunk| {
            if name == "a" {
                json!([chunk])
            } else {
                json!([])
            }
        };
        json!({ "schema": "public", "name": name, "tenant_column": "t", "key": ["k"], "whole": false, "groups": groups,
                "columns": [{ "name": "k", "type": "text" }, { "name": "t", "type": "text" }],
                "chunks": chunks(&rows), "history": chunks(&history) })
    };
    let facts: Facts = serde_json::from_value(json!({
        "backup_id": TIP, "tenant_id": TENANT, "backup_name": "hourly", "job_type": "incremental",
        "base_backup_id": JOB, "position": "20:20:", "position_at": "2026-01-02T06:00:00Z",
        "incarnation": Uuid::from_u128(0xc), "server_version": 170_010,
        "parent": { "backup_id": JOB, "manifest": full.manifest, "sha256": full.manifest_sha256,
                    "position": "10:12:11", "position_at": "2026-01-02T03:04:05.678901+00:00" },
        "tables": [table("a"), table("b"), table("c"), table("d")],
    }))
    .unwrap();
    let mut manifest = Manifest::new(facts, None).unwrap();
    manifest.version = version;
    let bytes = manifest.to_bytes().unwrap();
    let object = manifest_object(&format!("tenants/{TENANT}/backups/{TIP}"));
    let order = RestoreOrder {
        backup_id: Some(TIP),
        manifest: Some(object.clone()),
        manifest_sha256: Some(sha256(&bytes)),
        ..full
    };
    ports.objects.borrow_mut().insert(object, bytes);
    (ports, order)
}

fn at_tip() -> BTreeMap<String, String> {
    let mut wanted = everything();
    let kept = "0000\trow of a\n0003\trow of a\n0004\trow of a\n";
    wanted.insert("a".to_owned(), format!("{kept}{ROWS}"));
    wanted
}

#[test]
fn a_member_is_its_parent_without_the_changed_keys_and_with_its_rows() {
    let (ports, order) = chained();
    ports.in_flight.most.set(0);
    assert!(ports.restore(&order).unwrap().is_ok());
    let restores = ports.restores.borrow();
    assert_eq!(restores.written, Some(at_tip()));
    assert!(ports.in_flight.most.get() <= 2, "memory stays flat");
}

#[test]
fn the_last_history_is_kept_where_the_database_goes_back_by_it() {
    let (ports, mut order) = chained();
    order.rewind = true;
    assert!(ports.restore(&order).unwrap().is_ok());
    let restores = ports.restores.borrow();
    let kept = restores.kinds.iter().filter(|kind| *kind == "rewind");
    assert_eq!(kept.count(), 1);
    assert!(!restores.kinds.contains(&"history".to_owned()));
}

#[test]
fn the_database_is_told_which_columns_an_image_may_leave_out() {
    let (ports, order) = chained();
    assert!(ports.restore(&order).unwrap().is_ok());
    let restores = ports.restores.borrow();
    assert_eq!(restores.groups["a"], json!([[]]));
    assert_eq!(restores.groups["b"], json!([]), "no group is none");
}

#[test]
fn a_member_of_version_1_is_staged_as_one() {
    let (ports, mut order) = chained_by(Version::One, Value::Null, FIRST_HISTORY);
    order.rewind = true;
    assert!(ports.restore(&order).unwrap().is_ok());
    let restores = ports.restores.borrow();
    assert_eq!(restores.written, Some(at_tip()));
    assert!(restores.groups.values().all(Value::is_null));
}

#[test]
fn a_history_that_breaks_a_rule_is_not_gone_back_by() {
    for (good, bad) in [
        ("\t1\t0001", "\t2\t0001"),
        ("\t1\t0001", "\t01\t0001"),
        ("\t0\t0002", "\t1\t0002"),
        ("\t0\t0002", "\t0002"),
    ] {
        let history = HISTORY.replacen(good, bad, 1);
        let (ports, mut order) = chained_by(Version::Two, json!([[]]), &history);
        order.rewind = true;
        let error = ports.restore(&order).unwrap().unwrap_err();
        assert_eq!(ports.begun("m23_execute_restore"), 0, "{bad:?}");
        assert!(matches!(error.classify(), ErrorClass::Archive(_)));
    }
}

#[test]
fn every_object_of_the_chain_is_verified_before_anything_is_written() {
    let objects: Vec<String> = chained().0.objects.borrow().keys().cloned().collect();
    assert!(objects.len() > 6);
    for object in objects {
        for altered in [true, false] {
            let (ports, order) = chained();
            if altered {
                let mut all = ports.objects.borrow_mut();
                let bytes = all.get_mut(&object).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            } else {
                ports.objects.borrow_mut().remove(&object);
            }
            let error = ports.restore(&order).unwrap().unwrap_err();
            assert_eq!(ports.begun("m23_execute_restore"), 0, "{object}");
            assert!(ports.restores.borrow().failures[0].contains(&object));
            assert!(matches!(error.classify(), ErrorClass::Archive(_)));
        }
    }
}

#[test]
fn whatever_step_is_away_for_a_moment_the_rows_are_the_same() {
    let steps = {
        let (ports, order) = chained();
        ports.restore(&order).unwrap().unwrap();
        ports.steps.borrow().len()
    };
    for number in 0..steps - 1 {
        for when in BOTH {
            let (ports, order) = chained();
            let fault = Fault::at(number, when, Break::Passing);
            ports
                .faults
                .borrow_mut()
                .push(fault.sparing("m23_execute_restore"));
            assert!(ports.restore(&order).unwrap().is_ok(), "step {number}");
            let written = ports.restores.borrow().written.clone();
            assert_eq!(written, Some(at_tip()), "step {number} {when:?}");
        }
    }
}

#[test]
fn a_restore_of_the_full_backup_reads_nothing_of_what_builds_on_it() {
    let (ports, _) = chained();
    ports.steps.borrow_mut().clear();
    let order = begin(&ports);
    assert!(ports.restore(&order).unwrap().is_ok());
    assert_eq!(ports.restores.borrow().written, Some(everything()));
}
