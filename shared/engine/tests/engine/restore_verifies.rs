//! Every byte of an archive is verified before the one transaction that touches live data.

use crate::backups::{JOB, TENANT, tenant};
use crate::fake_ports::{FakePorts, sha256};
use crate::restores::{begin, begun, everything};
use m23_engine::{ErrorClass, RestoreOrder};
use serde_json::{Value, json};
use uuid::Uuid;

/// The restore ends before anything is written, and says which object is the matter.
fn assert_refused(ports: &FakePorts, order: &RestoreOrder, named: &str, case: &str) {
    let error = ports.restore(order).unwrap().unwrap_err();
    let restores = ports.restores.borrow();
    assert_eq!(ports.begun("m23_execute_restore"), 0, "{case}");
    assert_eq!(ports.begun("m23_fail_restore"), 1, "{case}");
    assert_eq!(restores.failures.len(), 1, "{case}");
    assert!(
        restores.failures[0].contains(named),
        "{case}: {:?}",
        restores.failures
    );
    match error.classify() {
        ErrorClass::Archive(fault) => assert_eq!([fault], *restores.failures, "{case}"),
        other => panic!("{case}: {other:?}"),
    }
}

/// For every object of one archive: puts `change` of it in its place, restores, and puts it back.
fn with_each_object(cases: impl Fn(&str, &[u8]) -> Vec<Option<Vec<u8>>>) {
    let (ports, _) = begun();
    let objects = ports.objects.borrow().clone();
    for (object, bytes) in &objects {
        for (number, changed) in cases(object, bytes).into_iter().enumerate() {
            match changed {
                Some(changed) => ports.objects.borrow_mut().insert(object.clone(), changed),
                None => ports.objects.borrow_mut().remove(object),
            };
            ports.steps.borrow_mut().clear();
            let order = begin(&ports);
            assert_refused(&ports, &order, object, &format!("{object}, case {number}"));
            ports.objects.borrow_mut().clone_from(&objects);
        }
    }
    ports.steps.borrow_mut().clear();
    let order = begin(&ports);
    assert!(
        ports.restore(&order).unwrap().is_ok(),
        "as it was, it can be restored"
    );
    assert_eq!(ports.restores.borrow().written, Some(everything()));
}

#[test]
fn a_missing_object_is_refused() {
    with_each_object(|_, _| vec![None]);
}

#[test]
fn an_object_altered_in_any_byte_is_refused() {
    with_each_object(|_, bytes| {
        let flipped = |at: usize| {
            let mut altered = bytes.to_vec();
            altered[at] ^= 1;
            Some(altered)
        };
        (0..bytes.len())
            .step_by(1 + bytes.len() / 100)
            .map(flipped)
            .collect()
    });
}

#[test]
fn an_object_cut_anywhere_or_grown_is_refused() {
    with_each_object(|_, bytes| {
        let cuts = (0..bytes.len()).step_by(1 + bytes.len() / 100);
        let grown = [bytes, b"\n"].concat();
        cuts.map(|end| bytes[..end].to_vec())
            .chain([grown])
            .map(Some)
            .collect()
    });
}

#[test]
fn an_object_in_the_place_of_another_is_refused() {
    let objects = begun().0.objects.take();
    with_each_object(|object, _| {
        let others = objects.iter().filter(|(other, _)| *other != object);
        others.map(|(_, bytes)| Some(bytes.clone())).collect()
    });
}

#[test]
fn a_manifest_with_another_hash_than_the_databases_is_refused() {
    let (ports, mut order) = begun();
    order.manifest_sha256 = Some(sha256(b"another"));
    assert_refused(&ports, &order, "manifest.json", "another hash");
}

#[test]
fn a_backup_whose_manifest_is_unknown_is_refused() {
    for known in [(true, false), (false, true), (false, false)] {
        let (ports, mut order) = begun();
        order.manifest = order.manifest.filter(|_| known.0);
        order.manifest_sha256 = order.manifest_sha256.filter(|_| known.1);
        assert_refused(&ports, &order, "manifest", &format!("{known:?}"));
    }
}

#[test]
fn the_manifest_of_another_backup_or_tenant_is_refused() {
    let other = Uuid::from_u128(0x077e5);
    for (id, backup) in [(other, JOB), (TENANT, other), (other, other)] {
        let (ports, mut order) = begun();
        (order.tenant_id, order.backup_id) = (tenant(id), Some(backup));
        assert_refused(&ports, &order, "manifest.json", &format!("{id} {backup}"));
    }
}

/// Forges a manifest whose hash the database believes to be right.
fn forge(edit: impl Fn(&mut Value)) -> (FakePorts, RestoreOrder) {
    let (ports, mut order) = begun();
    let object = order.manifest.clone().unwrap();
    let mut manifest = serde_json::from_slice(&ports.objects.borrow()[&object]).unwrap();
    edit(&mut manifest);
    let bytes = manifest.to_string().into_bytes();
    order.manifest_sha256 = Some(sha256(&bytes));
    ports.objects.borrow_mut().insert(object, bytes);
    (ports, order)
}

#[test]
fn a_manifest_that_claims_another_tenants_objects_is_refused() {
    let (ports, order) = forge(|manifest| {
        let object = &mut manifest["tables"][0]["chunks"][0]["object"];
        *object = json!(
            object
                .as_str()
                .unwrap()
                .replace(&JOB.to_string(), &TENANT.to_string())
        );
    });
    assert_refused(&ports, &order, "manifest.json", "another's chunk");
    assert_eq!(ports.begun("get"), 1, "it was not even looked at");
}

#[test]
fn a_manifest_that_contradicts_its_chunks_is_refused() {
    for count in ["rows", "bytes", "stored_bytes"] {
        let (ports, order) = forge(|manifest| {
            for sum in [count, "tables"] {
                let number = match sum {
                    "tables" => &mut manifest["tables"][0]["chunks"][0][count],
                    _ => &mut manifest[count],
                };
                *number = json!(number.as_u64().unwrap() + 1);
            }
        });
        assert_refused(&ports, &order, "000001-", count);
    }
}

#[test]
fn a_manifest_of_a_later_version_is_refused() {
    let (ports, order) = forge(|manifest| manifest["version"] = json!(4));
    assert_refused(&ports, &order, "version 4", "a later version");
}
