//! Writes the test vectors: `cargo run -p m23-archive --example vectors`.
//!
//! Keys and nonces are fixed here so that the vectors are reproducible. Never do so elsewhere:
//! a nonce that is used twice with one key gives both plaintexts away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use m23_archive::seal::{NONCE, Sealed, chunk_context, mac_to_bytes, manifest_context};
use m23_archive::{
    Algorithm, ChunkPlace, Encryption, Facts, KEY, KeyObject, Lines, Manifest, fingerprint,
    key_object, mac_object, manifest_object, pack,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{create_dir_all, remove_dir_all, write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MASTER: [u8; KEY] = [0x4d; KEY];
const DATA_KEY: [u8; KEY] = [0x44; KEY];
const KEY_ID: Uuid = Uuid::from_u128(0x4e);
const INCARNATION: Uuid = Uuid::from_u128(0x1c);
/// Of the chunks of the plain full backup, as PostgreSQL computes them; the others show that they are optional.
const FINGERPRINTS: [&str; 2] = ["9736416853010574951", "2748179348104759538"];

/// A tenant with a chain of three.
struct Chain {
    tenant: Uuid,
    sealed: bool,
    /// Native commit times, or ticks.
    native: bool,
    backups: [Uuid; 3],
}

fn main() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/bucket");
    remove_dir_all(&folder).ok();
    let plain = Chain {
        tenant: Uuid::from_u128(0xa),
        sealed: false,
        native: true,
        backups: [0xa1, 0xa2, 0xa3].map(Uuid::from_u128),
    };
    let sealed = Chain {
        tenant: Uuid::from_u128(0xe),
        sealed: true,
        native: false,
        backups: [0xe1, 0xe2, 0xe3].map(Uuid::from_u128),
    };
    for chain in [plain, sealed] {
        write_chain(&folder, &chain);
    }
    write_key(&folder, Uuid::from_u128(0xe));
    write_bad(&folder);
}

/// Documents that a reader must refuse, each with one fault.
fn write_bad(bucket: &Path) {
    let bad = bucket.with_file_name("bad");
    remove_dir_all(&bad).ok();
    let read = |object: &str| -> Value {
        serde_json::from_slice(&std::fs::read(bucket.join(object)).unwrap()).unwrap()
    };
    let tenant = Uuid::from_u128(0xa);
    let prefix = format!("tenants/{tenant}/backups/{}", Uuid::from_u128(0xa2));
    let (manifest, key) = (
        read(&manifest_object(&prefix)),
        read(&key_object(Uuid::from_u128(0xe), KEY_ID)),
    );
    for (name, path, value) in [
        ("another-format", "/format", json!("tar")),
        ("later-version", "/version", json!(2)),
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
            json!(format!("{prefix}/001-shop.orders/../manifest.json")),
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
            &bad,
            &format!("manifests/{name}.json"),
            &edited(&manifest, path, value),
        );
    }
    for (name, path, value) in [
        ("another-format", "/format", json!("pem")),
        ("later-version", "/version", json!(2)),
        ("unknown-field", "/hint", json!("none")),
        ("too-short", "/wrapped", json!("AAAA")),
        ("not-base64", "/wrapped", json!("~")),
    ] {
        put(
            &bad,
            &format!("keys/{name}.json"),
            &edited(&key, path, value),
        );
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

fn write_chain(folder: &Path, chain: &Chain) {
    let mut parent: Option<(Value, Vec<u8>)> = None;
    for (place, facts) in [full(chain), second(chain), third(chain)]
        .into_iter()
        .enumerate()
    {
        let mut facts = facts;
        let id = chain.backups.get(place).unwrap();
        let prefix = format!("tenants/{}/backups/{id}", chain.tenant);
        common(&mut facts, chain, *id);
        if let Some((before, bytes)) = &parent {
            let object = format!(
                "tenants/{}/backups/{}",
                chain.tenant,
                before["backup_id"].as_str().unwrap()
            );
            facts["parent"] = json!({ "backup_id": before["backup_id"], "manifest": manifest_object(&object),
                "sha256": hex(bytes), "position": before["position"], "position_at": before["position_at"] });
            facts["base_backup_id"] = json!(chain.backups.first());
        }
        store_tables(folder, chain, *id, &prefix, &mut facts);
        let bytes = store_manifest(folder, chain, &prefix, &facts);
        parent = Some((facts, bytes));
    }
}

fn common(facts: &mut Value, chain: &Chain, id: Uuid) {
    facts["backup_id"] = json!(id);
    facts["tenant_id"] = json!(chain.tenant);
    facts["incarnation"] = json!(INCARNATION);
    facts["server_version"] = json!(170_010);
    facts["commit_times"] = json!(if chain.native { "native" } else { "ticks" });
    facts["definitions"] = json!(["create domain shop.money as numeric(12,2)"]);
}

/// Chunks are given as lists of lines; they become objects.
fn store_tables(folder: &Path, chain: &Chain, id: Uuid, prefix: &str, facts: &mut Value) {
    let tables = facts["tables"].as_array_mut().unwrap();
    for (ordinal, table) in (1..).zip(tables) {
        for (lines, name) in [(Lines::Rows, "chunks"), (Lines::History, "history")] {
            let mut stored = Vec::new();
            for (seq, chunk) in (1..).zip(table[name].as_array().cloned().unwrap_or_default()) {
                let place = ChunkPlace {
                    prefix,
                    ordinal,
                    schema: table["schema"].as_str().unwrap(),
                    table: table["name"].as_str().unwrap(),
                    lines,
                    seq,
                    sealed: chain.sealed,
                };
                stored.push(store_chunk(folder, id, &place, &chunk, chain));
            }
            table[name] = json!(stored);
        }
    }
}

fn store_chunk(
    folder: &Path,
    id: Uuid,
    place: &ChunkPlace<'_>,
    chunk: &Value,
    chain: &Chain,
) -> Value {
    let rows = chunk.as_array().unwrap();
    let lines: String = rows
        .iter()
        .map(|line| {
            line.as_str()
                .unwrap()
                .replace("TENANT", &chain.tenant.to_string())
                + "\n"
        })
        .collect();
    let mut bytes = pack(lines.as_bytes()).unwrap();
    if place.sealed {
        bytes = seal(
            &DATA_KEY,
            &bytes,
            &chunk_context(id, place.ordinal, place.lines, place.seq),
        );
    }
    let sha256 = hex(&bytes);
    let object = place.object(&sha256);
    put(folder, &object, &bytes);
    json!({ "object": object, "rows": rows.len(), "bytes": lines.len(), "stored_bytes": bytes.len(), "sha256": sha256,
        "fingerprint": chunk_fingerprint(id, place) })
}

fn chunk_fingerprint(id: Uuid, place: &ChunkPlace<'_>) -> Option<&'static str> {
    let seq = usize::try_from(place.seq).unwrap();
    (id == Uuid::from_u128(0xa1)).then(|| FINGERPRINTS[seq - 1])
}

fn store_manifest(folder: &Path, chain: &Chain, prefix: &str, facts: &Value) -> Vec<u8> {
    let facts: Facts = serde_json::from_value(facts.clone()).unwrap();
    let encryption = chain.sealed.then_some(Encryption {
        key_id: KEY_ID,
        algorithm: Algorithm::Aes256Gcm,
    });
    let bytes = Manifest::new(facts, encryption)
        .unwrap()
        .to_bytes()
        .unwrap();
    if chain.sealed {
        let mac = seal(&DATA_KEY, &[], &manifest_context(&bytes));
        put(
            folder,
            &mac_object(prefix),
            &mac_to_bytes(Sealed::split(&mac).unwrap()),
        );
    }
    put(folder, &manifest_object(prefix), &bytes);
    bytes
}

fn write_key(folder: &Path, tenant: Uuid) {
    let wrapped = seal(&MASTER, &DATA_KEY, &KeyObject::context(tenant, KEY_ID));
    let master = fingerprint(&Sha256::digest(MASTER).into());
    let object = KeyObject::new(tenant, KEY_ID, master, Sealed::split(&wrapped).unwrap());
    put(
        folder,
        &key_object(tenant, KEY_ID),
        &object.to_bytes().unwrap(),
    );
}

fn seal(key: &[u8; KEY], bytes: &[u8], context: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest([b"nonce of ", context].concat()).into();
    let nonce: [u8; NONCE] = *digest.first_chunk().unwrap();
    let payload = Payload {
        msg: bytes,
        aad: context,
    };
    let body = Aes256Gcm::new(&Array(*key))
        .encrypt(&Array(nonce), payload)
        .unwrap();
    Sealed {
        nonce: &nonce,
        body: &body,
    }
    .join()
}

fn put(folder: &Path, object: &str, bytes: &[u8]) {
    let path = folder.join(object);
    create_dir_all(path.parent().unwrap()).unwrap();
    write(path, bytes).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

// What happens: three backups, at 10:00, 11:00 and 12:00.

fn orders(whole: bool, chunks: &Value, history: &Value) -> Value {
    json!({
        "schema": "shop", "name": "orders", "tenant_column": "tenant_id", "key": ["id"],
        "columns": [{ "name": "id", "type": "bigint", "not_null": true, "identity": "d" },
                    { "name": "tenant_id", "type": "uuid", "not_null": true },
                    { "name": "item", "type": "text" },
                    { "name": "price", "type": "shop.money" }],
        "whole": whole, "chunks": chunks, "history": history,
        "definition": {
            "create": ["create table shop.orders (id bigint generated by default as identity, tenant_id uuid not null, item text, price shop.money)"],
            "finish": ["alter table shop.orders add primary key (id)", "create index orders_tenant on shop.orders (tenant_id)"],
            "references": [],
        },
    })
}

fn notes(whole: bool, chunks: &Value, history: &Value) -> Value {
    json!({
        "schema": "shop", "name": "Order Notes", "tenant_column": "tenant_id", "key": ["order", "name"],
        "columns": [{ "name": "order", "type": "bigint", "not_null": true },
                    { "name": "name", "type": "text", "not_null": true },
                    { "name": "tenant_id", "type": "uuid", "not_null": true },
                    { "name": "text", "type": "text" }],
        "whole": whole, "chunks": chunks, "history": history,
        "definition": {
            "create": ["create table shop.\"Order Notes\" (\"order\" bigint not null, name text not null, tenant_id uuid not null, text text)"],
            "finish": ["alter table shop.\"Order Notes\" add primary key (\"order\", name)"],
            "references": ["alter table shop.\"Order Notes\" add foreign key (\"order\") references shop.orders (id)"],
        },
    })
}

fn full(_: &Chain) -> Value {
    json!({
        "backup_name": "full", "job_type": "full", "position": "100:100:", "position_at": "2026-01-31T10:00:00Z",
        "tables": [orders(true, &json!([
            ["1\tTENANT\tapple\t1.00", "2\tTENANT\tpear\t2.00"],
            ["3\tTENANT\tplum\t3.50", "7\tTENANT\t\\N\t\\N", "8\tTENANT\t\t0.00", "9\tTENANT\ttab\\t, newline\\n, \\\\N, \"quote\", ö, \\\\.\t9.99"],
        ]), &json!([])), notes(true, &json!([]), &json!([]))],
    })
}

/// At 10:10 order 2 is changed, at 10:20 order 3 deleted, at 10:30 order 4 inserted, at 10:40
/// order 1 becomes 5, at 10:50 order 2 is changed again and 6 comes and goes.
fn second(chain: &Chain) -> Value {
    let at = |minute: u32| {
        if chain.native {
            format!("2026-01-31 10:{minute}:00.000001+00")
        } else {
            "\\N".to_owned()
        }
    };
    let line = |op: &str, change: u32, xid: u32, minute: u32, row: &str| {
        format!("{op}\t{change}\t{xid}\t{}\t{row}", at(minute))
    };
    let ticks = json!([
        { "at": "2026-01-31T10:15:00Z", "position": "102:102:" },
        { "at": "2026-01-31T10:35:00Z", "position": "104:104:" },
        { "at": "2026-01-31T10:45:00Z", "position": "105:106:105" },
    ]);
    json!({
        "backup_name": "second", "job_type": "incremental", "position": "110:110:", "position_at": "2026-01-31T11:00:00Z",
        "ticks": if chain.native { json!([]) } else { ticks },
        "tables": [orders(false, &json!([["2\tTENANT\tpear, sold\t2.20", "4\tTENANT\tfig\t4.00", "5\tTENANT\tapple\t1.00"]]), &json!([
            [
                line("U", 1, 101, 10, "2\tTENANT\tpear\t2.00"),
                line("D", 2, 102, 20, "3\tTENANT\tplum\t3.50"),
                line("I", 3, 103, 30, "4\t\\N\t\\N\t\\N"),
            ],
            [
                line("o", 4, 104, 40, "1\t\\N\t\\N\t\\N"),
                line("n", 5, 104, 40, "5\t\\N\t\\N\t\\N"),
                line("U", 6, 104, 40, "1\tTENANT\tapple\t1.00"),
                line("U", 7, 105, 50, "2\tTENANT\tpear, ripe\t2.10"),
                line("I", 8, 105, 50, "6\t\\N\t\\N\t\\N"),
                line("D", 9, 105, 50, "6\tTENANT\tnut\t0.10"),
            ],
        ])), notes(true, &json!([["4\tsize\tTENANT\tsmall"]]), &json!([]))],
    })
}

/// At 11:30 order 4 is deleted and order 3 inserted again.
fn third(chain: &Chain) -> Value {
    let at = if chain.native {
        "2026-01-31 11:30:00+00"
    } else {
        "\\N"
    };
    let ticks = json!([{ "at": "2026-01-31T11:20:00Z", "position": "111:111:" }]);
    json!({
        "backup_name": "third", "job_type": "incremental", "position": "120:120:", "position_at": "2026-01-31T12:00:00Z",
        "ticks": if chain.native { json!([]) } else { ticks },
        "tables": [orders(false, &json!([["3\tTENANT\tplum, new\t3.60"]]), &json!([[
            format!("I\t12\t111\t{at}\t3\t\\N\t\\N\t\\N"),
            format!("D\t11\t111\t{at}\t4\tTENANT\tfig\t4.00"),
        ]])), notes(false, &json!([]), &json!([[
            format!("D\t10\t111\t{at}\t4\tsize\tTENANT\tsmall"),
        ]]))],
    })
}
