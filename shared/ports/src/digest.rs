//! Digests.

/// SHA-256.
#[allow(async_fn_in_trait)]
pub trait Digest {
    /// The digest of `bytes`.
    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], DigestFailed>;
}

/// The platform cannot compute a digest.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a digest cannot be computed: {0}")]
pub struct DigestFailed(pub String);
