//! Where there is a master key, nothing plain is stored, whatever breaks; a backup ends as it began.

use crate::backups::JOB;
use crate::fake_ports::{Driven, FakePorts, NEVER};
use crate::faults::{BOTH, Break, Fault, When};
use crate::restores::{begin, everything};
use crate::sealed::{MASTER, OTHER, masters};
use m23_archive::{Manifest, unpack};

/// The backup restores to every row, and no chunk can be unpacked as it lies in the store.
fn assert_sealed(ports: &FakePorts, case: &str) {
    assert_eq!(ports.backups.borrow().status, "completed", "{case}");
    let (object, _, size) = ports.backups.borrow().manifest.clone().unwrap();
    let objects = ports.objects.borrow().clone();
    let manifest = Manifest::parse(&objects[&object]).unwrap();
    assert_eq!(
        manifest.encryption.as_ref().map(|sealed| sealed.key_id),
        ports.backups.borrow().key,
        "{case}"
    );
    for table in &manifest.facts.tables {
        for (_, _, chunk) in table.objects() {
            assert!(chunk.object.ends_with(".copy.gz.enc"), "{case}");
            assert!(unpack(&objects[&chunk.object], chunk).is_err(), "{case}");
        }
    }
    let mac = object.replace("manifest.json", "manifest.mac");
    let named = manifest.stored_bytes + (objects[&object].len() + objects[&mac].len()) as u64;
    assert_eq!(size, named, "{case}");
    ports.mend();
    let order = begin(ports);
    ports.restore(&order).unwrap().expect(case);
    assert_eq!(
        ports.restores.borrow().written,
        Some(everything()),
        "{case}"
    );
}

fn calm() -> (FakePorts, Vec<String>) {
    let ports = FakePorts::sealed();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    let names = ports
        .steps
        .borrow()
        .iter()
        .map(|s| s.name.clone())
        .collect();
    (ports, names)
}

#[test]
fn a_key_is_made_first_and_the_manifest_is_authenticated_before_it_is_there() {
    let (ports, _) = calm();
    let created = ports.created.borrow().clone();
    assert!(created[0].starts_with("keys/"), "{created:?}");
    let last: Vec<&str> = created[created.len() - 2..]
        .iter()
        .map(|name| name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(last, ["manifest.mac", "manifest.json"]);
    assert_eq!(ports.keys().len(), 1);
    assert_sealed(&ports, "nothing breaks");
}

#[test]
fn no_two_objects_share_a_nonce() {
    let (ports, _) = calm();
    let objects = ports.objects.borrow();
    let sealed = objects.iter().filter(|(name, _)| name.ends_with(".enc"));
    let nonces: Vec<&[u8]> = sealed.map(|(_, bytes)| &bytes[..12]).collect();
    let mut different = nonces.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!((nonces.len(), different.len()), (6, 6));
}

#[test]
fn a_sealed_backup_that_breaks_anywhere_is_gone_on_with() {
    for (number, name) in calm().1.iter().enumerate() {
        for when in BOTH {
            for how in [Break::Death, Break::Passing] {
                let case = format!("{how:?} at {number} ({name}), {when:?}");
                let ports = FakePorts::sealed();
                ports.faults.borrow_mut().push(Fault::at(number, when, how));
                ports.back_up(NEVER);
                ports.mend();
                ports.back_up(NEVER);
                assert_sealed(&ports, &case);
            }
        }
    }
}

#[test]
fn without_a_master_key_a_tenant_that_had_one_gets_no_plain_backup() {
    let ports = FakePorts::new();
    ports.backups.borrow_mut().tenant_key = Some(JOB);
    assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)));
    assert!(ports.objects.borrow().is_empty());
    let error = ports.backups.borrow().error.clone().unwrap();
    assert!(error.contains("no ARCHIVE_KEY is configured"), "{error}");
}

