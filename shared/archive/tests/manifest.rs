//! Manifests: what is read is what was written, and what breaks a rule is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use m23_archive::definition::check_definitions;
use m23_archive::seal::fingerprint_to_text;
use m23_archive::{
    ArchiveError, Chunk, Facts, Lines, Manifest, Version, check_lines, check_link, check_tenant,
};
use serde_json::{Value, json};

const TENANT: &str = "00000000-0000-4000-8000-00000000000a";
const FULL: &str = "00000000-0000-4000-8000-00000000000b";
const NEXT: &str = "00000000-0000-4000-8000-00000000000d";
const INCARNATION: &str = "00000000-0000-4000-8000-00000000000c";

fn chunk(backup: &str, name: &str, rows: u64) -> Value {
    json!({ "object": format!("tenants/{TENANT}/backups/{backup}/001-public.orders/{name}-aaaaaaaaaaaaaaaa.copy.gz"),
            "rows": rows, "bytes": 40 * rows, "stored_bytes": 40, "sha256": "a".repeat(64) })
}

fn full() -> Value {
    json!({
        "backup_id": FULL, "tenant_id": TENANT, "backup_name": "nightly", "job_type": "full",
        "position": "10:12:11", "position_at": "2026-01-02T03:04:05.678901+00:00",
        "incarnation": INCARNATION, "server_version": 170_010,
        "tables": [{
            "schema": "public", "name": "orders", "tenant_column": "tenant_id", "key": ["id"],
            "columns": [{"name": "id", "type": "bigint", "not_null": true, "identity": "a"},
                        {"name": "tenant_id", "type": "uuid", "not_null": true}],
            "chunks": [chunk(FULL, "000001", 2)]
        }]
    })
}

fn incremental() -> Value {
    let mut facts = full();
    let manifest = format!("tenants/{TENANT}/backups/{FULL}/manifest.json");
    let more = json!({
        "backup_id": NEXT, "job_type": "incremental", "base_backup_id": FULL,
        "position": "20:20:", "position_at": "2026-01-03T00:00:00+00:00",
        "commit_times": "ticks", "ticks": [{ "at": "2026-01-02T12:00:00Z", "position": "15:15:" }],
        "parent": { "backup_id": FULL, "manifest": manifest, "sha256": "b".repeat(64),
                    "position": "10:12:11", "position_at": "2026-01-02T03:04:05.678901+00:00" },
    });
    for (name, value) in more.as_object().unwrap() {
        facts[name] = value.clone();
    }
    facts["tables"][0]["whole"] = json!(false);
    facts["tables"][0]["chunks"] = json!([chunk(NEXT, "000001", 1)]);
    facts["tables"][0]["history"] = json!([chunk(NEXT, "history-000001", 3)]);
    facts
}

fn manifest(facts: Value) -> Manifest {
    let facts: Facts = serde_json::from_value(facts).unwrap();
    Manifest::new(facts, None).unwrap()
}

type Edit = fn(&mut Value);

fn edited(facts: Value, edit: Edit) -> Result<Manifest, ArchiveError> {
    let mut value = serde_json::to_value(manifest(facts)).unwrap();
    edit(&mut value);
    Manifest::parse(&serde_json::to_vec(&value).unwrap())
}

fn refused(facts: fn() -> Value, edits: &[(&str, Edit)]) {
    for (what, edit) in edits {
        let refusal = edited(facts(), *edit).unwrap_err().to_string();
        assert!(refusal.contains(what), "{what}: {refusal}");
    }
}

#[test]
fn a_manifest_reads_back_as_it_was_written() {
    for facts in [full(), incremental()] {
        let written = manifest(facts);
        let bytes = written.to_bytes().unwrap();
        assert_eq!(Manifest::parse(&bytes).unwrap(), written);
    }
}

#[test]
fn rows_are_those_of_chunks_and_bytes_those_of_the_log_too() {
    let full = manifest(full());
    assert_eq!((full.rows, full.bytes, full.stored_bytes), (2, 80, 40));
    let next = manifest(incremental());
    assert_eq!((next.rows, next.bytes, next.stored_bytes), (1, 160, 80));
}

#[test]
fn what_a_first_version_left_out_is_a_full_and_plain_backup() {
    let mut value = serde_json::to_value(manifest(full())).unwrap();
    for name in [
        "encryption",
        "parent",
        "base_backup_id",
        "commit_times",
        "ticks",
        "definitions",
    ] {
        value.as_object_mut().unwrap().remove(name).unwrap();
    }
    for name in ["whole", "history", "definition"] {
        value["tables"][0]
            .as_object_mut()
            .unwrap()
            .remove(name)
            .unwrap();
    }
    let read = Manifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap();
    assert_eq!(read, manifest(full()));
}

