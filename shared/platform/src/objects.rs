//! The archive's bucket in R2: objects are created once, read whole, listed and deleted.

use crate::timeout::bounded;
use js_sys::{ArrayBuffer, Uint8Array};
use std::time::Duration;
use wasm_bindgen::JsCast;
use web_sys::ReadableStream;
use worker::{Bucket, Conditional, Data, Object};

/// An operation on one object of a few megabytes ends within this time, or has failed.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The store failed; trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the object store failed to {action} {key}: {cause}")]
pub(crate) struct ObjectsFailed {
    /// What was tried.
    pub(crate) action: &'static str,
    /// Which object (or prefix).
    pub(crate) key: String,
    /// What the store said.
    pub(crate) cause: String,
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectSummary {
    /// Its key.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectPage {
    /// The objects, by key.
    pub(crate) objects: Vec<ObjectSummary>,
    /// Where the next page begins, if there is one.
    pub(crate) cursor: Option<String>,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct ArchiveBucket {
    bucket: Bucket,
}

impl ArchiveBucket {
    /// Wraps a bucket binding.
    #[must_use]
    pub(crate) const fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// Creates an object, and leaves one that is already there as it is; the store checks the bytes against their SHA-256.
    ///
    /// # Errors
    /// [`ObjectsFailed`], also when the bytes do not have that digest.
    pub(crate) async fn put_new(
        &self,
        key: &str,
        bytes: Vec<u8>,
        sha256: [u8; 32],
    ) -> Result<(), ObjectsFailed> {
        let absent = Conditional {
            etag_does_not_match: Some("*".to_owned()),
            ..Conditional::default()
        };
        let value = Uint8Array::from(bytes.as_slice());
        drop(bytes);
        let put = self
            .bucket
            .put(key, as_data(&value))
            .sha256(sha256)
            .only_if(absent)
            .execute();
        let stored = within("put", key, put).await;
        release(&value);
        let _created_or_there = stored?;
        Ok(())
    }

    /// Reads an object whole; `None` when there is none.
    ///
    /// # Errors
    /// [`ObjectsFailed`].
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, ObjectsFailed> {
        let read = async {
            let Some(object) = self.bucket.get(key).execute().await? else {
                return Ok(None);
            };
            match object.body() {
                Some(body) => body.bytes().await.map(Some),
                None => Ok(None),
            }
        };
        within("get", key, read).await
    }

    /// Looks at an object without reading it; `None` when there is none.
    ///
    /// # Errors
    /// [`ObjectsFailed`].
    pub(crate) async fn head(&self, key: &str) -> Result<Option<ObjectSummary>, ObjectsFailed> {
        let found = within("head", key, self.bucket.head(key)).await?;
        Ok(found.as_ref().map(summary))
    }

    /// Lists the objects whose keys start with `prefix`, a page at a time.
    ///
    /// # Errors
    /// [`ObjectsFailed`].
    pub(crate) async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
    ) -> Result<ObjectPage, ObjectsFailed> {
        let mut list = self.bucket.list().prefix(prefix);
        if let Some(cursor) = cursor {
            list = list.cursor(cursor);
        }
        let page = within("list", prefix, list.execute()).await?;
        Ok(ObjectPage {
            objects: page.objects().iter().map(summary).collect(),
            cursor: page.cursor().filter(|_| page.truncated()),
        })
    }

    /// Deletes an object; that there is none is no failure.
    ///
    /// # Errors
    /// [`ObjectsFailed`].
    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectsFailed> {
        within("delete", key, self.bucket.delete(key)).await
    }
}

/// Bytes as they are: the builder itself would make a copy that nobody else can let go of.
fn as_data(value: &Uint8Array) -> Data {
    value.unchecked_ref::<ReadableStream>().clone().into()
}

/// Frees a buffer at once; left to the collector, those of many chunks would lie about together. Who
/// still reads its bytes keeps them.
fn release(value: &Uint8Array) {
    let buffer: ArrayBuffer = value.buffer().unchecked_into();
    // Where the platform refuses, the collector comes.
    let _ = buffer.transfer_with_length(0);
}

fn summary(object: &Object) -> ObjectSummary {
    ObjectSummary {
        key: object.key(),
        size: object.size(),
    }
}

async fn within<T>(
    action: &'static str,
    key: &str,
    work: impl Future<Output = worker::Result<T>>,
) -> Result<T, ObjectsFailed> {
    let failed = |cause: String| ObjectsFailed {
        action,
        key: key.to_owned(),
        cause,
    };
    bounded(TIMEOUT, work)
        .await
        .map_err(|timed_out| failed(timed_out.to_string()))?
        .map_err(|error| failed(error.to_string()))
}
