//! Master keys, from the environment.

use crate::cipher::{seal, sha256};
use crate::error::CliError;
use m23_archive::reader::DataKey;
use m23_archive::seal::Sealed;
use m23_archive::{KEY, KeyObject, fingerprint, master_key};
use m23_tenant::TenantId;
use std::env;

/// A master key.
pub struct Master {
    pub key: [u8; KEY],
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
            fingerprint: fingerprint(&sha256(&key)),
            key,
        }))
    }

    /// The key object of a tenant's key, wrapped by this master key.
    pub fn wrap(&self, tenant: &TenantId, opened: &DataKey) -> Result<KeyObject, CliError> {
        let context = KeyObject::context(tenant, opened.id);
        let sealed = seal(&self.key, &opened.key, &context)?;
        let sealed = Sealed::split(&sealed).map_err(|error| CliError::Key(error.to_string()))?;
        let master = self.fingerprint.clone();
        Ok(KeyObject::new(tenant.clone(), opened.id, master, sealed))
    }
}
