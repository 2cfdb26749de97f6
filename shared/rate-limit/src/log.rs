//! The window's log: one key per counted request, so that nothing is ever overwritten.

use crate::{WINDOW_SECONDS, Window};
use m23_contract::FunctionName;
use m23_tenant::TenantName;
use uuid::Uuid;

/// A larger log is not read at the edge; the database alone decides then.
const MOST_PAGES: usize = 3;

/// A page of key names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The names, in the store's (lexicographic) order.
    pub names: Vec<String>,
    /// Where the next page begins, if there is one.
    pub cursor: Option<String>,
}

/// The store failed; the caller goes on without it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the rate window's store failed: {0}")]
pub struct StoreFailed(pub String);

/// A key-value store with expiring keys.
#[allow(async_fn_in_trait)]
pub trait WindowStore {
    /// Puts an empty value that expires after `ttl_seconds`.
    async fn put_key(&self, name: &str, ttl_seconds: u64) -> Result<(), StoreFailed>;

    /// Deletes a key.
    async fn delete_key(&self, name: &str) -> Result<(), StoreFailed>;

    /// Lists the names that start with `prefix`, a page at a time.
    async fn list_keys(&self, prefix: &str, cursor: Option<&str>) -> Result<Keys, StoreFailed>;
}

/// The log of one tenant and function.
#[derive(Debug, Clone)]
pub struct WindowLog {
    prefix: String,
    limit: u32,
}

impl WindowLog {
    /// The log of `function` for `tenant`.
    #[must_use]
    pub fn new(function: FunctionName, tenant: &TenantName, limit: u32) -> Self {
        Self {
            prefix: format!("rate/{function}/{tenant}/"),
            limit,
        }
    }

    /// The window, when the log alone already shows it to be full; `None` otherwise.
    ///
    /// # Errors
    /// [`StoreFailed`], after which the caller asks the database as if nothing had been found.
    pub async fn refuses<S: WindowStore>(
        &self,
        store: &S,
        now_ms: u64,
    ) -> Result<Option<Window>, StoreFailed> {
        let started = now_ms.saturating_sub(WINDOW_SECONDS * 1000);
        let mut counted: Vec<u64> = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = store.list_keys(&self.prefix, cursor.as_deref()).await?;
            counted.extend(
                page.names
                    .iter()
                    .filter_map(|name| self.counted_at(name))
                    .filter(|at| *at > started),
            );
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(self.full(&counted, cursor.is_some()))
    }

    fn full(&self, counted: &[u64], more: bool) -> Option<Window> {
        let used = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        let oldest = counted.iter().min()?;
        (used >= self.limit && !more).then_some(Window {
            limit: self.limit,
            used,
            reset: oldest.div_ceil(1000) + WINDOW_SECONDS,
        })
    }

    /// Notes a request that the database has counted at `counted_at_ms`.
    ///
    /// # Errors
    /// [`StoreFailed`]; the request is counted all the same, in the database.
    pub async fn note<S: WindowStore>(
        &self,
        store: &S,
        counted_at_ms: u64,
        request: Uuid,
    ) -> Result<(), StoreFailed> {
        let name = self.name(counted_at_ms, request);
        store.put_key(&name, WINDOW_SECONDS).await
    }

    /// Forgets a request that was noted and is given back.
    ///
    /// # Errors
    /// [`StoreFailed`]; the database does not count it all the same.
    pub async fn forget<S: WindowStore>(
        &self,
        store: &S,
        counted_at_ms: u64,
        request: Uuid,
    ) -> Result<(), StoreFailed> {
        store.delete_key(&self.name(counted_at_ms, request)).await
    }

    fn name(&self, counted_at_ms: u64, request: Uuid) -> String {
        format!("{}{counted_at_ms}-{request}", self.prefix)
    }

    fn counted_at(&self, name: &str) -> Option<u64> {
        let (at, _) = name.strip_prefix(&self.prefix)?.split_once('-')?;
        at.parse().ok()
    }
}
