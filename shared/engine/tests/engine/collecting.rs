//! Objects that nobody needs any more go, in an order in which any step may break; others stay.

use crate::backups::{JOB, TENANT};
use crate::fake_ports::FakePorts;
use crate::faults::{Break, Fault, When};
use crate::restores::begun;
use serde_json::{Value, json};

impl FakePorts {
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

fn ports() -> FakePorts {
    let (ports, _) = begun();
    ports
        .objects
        .borrow_mut()
        .insert("tenants/other/manifest.json".to_owned(), Vec::new());
    ports
}

#[test]
fn everything_below_the_prefix_goes_and_nothing_else() {
    let ports = ports();
    let before = ports.objects.borrow().len();
    assert_eq!(ports.collect(), Some(before - 1));
    let left: Vec<String> = ports.objects.borrow().keys().cloned().collect();
    assert_eq!(left, ["tenants/other/manifest.json"]);
}

#[test]
fn what_is_to_be_kept_stays() {
    let ports = ports();
    let kept: Vec<String> = ports.objects.borrow().keys().cloned().collect();
    ports.keep.replace(kept.clone());
    let orphan = format!("tenants/{TENANT}/backups/{JOB}/001-public.a/000009-orphan.copy.gz");
    ports.objects.borrow_mut().insert(orphan, Vec::new());
    assert_eq!(ports.collect(), Some(1));
    assert_eq!(
        ports.objects.borrow().keys().cloned().collect::<Vec<_>>(),
        kept
    );
}

#[test]
fn whatever_step_breaks_the_manifest_went_first_and_the_next_driver_ends_it() {
    let steps = {
        let ports = ports();
        ports.collect();
        ports.steps.borrow().len()
    };
    for number in 0..steps {
        for how in [Break::Death, Break::Passing] {
            for when in [When::Before, When::After] {
                let ports = ports();
                ports.faults.borrow_mut().push(Fault::at(number, when, how));
                let _ended = ports.collect();
                let manifest = format!("tenants/{TENANT}/backups/{JOB}/manifest.json");
                let is_touched = ports.begun("delete") > 1;
                assert!(
                    !is_touched || !ports.objects.borrow().contains_key(&manifest),
                    "step {number}, {how:?} {when:?}: the manifest goes first"
                );
                ports.mend();
                assert!(ports.collect().is_some());
                assert_eq!(
                    ports.objects.borrow().len(),
                    1,
                    "step {number}, {how:?} {when:?}"
                );
                assert!(ports.collected.get());
            }
        }
    }
}
