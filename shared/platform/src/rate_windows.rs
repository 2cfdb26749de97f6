//! The rate window's log in Workers KV.

use crate::timeout::bounded;
use m23_rate_limit::{Keys, StoreFailed};
use std::time::Duration;
use worker::KvStore;

/// KV only helps to refuse early; it must not slow a request down.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Puts an empty value that expires.
pub(crate) async fn put_key(store: &KvStore, name: &str, ttl: u64) -> Result<(), StoreFailed> {
    let put = store.put(name, "").map_err(failed)?;
    bounded(TIMEOUT, put.expiration_ttl(ttl).execute())
        .await
        .map_err(failed)?
        .map_err(failed)
}

/// Deletes a key.
pub(crate) async fn delete_key(store: &KvStore, name: &str) -> Result<(), StoreFailed> {
    bounded(TIMEOUT, store.delete(name))
        .await
        .map_err(failed)?
        .map_err(failed)
}

/// Lists a page of names.
pub(crate) async fn list_keys(
    store: &KvStore,
    prefix: &str,
    cursor: Option<&str>,
) -> Result<Keys, StoreFailed> {
    let mut list = store.list().prefix(prefix.to_owned());
    if let Some(cursor) = cursor {
        list = list.cursor(cursor.to_owned());
    }
    let page = bounded(TIMEOUT, list.execute())
        .await
        .map_err(failed)?
        .map_err(failed)?;
    Ok(Keys {
        names: page.keys.into_iter().map(|key| key.name).collect(),
        cursor: page.cursor.filter(|_| !page.list_complete),
    })
}

fn failed(error: impl ToString) -> StoreFailed {
    StoreFailed(error.to_string())
}
