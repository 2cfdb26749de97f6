//! AES-256-GCM and SHA-256.

use crate::error::CliError;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use m23_archive::seal::{NONCE, Sealed};
use m23_archive::{ArchiveError, KEY};
use sha2::{Digest, Sha256};

/// A key that seals and opens.
#[derive(Clone)]
pub struct Cipher(Aes256Gcm);

impl Cipher {
    pub fn new(key: &[u8; KEY]) -> Self {
        Self(Aes256Gcm::new(&Array(*key)))
    }

    /// Opens what was sealed for this place; none when the key, the place or the bytes are others.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Sealed { nonce, body } = Sealed::split(sealed)?;
        let payload = Payload {
            msg: body,
            aad: context,
        };
        Ok(self.0.decrypt(&Array(*nonce), payload).ok())
    }

    /// Seals bytes for a place, with a nonce of their own.
    pub fn seal(&self, bytes: &[u8], context: &[u8]) -> Result<Vec<u8>, CliError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| CliError::Key(error.to_string()))?;
        let payload = Payload {
            msg: bytes,
            aad: context,
        };
        let body = self
            .0
            .encrypt(&Array(nonce), payload)
            .map_err(|error| CliError::Key(error.to_string()))?;
        Ok(Sealed {
            nonce: &nonce,
            body: &body,
        }
        .join())
    }
}

/// The digest of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The same as lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    sha256(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
