//! An encrypted archive is read with the right key, as it was written, or not at all; nothing is
//! executed then.

use crate::backups::{JOB, TENANT, tenant};
use crate::fake_ports::{Driven, FakePorts, NEVER, sha256};
use crate::restores::{begin, everything};
use crate::sealed::{MASTER, OTHER, masters, seal};
use m23_archive::seal::{Sealed, mac_to_bytes, manifest_context};
use m23_archive::{KeyObject, key_object};
use m23_engine::{ErrorClass, RestoreOrder};
use serde_json::{Value, json};
use uuid::Uuid;

const STRANGER: Uuid = Uuid::from_u128(0x077e5);

fn begun() -> (FakePorts, RestoreOrder) {
    let ports = FakePorts::sealed();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    ports.steps.borrow_mut().clear();
    let order = begin(&ports);
    (ports, order)
}

fn assert_refused(ports: &FakePorts, order: &RestoreOrder, sentence: &str) {
    let error = ports.restore(order).unwrap().unwrap_err();
    assert_eq!(ports.begun("m23_execute_restore"), 0, "{sentence}");
    match error.classify() {
        ErrorClass::Archive(fault) => {
            assert!(fault.contains(sentence), "{sentence}: {fault}");
            assert_eq!(ports.restores.borrow().failures, [fault]);
        }
        other => panic!("{sentence}: {other:?}"),
    }
}

/// Puts an object in the store, or takes it out.
fn put(ports: &FakePorts, object: &str, bytes: Option<Vec<u8>>) {
    match bytes {
        Some(bytes) => ports.objects.borrow_mut().insert(object.to_owned(), bytes),
        None => ports.objects.borrow_mut().remove(object),
    };
}

#[test]
fn what_was_sealed_comes_back() {
    let (ports, order) = begun();
    ports.restore(&order).unwrap().unwrap();
    assert_eq!(ports.restores.borrow().written, Some(everything()));
}

#[test]
fn without_a_master_key_nothing_is_read() {
    let (mut ports, order) = begun();
    ports.master_keys = masters(None, None);
    assert_refused(
        &ports,
        &order,
        "this backup is encrypted and no ARCHIVE_KEY is configured",
    );
    assert_eq!(ports.begun("get"), 1, "the manifest alone");
}

#[test]
fn another_master_key_is_told_of() {
    let (mut ports, order) = begun();
    ports.master_keys = masters(Some(OTHER), None);
    assert_refused(
        &ports,
        &order,
        "this backup was encrypted under another master key",
    );
}

#[test]
fn the_previous_master_key_opens_what_it_has_wrapped() {
    let (mut ports, order) = begun();
    ports.master_keys = masters(Some(OTHER), Some(MASTER));
    ports.restore(&order).unwrap().unwrap();
    assert_eq!(ports.restores.borrow().written, Some(everything()));
}

#[test]
fn an_erased_key_is_told_of() {
    let (ports, order) = begun();
    put(&ports, &ports.keys()[0], None);
    assert_refused(&ports, &order, "its key was erased or is missing");
}

#[test]
fn a_key_object_altered_in_any_byte_opens_nothing() {
    let (ports, _) = begun();
    let object = ports.keys()[0].clone();
    let bytes = ports.objects.borrow()[&object].clone();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        put(&ports, &object, Some(altered));
        let order = begin(&ports);
        let outcome = ports.restore(&order).unwrap();
        // A blank or a base64 bit that means nothing may change without harm.
        let harmless = KeyObject::parse(&ports.objects.borrow()[&object]).ok()
            == KeyObject::parse(&bytes).ok();
        assert_eq!(outcome.is_ok(), harmless, "byte {at}");
    }
}

#[test]
fn a_key_object_that_is_cut_opens_nothing() {
    let (ports, order) = begun();
    let object = ports.keys()[0].clone();
    let bytes = ports.objects.borrow()[&object].clone();
    put(&ports, &object, Some(bytes[..bytes.len() / 2].to_vec()));
    assert_refused(&ports, &order, "the key object cannot be read");
}

/// A key object of another tenant under the same master key, as it is, and with this tenant's ids
/// written over its own.
#[test]
fn another_tenants_key_object_opens_nothing() {
    let (ports, order) = begun();
    let object = ports.keys()[0].clone();
    let own = KeyObject::parse(&ports.objects.borrow()[&object]).unwrap();
    let wrapped = seal(
        &MASTER,
        &[7; 32],
        &KeyObject::context(&tenant(STRANGER), own.key_id),
    );
    let theirs = |id| {
        let wrapped = Sealed::split(&wrapped).unwrap();
        KeyObject::new(tenant(id), own.key_id, own.master.clone(), wrapped)
            .to_bytes()
            .unwrap()
    };
    put(&ports, &object, Some(theirs(STRANGER)));
    assert_refused(&ports, &order, "is the key of another tenant");
    put(&ports, &object, Some(theirs(TENANT)));
    assert_refused(&ports, &begin(&ports), "cannot be unwrapped");
}

