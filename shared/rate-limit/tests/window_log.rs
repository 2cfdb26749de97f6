//! Rules of the window's log.
#![allow(clippy::unwrap_used)]

use m23_contract::FunctionName;
use m23_rate_limit::{Keys, StoreFailed, Window, WindowLog, WindowStore};
use m23_tenant::TenantName;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

const NOW_MS: u64 = 1_800_000_000_000;

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[derive(Default)]
struct FakeStore {
    names: RefCell<BTreeSet<String>>,
    page: Cell<usize>,
    broken: Cell<bool>,
}

impl WindowStore for FakeStore {
    async fn put_key(&self, name: &str, ttl_seconds: u64) -> Result<(), StoreFailed> {
        assert_eq!(ttl_seconds, 3_600);
        if self.broken.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        self.names.borrow_mut().insert(name.to_owned());
        Ok(())
    }

    async fn delete_key(&self, name: &str) -> Result<(), StoreFailed> {
        if self.broken.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        self.names.borrow_mut().remove(name);
        Ok(())
    }

    async fn list_keys(&self, prefix: &str, cursor: Option<&str>) -> Result<Keys, StoreFailed> {
        if self.broken.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        let page = self.page.get().max(1);
        let from: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let names = self.names.borrow();
        let all: Vec<&String> = names.iter().filter(|n| n.starts_with(prefix)).collect();
        Ok(Keys {
            names: all
                .iter()
                .skip(from)
                .take(page)
                .map(|n| (*n).clone())
                .collect(),
            cursor: (from + page < all.len()).then(|| (from + page).to_string()),
        })
    }
}

fn store(page: usize) -> FakeStore {
    let store = FakeStore::default();
    store.page.set(page);
    store
}

fn tenant(id: Uuid) -> TenantName {
    id.to_string().parse().unwrap()
}

fn log_of(limit: u32) -> WindowLog {
    WindowLog::new(FunctionName::BackupCreate, &tenant(Uuid::nil()), limit)
}

fn note(store: &FakeStore, ages_seconds: &[u64]) {
    for age in ages_seconds {
        block_on(log_of(3).note(store, NOW_MS - age * 1000, Uuid::new_v4())).unwrap();
    }
}

#[test]
fn a_full_window_is_refused_until_its_oldest_request_leaves() {
    let store = store(1000);
    note(&store, &[10, 3_000, 20]);
    let window = block_on(log_of(3).refuses(&store, NOW_MS)).unwrap();
    let reset = NOW_MS / 1000 + 600;
    assert_eq!(
        window,
        Some(Window {
            limit: 3,
            used: 3,
            reset
        })
    );
}

#[test]
fn a_window_with_room_is_left_to_the_database() {
    let store = store(1000);
    assert_eq!(block_on(log_of(3).refuses(&store, NOW_MS)).unwrap(), None);
    note(&store, &[10, 20]);
    assert_eq!(block_on(log_of(3).refuses(&store, NOW_MS)).unwrap(), None);
}

#[test]
fn requests_older_than_an_hour_do_not_count() {
    let store = store(1000);
    note(&store, &[10, 20, 3_600, 4_000]);
    assert_eq!(block_on(log_of(3).refuses(&store, NOW_MS)).unwrap(), None);
}

#[test]
fn two_requests_of_the_same_millisecond_both_count() {
    let store = store(1000);
    note(&store, &[10, 10, 10]);
    assert!(
        block_on(log_of(3).refuses(&store, NOW_MS))
            .unwrap()
            .is_some()
    );
}

#[test]
fn another_tenant_or_function_does_not_count() {
    let store = store(1000);
    note(&store, &[1, 2, 3]);
    for log in [
        WindowLog::new(FunctionName::PitrRestore, &tenant(Uuid::nil()), 3),
        WindowLog::new(FunctionName::BackupCreate, &tenant(Uuid::max()), 3),
    ] {
        assert_eq!(block_on(log.refuses(&store, NOW_MS)).unwrap(), None);
    }
}

#[test]
fn pages_are_followed_and_bounded() {
    let small = store(1);
    note(&small, &[1, 2, 3]);
    assert!(
        block_on(log_of(3).refuses(&small, NOW_MS))
            .unwrap()
            .is_some()
    );
    note(&small, &[4]);
    assert_eq!(block_on(log_of(3).refuses(&small, NOW_MS)).unwrap(), None);
}

#[test]
fn foreign_keys_in_the_store_are_ignored() {
    let store = store(1000);
    for name in ["rate/backup-create/x", "rate/backup-create/"] {
        store
            .names
            .borrow_mut()
            .insert(format!("{name}{}/junk", Uuid::nil()));
    }
    assert_eq!(block_on(log_of(1).refuses(&store, NOW_MS)).unwrap(), None);
}

#[test]
fn a_broken_store_is_an_error_for_the_caller_to_pass_over() {
    let store = store(1000);
    store.broken.set(true);
    assert!(block_on(log_of(3).refuses(&store, NOW_MS)).is_err());
    assert!(block_on(log_of(3).note(&store, NOW_MS, Uuid::nil())).is_err());
    assert!(block_on(log_of(3).forget(&store, NOW_MS, Uuid::nil())).is_err());
}

#[test]
fn a_request_that_is_given_back_does_not_count() {
    let store = store(1000);
    note(&store, &[10, 20]);
    let request = Uuid::new_v4();
    block_on(log_of(3).note(&store, NOW_MS, request)).unwrap();
    assert!(
        block_on(log_of(3).refuses(&store, NOW_MS))
            .unwrap()
            .is_some()
    );
    block_on(log_of(3).forget(&store, NOW_MS, request)).unwrap();
    assert_eq!(block_on(log_of(3).refuses(&store, NOW_MS)).unwrap(), None);
}
