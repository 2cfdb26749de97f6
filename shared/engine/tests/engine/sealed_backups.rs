//! Where there is a master key, nothing plain is stored, whatever breaks; a backup ends as it began.

use crate::backups::JOB;
use crate::faults::{BOTH, Break, Fault, When};
use crate::restores::{begin, everything};
use crate::sealed::{MASTER, OTHER, masters};
use crate::world::{Driven, NEVER, World};
use m23_archive::{Manifest, unpack};

/// The backup restores to every row, and no chunk can be unpacked as it lies in the store.
fn assert_sealed(world: &World, case: &str) {
    assert_eq!(world.backups.borrow().status, "completed", "{case}");
    let (object, _, size) = world.backups.borrow().manifest.clone().unwrap();
    let objects = world.objects.borrow().clone();
    let manifest = Manifest::parse(&objects[&object]).unwrap();
    assert_eq!(
        manifest.encryption.as_ref().map(|sealed| sealed.key_id),
        world.backups.borrow().key,
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
    world.mend();
    let order = begin(world);
    world.restore(&order).unwrap().expect(case);
    assert_eq!(
        world.restores.borrow().written,
        Some(everything()),
        "{case}"
    );
}

fn calm() -> (World, Vec<String>) {
    let world = World::sealed();
    assert_eq!(world.back_up(NEVER), Some(Driven::Completed(JOB)));
    let names = world
        .steps
        .borrow()
        .iter()
        .map(|s| s.name.clone())
        .collect();
    (world, names)
}

#[test]
fn a_key_is_made_first_and_the_manifest_is_authenticated_before_it_is_there() {
    let (world, _) = calm();
    let created = world.created.borrow().clone();
    assert!(created[0].starts_with("keys/"), "{created:?}");
    let last: Vec<&str> = created[created.len() - 2..]
        .iter()
        .map(|name| name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(last, ["manifest.mac", "manifest.json"]);
    assert_eq!(world.keys().len(), 1);
    assert_sealed(&world, "nothing breaks");
}

#[test]
fn no_two_objects_share_a_nonce() {
    let (world, _) = calm();
    let objects = world.objects.borrow();
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
                let world = World::sealed();
                world.faults.borrow_mut().push(Fault::at(number, when, how));
                world.back_up(NEVER);
                world.mend();
                world.back_up(NEVER);
                assert_sealed(&world, &case);
            }
        }
    }
}

#[test]
fn without_a_master_key_a_tenant_that_had_one_gets_no_plain_backup() {
    let world = World::new();
    world.backups.borrow_mut().tenant_key = Some(JOB);
    assert_eq!(world.back_up(NEVER), Some(Driven::Failed(JOB)));
    assert!(world.objects.borrow().is_empty());
    let error = world.backups.borrow().error.clone().unwrap();
    assert!(error.contains("no ARCHIVE_KEY is configured"), "{error}");
}

#[test]
fn the_tenants_key_is_used_again() {
    let (world, _) = calm();
    let keys = world.keys();
    let key = world.backups.borrow().key;
    *world.backups.borrow_mut() = crate::backups::Backups::new();
    world.backups.borrow_mut().tenant_key = key;
    world
        .objects
        .borrow_mut()
        .retain(|name, _| name.starts_with("keys/"));
    assert_eq!(world.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert_eq!((world.keys(), world.backups.borrow().key), (keys, key));
    assert_sealed(&world, "again");
}

#[test]
fn a_key_that_is_not_in_the_store_any_more_is_replaced() {
    let world = World::sealed();
    let lost = uuid::Uuid::from_u128(0x105e);
    world.backups.borrow_mut().tenant_key = Some(lost);
    assert_eq!(world.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert_ne!(world.backups.borrow().key, Some(lost));
    assert!(world.log_text().contains("archive_key_missing"));
    assert_sealed(&world, "replaced");
}

#[test]
fn a_backup_waits_while_the_tenants_keys_are_being_erased() {
    let (world, _) = calm();
    let before = world.keys();
    let key = world.backups.borrow().key;
    *world.backups.borrow_mut() = crate::backups::Backups::new();
    world
        .objects
        .borrow_mut()
        .retain(|name, _| name.starts_with("keys/"));
    world.backups.borrow_mut().erasing = true;
    assert_eq!(world.back_up(NEVER), Some(Driven::Paused(JOB)));
    world.erase();
    assert!(world.keys().is_empty() && !world.backups.borrow().erasing);
    world.mend();
    assert_eq!(world.back_up(NEVER), Some(Driven::Completed(JOB)));
    assert!(!before.contains(&world.keys()[0]));
    assert_ne!(world.backups.borrow().key, key);
    assert_sealed(&world, "after the erasure");
}

/// A world whose driver has died after a chunk was recorded.
fn half_made(mut world: World, then: m23_engine::MasterKeys) -> World {
    let steps = calm().1;
    let record = steps.iter().position(|name| name == "m23_record_chunk");
    let fault = Fault::at(record.unwrap() + 2, When::After, Break::Death);
    world.faults.borrow_mut().push(fault);
    assert_eq!(world.back_up(NEVER), None);
    assert!(world.backups.borrow().recorded > 0);
    world.mend();
    world.master_keys = then;
    world
}

#[test]
fn a_backup_that_began_plain_ends_plain() {
    let world = half_made(World::new(), masters(Some(MASTER), None));
    assert_eq!(world.back_up(NEVER), Some(Driven::Completed(JOB)));
    world.assert_exact("a master key came in between");
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
        let world = half_made(World::sealed(), then);
        assert_eq!(world.back_up(NEVER), Some(Driven::Failed(JOB)));
        let error = world.backups.borrow().error.clone().unwrap();
        assert!(error.contains(sentence), "{error}");
        let objects = world.objects.borrow();
        assert!(!objects.keys().any(|name| name.ends_with(".copy.gz")));
    }
}

#[test]
fn a_cipher_that_fails_ends_the_job_and_shows_nothing_internal() {
    let world = World::sealed();
    world.no_cipher.set(true);
    assert_eq!(world.back_up(NEVER), Some(Driven::Failed(JOB)));
    let error = world.backups.borrow().error.clone().unwrap();
    assert_eq!(error, "an internal fault; the log tells which");
    assert!(world.objects.borrow().is_empty());
}

#[test]
fn an_erasure_that_breaks_is_carried_out_the_next_time() {
    for step in 0..4 {
        for when in BOTH {
            let (world, _) = calm();
            let manifest = world.backups.borrow().manifest.clone();
            world.steps.borrow_mut().clear();
            world.backups.borrow_mut().erasing = true;
            world
                .faults
                .borrow_mut()
                .push(Fault::from(step, when, Break::Passing));
            world.erase();
            world.mend();
            world.erase();
            assert!(world.keys().is_empty(), "{step} {when:?}");
            assert!(!world.backups.borrow().erasing, "{step} {when:?}");
            assert!(world.objects.borrow().contains_key(&manifest.unwrap().0));
        }
    }
}