#[test]
fn a_manifest_without_its_mac_or_with_another_is_refused() {
    let (ports, _) = begun();
    let mac = format!("tenants/{TENANT}/backups/{JOB}/manifest.mac");
    let right = ports.objects.borrow()[&mac].clone();
    let sealed = seal(&ports.data_key(), &[], &manifest_context(b"{}"));
    let of_another_manifest = mac_to_bytes(Sealed::split(&sealed).unwrap());
    let mut flipped = right.clone();
    flipped[20] = if flipped[20] == b'A' { b'B' } else { b'A' };
    for (bytes, sentence) in [
        (None, "manifest.mac is missing"),
        (Some(Vec::new()), "manifest.mac is no nonce and tag"),
        (
            Some(right[..39].to_vec()),
            "manifest.mac is no nonce and tag",
        ),
        (Some(flipped), "it cannot be decrypted"),
        (Some(of_another_manifest), "it cannot be decrypted"),
    ] {
        put(&ports, &mac, bytes);
        assert_refused(&ports, &begin(&ports), sentence);
        assert_eq!(ports.begun("m23_stage_table"), 0);
    }
}

#[test]
fn a_manifest_that_was_made_to_look_plain_is_refused_by_its_hash() {
    let (ports, order) = begun();
    let object = order.manifest.clone().unwrap();
    let mut manifest: Value = serde_json::from_slice(&ports.objects.borrow()[&object]).unwrap();
    manifest["encryption"] = Value::Null;
    put(&ports, &object, Some(manifest.to_string().into_bytes()));
    assert_refused(&ports, &order, "its SHA-256 is another");
}

/// Rewrites the manifest as somebody would who has the data key and the database's record, so that
/// only what binds a chunk to its place is left to refuse it.
fn forge(ports: &FakePorts, edit: impl Fn(&mut Value)) -> RestoreOrder {
    let mut order = begin(ports);
    let object = order.manifest.clone().unwrap();
    let mut manifest: Value = serde_json::from_slice(&ports.objects.borrow()[&object]).unwrap();
    edit(&mut manifest);
    let bytes = manifest.to_string().into_bytes();
    let sealed = seal(&ports.data_key(), &[], &manifest_context(&bytes));
    let mac = mac_to_bytes(Sealed::split(&sealed).unwrap());
    put(ports, &object.replace(".json", ".mac"), Some(mac));
    order.manifest_sha256 = Some(sha256(&bytes));
    put(ports, &object, Some(bytes));
    order
}

/// Says that a table's first chunk has other stored bytes.
fn exchange(manifest: &mut Value, ports: &FakePorts, bytes: &[u8]) {
    let before = manifest["tables"][0]["chunks"][0].clone();
    let digest = sha256(bytes);
    let old = before["sha256"].as_str().unwrap();
    let object = before["object"]
        .as_str()
        .unwrap()
        .replace(&old[..16], &digest[..16]);
    put(ports, &object, Some(bytes.to_vec()));
    let chunk = &mut manifest["tables"][0]["chunks"][0];
    chunk["object"] = json!(object);
    chunk["sha256"] = json!(digest);
    chunk["stored_bytes"] = json!(bytes.len());
    let others =
        manifest["stored_bytes"].as_u64().unwrap() - before["stored_bytes"].as_u64().unwrap();
    manifest["stored_bytes"] = json!(others + bytes.len() as u64);
}

#[test]
fn a_chunk_in_the_place_of_another_is_refused_whatever_the_manifest_says() {
    let (ports, _) = begun();
    let chunks: Vec<(String, Vec<u8>)> = {
        let objects = ports.objects.borrow();
        let sealed = objects.iter().filter(|(name, _)| name.ends_with(".enc"));
        sealed
            .map(|(name, bytes)| (name.clone(), bytes.clone()))
            .collect()
    };
    let kept = ports.objects.borrow().clone();
    for (name, bytes) in &chunks {
        let order = forge(&ports, |manifest| exchange(manifest, &ports, bytes));
        if name.contains("001-public.a/000001-") {
            ports.restore(&order).unwrap().unwrap();
        } else {
            assert_refused(&ports, &order, "it cannot be decrypted");
        }
        ports.objects.borrow_mut().clone_from(&kept);
        ports.steps.borrow_mut().clear();
    }
}

#[test]
fn a_sealed_chunk_that_is_cut_is_refused_whatever_the_manifest_says() {
    let (ports, _) = begun();
    let kept = ports.objects.borrow().clone();
    let (_, bytes) = kept
        .iter()
        .find(|(name, _)| name.contains("001-public.a/000001-"))
        .unwrap();
    for end in [0, 11, 27, 28, bytes.len() - 1] {
        let order = forge(&ports, |manifest| exchange(manifest, &ports, &bytes[..end]));
        let sentence = if end < 28 {
            ""
        } else {
            "it cannot be decrypted"
        };
        assert_refused(&ports, &order, sentence);
        ports.objects.borrow_mut().clone_from(&kept);
    }
}

#[test]
fn a_plain_chunk_in_a_sealed_backup_is_refused() {
    let (ports, _) = begun();
    let plain = m23_archive::pack(b"0000\trow of a\n0001\trow of a\n").unwrap();
    let order = forge(&ports, |manifest| exchange(manifest, &ports, &plain));
    assert_refused(&ports, &order, "it cannot be decrypted");
}

#[test]
fn key_objects_lie_where_the_format_says() {
    let (ports, _) = begun();
    let key = ports.backups.borrow().key.unwrap();
    assert_eq!(ports.keys(), [key_object(&tenant(TENANT).name(), key)]);
}