#[test]
fn another_format_or_a_later_version_is_refused_by_name() {
    for other in [0, 4] {
        let mut value = serde_json::to_value(manifest(full())).unwrap();
        value["version"] = json!(other);
        let refusal = Manifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap_err();
        let refusal = refusal.to_string();
        assert!(
            refusal.contains(&format!("version {other};")) && refusal.contains("1 to 3"),
            "{refusal}"
        );
    }
    assert!(matches!(
        edited(full(), |m| m["format"] = json!("tar")),
        Err(ArchiveError::UnknownFormat { .. })
    ));
}

#[test]
fn version_3_is_written_and_those_before_are_read() {
    for facts in [full(), incremental()] {
        let written = manifest(facts);
        assert_eq!(written.version, Version::Three);
        let mut value = serde_json::to_value(&written).unwrap();
        assert!(value["tables"][0].get("groups").is_none());
        value["version"] = json!(1);
        let bytes = serde_json::to_vec(&value).unwrap();
        let read = Manifest::parse(&bytes).unwrap();
        assert_eq!(read.version, Version::One);
        assert_eq!(read.facts, written.facts);
        let again = Manifest::parse(&read.to_bytes().unwrap()).unwrap();
        assert_eq!(again, read);
    }
}

/// An incremental whose table has a column beside its key and its tenant.
fn grouped() -> Value {
    let mut facts = incremental();
    let columns = facts["tables"][0]["columns"].as_array_mut().unwrap();
    columns.push(json!({ "name": "body", "type": "text" }));
    columns.push(json!({ "name": "tags", "type": "text[]" }));
    facts["tables"][0]["groups"] = json!([["body"], [], ["tags", "body"]]);
    facts
}

#[test]
fn groups_are_the_bits_of_their_columns() {
    let written = manifest(grouped());
    let read = Manifest::parse(&written.to_bytes().unwrap()).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.facts.tables[0].group_bits(), [0, 0, 5, 4]);
    for none in [json!([]), Value::Null] {
        let mut facts = grouped();
        facts["tables"][0]["groups"] = none;
        let table = &manifest(facts).facts.tables[0];
        assert_eq!(
            (table.groups().len(), table.group_bits()),
            (0, vec![0, 0, 0, 0])
        );
    }
    let most = |m: &mut Value| m["tables"][0]["groups"] = json!(vec![["body"]; 31]);
    assert_eq!(
        edited(grouped(), most).unwrap().facts.tables[0].group_bits()[2],
        i32::MAX as u32
    );
}

#[test]
fn groups_that_say_nothing_clear_are_refused() {
    refused(
        grouped,
        &[
            ("version 1", |m| m["version"] = json!(1)),
            ("version 1", |m| {
                m["version"] = json!(1);
                m["tables"][0]["groups"] = json!([]);
            }),
            ("no column", |m| {
                m["tables"][0]["groups"] = json!([["nope"]])
            }),
            ("key, tenant column", |m| {
                m["tables"][0]["groups"] = json!([[], ["id"]])
            }),
            ("key, tenant column", |m| {
                m["tables"][0]["groups"] = json!([["body", "tenant_id"]])
            }),
            ("twice", |m| {
                m["tables"][0]["groups"] = json!([["body", "tags", "body"]])
            }),
            ("too many", |m| {
                m["tables"][0]["groups"] = json!(vec![["body"]; 32])
            }),
            ("whole", |m| {
                m["tables"][0]["whole"] = json!(true);
                m["tables"][0]["history"] = json!([]);
            }),
        ],
    );
    refused(
        full,
        &[("whole, and has groups", |m| {
            m["tables"][0]["groups"] = json!([[]])
        })],
    );
}

#[test]
fn a_child_of_version_2_goes_on_with_a_parent_of_version_1_and_has_groups_of_its_own() {
    let (mut facts, mut child) = (full(), grouped());
    facts["tables"][0]["columns"] = child["tables"][0]["columns"].clone();
    let mut parent = manifest(facts);
    parent.version = Version::One;
    child["parent"]["sha256"] = json!("c".repeat(64));
    check_link(&manifest(child), &parent, &"c".repeat(64)).unwrap();
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    refused(
        full,
        &[
            ("\"extra\"", |m| m["extra"] = json!(1)),
            ("\"extra\"", |m| m["tables"][0]["extra"] = json!(1)),
            ("\"extra\"", |m| {
                m["tables"][0]["chunks"][0]["extra"] = json!(1)
            }),
        ],
    );
    assert!(edited(full(), |m| m["extra"] = Value::Null).is_ok());
}

