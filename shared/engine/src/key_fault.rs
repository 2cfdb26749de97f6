//! Why there is no key.

/// Why there is no key to an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No master key at all.
    #[error("this backup is encrypted and no ARCHIVE_KEY is configured")]
    NoMaster,
    /// No master key for a tenant whose backups have one.
    #[error(
        "the backups of this tenant are encrypted and no ARCHIVE_KEY is configured; it would be plain"
    )]
    Unsealed,
    /// Neither master key is the one that wraps it.
    #[error(
        "this backup was encrypted under another master key than the ARCHIVE_KEY that is configured ({0})"
    )]
    OtherMaster(String),
    /// The same, of a key that was to seal something new.
    #[error("{0} is wrapped by another master key than the ARCHIVE_KEY that is configured")]
    Unusable(String),
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
