//! The rate limit: exact in the database, early at the edge.

use crate::fake_ports::{
    FakePorts, NOW, NOW_MS, Stub, TENANT, post, post_with_key, refused_with, settings,
};
use m23_contract::ErrorCode;
use m23_pipeline::Failure;
use m23_ports::DatabaseError;

const FULL: &str = r#"{"jobType":"full"}"#;

#[test]
fn exactly_the_limit_is_let_through() {
    let ports = FakePorts::new();
    let stub = Stub::new();
    let statuses: Vec<u16> = (0..30)
        .map(|_| ports.run(&stub, post(FULL)).status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20);
    assert_eq!(stub.answered.borrow().len(), 10);
    assert_eq!(
        ports.called("m23_admit"),
        10,
        "the rest was refused at the edge"
    );
}

#[test]
fn the_database_decides_where_the_store_knows_nothing() {
    let ports = FakePorts::new();
    ports.store_down.set(true);
    let statuses: Vec<u16> = (0..12)
        .map(|_| ports.run(&Stub::new(), post(FULL)).status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert_eq!(ports.called("m23_admit"), 12);
    assert!(ports.log_text().contains("rate window not read"));
    assert!(ports.log_text().contains("rate window not noted"));
}

#[test]
fn a_429_says_when_to_come_back() {
    for store_down in [false, true] {
        let ports = FakePorts::new();
        ports.store_down.set(store_down);
        *ports.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":1}"#)]);
        assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 200);
        let reply = ports.run(&Stub::new(), post(FULL));
        assert_eq!((reply.status, reply.code()), (429, "RATE_LIMIT_EXCEEDED"));
        let seconds = if store_down { 1800 } else { 3600 };
        assert_eq!(reply.window(), ("1", "0", &*(NOW + seconds).to_string()));
        assert_eq!(reply.header("retry-after"), seconds.to_string());
    }
}

#[test]
fn a_request_counts_when_the_caller_is_refused() {
    let ports = FakePorts::new();
    for failure in [
        || refused_with(ErrorCode::BackupNotFound),
        || refused_with(ErrorCode::RestoreInProgress),
    ] {
        ports.run(&Stub::that(move || Err(failure())), post(FULL));
    }
    assert_eq!(ports.run(&Stub::new(), post(FULL)).window().1, "7");
}

#[test]
fn a_request_that_fails_by_our_own_fault_is_given_back() {
    let ports = FakePorts::new();
    for failure in [|| Failure::internal("x"), || Failure::unavailable("x")] {
        let reply = ports.run(&Stub::that(move || Err(failure())), post(FULL));
        assert_eq!(reply.window().1, "10", "its own answer says so already");
    }
    assert!(ports.store.borrow().is_empty(), "in the store, too");
    assert_eq!(ports.run(&Stub::new(), post(FULL)).window().1, "9");
}

#[test]
fn only_so_many_are_given_back() {
    let ports = FakePorts::new();
    let broken = Stub::that(|| Err(Failure::internal("x")));
    for _ in 0..12 {
        ports.run(&broken, post(FULL));
    }
    assert_eq!(ports.store.borrow().len(), 2);
    assert_eq!(ports.run(&Stub::new(), post(FULL)).window().1, "7");
}

#[test]
fn an_outcome_is_answered_although_it_could_not_be_given_back() {
    let ports = FakePorts::new();
    ports.break_function("m23_give_back", DatabaseError::Unavailable("x".to_owned()));
    let reply = ports.run(&Stub::that(|| Err(Failure::internal("x"))), post(FULL));
    assert_eq!((reply.status, reply.window().1), (500, "9"));
    assert!(ports.log_text().contains("request not given back"));
}

#[test]
fn the_edge_refuses_nothing_that_the_database_allows() {
    let ports = FakePorts::new();
    *ports.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":1}"#)]);
    ports.run(&Stub::new(), post(FULL));
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 429);
    ports.raised.set(Some(3));
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!(
        (reply.status, reply.window().0, reply.window().1),
        (200, "3", "1")
    );
    ports.counted.borrow_mut()[0].given_back = true; // while its key is still in the store
    ports.raised.set(Some(2));
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 200);
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 429);
}

#[test]
fn a_429_tells_an_owner_whom_to_ask() {
    for (role, told) in [("owner", true), ("admin", false)] {
        let ports = FakePorts::new();
        ports.role.replace(Some(role));
        *ports.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":0}"#)]);
        let reply = ports.run(&Stub::new(), post(FULL));
        let sentence = reply.body["error"].as_str().unwrap();
        assert_eq!(
            sentence.contains("operator of the service"),
            told,
            "{sentence}"
        );
    }
}

#[test]
fn whoever_meets_another_restore_is_told_when_to_come_back() {
    let refused = || Err(refused_with(ErrorCode::RestoreInProgress));
    let reply = FakePorts::new().run(&Stub::that(refused), post(FULL));
    assert_eq!((reply.status, reply.header("retry-after")), (409, "5"));
}

#[test]
fn a_counted_request_is_noted_under_a_key_of_its_own() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), post(FULL));
    ports.run(&Stub::new(), post(FULL));
    let store = ports.store.borrow();
    let prefix = format!("rate/backup-create/{TENANT}/{NOW_MS}-");
    assert_eq!(store.len(), 2);
    assert!(store.iter().all(|name| name.starts_with(&prefix)));
}

#[test]
fn a_request_that_was_not_admitted_is_not_noted() {
    let ports = FakePorts::new();
    ports.break_function("m23_admit", DatabaseError::Unavailable("x".to_owned()));
    ports.run(&Stub::new(), post(FULL));
    assert!(ports.store.borrow().is_empty());
}

#[test]
fn a_limit_of_nothing_lets_nothing_through() {
    let ports = FakePorts::new();
    *ports.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":0}"#)]);
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 429);
}

#[test]
fn a_replay_is_answered_although_the_quota_is_used_up() {
    let ports = FakePorts::new();
    *ports.settings.borrow_mut() = settings(&[("RATE_LIMITS", r#"{"backup-create":1}"#)]);
    assert_eq!(
        ports.run(&Stub::new(), post_with_key(FULL, "k")).status,
        200
    );
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 429);
    assert_eq!(
        ports.run(&Stub::new(), post_with_key(FULL, "k")).status,
        200
    );
    assert_eq!(
        ports.run(&Stub::new(), post_with_key(FULL, "other")).status,
        429
    );
}
