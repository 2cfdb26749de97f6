//! What a reader must refuse, each with one fault.

use crate::{KEY_ID, put};
use m23_archive::{key_object, manifest_object};
use serde_json::{Value, json};
use std::fs::remove_dir_all;
use std::path::Path;
use uuid::Uuid;

const PREFIX: &str =
    "tenants/00000000-0000-0000-0000-00000000000a/backups/00000000-0000-0000-0000-0000000000a2";
const SECOND_FULL: &str =
    "tenants/00000000-0000-0000-0000-00000000000b/backups/00000000-0000-0000-0000-0000000000b1";
const SECOND_PREFIX: &str =
    "tenants/00000000-0000-0000-0000-00000000000b/backups/00000000-0000-0000-0000-0000000000b2";

pub fn write(bucket: &Path) {
    let bad = bucket.with_file_name("bad");
    remove_dir_all(&bad).ok();
    write_lines(&bad);
    let read = |object: &str| -> Value {
        serde_json::from_slice(&std::fs::read(bucket.join(object)).unwrap()).unwrap()
    };
    write_manifests(&bad, &read(&manifest_object(PREFIX)));
    write_second_manifests(&bad, &read(&manifest_object(SECOND_PREFIX)));
    put(
        &bad,
        "manifests/whole-with-groups.json",
        &edited(
            &read(&manifest_object(SECOND_FULL)),
            "/tables/0/groups",
            json!([["body"]]),
        ),
    );
    write_definitions(&bad, &read(&manifest_object(SECOND_FULL)));
    write_keys(
        &bad,
        &read(&key_object(&crate::numbered_tenant(0xe).name(), KEY_ID)),
    );
}

/// Of an incremental of version 1.
fn write_manifests(bad: &Path, manifest: &Value) {
    for (name, path, value) in [
        ("another-format", "/format", json!("tar")),
        ("later-version", "/version", json!(4)),
        ("tenant-that-is-no-uuid", "/tenant_id", json!("acme")),
        ("version-zero", "/version", json!(0)),
        ("unknown-field", "/compression", json!("zstd")),
        (
            "unknown-field-of-a-table",
            "/tables/0/filter",
            json!("id > 1"),
        ),
        ("unknown-job-type", "/job_type", json!("snapshot")),
        ("incremental-without-parent", "/parent", Value::Null),
        ("incremental-without-base", "/base_backup_id", Value::Null),
        ("full-with-parent", "/job_type", json!("full")),
        (
            "its-own-parent",
            "/parent/backup_id",
            manifest["backup_id"].clone(),
        ),
        (
            "parent-of-another-tenant",
            "/parent/manifest",
            json!("tenants/x/backups/y/manifest.json"),
        ),
        ("parent-without-hash", "/parent/sha256", json!("0")),
        ("parent-after-it", "/parent/position", json!("200:200:")),
        ("no-position", "/position", json!("now")),
        (
            "position-out-of-order",
            "/position",
            json!("110:120:115,112"),
        ),
        (
            "ticks-out-of-order",
            "/ticks",
            json!([{ "at": "2026-01-31T10:30:00Z", "position": "103:103:" }, { "at": "2026-01-31T10:20:00Z", "position": "102:102:" }]),
        ),
        ("groups-in-version-1", "/tables/0/groups", json!([])),
        ("whole-with-history", "/tables/0/whole", json!(true)),
        ("changes-without-history", "/tables/0/history", json!([])),
        ("table-twice", "/tables/1", manifest["tables"][0].clone()),
        ("column-twice", "/tables/0/columns/2/name", json!("id")),
        ("no-key", "/tables/0/key", json!([])),
        (
            "key-outside-the-columns",
            "/tables/0/key",
            json!(["number"]),
        ),
        (
            "no-tenant-column",
            "/tables/0/tenant_column",
            json!("owner"),
        ),
        (
            "object-of-another-backup",
            "/tables/0/chunks/0/object",
            json!("tenants/x/backups/y/001-shop.orders/000001-0.copy.gz"),
        ),
        (
            "object-outside-its-folder",
            "/tables/0/chunks/0/object",
            json!(format!("{PREFIX}/001-shop.orders/../manifest.json")),
        ),
        (
            "object-at-another-place",
            "/tables/0/chunks/0",
            manifest["tables"][0]["history"][0].clone(),
        ),
        (
            "upper-case-hash",
            "/tables/0/chunks/0/sha256",
            json!("A".repeat(64)),
        ),
        ("empty-chunk", "/tables/0/chunks/0/rows", json!(0)),
        (
            "chunk-of-3-gb",
            "/tables/0/chunks/0/bytes",
            json!(3_u64 << 30),
        ),
        (
            "chunk-stored-in-3-gb",
            "/tables/0/chunks/0/stored_bytes",
            json!(3_u64 << 30),
        ),
        (
            "fingerprint-of-no-number",
            "/tables/0/chunks/0/fingerprint",
            json!("0x1"),
        ),
        ("negative-rows", "/rows", json!(-1)),
        ("wrong-rows", "/rows", json!(5)),
        ("wrong-bytes", "/bytes", json!(1)),
        ("wrong-stored-bytes", "/stored_bytes", json!(1)),
        (
            "plain-names-but-encrypted",
            "/encryption",
            json!({ "key_id": KEY_ID, "algorithm": "AES-256-GCM" }),
        ),
        (
            "unknown-cipher",
            "/encryption",
            json!({ "key_id": KEY_ID, "algorithm": "ROT13" }),
        ),
    ] {
        put(
            bad,
            &format!("manifests/{name}.json"),
            &edited(manifest, path, value),
        );
    }
}

