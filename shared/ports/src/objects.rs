//! The objects of the bucket.

use std::collections::BTreeMap;

/// A store of objects, which are created once, read whole, listed and deleted.
#[allow(async_fn_in_trait)]
pub trait Objects {
    /// Creates an object, and leaves one that is already there as it is. The store compares
    /// the bytes with their SHA-256.
    async fn put_new(
        &self,
        object: &str,
        bytes: Vec<u8>,
        sha256: [u8; 32],
    ) -> Result<(), StoreFailed>;

    /// Reads an object; `None` when there is none.
    async fn get(&self, object: &str) -> Result<Option<Vec<u8>>, StoreFailed>;

    /// The objects whose names start with `prefix`, with their sizes in bytes.
    async fn sizes(&self, prefix: &str) -> Result<BTreeMap<String, u64>, StoreFailed>;

    /// Deletes an object; that there is none is no failure.
    async fn delete(&self, object: &str) -> Result<(), StoreFailed>;
}

/// The object store did not do what it was asked; trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object store failed: {0}")]
pub struct StoreFailed(pub String);
