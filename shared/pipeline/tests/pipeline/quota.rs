//! The rate limit: exact in the database, early at the edge.

use crate::world::{NOW, NOW_MS, Stub, TENANT, World, post, post_with_key, settings};
use m23_pipeline::{DatabaseError, Failure};

const FULL: &str = r#"{"jobType":"full"}"#;

#[test]
fn exactly_the_limit_is_let_through() {
    let world = World::new();
    let stub = Stub::new();
    let statuses: Vec<u16> = (0..30)
        .map(|_| world.run(&stub, post(FULL)).status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20);
    assert_eq!(stub.handled.borrow().len(), 10);
    assert_eq!(
        world.called("m23_admit"),
        10,
        "the rest was refused at the edge"
    );
}

#[test]
fn the_database_decides_where_the_store_knows_nothing() {
    let world = World::new();
    world.store_down.set(true);
    let statuses: Vec<u16> = (0..12)
        .map(|_| world.run(&Stub::new(), post(FULL)).status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(world.called("m23_admit"), 12);
    assert!(world.log_text().contains("rate window not read"));
    assert!(world.log_text().contains("rate window not noted"));
}

#[test]
fn a_429_says_when_to_come_back() {
    for store_down in [false, true] {
        let world = World::new();
        world.store_down.set(store_down);
        *world.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":1}"#)]);
        assert_eq!(world.run(&Stub::new(), post(FULL)).status, 200);
        let reply = world.run(&Stub::new(), post(FULL));
        assert_eq!((reply.status, reply.code()), (429, "RATE_LIMIT_EXCEEDED"));
        let seconds = if store_down { 1800 } else { 3600 };
        assert_eq!(reply.window(), ("1", "0", &*(NOW + seconds).to_string()));
        assert_eq!(reply.header("retry-after"), seconds.to_string());
    }
}

#[test]
fn a_request_counts_whatever_its_outcome() {
    let world = World::new();
    for _ in 0..3 {
        world.run(&Stub::that(|| Err(Failure::BackupNotFound)), post(FULL));
        world.run(&Stub::that(|| Err(Failure::internal("x"))), post(FULL));
    }
    assert_eq!(world.run(&Stub::new(), post(FULL)).window().1, "3");
}

#[test]
fn a_counted_request_is_noted_under_a_key_of_its_own() {
    let world = World::new();
    world.run(&Stub::new(), post(FULL));
    world.run(&Stub::new(), post(FULL));
    let store = world.store.borrow();
    let prefix = format!("rate/backup-create/{TENANT}/{NOW_MS}-");
    assert_eq!(store.len(), 2);
    assert!(store.iter().all(|name| name.starts_with(&prefix)));
}

#[test]
fn a_request_that_was_not_admitted_is_not_noted() {
    let world = World::new();
    world.break_function("m23_admit", DatabaseError::Unavailable("x".to_owned()));
    world.run(&Stub::new(), post(FULL));
    assert!(world.store.borrow().is_empty());
}

#[test]
fn a_limit_of_nothing_lets_nothing_through() {
    let world = World::new();
    *world.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":0}"#)]);
    assert_eq!(world.run(&Stub::new(), post(FULL)).status, 429);
}

#[test]
fn a_replay_is_answered_although_the_quota_is_used_up() {
    let world = World::new();
    *world.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":1}"#)]);
    assert_eq!(
        world.run(&Stub::new(), post_with_key(FULL, "k")).status,
        200
    );
    assert_eq!(world.run(&Stub::new(), post(FULL)).status, 429);
    assert_eq!(
        world.run(&Stub::new(), post_with_key(FULL, "k")).status,
        200
    );
    assert_eq!(
        world.run(&Stub::new(), post_with_key(FULL, "other")).status,
        429
    );
}