#[test]
fn a_chunk_that_is_not_where_it_belongs_is_refused() {
    refused(
        full,
        &[
            ("another backup", |m| {
                m["tables"][0]["chunks"][0]["object"] = json!("tenants/x/backups/y/chunk")
            }),
            ("name", |m| {
                m["tables"][0]["chunks"][0] = chunk(FULL, "000002", 2)
            }),
            ("name", |m| {
                m["tables"][0]["chunks"][0] = chunk(FULL, "history-000001", 2)
            }),
            ("name", |m| {
                m["tables"][0]["chunks"][0] = chunk(FULL, "../000001", 2)
            }),
            ("name", |m| {
                let chunk = m["tables"][0]["chunks"][0].clone();
                m["tables"][0]["chunks"] = json!([chunk, chunk]);
            }),
            ("SHA-256", |m| {
                m["tables"][0]["chunks"][0]["sha256"] = json!("A".repeat(64))
            }),
            ("empty", |m| m["tables"][0]["chunks"][0]["rows"] = json!(0)),
            ("name", |m| {
                m["encryption"] = json!({ "key_id": FULL, "algorithm": "AES-256-GCM" })
            }),
        ],
    );
}

#[test]
fn a_fingerprint_is_a_whole_number_or_absent() {
    for sum in ["0", "-1", "9736416853010574951", "-46116860184273879040000"] {
        let mut value = serde_json::to_value(manifest(full())).unwrap();
        value["tables"][0]["chunks"][0]["fingerprint"] = json!(sum);
        let read = Manifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap();
        let again = Manifest::parse(&read.to_bytes().unwrap()).unwrap();
        let chunk = &again.facts.tables[0].chunks[0];
        assert_eq!(chunk.fingerprint.as_deref(), Some(sum));
    }
    for wrong in ["", "1.5", "01", "+1", "-0", "1e3"] {
        let mut value = serde_json::to_value(manifest(full())).unwrap();
        value["tables"][0]["chunks"][0]["fingerprint"] = json!(wrong);
        let refusal = Manifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap_err();
        assert!(
            refusal.to_string().contains("whole number"),
            "{wrong:?}: {refusal}"
        );
    }
}

#[test]
fn the_fingerprint_of_an_encrypted_chunk_is_sealed_or_absent() {
    let mut facts = full();
    let chunk = &mut facts["tables"][0]["chunks"][0];
    chunk["object"] = json!(format!("{}.enc", chunk["object"].as_str().unwrap()));
    let encryption = json!({ "key_id": FULL, "algorithm": "AES-256-GCM" });
    let sealed = |facts: &Value| {
        let facts: Facts = serde_json::from_value(facts.clone()).unwrap();
        Manifest::new(facts, serde_json::from_value(encryption.clone()).unwrap())
    };
    assert!(sealed(&facts).is_ok());
    facts["tables"][0]["chunks"][0]["fingerprint"] = json!(fingerprint_to_text(&[0; 29]));
    assert!(sealed(&facts).is_ok());
    for open in ["1", "", "9736416853010574951", "AAAA"] {
        facts["tables"][0]["chunks"][0]["fingerprint"] = json!(open);
        let refusal = sealed(&facts).unwrap_err().to_string();
        assert!(refusal.contains("not sealed"), "{open:?}: {refusal}");
    }
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    refused(
        full,
        &[
            ("key", |m| m["tables"][0]["key"] = json!(["nope"])),
            ("key", |m| m["tables"][0]["key"] = json!(["id", "id"])),
            ("tenant column", |m| {
                m["tables"][0]["tenant_column"] = json!("nope")
            }),
            ("tenant column", |m| {
                m["tables"][0]["path"] = json!({ "columns": ["id"], "parent_columns": ["id"],
                    "parent": { "schema": "public", "name": "p" } })
            }),
            ("path", |m| {
                m["tables"][0]["tenant_column"] = json!(null);
                m["tables"][0]["path"] = json!({ "columns": ["nope"], "parent_columns": ["id"],
                    "parent": { "schema": "public", "name": "p" } })
            }),
            ("column twice", |m| {
                m["tables"][0]["columns"][1]["name"] = json!("id")
            }),
            ("twice", |m| {
                let table = m["tables"][0].clone();
                m["tables"] = json!([table, table]);
            }),
        ],
    );
}

