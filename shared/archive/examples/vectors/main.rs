//! Writes the test vectors: `cargo run -p m23-archive --example vectors`.
//!
//! Keys and nonces are fixed here so that the vectors are reproducible. Never do so elsewhere:
//! a nonce that is used twice with one key gives both plaintexts away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod articles;
mod bad;
mod members;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use m23_archive::seal::{NONCE, Sealed, chunk_context, mac_to_bytes, manifest_context};
use m23_archive::{
    Algorithm, ChunkPlace, Encryption, Facts, KEY, KeyObject, Lines, Manifest, Version,
    backup_prefix, fingerprint, key_object, mac_object, manifest_object, pack,
};
use m23_tenant::TenantId;
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

/// A tenant with a chain.
struct Chain {
    tenant: TenantId,
    sealed: bool,
    /// Native commit times, or ticks.
    native: bool,
    members: Vec<Member>,
}

struct Member {
    id: Uuid,
    version: Version,
    telling: Telling,
}

/// Gives what the database would say of a member, with lines instead of chunks; takes whether commit
/// times are native.
type Telling = fn(bool) -> Value;

/// Members of a chain, numbered from the first one's id on.
fn numbered(first: u128, members: &[(Version, Telling)]) -> Vec<Member> {
    let all = (first..).zip(members);
    all.map(|(id, (version, telling))| Member {
        id: Uuid::from_u128(id),
        version: *version,
        telling: *telling,
    })
    .collect()
}

/// Three members of version 1, and one of version 2 that goes on with them.
const MIXED: [(Version, Telling); 4] = [
    (Version::One, members::full),
    (Version::One, members::second),
    (Version::One, members::third),
    (Version::Two, members::fourth),
];

const ARTICLES: [(Version, Telling); 2] = [
    (Version::Two, articles::full),
    (Version::Two, articles::second),
];

/// A key that is simple neither in names nor in lines.
const TEXT: &str = "cm4x/ä\"'\\";

const ARTICLES_OF_TEXT: [(Version, Telling); 2] = [
    (Version::Three, articles::full_of_text),
    (Version::Three, articles::second_of_text),
];

fn main() {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let folder = vectors.join("bucket");
    let texts = vectors.join("texts/bucket");
    for bucket in [&folder, &texts] {
        remove_dir_all(bucket).ok();
    }
    let plain = Chain {
        tenant: numbered_tenant(0xa),
        sealed: false,
        native: true,
        members: numbered(0xa1, &MIXED),
    };
    let sealed = Chain {
        tenant: numbered_tenant(0xe),
        sealed: true,
        native: false,
        members: numbered(0xe1, &MIXED),
    };
    let second_version = Chain {
        tenant: numbered_tenant(0xb),
        sealed: false,
        native: true,
        members: numbered(0xb1, &ARTICLES),
    };
    for chain in [plain, sealed, second_version] {
        write_chain(&folder, &chain);
    }
    write_key(&folder, &numbered_tenant(0xe));
    bad::write(&folder);
    let of_text = Chain {
        tenant: TEXT.parse().unwrap(),
        sealed: true,
        native: true,
        members: numbered(0xc1, &ARTICLES_OF_TEXT),
    };
    write_chain(&texts, &of_text);
    write_key(&texts, &of_text.tenant);
}

fn numbered_tenant(number: u128) -> TenantId {
    Uuid::from_u128(number).to_string().parse().unwrap()
}

fn write_chain(folder: &Path, chain: &Chain) {
    let mut parent: Option<(Value, Vec<u8>)> = None;
    for member in &chain.members {
        let id = member.id;
        let mut facts = (member.telling)(chain.native);
        let prefix = backup_prefix(&chain.tenant.name(), id);
        common(&mut facts, chain, id);
        if let Some((before, bytes)) = &parent {
            let id = before["backup_id"].as_str().unwrap().parse().unwrap();
            let object = backup_prefix(&chain.tenant.name(), id);
            facts["parent"] = json!({ "backup_id": before["backup_id"], "manifest": manifest_object(&object),
                "sha256": sha256_of(bytes), "position": before["position"], "position_at": before["position_at"] });
            facts["base_backup_id"] = json!(chain.members.first().map(|full| full.id));
        }
        store_tables(folder, chain, id, &prefix, &mut facts);
        let bytes = store_manifest(folder, chain, member.version, &prefix, &facts);
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
                .replace("TENANT", &chain.tenant.as_str().replace('\\', "\\\\"))
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
    let sha256 = sha256_of(&bytes);
    let object = place.object(&sha256);
    put(folder, &object, &bytes);
    json!({ "object": object, "rows": rows.len(), "bytes": lines.len(), "stored_bytes": bytes.len(), "sha256": sha256,
        "fingerprint": chunk_fingerprint(id, place) })
}

fn chunk_fingerprint(id: Uuid, place: &ChunkPlace<'_>) -> Option<&'static str> {
    let seq = usize::try_from(place.seq).unwrap();
    (id == Uuid::from_u128(0xa1)).then(|| FINGERPRINTS[seq - 1])
}

fn store_manifest(
    folder: &Path,
    chain: &Chain,
    version: Version,
    prefix: &str,
    facts: &Value,
) -> Vec<u8> {
    let facts: Facts = serde_json::from_value(facts.clone()).unwrap();
    let encryption = chain.sealed.then_some(Encryption {
        key_id: KEY_ID,
        algorithm: Algorithm::Aes256Gcm,
    });
    let mut manifest = Manifest::new(facts, encryption).unwrap();
    manifest.version = version;
    let bytes = manifest.to_bytes().unwrap();
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

fn write_key(folder: &Path, tenant: &TenantId) {
    let wrapped = seal(&MASTER, &DATA_KEY, &KeyObject::context(tenant, KEY_ID));
    let master = fingerprint(&Sha256::digest(MASTER).into());
    let object = KeyObject::new(
        tenant.clone(),
        KEY_ID,
        master,
        Sealed::split(&wrapped).unwrap(),
    );
    put(
        folder,
        &key_object(&tenant.name(), KEY_ID),
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

fn sha256_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
