//! Key objects: a tenant's data key, wrapped by a master key.

use crate::seal::{OVERHEAD, Sealed};
use crate::{ArchiveError, strict};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use m23_tenant::TenantId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of a key.
pub const KEY: usize = 32;

/// A tenant's data key as it lies in the store. The JSON object at [`crate::key_object`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyObject {
    /// Always [`KeyObject::FORMAT`].
    pub format: String,
    /// Always [`KeyObject::VERSION`].
    pub version: u32,
    /// The tenant whose key it is.
    pub tenant_id: TenantId,
    /// The key's id, which manifests name.
    pub key_id: Uuid,
    /// The [`fingerprint`] of the master key that wraps it.
    pub master: String,
    /// The sealed data key, in base64.
    pub wrapped: String,
}

impl KeyObject {
    /// What a key object calls itself.
    pub const FORMAT: &'static str = "m23-key";
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// The object of a data key that has just been sealed with [`KeyObject::context`].
    #[must_use]
    pub fn new(tenant_id: TenantId, key_id: Uuid, master: String, wrapped: Sealed<'_>) -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            version: Self::VERSION,
            tenant_id,
            key_id,
            master,
            wrapped: STANDARD.encode(wrapped.join()),
        }
    }

    /// Reads a key object.
    ///
    /// # Errors
    /// [`ArchiveError::Sealed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let fault = |what: String| ArchiveError::Sealed(format!("the key object {what}"));
        let object: Self =
            strict::read(bytes).map_err(|error| fault(format!("cannot be read: {error}")))?;
        if object.format != Self::FORMAT || object.version != Self::VERSION {
            return Err(fault(format!(
                "is of format {:?}, version {}",
                object.format, object.version
            )));
        }
        object.wrapped()?;
        Ok(object)
    }

    /// Its bytes in the store.
    ///
    /// # Errors
    /// [`ArchiveError::Sealed`] if it cannot be written as JSON, which does not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArchiveError> {
        strict::write(self).map_err(ArchiveError::Sealed)
    }

    /// The sealed data key.
    ///
    /// # Errors
    /// [`ArchiveError::Sealed`] when it is not as long as one.
    pub fn wrapped(&self) -> Result<[u8; KEY + OVERHEAD], ArchiveError> {
        STANDARD
            .decode(&self.wrapped)
            .ok()
            .and_then(|decoded| decoded.try_into().ok())
            .ok_or_else(|| ArchiveError::Sealed("the key object holds no wrapped key".to_owned()))
    }

    /// What the sealed data key is bound to.
    #[must_use]
    pub fn context(tenant: &TenantId, key: Uuid) -> Vec<u8> {
        format!("m23-key/1 {tenant} {key}").into_bytes()
    }
}

/// A master key, from its base64: the variable `ARCHIVE_KEY`.
///
/// # Errors
/// [`ArchiveError::Sealed`] when it is not 32 bytes; the sentence does not repeat it.
pub fn master_key(text: &str) -> Result<[u8; KEY], ArchiveError> {
    STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|decoded| decoded.try_into().ok())
        .ok_or_else(|| {
            ArchiveError::Sealed("a master key is 32 bytes in base64; this is not".to_owned())
        })
}

/// Tells master keys apart without showing them, from the SHA-256 of the key.
#[must_use]
pub fn fingerprint(sha256: &[u8; 32]) -> String {
    let mut text = hex::encode(sha256);
    text.truncate(16);
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn object() -> KeyObject {
        let sealed = [9; KEY + OVERHEAD];
        let master = fingerprint(&[0xab; 32]);
        KeyObject::new(
            "acme".parse().unwrap(),
            Uuid::from_u128(2),
            master,
            Sealed::split(&sealed).unwrap(),
        )
    }

    #[test]
    fn a_key_object_reads_back_as_it_was_written() {
        let read = KeyObject::parse(&object().to_bytes().unwrap()).unwrap();
        assert_eq!(read, object());
        assert_eq!(read.wrapped().unwrap(), [9; KEY + OVERHEAD]);
        assert_eq!(read.master, "abababababababab");
    }

    #[test]
    fn another_format_version_length_or_field_is_refused() {
        for (from, to) in [
            ("m23-key", "key"),
            ("\"version\": 1", "\"version\": 2"),
            ("CQkJ", "CQkJCQkJ"),
            ("\"master\"", "\"extra\": 1, \"master\""),
        ] {
            let text = String::from_utf8(object().to_bytes().unwrap()).unwrap();
            let edited = text.replacen(from, to, 1);
            assert_ne!(edited, text);
            assert!(KeyObject::parse(edited.as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn a_master_key_is_32_bytes_in_base64() {
        assert_eq!(master_key(&STANDARD.encode([1; 32])).unwrap(), [1; 32]);
        for text in ["", "AAAA", "not base64", &STANDARD.encode([1; 33])] {
            assert!(master_key(text).is_err(), "{text}");
        }
    }
}