/// Of an incremental of version 2, its groups.
fn write_second_manifests(bad: &Path, manifest: &Value) {
    let groups = "/tables/0/groups";
    let many: Vec<Vec<String>> = vec![Vec::new(); 32];
    for (name, path, value) in [
        ("group-of-another-name", groups, json!([["body", "text"]])),
        ("group-with-the-key", groups, json!([["id"]])),
        (
            "group-with-the-tenant",
            groups,
            json!([["body"], ["tenant_id"]]),
        ),
        (
            "group-with-a-name-twice",
            groups,
            json!([["body", "tags", "body"]]),
        ),
        ("groups-of-no-lists", groups, json!(["body"])),
        ("too-many-groups", groups, json!(many)),
    ] {
        put(
            bad,
            &format!("manifests/{name}.json"),
            &edited(manifest, path, value),
        );
    }
}

/// Manifests whose rows may be read, and whose definitions nobody should execute.
fn write_definitions(bad: &Path, manifest: &Value) {
    let (create, finish) = (
        "/tables/0/definition/create/0",
        "/tables/0/definition/finish/0",
    );
    for (name, path, sql) in [
        (
            "two-statements",
            create,
            "create table shop.articles (id int); drop table shop.orders",
        ),
        (
            "command-of-psql",
            create,
            "create table shop.articles (id int)\n\\! touch /tmp/here\n",
        ),
        (
            "quote-that-does-not-end",
            finish,
            "alter table shop.articles add check ('\\'); --')",
        ),
        (
            "dollar-quotes",
            finish,
            "alter table shop.articles add check ($$x$$ <> '')",
        ),
        (
            "another-kind",
            finish,
            "create function shop.f() returns int language sql as 'select 1'",
        ),
        (
            "a-second-change",
            finish,
            "alter table shop.articles add check (true), owner to postgres",
        ),
        (
            "another-table",
            finish,
            "alter table shop.orders force row level security",
        ),
        (
            "rows-of-a-query",
            create,
            "create table shop.articles as select 1 as id",
        ),
    ] {
        put(
            bad,
            &format!("definitions/{name}.json"),
            &edited(manifest, path, json!(sql)),
        );
    }
}

fn write_keys(bad: &Path, key: &Value) {
    for (name, path, value) in [
        ("another-format", "/format", json!("pem")),
        ("later-version", "/version", json!(2)),
        ("unknown-field", "/hint", json!("none")),
        ("too-short", "/wrapped", json!("AAAA")),
        ("not-base64", "/wrapped", json!("~")),
    ] {
        put(bad, &format!("keys/{name}.json"), &edited(key, path, value));
    }
}

/// Lines of the history of a table of version 2, that of [`SECOND_PREFIX`].
fn write_lines(bad: &Path) {
    const ROW: &str = "1\tTENANT\tFirst\t1\tone\t{a}";
    const LEFT_OUT: &str = "1\tTENANT\tFirst\t1\t\\N\t\\N";
    for (name, head, row) in [
        ("no-groups", "U\t1\t210\t\\N", ROW),
        ("null-groups", "U\t1\t210\t\\N\t\\N", ROW),
        ("leading-zero", "U\t1\t210\t\\N\t02", LEFT_OUT),
        ("too-large", "U\t1\t210\t\\N\t2147483648", ROW),
        ("group-that-is-none", "U\t1\t210\t\\N\t16", ROW),
        ("deleted-without-columns", "D\t1\t210\t\\N\t2", LEFT_OUT),
        (
            "inserted-without-columns",
            "I\t1\t210\t\\N\t1",
            "1\t\\N\t\\N\t\\N\t\\N\t\\N",
        ),
        ("left-out-and-there", "U\t1\t210\t\\N\t8", ROW),
        ("null-and-not-left-out", "U\t1\t210\t\\N\t8", LEFT_OUT),
        (
            "nul-in-a-value",
            "U\t1\t210\t\\N\t0",
            "1\tTENANT\tFirst\t1\to\0e\t{a}",
        ),
    ] {
        let line = format!("{head}\t{row}\n").replace("TENANT", &Uuid::from_u128(0xb).to_string());
        put(bad, &format!("lines/{name}.copy"), line.as_bytes());
    }
}

fn edited(document: &Value, path: &str, value: Value) -> Vec<u8> {
    let mut document = document.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    match document.pointer_mut(path) {
        Some(place) => *place = value,
        None => document.pointer_mut(parent).unwrap()[name] = value,
    }
    serde_json::to_vec_pretty(&document).unwrap()
}
