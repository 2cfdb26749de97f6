//! What encryption needs of the platform: AES-256-GCM, random bytes, and the master keys.

use m23_archive::seal::{NONCE, Sealed};
use m23_archive::{ArchiveError, KEY, master_key};

/// A deployment's master keys.
#[derive(Clone, Default)]
pub struct MasterKeys {
    /// Wraps new keys; without it backups are plain.
    pub(crate) current: Option<[u8; KEY]>,
    /// The one before it: what it has wrapped still opens.
    pub(crate) previous: Option<[u8; KEY]>,
}

/// Master keys that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyFault {
    /// One that is none.
    #[error("{variable}: {error}")]
    Malformed {
        /// The variable that holds it.
        variable: &'static str,
        /// What is wrong with it; never the key itself.
        #[source]
        error: ArchiveError,
    },
    /// Backups would be plain where they were encrypted.
    #[error("ARCHIVE_KEY_PREVIOUS is set, and ARCHIVE_KEY is not")]
    PreviousAlone,
}

impl MasterKeys {
    /// Reads `ARCHIVE_KEY` and `ARCHIVE_KEY_PREVIOUS`: 32 bytes each, in base64. One that is set to
    /// nothing is malformed, not absent: nobody shall have plain backups by accident.
    ///
    /// # Errors
    /// [`MasterKeyFault`]; a request is then answered `INTERNAL`, and the fault is logged.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, MasterKeyFault> {
        let key = |name: &'static str| {
            variable(name)
                .map(|text| {
                    master_key(&text).map_err(|error| MasterKeyFault::Malformed {
                        variable: name,
                        error,
                    })
                })
                .transpose()
        };
        let keys = Self {
            current: key("ARCHIVE_KEY")?,
            previous: key("ARCHIVE_KEY_PREVIOUS")?,
        };
        match keys {
            Self {
                current: None,
                previous: Some(_),
            } => Err(MasterKeyFault::PreviousAlone),
            keys => Ok(keys),
        }
    }
}

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MasterKeys(…)")
    }
}

/// The platform's cipher.
#[allow(async_fn_in_trait)]
pub trait Cipher {
    /// The deployment's master keys.
    fn master_keys(&self) -> &MasterKeys;

    /// Fills `bytes` from a source that nobody can predict.
    fn randomise(&self, bytes: &mut [u8]) -> Result<(), CipherFailed>;

    /// AES-256-GCM: the ciphertext of `bytes` with its tag, bound to `context`.
    async fn encrypt(
        &self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        bytes: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, CipherFailed>;

    /// What was encrypted; `None` when key, context or bytes are not those of then.
    async fn decrypt(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, CipherFailed>;
}

/// The platform cannot encrypt or decrypt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the platform's cipher failed: {0}")]
pub struct CipherFailed(pub String);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(current: Option<&str>, previous: Option<&str>) -> Result<MasterKeys, MasterKeyFault> {
        MasterKeys::read(|name| {
            let text = match name {
                "ARCHIVE_KEY" => current,
                _ => previous,
            };
            text.map(ToOwned::to_owned)
        })
    }

    const KEY_TEXT: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn master_keys_are_read_and_never_shown() {
        let keys = read(Some(KEY_TEXT), Some(KEY_TEXT)).unwrap();
        assert_eq!(
            (keys.current, keys.previous),
            (Some([1; 32]), Some([1; 32]))
        );
        assert_eq!(format!("{keys:?}"), "MasterKeys(…)");
        assert!(read(None, None).unwrap().current.is_none());
    }

    #[test]
    fn a_malformed_key_is_a_fault_that_names_its_variable_and_not_the_key() {
        for text in ["", " ", "c2hvcnQ=", "not base64!"] {
            for (current, previous, named) in [
                (Some(text), None, "ARCHIVE_KEY:"),
                (Some(KEY_TEXT), Some(text), "ARCHIVE_KEY_PREVIOUS:"),
            ] {
                let sentence = read(current, previous).unwrap_err().to_string();
                assert!(sentence.starts_with(named), "{sentence}");
                assert!(text.trim().is_empty() || !sentence.contains(text));
            }
        }
    }

    #[test]
    fn a_previous_key_alone_is_a_fault() {
        assert_eq!(
            read(None, Some(KEY_TEXT)).unwrap_err(),
            MasterKeyFault::PreviousAlone
        );
    }
}
