//! Encryption, without the cipher: which bytes stand where, and what they are bound to.
//!
//! The caller's platform has AES-256-GCM. What it seals is `nonce ‖ ciphertext ‖ tag`; the
//! associated data binds a chunk to its place, so that none can be exchanged with another.

use crate::{ArchiveError, Lines};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use uuid::Uuid;

/// Bytes of a nonce.
pub const NONCE: usize = 12;
/// Bytes of a tag.
pub const TAG: usize = 16;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = NONCE + TAG;

/// Sealed bytes in their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// The nonce.
    pub nonce: &'a [u8; NONCE],
    /// The ciphertext with its tag, as WebCrypto and most libraries take it.
    pub body: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Splits sealed bytes.
    ///
    /// # Errors
    /// [`ArchiveError::Sealed`] when they are too short.
    pub fn split(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        match bytes.split_first_chunk() {
            Some((nonce, body)) if body.len() >= TAG => Ok(Self { nonce, body }),
            _ => Err(ArchiveError::Sealed("it is too short".to_owned())),
        }
    }

    /// The bytes that are stored.
    #[must_use]
    pub fn join(self) -> Vec<u8> {
        [self.nonce.as_slice(), self.body].concat()
    }
}

/// What a chunk's ciphertext is bound to.
#[must_use]
pub fn chunk_context(backup: Uuid, ordinal: u32, lines: Lines, seq: u32) -> Vec<u8> {
    let lines = lines.word();
    format!("m23-archive/1 {backup} {ordinal} {lines} {seq}").into_bytes()
}

/// What the ciphertext of a chunk's fingerprint is bound to.
#[must_use]
pub fn fingerprint_context(backup: Uuid, ordinal: u32, lines: Lines, seq: u32) -> Vec<u8> {
    let lines = lines.word();
    format!("m23-fingerprint/1 {backup} {ordinal} {lines} {seq}").into_bytes()
}

/// A sealed fingerprint as a manifest has it.
#[must_use]
pub fn fingerprint_to_text(sealed: &[u8]) -> String {
    STANDARD.encode(sealed)
}

/// The sealed bytes of a fingerprint in a manifest.
///
/// # Errors
/// [`ArchiveError::Sealed`] when it is no such thing.
pub fn fingerprint_from_text(text: &str) -> Result<Vec<u8>, ArchiveError> {
    STANDARD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() > OVERHEAD)
        .ok_or_else(|| ArchiveError::Sealed("a fingerprint is not sealed".to_owned()))
}

/// What a manifest's tag is bound to: the manifest. The plaintext is empty.
#[must_use]
pub fn manifest_context(manifest: &[u8]) -> Vec<u8> {
    [b"m23-manifest/1\n", manifest].concat()
}

/// The bytes of `manifest.mac`, from the nonce and tag of an empty plaintext.
#[must_use]
pub fn mac_to_bytes(sealed: Sealed<'_>) -> Vec<u8> {
    STANDARD.encode(sealed.join()).into_bytes()
}

/// The nonce and tag in `manifest.mac`.
///
/// # Errors
/// [`ArchiveError::Sealed`] when it is no such thing.
pub fn mac_from_bytes(bytes: &[u8]) -> Result<[u8; OVERHEAD], ArchiveError> {
    STANDARD
        .decode(bytes)
        .ok()
        .and_then(|decoded| decoded.try_into().ok())
        .ok_or_else(|| ArchiveError::Sealed("manifest.mac is no nonce and tag".to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_are_nonce_then_ciphertext_and_tag() {
        let bytes: Vec<u8> = (0..30).collect();
        let sealed = Sealed::split(&bytes).unwrap();
        assert_eq!((sealed.nonce.as_slice(), sealed.body), bytes.split_at(12));
        assert_eq!(sealed.join(), bytes);
    }

    #[test]
    fn bytes_without_room_for_a_tag_are_refused() {
        assert!(Sealed::split(&[0; 27]).is_err());
        assert!(Sealed::split(&[0; 28]).is_ok());
    }

    #[test]
    fn a_mac_reads_back_as_it_was_written() {
        let bytes = [7; OVERHEAD];
        let text = mac_to_bytes(Sealed::split(&bytes).unwrap());
        assert_eq!(mac_from_bytes(&text).unwrap(), bytes);
        assert!(mac_from_bytes(&text[1..]).is_err());
    }

    #[test]
    fn a_chunk_is_bound_to_its_place() {
        let context = chunk_context(Uuid::from_u128(0xb), 2, Lines::History, 10);
        assert_eq!(
            context,
            b"m23-archive/1 00000000-0000-0000-0000-00000000000b 2 history 10"
        );
    }
}