#[test]
fn sums_that_do_not_add_up_are_refused() {
    refused(full, &[("sums", |m| m["rows"] = json!(3))]);
    refused(incremental, &[("sums", |m| m["bytes"] = json!(40))]);
}

#[test]
fn sums_never_overflow() {
    let most = |m: &mut Value| {
        for name in ["rows", "bytes", "stored_bytes"] {
            m[name] = json!(u64::MAX);
            m["tables"][0]["chunks"][0][name] = json!(u64::MAX);
        }
        m["tables"][0]["history"][0]["bytes"] = json!(u64::MAX);
    };
    let refusal = edited(incremental(), most).unwrap_err().to_string();
    assert!(refusal.contains("larger than any"), "{refusal}");
    let mut facts = incremental();
    facts["tables"][0]["history"][0]["bytes"] = json!(u64::MAX);
    let facts: Facts = serde_json::from_value(facts).unwrap();
    assert!(Manifest::new(facts, None).is_err());
}

#[test]
fn a_chunk_that_promises_more_than_any_can_hold_is_refused() {
    let with = |bytes: u64, stored: u64| {
        let mut facts = full();
        facts["tables"][0]["chunks"][0]["bytes"] = json!(bytes);
        facts["tables"][0]["chunks"][0]["stored_bytes"] = json!(stored);
        Manifest::new(serde_json::from_value(facts).unwrap(), None)
    };
    assert!(with(Chunk::MOST_BYTES, 40).is_ok());
    assert!(with(Chunk::MOST_BYTES, Chunk::MOST_BYTES).is_ok());
    for (bytes, stored) in [
        (Chunk::MOST_BYTES + 1, 40),
        (3 << 30, 40),
        (Chunk::MOST_BYTES, 3 << 30),
        (80, 80 + 1025),
    ] {
        assert!(with(bytes, stored).is_err(), "{bytes} {stored}");
    }
}

#[test]
fn rows_and_old_rows_of_another_tenant_are_counted() {
    let table = &manifest(incremental()).facts.tables[0];
    let check = |kind, text: &str| {
        check_lines(text.as_bytes(), table, kind, Version::Two).unwrap();
        check_tenant(
            text.as_bytes(),
            table,
            kind,
            Version::Two,
            &TENANT.parse().unwrap(),
        )
    };
    let rows = format!("1\t{TENANT}\n2\t{FULL}\n3\t{NEXT}\n");
    assert_eq!(check(Lines::Rows, &rows), Err(ArchiveError::ForeignRows(2)));
    assert_eq!(check(Lines::Rows, &format!("1\t{TENANT}\n")), Ok(()));
    let entry = |op: &str, tenant: &str| format!("{op}\t1\t1\t\\N\t0\t1\t{tenant}\n");
    for op in ["U", "D"] {
        assert_eq!(check(Lines::History, &entry(op, TENANT)), Ok(()));
        let foreign = check(Lines::History, &entry(op, FULL));
        assert_eq!(foreign, Err(ArchiveError::ForeignRows(1)), "{op}");
    }
    assert_eq!(check(Lines::History, &entry("I", "\\N")), Ok(()));
}

#[test]
fn a_row_is_the_tenants_if_postgresql_holds_the_keys_to_be_equal() {
    let holds = |type_name: &str, field: &str, tenant: &str| {
        let mut table = manifest(full()).facts.tables[0].clone();
        table.columns[1].type_name = type_name.to_owned();
        let line = format!("1\t{field}\n");
        let tenant = tenant.parse().unwrap();
        check_tenant(
            line.as_bytes(),
            &table,
            Lines::Rows,
            Version::Three,
            &tenant,
        )
        .is_ok()
    };
    for (type_name, field, tenant) in [
        ("text", "cm4x/ä\\\\\\t", "cm4x/ä\\\t"),
        ("bigint", "42", "42"),
        ("bpchar", "acme  ", "acme"),
        ("app.citext", "Ärzte", "ärzte"),
        ("app.org_id", "ACME ", "acme"),
    ] {
        assert!(holds(type_name, field, tenant), "{type_name} {field}");
    }
    for (type_name, field, tenant) in [
        ("text", "acme ", "acme"),
        ("text", "ACME", "acme"),
        ("bigint", "421", "42"),
        ("bpchar", "ACME", "acme"),
        ("app.citext", "acme2", "acme"),
        ("text", "\\N", "\\N"),
    ] {
        assert!(!holds(type_name, field, tenant), "{type_name} {field}");
    }
}

