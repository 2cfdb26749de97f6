//! AES-256-GCM and SHA-256.

use crate::error::CliError;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use m23_archive::KEY;
use m23_archive::seal::{NONCE, Sealed};
use sha2::{Digest, Sha256};

/// What was sealed for this place; none when the key, the place or the bytes are others.
pub fn decrypt(key: &[u8; KEY], sealed: Sealed<'_>, context: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload {
        msg: sealed.body,
        aad: context,
    };
    let cipher = Aes256Gcm::new(&Array(*key));
    cipher.decrypt(&Array(*sealed.nonce), payload).ok()
}

/// Seals bytes for a place, with a nonce of their own.
pub fn seal(key: &[u8; KEY], bytes: &[u8], context: &[u8]) -> Result<Vec<u8>, CliError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|error| CliError::Key(error.to_string()))?;
    let payload = Payload {
        msg: bytes,
        aad: context,
    };
    let cipher = Aes256Gcm::new(&Array(*key));
    let body = cipher
        .encrypt(&Array(nonce), payload)
        .map_err(|error| CliError::Key(error.to_string()))?;
    let nonce = &nonce;
    let body = &body;
    Ok(Sealed { nonce, body }.join())
}

/// The digest of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
