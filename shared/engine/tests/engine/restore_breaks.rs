//! A restore that breaks before its one transaction has changed nothing, and says so; the
//! transaction is asked for once.

use crate::fake_ports::{FakePorts, LEASE_MS};
use crate::faults::{BOTH, Break, Fault, INTERNAL, When};
use crate::restores::{begun, everything};
use m23_engine::{EngineError, ErrorClass, RestoreOrder};
use m23_ports::{Clock as _, DatabaseError};

const EXECUTE: &str = "m23_execute_restore";
const FAIL: &str = "m23_fail_restore";

/// The steps before the one transaction.
fn preparation() -> Vec<String> {
    let (ports, order) = begun();
    ports.restore(&order).unwrap().unwrap();
    assert_eq!(ports.restores.borrow().written, Some(everything()));
    let steps = ports.steps.borrow();
    assert_eq!(steps.last().unwrap().name, EXECUTE);
    steps
        .iter()
        .map(|step| step.name.clone())
        .take(ports.first(EXECUTE))
        .collect()
}

fn breaking(fault: Fault) -> (FakePorts, RestoreOrder) {
    let (ports, order) = begun();
    ports.faults.borrow_mut().push(fault);
    (ports, order)
}

fn every_step(test: impl Fn(usize, &str, When)) {
    for (number, name) in preparation().iter().enumerate() {
        for when in BOTH {
            test(number, name, when);
        }
    }
}

fn assert_nothing_happened(ports: &FakePorts, case: &str) {
    assert_eq!(ports.begun(EXECUTE), 0, "{case}");
    assert_eq!(ports.restores.borrow().written, None, "{case}");
}

/// Once, and with a sentence that shows nothing internal.
fn assert_recorded(ports: &FakePorts, sentence: &str, case: &str) {
    assert_eq!(ports.begun(FAIL), 1, "{case}");
    assert_eq!(ports.restores.borrow().failures, [sentence], "{case}");
    assert!(
        ports.log_text().contains("m23.secret"),
        "{case}: the log tells"
    );
    assert!(!sentence.contains(INTERNAL), "{case}");
}

#[test]
fn a_restore_verifies_and_stages_before_it_executes() {
    let steps = preparation();
    let count = |name: &str| steps.iter().filter(|step| *step == name).count();
    assert_eq!(count("get"), 7, "the manifest and six chunks");
    assert_eq!((count("m23_stage_table"), count("m23_stage_chunk")), (4, 6));
}

#[test]
fn a_passing_fault_before_the_transaction_is_waited_for() {
    every_step(|number, name, when| {
        let case = format!("{number} ({name}) is away once, {when:?}");
        let (ports, order) = breaking(Fault::at(number, when, Break::Passing));
        assert!(ports.restore(&order).unwrap().is_ok(), "{case}");
        assert_eq!(
            ports.restores.borrow().written,
            Some(everything()),
            "{case}"
        );
        assert_eq!(*ports.pauses.borrow(), [200], "{case}");
        assert_eq!((ports.begun(EXECUTE), ports.begun(FAIL)), (1, 0), "{case}");
    });
}

#[test]
fn an_outage_before_the_transaction_ends_the_restore() {
    every_step(|number, name, when| {
        let case = format!("everything is away from {number} ({name}), {when:?}");
        let outage = Fault::from(number, when, Break::Passing);
        let (ports, order) = breaking(outage.clone().sparing(FAIL));
        let error = ports.restore(&order).unwrap().unwrap_err();
        assert_nothing_happened(&ports, &case);
        assert_recorded(
            &ports,
            "the database or the object store did not answer",
            &case,
        );
        assert!(
            matches!(
                error.classify(),
                ErrorClass::Store(_) | ErrorClass::Database(DatabaseError::Unavailable(_))
            ),
            "{case}"
        );
        let steps = ports.steps.borrow();
        let tries = steps.iter().skip(number).filter(|step| step.name == name);
        let of_a_chunk = ["get", "m23_stage_chunk"].contains(&name);
        let tries = tries.count();
        // Two chunks may have been on their way, and each is tried.
        assert!(tries == 4 || of_a_chunk && tries == 8, "{case}: {tries}");

        let (ports, order) = breaking(outage);
        assert!(ports.restore(&order).unwrap().is_err(), "{case}");
        assert_nothing_happened(&ports, &case);
        assert!(ports.log_text().contains("failure_not_recorded"), "{case}");
        assert_lease_lapses(&ports, &case);
    });
}