#[test]
fn the_tenants_key_is_used_again() {
    let (ports, _) = calm();
    let keys = ports.keys();
    let key = ports.backups.borrow().key;
    *ports.backups.borrow_mut() = crate::backups::Backups::new();
    ports.backups.borrow_mut().tenant_key = key;
    ports
        .objects
        .borrow_mut()
        .retain(|name, _| name.starts_with("keys/"));
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert_eq!((ports.keys(), ports.backups.borrow().key), (keys, key));
    assert_sealed(&ports, "again");
}

#[test]
fn a_key_that_is_not_in_the_store_any_more_is_replaced() {
    let ports = FakePorts::sealed();
    let lost = uuid::Uuid::from_u128(0x105e);
    ports.backups.borrow_mut().tenant_key = Some(lost);
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert_ne!(ports.backups.borrow().key, Some(lost));
    assert!(ports.log_text().contains("archive_key_missing"));
    assert_sealed(&ports, "replaced");
}

#[test]
fn a_backup_waits_while_the_tenants_keys_are_being_erased() {
    let (ports, _) = calm();
    let before = ports.keys();
    let key = ports.backups.borrow().key;
    *ports.backups.borrow_mut() = crate::backups::Backups::new();
    ports
        .objects
        .borrow_mut()
        .retain(|name, _| name.starts_with("keys/"));
    ports.backups.borrow_mut().erasing = true;
    assert_eq!(ports.back_up(NEVER), Some(Driven::Paused(JOB)));
    ports.erase();
    assert!(ports.keys().is_empty() && !ports.backups.borrow().erasing);
    ports.mend();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert!(!before.contains(&ports.keys()[0]));
    assert_ne!(ports.backups.borrow().key, key);
    assert_sealed(&ports, "after the erasure");
}

/// A ports whose driver has died after a chunk was recorded.
fn half_made(mut ports: FakePorts, then: m23_engine::MasterKeys) -> FakePorts {
    let steps = calm().1;
    let record = steps.iter().position(|name| name == "m23_record_chunk");
    let fault = Fault::at(record.unwrap() + 2, When::After, Break::Death);
    ports.faults.borrow_mut().push(fault);
    assert_eq!(ports.back_up(NEVER), None);
    assert!(ports.backups.borrow().recorded > 0);
    ports.mend();
    ports.master_keys = then;
    ports
}

#[test]
fn a_backup_that_began_plain_ends_plain() {
    let ports = half_made(FakePorts::new(), masters(Some(MASTER), None));
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    ports.assert_exact("a master key came in between");
}

#[test]
fn a_backup_that_began_sealed_never_goes_on_plain() {
    for (then, sentence) in [
        (masters(None, None), "no ARCHIVE_KEY is configured"),
        (
            masters(Some(OTHER), None),
            "is wrapped by another master key",
        ),
    ] {
        let ports = half_made(FakePorts::sealed(), then);
        assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)));
        let error = ports.backups.borrow().error.clone().unwrap();
        assert!(error.contains(sentence), "{error}");
        let objects = ports.objects.borrow();
        assert!(!objects.keys().any(|name| name.ends_with(".copy.gz")));
    }
}

#[test]
fn a_cipher_that_fails_ends_the_job_and_shows_nothing_internal() {
    let ports = FakePorts::sealed();
    ports.no_cipher.set(true);
    assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)));
    let error = ports.backups.borrow().error.clone().unwrap();
    assert_eq!(error, "an internal fault; the log tells which");
    assert!(ports.objects.borrow().is_empty());
}

#[test]
fn an_erasure_that_breaks_is_carried_out_the_next_time() {
    for step in 0..4 {
        for when in BOTH {
            let (ports, _) = calm();
            let manifest = ports.backups.borrow().manifest.clone();
            ports.steps.borrow_mut().clear();
            ports.backups.borrow_mut().erasing = true;
            ports
                .faults
                .borrow_mut()
                .push(Fault::from(step, when, Break::Passing));
            ports.erase();
            ports.mend();
            ports.erase();
            assert!(ports.keys().is_empty(), "{step} {when:?}");
            assert!(!ports.backups.borrow().erasing, "{step} {when:?}");
            assert!(ports.objects.borrow().contains_key(&manifest.unwrap().0));
        }
    }
}
