//! Key objects, and the data keys in them.

use super::{Fault, KeyFault, Opener, Source};
use crate::seal::{Sealed, mac_from_bytes, manifest_context};
use crate::{Algorithm, Encryption, KEY, KeyObject, fingerprint, key_object, mac_object};
use m23_tenant::{TenantId, TenantName};
use uuid::Uuid;

/// No key object is larger.
const MOST_KEY_BYTES: u64 = 4096;

/// No `manifest.mac` is larger.
const MOST_MAC_BYTES: u64 = 1024;

/// A tenant's data key that has been unwrapped.
#[derive(Clone)]
pub struct DataKey {
    /// Its id, which manifests name.
    pub id: Uuid,
    /// The key itself.
    pub key: [u8; KEY],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DataKey({})", self.id)
    }
}

impl DataKey {
    /// What a manifest says of it.
    #[must_use]
    pub fn encryption(&self) -> Encryption {
        Encryption {
            key_id: self.id,
            algorithm: Algorithm::Aes256Gcm,
        }
    }

    /// Opens what was sealed for this place.
    pub(crate) async fn open<O: Opener>(
        &self,
        opener: &O,
        object: &str,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, O::Error> {
        let opened = open(opener, &self.key, sealed, context).await?;
        Ok(opened.ok_or_else(|| Fault::sealed_otherwise(object))?)
    }

    /// Compares a manifest with its `manifest.mac`.
    ///
    /// # Errors
    /// [`Fault`], where it was not written by whoever has this key.
    pub async fn check_manifest<O: Opener>(
        &self,
        opener: &O,
        prefix: &str,
        manifest: &[u8],
    ) -> Result<(), O::Error> {
        let object = mac_object(prefix);
        let bytes = opener.get(&object, MOST_MAC_BYTES).await?;
        let bytes = bytes.ok_or_else(|| Fault::Missing(object.clone()))?;
        let mac = mac_from_bytes(&bytes).map_err(|error| Fault::damaged(&object, error))?;
        match open(opener, &self.key, &mac, &manifest_context(manifest)).await? {
            Some(nothing) if nothing.is_empty() => Ok(()),
            _ => Err(Fault::sealed_otherwise(&object).into()),
        }
    }
}

/// What was sealed; none when it was sealed otherwise.
async fn open<O: Opener>(
    opener: &O,
    key: &[u8; KEY],
    sealed: &[u8],
    context: &[u8],
) -> Result<Option<Vec<u8>>, O::Error> {
    match Sealed::split(sealed) {
        Ok(sealed) => opener.open(key, sealed, context).await,
        Err(_too_short) => Ok(None),
    }
}

/// The object of a tenant's key, still wrapped.
///
/// # Errors
/// [`KeyFault::Missing`], [`KeyFault::Exchanged`], or an object that breaks the format.
pub async fn find_key<S: Source>(
    source: &S,
    tenant: &TenantName,
    key: Uuid,
) -> Result<KeyObject, S::Error> {
    let object = key_object(tenant, key);
    let bytes = source.get(&object, MOST_KEY_BYTES).await?;
    let bytes = bytes.ok_or_else(|| Fault::from(KeyFault::Missing(object.clone())))?;
    let read = KeyObject::parse(&bytes).map_err(|error| Fault::damaged(&object, error))?;
    if (&read.tenant_id.name(), read.key_id) == (tenant, key) {
        Ok(read)
    } else {
        Err(Fault::from(KeyFault::Exchanged(object)).into())
    }
}

/// A tenant's key, unwrapped by whichever master key it names.
///
/// # Errors
/// [`KeyFault`].
pub async fn read_key<O: Opener>(
    opener: &O,
    tenant: &TenantId,
    key: Uuid,
) -> Result<DataKey, O::Error> {
    if opener.masters().next().is_none() {
        return Err(Fault::from(KeyFault::NoMaster).into());
    }
    let found = find_key(opener, &tenant.name(), key).await?;
    for master in opener.masters() {
        if fingerprint(&opener.sha256(&master).await?) == found.master {
            return unwrap(opener, &master, &found).await;
        }
    }
    let fault = KeyFault::OtherMaster {
        object: key_object(&tenant.name(), key),
        master: found.master,
    };
    Err(Fault::from(fault).into())
}

/// The data key in a key object that this master key wraps.
///
/// # Errors
/// [`KeyFault::Altered`].
pub async fn unwrap<O: Opener>(
    opener: &O,
    master: &[u8; KEY],
    found: &KeyObject,
) -> Result<DataKey, O::Error> {
    let (tenant, id) = (&found.tenant_id, found.key_id);
    let object = key_object(&tenant.name(), id);
    let wrapped = found
        .wrapped()
        .map_err(|error| Fault::damaged(&object, error))?;
    let opened = open(opener, master, &wrapped, &KeyObject::context(tenant, id)).await?;
    let key = opened.and_then(|opened| opened.try_into().ok());
    let key = key.ok_or_else(|| Fault::from(KeyFault::Altered(object)))?;
    Ok(DataKey { id, key })
}
