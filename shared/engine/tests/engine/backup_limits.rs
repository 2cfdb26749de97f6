//! Time, leases and memory of a backup.

use crate::backups::{CHUNK_ROWS, JOB, TENANT};
use crate::fake_ports::{Driven, FakePorts, NEVER, STEP_MS, Step};
use crate::faults::{BOTH, Break, Fault};
use m23_ports::Clock as _;
use serde_json::json;

/// Chunks that are on their way at once where reading looks ahead: stored, waiting, passed on, and two asked for.
const MOST: usize = 5;

fn calm_steps() -> usize {
    let ports = FakePorts::new();
    ports.back_up(NEVER);
    ports.steps.borrow().len()
}

#[test]
fn the_line_of_a_backup_says_whose_it_was_how_long_it_took_and_what_it_stored() {
    let ports = FakePorts::new();
    ports.back_up(NEVER);
    let said = ports.line("backup_completed", ["job_id", "tenant_id", "rows"]);
    assert_eq!(said, [json!(JOB), json!(TENANT), json!(10)]);
    let [ms, bytes] = ports.line("backup_completed", ["ms", "bytes"]);
    assert!(
        ms.as_u64() > Some(0) && bytes.as_u64() > Some(0),
        "{ms} {bytes}"
    );
}

#[test]
fn a_deadline_at_any_time_pauses_and_lets_go_of_the_lease() {
    for patience in 0..=calm_steps() as u64 {
        let ports = FakePorts::new();
        let mut drives = 0;
        loop {
            drives += 1;
            let case = format!("{patience} steps a drive, drive {drives}");
            let recorded = ports.backups.borrow().recorded;
            let first = ports.steps.borrow().len();
            let deadline = ports.now_ms() + patience * STEP_MS;
            let driven = ports.back_up(deadline).unwrap();
            assert_no_table_is_begun_after(&ports, first, deadline, &case);
            if driven == Driven::Completed(JOB) {
                break;
            }
            // The next one may have it at once: no time has passed since.
            assert_eq!(driven, Driven::Paused(JOB), "{case}");
            assert!(
                ports.backups.borrow().recorded > recorded,
                "{case}: nothing was gained"
            );
        }
        ports.assert_exact(&format!("{patience} steps a drive"));
        assert!(drives <= 8, "{drives} drives for eight chunks");
    }
}

/// But for the first: every drive brings the job further. A step that was begun beside it may have
/// taken the clock to the deadline.
fn assert_no_table_is_begun_after(ports: &FakePorts, first: usize, deadline: u64, case: &str) {
    let steps = ports.steps.borrow();
    let mut reads = steps
        .iter()
        .skip(first)
        .filter(|step| step.name == "m23_read_chunk");
    reads.next();
    assert!(
        reads.all(|read| read.at <= deadline),
        "{case}: it read on past its deadline"
    );
}

#[test]
fn a_driver_that_has_lost_its_lease_stops_and_harms_nothing() {
    let steps = calm_steps();
    for number in 1..steps {
        for when in BOTH {
            let case = format!("a rival completes the job at step {number}, {when:?}");
            let ports = FakePorts::breaking(Fault::at(number, when, Break::Rival));
            let driven = ports.back_up(NEVER).unwrap();
            let is_last = number == steps - 1;
            assert!(
                driven == Driven::Paused(JOB) || is_last,
                "{case}: {driven:?}"
            );
            ports.assert_exact(&case);
            ports.mend();
            assert_eq!(ports.back_up(NEVER), Some(Driven::Nothing), "{case}");
        }
    }
}

#[test]
fn a_lost_lease_is_not_let_go_of_for_its_new_holder() {
    let ports = FakePorts::breaking(Fault::at(2, BOTH[0], Break::Death));
    assert_eq!(ports.back_up(NEVER), None);
    ports.faults.borrow_mut().clear();
    let held = ports.backups.borrow().lease.unwrap();
    assert_eq!(
        ports.back_up(NEVER),
        Some(Driven::Nothing),
        "one driver at a time"
    );
    assert_eq!(ports.backups.borrow().lease.unwrap().token, held.token);
    assert_eq!(ports.backups.borrow().lease.unwrap().until, held.until);
}

#[test]
fn three_chunks_are_on_their_way_at_most_and_the_next_is_read_while_one_is_stored() {
    for database in 1..6 {
        for store in 1..6 {
            let ports = FakePorts::new();
            ports.patience.set((database, store));
            assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
            let most = ports.in_flight.most.get();
            assert!((2..=3).contains(&most), "speeds {database} and {store}");
            ports.assert_exact("at other speeds");
        }
    }
}

#[test]
fn three_chunks_are_on_their_way_at_most_where_steps_are_tried_again() {
    for number in 0..calm_steps() {
        for when in BOTH {
            let ports = FakePorts::breaking(Fault::at(number, when, Break::Passing));
            ports.back_up(NEVER);
            assert!(ports.in_flight.most.get() <= 3, "{number}, {when:?}");
        }
    }
}

#[test]
fn two_chunks_are_read_at_once_where_it_is_known_how_far_the_next_one_goes() {
    for database in 1..6 {
        for store in 1..6 {
            let ports = FakePorts::looking_ahead(CHUNK_ROWS);
            ports.patience.set((database, store));
            assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
            let steps = ports.steps.borrow();
            let reads = |step: &Step| step.name == "m23_read_chunk";
            let first = steps.iter().position(reads).unwrap();
            assert!(
                steps[first..].iter().take(3).all(reads),
                "the second and the third when the first has come"
            );
            assert!(ports.in_flight.most.get() <= MOST);
            ports.assert_exact("looking ahead");
        }
    }
}

#[test]
fn a_chunk_that_was_read_ahead_and_is_not_the_next_is_dropped() {
    for database in 1..6 {
        for store in 1..6 {
            let ports = FakePorts::looking_ahead(CHUNK_ROWS - 1);
            ports.patience.set((database, store));
            assert_eq!(ports.back_up(NEVER), Some(Driven::Completed(JOB)));
            assert!(
                ports.in_flight.most.get() <= MOST,
                "speeds {database} and {store}"
            );
            ports.assert_exact("looking ahead in vain");
        }
    }
}

#[test]
fn a_backup_that_reads_ahead_and_breaks_at_any_step_is_gone_on_with() {
    for count in [CHUNK_ROWS - 1, CHUNK_ROWS] {
        let ports = FakePorts::looking_ahead(count);
        ports.back_up(NEVER);
        let steps = ports.steps.borrow().len();
        for number in 0..steps {
            for when in BOTH {
                for how in [Break::Death, Break::Passing] {
                    let case = format!("{count} ahead, {how:?} at {number}, {when:?}");
                    let ports = FakePorts::looking_ahead(count);
                    ports.faults.borrow_mut().push(Fault::at(number, when, how));
                    ports.back_up(NEVER);
                    assert!(ports.in_flight.most.get() <= MOST, "{case}");
                    ports.mend();
                    ports.back_up(NEVER);
                    ports.assert_exact(&case);
                }
            }
        }
    }
}
