//! Scheduled work is done in shares: call after call, until there is none left or the time is up.

use crate::faults::{Break, Fault, When};
use crate::world::{NEVER, STEP_MS, World};
use m23_ports::Clock as _;

fn with_shares(count: u64) -> World {
    let world = World::new();
    world.shares.set(count);
    world
}

#[test]
fn it_is_called_until_nothing_is_left() {
    let world = with_shares(3);
    world.do_in_shares(NEVER).unwrap();
    assert_eq!(world.begun("m23_go_rounds"), 4, "the last one says so");
}

#[test]
fn it_ends_when_the_time_is_up() {
    let world = with_shares(100);
    world.do_in_shares(world.now_ms() + 3 * STEP_MS).unwrap();
    assert_eq!(world.begun("m23_go_rounds"), 3);
    assert_eq!(world.log_text(), "[]");
}

#[test]
fn a_call_that_fails_is_told_and_not_made_again() {
    let world = with_shares(100);
    let fault = Fault::at(1, When::Before, Break::Passing);
    world.faults.borrow_mut().push(fault);
    world.do_in_shares(NEVER).unwrap();
    assert_eq!(world.begun("m23_go_rounds"), 2);
    assert!(world.log_text().contains("schedule_not_followed"));
    assert!(world.log_text().contains("m23_go_rounds"));
}
