//! AES-256-GCM of another maker than the Workers', and ports whose archives are encrypted.

use crate::fake_ports::FakePorts;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, aes::cipher::Array};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use m23_archive::seal::{NONCE, Sealed};
use m23_archive::{KEY, KeyObject};
use m23_engine::MasterKeys;

pub const MASTER: [u8; KEY] = [1; KEY];
pub const OTHER: [u8; KEY] = [2; KEY];

pub fn encrypt(key: &[u8; KEY], nonce: &[u8; NONCE], bytes: &[u8], context: &[u8]) -> Vec<u8> {
    let payload = Payload {
        msg: bytes,
        aad: context,
    };
    let cipher = Aes256Gcm::new(&Array(*key));
    cipher.encrypt(&Array(*nonce), payload).unwrap()
}

pub fn decrypt(key: &[u8; KEY], sealed: Sealed<'_>, context: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload {
        msg: sealed.body,
        aad: context,
    };
    let cipher = Aes256Gcm::new(&Array(*key));
    cipher.decrypt(&Array(*sealed.nonce), payload).ok()
}

/// Sealed bytes with a nonce that no ports uses.
pub fn seal(key: &[u8; KEY], bytes: &[u8], context: &[u8]) -> Vec<u8> {
    let nonce = [0xee; NONCE];
    let body = encrypt(key, &nonce, bytes, context);
    let sealed = Sealed {
        nonce: &nonce,
        body: &body,
    };
    sealed.join()
}

pub fn masters(current: Option<[u8; KEY]>, previous: Option<[u8; KEY]>) -> MasterKeys {
    let text = |name: &str| match name {
        "ARCHIVE_KEY" => current.map(|key| STANDARD.encode(key)),
        _ => previous.map(|key| STANDARD.encode(key)),
    };
    MasterKeys::read(text).unwrap()
}

impl FakePorts {
    /// A ports with a master key.
    pub fn sealed() -> Self {
        let mut ports = Self::new();
        ports.master_keys = masters(Some(MASTER), None);
        ports
    }

    /// The objects that are keys.
    pub fn keys(&self) -> Vec<String> {
        let objects = self.objects.borrow();
        let keys = objects.keys().filter(|name| name.starts_with("keys/"));
        keys.cloned().collect()
    }

    /// The one data key, as somebody with the master key gets it.
    pub fn data_key(&self) -> [u8; KEY] {
        let object = KeyObject::parse(&self.objects.borrow()[&self.keys()[0]]).unwrap();
        let context = KeyObject::context(&object.tenant_id, object.key_id);
        let wrapped = object.wrapped().unwrap();
        let opened = decrypt(&MASTER, Sealed::split(&wrapped).unwrap(), &context).unwrap();
        opened.try_into().unwrap()
    }
}
