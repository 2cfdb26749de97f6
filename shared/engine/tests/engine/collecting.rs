//! Objects that nobody needs any more go, in an order in which any step may break; others stay.

use crate::backups::{JOB, TENANT};
use crate::faults::{Break, Fault, When};
use crate::restores::begun;
use crate::world::World;
use serde_json::{Value, json};

impl World {
    /// The database's half: one prefix, until it is said to be done.
    pub fn collecting(&self, name: &str) -> Value {
        if name == "m23_note_collected" {
            self.collected.set(true);
        }
        if self.collected.get() {
            return Value::Null;
        }
        json!({ "job_id": JOB, "prefix": format!("tenants/{TENANT}/backups/{JOB}/"), "keep": *self.keep.borrow() })
    }
}

fn world() -> World {
    let (world, _) = begun();
    world
        .objects
        .borrow_mut()
        .insert("tenants/other/manifest.json".to_owned(), Vec::new());
    world
}

#[test]
fn everything_below_the_prefix_goes_and_nothing_else() {
    let world = world();
    let before = world.objects.borrow().len();
    assert_eq!(world.collect(), Some(before - 1));
    let left: Vec<String> = world.objects.borrow().keys().cloned().collect();
    assert_eq!(left, ["tenants/other/manifest.json"]);
}

#[test]
fn what_is_to_be_kept_stays() {
    let world = world();
    let kept: Vec<String> = world.objects.borrow().keys().cloned().collect();
    world.keep.replace(kept.clone());
    let orphan = format!("tenants/{TENANT}/backups/{JOB}/001-public.a/000009-orphan.copy.gz");
    world.objects.borrow_mut().insert(orphan, Vec::new());
    assert_eq!(world.collect(), Some(1));
    assert_eq!(
        world.objects.borrow().keys().cloned().collect::<Vec<_>>(),
        kept
    );
}

#[test]
fn whatever_step_breaks_the_manifest_went_first_and_the_next_driver_ends_it() {
    let steps = {
        let world = world();
        world.collect();
        world.steps.borrow().len()
    };
    for number in 0..steps {
        for how in [Break::Death, Break::Passing] {
            for when in [When::Before, When::After] {
                let world = world();
                world.faults.borrow_mut().push(Fault::at(number, when, how));
                let _ended = world.collect();
                let manifest = format!("tenants/{TENANT}/backups/{JOB}/manifest.json");
                let is_touched = world.begun("delete") > 1;
                assert!(
                    !is_touched || !world.objects.borrow().contains_key(&manifest),
                    "step {number}, {how:?} {when:?}: the manifest goes first"
                );
                world.mend();
                assert!(world.collect().is_some());
                assert_eq!(
                    world.objects.borrow().len(),
                    1,
                    "step {number}, {how:?} {when:?}"
                );
                assert!(world.collected.get());
            }
        }
    }
}