#[test]
fn a_hard_fault_before_the_transaction_ends_the_restore() {
    every_step(|number, name, when| {
        if name == "get" {
            return; // a store is away, or works
        }
        let case = format!("{number} ({name}) fails, {when:?}");
        let (ports, order) = breaking(Fault::at(number, when, Break::Hard));
        let error = ports.restore(&order).unwrap().unwrap_err();
        assert_nothing_happened(&ports, &case);
        assert_recorded(&ports, "an internal fault; the log tells which", &case);
        assert!(
            matches!(
                error.classify(),
                ErrorClass::Internal(_) | ErrorClass::Database(DatabaseError::Failed(_))
            ),
            "{case}"
        );
    });
}

#[test]
fn a_driver_that_dies_before_the_transaction_leaves_a_lease_that_lapses() {
    every_step(|number, name, when| {
        let case = format!("dies at {number} ({name}), {when:?}");
        let (ports, order) = breaking(Fault::at(number, when, Break::Death));
        assert!(ports.restore(&order).is_none(), "{case}");
        assert_nothing_happened(&ports, &case);
        assert_lease_lapses(&ports, &case);
    });
}

#[test]
fn a_restore_that_is_taken_up_goes_on_at_the_chunk_where_it_stopped() {
    every_step(|number, name, when| {
        let case = format!("dies at {number} ({name}), {when:?}");
        let (ports, order) = breaking(Fault::at(number, when, Break::Death));
        assert!(ports.restore(&order).is_none(), "{case}");
        assert!(ports.resume().is_some(), "{case}");
        assert_nothing_happened(&ports, &format!("{case}: its lease holds"));
        let staged = ports.restores.borrow().staged_in_order();
        ports.mend();
        ports.steps.borrow_mut().clear();
        assert!(ports.resume().is_some(), "{case}");
        assert_eq!(
            ports.restores.borrow().written,
            Some(everything()),
            "{case}"
        );
        assert_eq!(ports.begun("m23_stage_chunk"), 6 - staged, "{case}");
        assert_eq!((ports.begun(EXECUTE), ports.begun(FAIL)), (1, 0), "{case}");
    });
}

fn assert_lease_lapses(ports: &FakePorts, case: &str) {
    let restores = ports.restores.borrow();
    // Where the failure was recorded and only the answer lost, there is none.
    let until = restores.lease.map_or(0, |lease| lease.until);
    assert!(until <= ports.now_ms() + LEASE_MS, "{case}");
    assert_eq!(
        restores.lease.is_none(),
        !restores.failures.is_empty(),
        "{case}"
    );
}

#[test]
fn a_driver_that_has_lost_its_lease_writes_nothing() {
    for number in 0..=preparation().len() {
        let case = format!("swept before step {number}");
        let (ports, order) = breaking(Fault::at(number, When::Before, Break::Rival));
        let error = ports.restore(&order).unwrap().err();
        let restores = ports.restores.borrow();
        assert!(error.is_some(), "{case}");
        assert_eq!(
            (&restores.written, restores.failures.len()),
            (&None, 0),
            "{case}"
        );
        assert!(ports.begun(EXECUTE) <= 1, "{case}");
    }
}

#[test]
fn the_transaction_is_asked_for_once_also_when_its_answer_is_lost() {
    let execute = preparation().len();
    for how in [Break::Passing, Break::Hard, Break::Refused] {
        for when in BOTH {
            let case = format!("{how:?}, {when:?}");
            let (ports, order) = breaking(Fault::at(execute, when, how));
            let error = ports.restore(&order).unwrap().unwrap_err();
            assert!(matches!(error, EngineError::Database(_)), "{case}");
            assert_eq!(ports.begun(EXECUTE), 1, "{case}");
            assert_eq!(ports.begun(FAIL), 1, "{case}");
            let restores = ports.restores.borrow();
            let is_done = when == When::After;
            assert_eq!(restores.written.is_some(), is_done, "{case}");
            assert_eq!(
                restores.failures.is_empty(),
                is_done,
                "{case}: the lease decides"
            );
        }
    }
    for when in BOTH {
        let (ports, order) = breaking(Fault::at(execute, when, Break::Death));
        assert!(ports.restore(&order).is_none());
        assert_eq!((ports.begun(EXECUTE), ports.begun(FAIL)), (1, 0));
    }
}
