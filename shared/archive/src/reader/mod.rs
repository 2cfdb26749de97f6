//! The reader of archives: from a manifest to the lines of a chunk. The functions and the command-line tool read
//! with it, each from a store and with a cipher of its own.
//!
//! Nothing is believed before it was checked, always in the same order: the hash of the stored bytes, then the seal,
//! then what is inside. A manifest has its hash from the database or from the backup that builds upon it; an
//! encrypted one is authenticated with its key.

mod archive;
mod fault;
mod key;
mod stored;

pub use archive::Archive;
pub use fault::{Fault, KeyFault};
pub use key::{DataKey, find_key, read_key, unwrap};
pub use stored::Stored;

use crate::KEY;
use crate::seal::Sealed;

/// Where objects come from.
#[allow(async_fn_in_trait)]
pub trait Source {
    /// Why something could not be read. What is wrong with an archive is one of the reasons.
    type Error: From<Fault>;

    /// Reads an object; `None` when there is none. One of more than `most` bytes need not be read.
    async fn get(&self, object: &str, most: u64) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The SHA-256 of `bytes`.
    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], Self::Error>;
}

/// What opens what is sealed.
#[allow(async_fn_in_trait)]
pub trait Opener: Source {
    /// The master keys, the present one first; none where nothing can be opened.
    fn masters(&self) -> impl Iterator<Item = [u8; KEY]>;

    /// AES-256-GCM: what was sealed; `None` when key, context or bytes are not those of then.
    async fn open(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// Reads an object that has to be there, with this SHA-256.
///
/// # Errors
/// [`Fault::Missing`], [`Fault::Altered`].
pub async fn fetch<S: Source>(
    source: &S,
    object: &str,
    sha256: &str,
    most: u64,
) -> Result<Vec<u8>, S::Error> {
    let bytes = source.get(object, most).await?;
    let bytes = bytes.ok_or_else(|| Fault::Missing(object.to_owned()))?;
    if hex::encode(source.sha256(&bytes).await?) == sha256 {
        Ok(bytes)
    } else {
        Err(Fault::Altered(object.to_owned()).into())
    }
}
