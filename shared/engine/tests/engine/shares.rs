//! Scheduled work is done in shares: call after call, until there is none left or the time is up.

use crate::fake_ports::{FakePorts, NEVER, STEP_MS};
use crate::faults::{Break, Fault, When};
use m23_ports::Clock as _;

fn with_shares(count: u64) -> FakePorts {
    let ports = FakePorts::new();
    ports.shares.set(count);
    ports
}

#[test]
fn it_is_called_until_nothing_is_left() {
    let ports = with_shares(3);
    ports.do_in_shares(NEVER).unwrap();
    assert_eq!(ports.begun("m23_go_rounds"), 4, "the last one says so");
}

#[test]
fn it_ends_when_the_time_is_up() {
    let ports = with_shares(100);
    ports.do_in_shares(ports.now_ms() + 3 * STEP_MS).unwrap();
    assert_eq!(ports.begun("m23_go_rounds"), 3);
    assert_eq!(ports.log_text(), "[]");
}

#[test]
fn a_call_that_fails_is_told_and_not_made_again() {
    let ports = with_shares(100);
    let fault = Fault::at(1, When::Before, Break::Passing);
    ports.faults.borrow_mut().push(fault);
    ports.do_in_shares(NEVER).unwrap();
    assert_eq!(ports.begun("m23_go_rounds"), 2);
    assert!(ports.log_text().contains("schedule_not_followed"));
    assert!(ports.log_text().contains("m23_go_rounds"));
}