#[test]
fn a_definition_that_nobody_should_execute_is_told_of_and_rows_are_read_all_the_same() {
    let with = |list: &str, sql: &str| {
        let mut facts = full();
        let definition = json!({ "create": [], "finish": [], "references": [] });
        facts["tables"][0]["definition"] = definition;
        match list {
            "definitions" => facts[list] = json!([sql]),
            list => facts["tables"][0]["definition"][list] = json!([sql]),
        }
        let written = manifest(facts).to_bytes().unwrap();
        check_definitions(&Manifest::parse(&written).unwrap())
    };
    for (list, sql) in [
        ("definitions", "create type shop.a as enum ('b')"),
        ("create", "create table public.orders (id int)"),
        (
            "finish",
            "alter table public.orders enable row level security",
        ),
        (
            "references",
            "alter table public.orders add foreign key (id) references a.b (c)",
        ),
    ] {
        assert_eq!(with(list, sql), Ok(()));
        for end in ["; drop table a", "\n\\! sh", "; "] {
            let refusal = with(list, &format!("{sql}{end}")).unwrap_err();
            assert!(
                matches!(refusal, ArchiveError::Definition { .. }),
                "{refusal}"
            );
        }
    }
    assert!(with("create", "create table public.other (id int)").is_err());
}

#[test]
fn a_full_backup_builds_upon_nothing() {
    refused(
        full,
        &[
            ("no parent", |m| m["base_backup_id"] = json!(NEXT)),
            ("no parent", |m| {
                m["parent"] = incremental()["parent"].clone()
            }),
            ("no parent", |m| m["tables"][0]["whole"] = json!(false)),
            ("whole", |m| {
                m["tables"][0]["history"] = json!([chunk(FULL, "history-000001", 1)])
            }),
            ("ticks", |m| m["ticks"] = incremental()["ticks"].clone()),
        ],
    );
}

#[test]
fn an_incremental_names_its_parent_and_its_base() {
    refused(
        incremental,
        &[
            ("a parent and a base", |m| m["parent"] = Value::Null),
            ("a parent and a base", |m| m["base_backup_id"] = Value::Null),
            ("its own parent", |m| m["parent"]["backup_id"] = json!(NEXT)),
            ("its own parent", |m| m["base_backup_id"] = json!(NEXT)),
            ("not an object of its parent", |m| {
                m["parent"]["manifest"] = json!("tenants/x/backups/y/manifest.json")
            }),
            ("SHA-256", |m| m["parent"]["sha256"] = json!("")),
            ("after its own", |m| {
                m["parent"]["position"] = json!("30:30:")
            }),
            ("after its own", |m| {
                m["parent"]["position_at"] = json!("2027-01-01T00:00:00Z")
            }),
            ("position", |m| m["position"] = json!("now")),
            ("whole", |m| m["tables"][0]["whole"] = json!(true)),
            ("history", |m| m["tables"][0]["history"] = json!([])),
        ],
    );
}

#[test]
fn a_child_is_held_to_its_parent() {
    let parent = manifest(full());
    let sha256 = "b".repeat(64);
    check_link(&manifest(incremental()), &parent, &sha256).unwrap();
    let broken = |parent: &Manifest, sha256: &str, what: &str| {
        let refusal = check_link(&manifest(incremental()), parent, sha256).unwrap_err();
        assert!(refusal.to_string().contains(what), "{what}: {refusal}");
    };
    broken(&parent, &"c".repeat(64), "was another");
    let other = |edit: Edit| {
        let mut facts = full();
        edit(&mut facts);
        manifest(facts)
    };
    broken(
        &other(|f| f["incarnation"] = json!(NEXT)),
        &sha256,
        "another life",
    );
    broken(
        &other(|f| f["position"] = json!("9:9:")),
        &sha256,
        "another position",
    );
    broken(
        &other(|f| f["tables"][0]["columns"][0]["type"] = json!("text")),
        &sha256,
        "public.orders",
    );
    broken(
        &other(|f| f["tables"] = json!([])),
        &sha256,
        "public.orders",
    );
    assert!(check_link(&parent, &parent, &sha256).is_err());
    let child = manifest(incremental());
    assert!(check_link(&child, &child, &sha256).is_err());
}

#[test]
fn no_input_panics() {
    let good = manifest(incremental()).to_bytes().unwrap();
    for end in 0..good.len() {
        assert!(Manifest::parse(&good[..end]).is_err() || end + 1 == good.len());
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        let _ = Manifest::parse(&bad);
    }
}
