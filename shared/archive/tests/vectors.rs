//! The test vectors: what is valid is read whole, what is bad is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use m23_archive::definition::check_definitions;
use m23_archive::seal::{Sealed, chunk_context, mac_from_bytes, manifest_context};
use m23_archive::{
    ArchiveError, KEY, KeyObject, Lines, Manifest, Version, backup_prefix, check_lines, check_link,
    check_tenant, fingerprint, key_object, mac_object, manifest_object, master_key, unpack,
};
use m23_tenant::TenantId;
use sha2::{Digest, Sha256};
use std::fs::{read, read_dir};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const CHAINS: [(u128, &[u128]); 3] = [
    (0xa, &[0xa1, 0xa2, 0xa3, 0xa4]),
    (0xb, &[0xb1, 0xb2]),
    (0xe, &[0xe1, 0xe2, 0xe3, 0xe4]),
];

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn stored(object: &str) -> Vec<u8> {
    stored_in("bucket", object)
}

fn stored_in(bucket: &str, object: &str) -> Vec<u8> {
    read(vectors().join(bucket).join(object)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn manifest_bytes(tenant: u128, backup: u128) -> Vec<u8> {
    let (tenant, backup) = (Uuid::from_u128(tenant), Uuid::from_u128(backup));
    stored(&manifest_object(&format!(
        "tenants/{tenant}/backups/{backup}"
    )))
}

fn open(key: &[u8; KEY], sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
    let Sealed { nonce, body } = Sealed::split(sealed).unwrap();
    let payload = Payload {
        msg: body,
        aad: context,
    };
    Aes256Gcm::new(&Array(*key))
        .decrypt(&Array(*nonce), payload)
        .ok()
}

fn given_keys() -> serde_json::Value {
    serde_json::from_slice(&read(vectors().join("keys.json")).unwrap()).unwrap()
}

/// The data key that a manifest names, unwrapped with the given master key.
fn data_key(manifest: &Manifest) -> Option<[u8; KEY]> {
    let key_id = manifest.encryption.as_ref()?.key_id;
    let tenant = &manifest.facts.tenant_id;
    let bucket = if tenant.is_uuid() { "bucket" } else { TEXTS };
    let object = key_object(&tenant.name(), key_id);
    let object = KeyObject::parse(&stored_in(bucket, &object)).unwrap();
    let master = master_key(given_keys()["ARCHIVE_KEY"].as_str().unwrap()).unwrap();
    assert_eq!(object.master, fingerprint(&Sha256::digest(master).into()));
    let context = KeyObject::context(tenant, key_id);
    let opened = open(&master, &object.wrapped().unwrap(), &context).unwrap();
    Some(opened.try_into().unwrap())
}

/// The store of a tenant whose key is a text.
const TEXTS: &str = "texts/bucket";
const TEXT: &str = "cm4x/ä\"'\\";

fn of_text(backup: u128) -> Vec<u8> {
    let tenant: TenantId = TEXT.parse().unwrap();
    let prefix = backup_prefix(&tenant.name(), Uuid::from_u128(backup));
    stored_in(TEXTS, &manifest_object(&prefix))
}

#[test]
fn a_tenant_of_any_text_has_a_chain_and_a_key_under_a_name_made_of_its_hash() {
    let [full, second] = [0xc1, 0xc2].map(of_text);
    let manifests = [&full, &second].map(|bytes| Manifest::parse(bytes).unwrap());
    check_link(&manifests[1], &manifests[0], &sha256(&full)).unwrap();
    for manifest in manifests {
        let tenant = &manifest.facts.tenant_id;
        assert_eq!((tenant.as_str(), manifest.version), (TEXT, Version::Three));
        assert!(manifest.prefix().starts_with("tenants/~"));
        let key = data_key(&manifest).unwrap();
        let table = &manifest.facts.tables[0];
        for (lines, seq, chunk) in table.objects() {
            let sealed = stored_in(TEXTS, &chunk.object);
            let context = chunk_context(manifest.facts.backup_id, 1, lines, seq);
            let opened = unpack(&open(&key, &sealed, &context).unwrap(), chunk).unwrap();
            check_lines(&opened, table, lines, manifest.version).unwrap();
            check_tenant(&opened, table, lines, manifest.version, tenant).unwrap();
            let other = "cm4x/ä\"'\\\\".parse().unwrap();
            let foreign = check_tenant(&opened, table, lines, manifest.version, &other);
            assert!(matches!(foreign, Err(ArchiveError::ForeignRows(_))));
        }
    }
}

#[test]
fn a_table_may_find_its_tenants_by_a_path() {
    for bytes in [0xc1, 0xc2].map(of_text) {
        let manifest = Manifest::parse(&bytes).unwrap();
        assert_eq!(manifest.to_bytes().unwrap(), bytes);
        let [articles, notes] = &manifest.facts.tables[..] else {
            panic!("two tables")
        };
        let path = notes.path.as_ref().unwrap();
        assert_eq!(
            (&*path.parent.schema, &*path.parent.name),
            (&*articles.schema, &*articles.name)
        );
        assert_eq!(notes.tenancy_columns(), path.columns);
        assert_eq!((&notes.tenant_column, &articles.path), (&None, &None));
    }
}

#[test]
fn manifests_are_read_and_written_as_they_are() {
    for (tenant, backups) in CHAINS {
        for &backup in backups {
            let bytes = manifest_bytes(tenant, backup);
            assert_eq!(Manifest::parse(&bytes).unwrap().to_bytes().unwrap(), bytes);
        }
    }
}

#[test]
fn every_chunk_is_what_its_manifest_says() {
    for (tenant, backups) in CHAINS {
        for &backup in backups {
            let manifest = Manifest::parse(&manifest_bytes(tenant, backup)).unwrap();
            let key = data_key(&manifest);
            for (ordinal, table) in (1..).zip(&manifest.facts.tables) {
                for (lines, seq, chunk) in table.objects() {
                    let bytes = stored(&chunk.object);
                    assert_eq!(sha256(&bytes), chunk.sha256);
                    let context = chunk_context(manifest.facts.backup_id, ordinal, lines, seq);
                    let packed =
                        key.map_or(bytes.clone(), |key| open(&key, &bytes, &context).unwrap());
                    let unpacked = unpack(&packed, chunk).unwrap();
                    check_lines(&unpacked, table, lines, manifest.version).unwrap();
                }
            }
        }
    }
}

#[test]
fn chains_hold() {
    for (tenant, backups) in CHAINS {
        for pair in backups.windows(2) {
            let [parent, child] = [0, 1].map(|place| manifest_bytes(tenant, pair[place]));
            let read = |bytes: &[u8]| Manifest::parse(bytes).unwrap();
            check_link(&read(&child), &read(&parent), &sha256(&parent)).unwrap();
        }
    }
}

#[test]
fn an_encrypted_manifest_is_authenticated_to_the_last_byte() {
    let bytes = manifest_bytes(0xe, 0xe2);
    let manifest = Manifest::parse(&bytes).unwrap();
    let key = data_key(&manifest).unwrap();
    assert_eq!(
        STANDARD.encode(key),
        given_keys()["data_key"].as_str().unwrap()
    );
    let mac = mac_from_bytes(&stored(&mac_object(&manifest.prefix()))).unwrap();
    assert_eq!(
        open(&key, &mac, &manifest_context(&bytes)),
        Some(Vec::new())
    );
    for place in [0, bytes.len() / 2, bytes.len() - 1] {
        let mut altered = bytes.clone();
        *altered.get_mut(place).unwrap() ^= 1;
        assert_eq!(open(&key, &mac, &manifest_context(&altered)), None);
    }
}

#[test]
fn a_sealed_chunk_opens_at_its_own_place_alone() {
    let manifest = Manifest::parse(&manifest_bytes(0xe, 0xe2)).unwrap();
    let key = data_key(&manifest).unwrap();
    let places: Vec<_> = (1..)
        .zip(&manifest.facts.tables)
        .flat_map(|(ordinal, table)| {
            table
                .objects()
                .map(move |(lines, seq, chunk)| (ordinal, lines, seq, chunk))
        })
        .collect();
    for (at, (.., chunk)) in places.iter().enumerate() {
        for (other, (ordinal, lines, seq, _)) in places.iter().enumerate() {
            let context = chunk_context(manifest.facts.backup_id, *ordinal, *lines, *seq);
            let opened = open(&key, &stored(&chunk.object), &context);
            assert_eq!(opened.is_some(), at == other, "{at} at {other}");
        }
        let elsewhere = chunk_context(Uuid::from_u128(0xe1), 1, Lines::Rows, 1);
        assert_eq!(open(&key, &stored(&chunk.object), &elsewhere), None);
    }
}

#[test]
fn chains_are_of_one_version_and_of_both() {
    let versions = CHAINS.map(|(tenant, backups)| {
        let version = |backup: &u128| {
            let manifest = Manifest::parse(&manifest_bytes(tenant, *backup)).unwrap();
            u32::from(manifest.version)
        };
        backups.iter().map(version).collect::<Vec<u32>>()
    });
    assert_eq!(versions, [vec![1, 1, 1, 2], vec![2, 2], vec![1, 1, 1, 2]]);
}

fn bad_files(folder: &str) -> Vec<PathBuf> {
    let found = read_dir(vectors().join("bad").join(folder)).unwrap();
    let found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    assert!(found.len() >= 5);
    found
}

#[test]
fn bad_lines_are_refused() {
    let manifest = Manifest::parse(&manifest_bytes(0xb, 0xb2)).unwrap();
    let table = &manifest.facts.tables[0];
    let is_good = |line: &[u8]| check_lines(line, table, Lines::History, Version::Two).is_ok();
    for file in bad_files("lines") {
        assert!(!is_good(&read(&file).unwrap()), "{}", file.display());
    }
    let tenant = &manifest.facts.tenant_id;
    let good = format!("U\t1\t210\t\\N\t8\t1\t{tenant}\tFirst\t1\tone\t\\N\n");
    assert!(is_good(good.as_bytes()));
}

#[test]
fn bad_definitions_are_told_of_in_manifests_whose_rows_can_be_read() {
    for file in bad_files("definitions") {
        let manifest = Manifest::parse(&read(&file).unwrap()).unwrap();
        let refusal = check_definitions(&manifest).unwrap_err();
        assert!(
            matches!(refusal, ArchiveError::Definition { .. }),
            "{}",
            file.display()
        );
    }
    for (tenant, backups) in CHAINS {
        for backup in backups {
            let manifest = Manifest::parse(&manifest_bytes(tenant, *backup)).unwrap();
            assert_eq!(check_definitions(&manifest), Ok(()), "{backup:x}");
        }
    }
}

#[test]
fn bad_documents_are_refused() {
    for file in bad_files("manifests") {
        assert!(
            Manifest::parse(&read(&file).unwrap()).is_err(),
            "{}",
            file.display()
        );
    }
    for file in bad_files("keys") {
        assert!(
            KeyObject::parse(&read(&file).unwrap()).is_err(),
            "{}",
            file.display()
        );
    }
}
