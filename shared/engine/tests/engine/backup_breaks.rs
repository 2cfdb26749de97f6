//! A backup that breaks at any step, before or after the step's effect, is gone on with and ends
//! complete and exact.

use crate::backups::JOB;
use crate::fake_ports::{Driven, FakePorts, NEVER};
use crate::faults::{BOTH, Break, Fault, INTERNAL, REFUSAL, When};

/// The steps of a drive that nothing disturbs.
fn calm() -> Vec<String> {
    let ports = FakePorts::new();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
    ports.assert_exact("nothing breaks");
    let steps = ports.steps.borrow();
    steps.iter().map(|step| step.name.clone()).collect()
}

fn every_step(test: impl Fn(usize, &str, When)) {
    for (number, name) in calm().iter().enumerate() {
        for when in BOTH {
            test(number, name, when);
        }
    }
}

fn drive_to_the_end(ports: &FakePorts, case: &str) {
    ports.mend();
    let driven = ports.back_up(NEVER);
    assert!(
        matches!(driven, Some(Driven::Completed(_) | Driven::Nothing)),
        "{case}: {driven:?}"
    );
    ports.assert_exact(case);
}

#[test]
fn a_backup_stores_every_chunk_once_and_the_manifest_last() {
    let steps = calm();
    let count = |name: &str| steps.iter().filter(|step| *step == name).count();
    assert_eq!(count("m23_read_chunk"), 8, "three, one, three and one");
    assert_eq!(count("m23_record_chunk"), 8);
    assert_eq!(count("put"), 7, "six chunks with rows, and the manifest");
    assert_eq!(steps.last().unwrap(), "m23_finish_backup");
}

#[test]
fn where_a_driver_dies_the_next_goes_on() {
    every_step(|number, name, when| {
        let case = format!("dies at {number} ({name}), {when:?}");
        let ports = FakePorts::breaking(Fault::at(number, when, Break::Death));
        assert_eq!(ports.back_up(NEVER), None, "{case}");
        drive_to_the_end(&ports, &case);
    });
}

/// As long as each of them gets as far as recording one chunk.
#[test]
fn drivers_that_die_one_after_another_get_to_the_end() {
    let steps = calm();
    let recorded = steps.iter().position(|step| step == "m23_record_chunk");
    for lifetime in recorded.unwrap() + 1..steps.len() {
        for when in BOTH {
            let case = format!("each dies at its step {lifetime}, {when:?}");
            let ports = FakePorts::new();
            for _driver in 0..10 {
                ports.mend();
                let step = ports.steps.borrow().len() + lifetime;
                ports
                    .faults
                    .borrow_mut()
                    .push(Fault::at(step, when, Break::Death));
                ports.back_up(NEVER);
            }
            ports.assert_exact(&case);
        }
    }
}

#[test]
fn an_outage_at_any_step_pauses_and_the_next_drive_goes_on() {
    every_step(|number, name, when| {
        let case = format!("everything is away from {number} ({name}), {when:?}");
        let ports = FakePorts::breaking(Fault::from(number, when, Break::Passing));
        let expected = match name {
            "m23_claim_backup" => Driven::Nothing,
            _ => Driven::Paused(JOB),
        };
        assert_eq!(ports.back_up(NEVER), Some(expected), "{case}");
        assert_ne!(ports.backups.borrow().status, "failed", "{case}");
        drive_to_the_end(&ports, &case);
    });
}

#[test]
fn a_passing_fault_is_waited_for_and_the_drive_goes_on() {
    every_step(|number, name, when| {
        let case = format!("{number} ({name}) is away once, {when:?}");
        let ports = FakePorts::breaking(Fault::at(number, when, Break::Passing));
        let driven = ports.back_up(NEVER).unwrap();
        match (name, when) {
            // The lost answer was the lease: the job waits until that has run out.
            ("m23_claim_backup", When::After) => assert_eq!(driven, Driven::Nothing, "{case}"),
            // The lost answer was the end: there is no lease any more to say it again with.
            ("m23_finish_backup", When::After) => assert_eq!(driven, Driven::Paused(JOB), "{case}"),
            _ => {
                assert_eq!(driven, Driven::Completed(JOB), "{case}");
                assert_eq!(*ports.pauses.borrow(), [200], "{case}");
                ports.assert_exact(&case);
            }
        }
        drive_to_the_end(&ports, &case);
    });
}

