//! What can be wrong with an archive in its store.

use crate::ArchiveError;

/// Why an archive cannot be read, in a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An object is gone.
    #[error("{0} is missing from the store")]
    Missing(String),
    /// An object is not what it was when the backup was made.
    #[error("{0} has been altered: its SHA-256 is another")]
    Altered(String),
    /// A manifest that belongs to another backup or another tenant.
    #[error("{0} belongs to another backup")]
    Exchanged(String),
    /// An object breaks the format.
    #[error("{object}: {error}")]
    Damaged {
        /// Which.
        object: String,
        /// What is wrong with it.
        #[source]
        error: ArchiveError,
    },
    /// There is no key to it.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

impl Fault {
    /// An object breaks the format.
    #[must_use]
    pub fn damaged(object: &str, error: ArchiveError) -> Self {
        Self::Damaged {
            object: object.to_owned(),
            error,
        }
    }

    /// What is sealed does not open.
    pub(crate) fn sealed_otherwise(object: &str) -> Self {
        let fault = "it was altered, or sealed for another place or with another key";
        Self::damaged(object, ArchiveError::Sealed(fault.to_owned()))
    }
}

/// Why there is no key to an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No master key at all.
    #[error("this backup is encrypted and no ARCHIVE_KEY is configured")]
    NoMaster,
    /// Neither master key is the one that wraps it.
    #[error(
        "this backup was encrypted under another master key than the ARCHIVE_KEY that is configured ({object})"
    )]
    OtherMaster {
        /// The key object.
        object: String,
        /// The fingerprint of the master key that wraps it.
        master: String,
    },
    /// The key object is gone.
    #[error("this backup is encrypted and its key was erased or is missing: there is no {0}")]
    Missing(String),
    /// The key object is not what its name says.
    #[error("{0} is the key of another tenant, or another key")]
    Exchanged(String),
    /// The right master key does not open it.
    #[error("{0} has been altered: the key in it cannot be unwrapped")]
    Altered(String),
}
