//! Keys: the master key from the environment, and the tenants' keys that it unwraps.

use crate::cipher::{Cipher, sha256};
use crate::error::CliError;
use crate::store::Store;
use m23_archive::{KEY, KeyObject, fingerprint, key_object, master_key};
use std::env;
use uuid::Uuid;

/// More than any key object has.
const LIMIT: u64 = 4096;

/// A master key.
pub struct Master {
    cipher: Cipher,
    /// Tells it from others.
    pub fingerprint: String,
}

impl Master {
    /// Reads a master key from a variable; none when that is not set.
    pub fn from_env(variable: &str) -> Result<Option<Self>, CliError> {
        let Some(text) = env::var(variable).ok().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let key =
            master_key(&text).map_err(|error| CliError::Key(format!("{variable}: {error}")))?;
        Ok(Some(Self {
            cipher: Cipher::new(&key),
            fingerprint: fingerprint(&sha256(&key)),
        }))
    }

    /// The data key in a key object that this master key wraps.
    pub fn unwrap(&self, object: &str, key: &KeyObject) -> Result<[u8; KEY], CliError> {
        let wrapped = key
            .wrapped()
            .map_err(|error| CliError::in_object(object, &error))?;
        let context = KeyObject::context(key.tenant_id, key.key_id);
        self.cipher
            .open(&wrapped, &context)
            .map_err(|error| CliError::in_object(object, &error))?
            .and_then(|opened| opened.try_into().ok())
            .ok_or_else(|| CliError::damaged(object, "it was altered, or is another key's"))
    }

    /// The same data key, wrapped by this master key.
    pub fn wrap(&self, key: &KeyObject, opened: &[u8; KEY]) -> Result<KeyObject, CliError> {
        let context = KeyObject::context(key.tenant_id, key.key_id);
        let sealed = self.cipher.seal(opened, &context)?;
        let sealed = m23_archive::seal::Sealed::split(&sealed)
            .map_err(|error| CliError::Key(error.to_string()))?;
        Ok(KeyObject::new(
            key.tenant_id,
            key.key_id,
            self.fingerprint.clone(),
            sealed,
        ))
    }
}

/// The key object of a tenant's key.
pub async fn read_key(store: &Store, tenant: Uuid, key: Uuid) -> Result<KeyObject, CliError> {
    let object = key_object(tenant, key);
    let bytes = store.get(&object, LIMIT).await?.ok_or_else(|| {
        CliError::Key(format!(
            "{object} is not in the store: the key was erased, or never copied"
        ))
    })?;
    let read = KeyObject::parse(&bytes).map_err(|error| CliError::in_object(&object, &error))?;
    if (read.tenant_id, read.key_id) == (tenant, key) {
        Ok(read)
    } else {
        Err(CliError::damaged(&object, "it is another key's"))
    }
}

/// The cipher of a tenant's key; none when no master key is set.
pub async fn open_key(
    store: &Store,
    masters: &[Master],
    tenant: Uuid,
    key: Uuid,
) -> Result<Option<Cipher>, CliError> {
    if masters.is_empty() {
        return Ok(None);
    }
    let object = key_object(tenant, key);
    let read = read_key(store, tenant, key).await?;
    let master = masters
        .iter()
        .find(|master| master.fingerprint == read.master)
        .ok_or_else(|| {
            CliError::Key(format!(
                "{object} is wrapped with the master key {}; ARCHIVE_KEY is another one",
                read.master
            ))
        })?;
    Ok(Some(Cipher::new(&master.unwrap(&object, &read)?)))
}