#[test]
fn a_step_is_tried_four_times() {
    every_step(|number, name, when| {
        let case = format!("everything is away from {number} ({name}), {when:?}");
        let ports = FakePorts::breaking(Fault::from(number, when, Break::Passing));
        ports.back_up(NEVER);
        let steps = ports.steps.borrow();
        let tries = |name: &str| {
            let since = steps.iter().skip(number);
            since.filter(|step| step.name == name).count()
        };
        assert_eq!(tries(name), 4, "{case}");
        for other in ["m23_read_chunk", "put", "m23_record_chunk"] {
            assert!(tries(other) <= 4, "{case}: {other}");
        }
        for pause in [200, 1_000, 3_000] {
            let paused = ports
                .pauses
                .borrow()
                .iter()
                .filter(|ms| **ms == pause)
                .count();
            assert!(
                (1..=2).contains(&paused),
                "{case}: {pause} ms, {paused} times"
            );
        }
    });
}

#[test]
fn a_hard_fault_ends_the_job_and_shows_nothing_internal() {
    every_step(|number, name, when| {
        if name == "put" || name == "get" {
            return; // a store is away, or works
        }
        let case = format!("{number} ({name}) fails, {when:?}");
        let ports = FakePorts::breaking(Fault::at(number, when, Break::Hard));
        let driven = ports.back_up(NEVER).unwrap();
        assert!(
            ports.log_text().contains("m23.secret"),
            "{case}: the log tells"
        );
        match (name, when) {
            ("m23_claim_backup", _) => {
                assert_eq!(driven, Driven::Nothing, "{case}");
                drive_to_the_end(&ports, &case);
            }
            ("m23_finish_backup", When::After) => drive_to_the_end(&ports, &case),
            _ => {
                assert_eq!(driven, Driven::Failed(JOB), "{case}");
                assert_failed(&ports, "an internal fault; the log tells which", &case);
            }
        }
    });
}

#[test]
fn what_the_database_refuses_is_what_the_job_says() {
    every_step(|number, name, when| {
        if matches!(name, "m23_claim_backup" | "put" | "get") || when == When::After {
            return;
        }
        let case = format!("{number} ({name}) is refused");
        let ports = FakePorts::breaking(Fault::at(number, when, Break::Refused));
        assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)), "{case}");
        assert_failed(&ports, REFUSAL, &case);
    });
}

#[test]
fn a_digest_that_cannot_be_computed_ends_the_job() {
    let ports = FakePorts::new();
    ports.no_digest.set(true);
    assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)));
    assert_failed(
        &ports,
        "an internal fault; the log tells which",
        "no digest",
    );
    assert!(ports.objects.borrow().is_empty());
}

#[test]
fn a_failure_that_cannot_be_recorded_is_logged_and_the_next_drive_goes_on() {
    let steps = calm();
    let first_read = steps.iter().position(|step| step == "m23_read_chunk");
    let first_read = first_read.unwrap();
    every_step(|number, name, when| {
        if name.starts_with("m23_claim") || name == "put" || name == "get" {
            return;
        }
        // Beside every read but the first the store is asked, which is only away.
        if name == "m23_read_chunk" && number > first_read {
            return;
        }
        let case = format!("everything fails from {number} ({name}), {when:?}");
        let ports = FakePorts::breaking(Fault::from(number, when, Break::Hard));
        assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)), "{case}");
        assert!(ports.log_text().contains("failure_not_recorded"), "{case}");
        if ports.backups.borrow().status != "failed" {
            drive_to_the_end(&ports, &case);
        }
    });
}

/// A manifest that was written before the end broke off may say what no longer holds (the server
/// was upgraded meanwhile); it cannot be replaced.
#[test]
fn a_backup_is_not_called_complete_with_another_manifest_than_the_stored_one() {
    let finish = calm().len() - 1;
    let ports = FakePorts::breaking(Fault::at(finish, When::Before, Break::Death));
    assert_eq!(ports.back_up(NEVER), None);
    ports.backups.borrow_mut().server_version += 1;
    ports.mend();
    assert_eq!(ports.back_up(NEVER), Some(Driven::Failed(JOB)));
    let error = ports.backups.borrow().error.clone().unwrap();
    assert!(error.contains("manifest.json"), "{error}");
}

fn assert_failed(ports: &FakePorts, sentence: &str, case: &str) {
    let backups = ports.backups.borrow();
    assert_eq!(backups.status, "failed", "{case}");
    assert_eq!(backups.error.as_deref(), Some(sentence), "{case}");
    assert!(!sentence.contains(INTERNAL), "{case}");
    assert!(
        backups.lease.is_none() && backups.manifest.is_none(),
        "{case}"
    );
    assert_eq!(ports.begun("m23_release_work"), 0, "{case}");
    drop(backups);
    ports.mend();
    assert_eq!(
        ports.back_up(NEVER),
        Some(Driven::Nothing),
        "{case}: it is over"
    );
}

#[test]
fn a_chunk_whose_answer_breaks_off_is_asked_for_again() {
    for answers in 1..4 {
        let ports = FakePorts::new();
        ports.broken_answers.set(answers);
        assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
        ports.assert_exact("after answers that broke off");
        assert_eq!(ports.begun("m23_read_chunk"), 8 + answers);
    }
}
