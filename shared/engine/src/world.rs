//! What driving a job needs of the outside world.

use crate::cipher::Cipher;
use m23_pipeline::{Clock, DatabaseError, Digest, Log};
use serde_json::Value;
use std::collections::BTreeMap;

/// The database with the service key, the object store, a cipher, and time. Calls to the database end
/// in bounded time; [`World::execute`] may last as long as a restore's one transaction.
#[allow(async_fn_in_trait)]
pub trait World: Cipher + Clock + Digest + Log {
    /// Calls a function, JSON to JSON.
    async fn call(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError>;

    /// Calls a function that does its work in one long transaction.
    async fn execute(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError>;

    /// What is still to come of an answer.
    type Rest: Future<Output = Result<Vec<u8>, DatabaseError>>;

    /// Calls a function for its raw bytes: the first line without its end, and what comes after it,
    /// which is taken into memory only when it is waited for.
    async fn read(
        &self,
        name: &str,
        arguments: &Value,
    ) -> Result<(Vec<u8>, Self::Rest), DatabaseError>;

    /// Calls a function with raw bytes.
    async fn send(&self, name: &str, bytes: &[u8]) -> Result<Value, DatabaseError>;

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

    /// Lets some time pass.
    async fn pause(&self, milliseconds: u32);

    /// Lets whatever else this thread has begun go on first.
    async fn give_way(&self);
}

/// The object store did not do what it was asked; trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object store failed: {0}")]
pub struct StoreFailed(pub String);
