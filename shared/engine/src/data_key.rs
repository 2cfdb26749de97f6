//! A tenant's data key: what it seals and opens, each at its place.

use crate::error::EngineError;
use crate::retry::persistently;
use crate::world::World;
use m23_archive::seal::{NONCE, Sealed, mac_from_bytes, mac_to_bytes, manifest_context};
use m23_archive::{Algorithm, ArchiveError, Encryption, KEY, mac_object};
use uuid::Uuid;

/// A data key that has been unwrapped.
#[derive(Clone)]
pub(crate) struct DataKey {
    pub(crate) id: Uuid,
    pub(crate) key: [u8; KEY],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DataKey({})", self.id)
    }
}

impl DataKey {
    /// What a manifest says of it.
    pub(crate) fn encryption(&self) -> Encryption {
        Encryption {
            key_id: self.id,
            algorithm: Algorithm::Aes256Gcm,
        }
    }

    /// Seals bytes for a place.
    pub(crate) async fn seal(
        &self,
        world: &impl World,
        bytes: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, EngineError> {
        seal(world, &self.key, bytes, context).await
    }

    /// Opens what was sealed for this place.
    pub(crate) async fn open(
        &self,
        world: &impl World,
        object: &str,
        sealed: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, EngineError> {
        open(world, &self.key, sealed, context)
            .await?
            .ok_or_else(|| sealed_otherwise(object))
    }

    /// Stores what authenticates a manifest, before it. What an earlier driver has left there
    /// must hold for these bytes. Gives its size.
    pub(crate) async fn authenticate(
        &self,
        world: &impl World,
        prefix: &str,
        manifest: &[u8],
    ) -> Result<u64, EngineError> {
        let sealed = self.seal(world, &[], &manifest_context(manifest)).await?;
        let fault = |error| EngineError::in_part("manifest.mac", error);
        let bytes = mac_to_bytes(Sealed::split(&sealed).map_err(fault)?);
        let size = bytes.len() as u64;
        let digest = world.sha256(&bytes).await?;
        let object = mac_object(prefix);
        persistently(world, async || {
            world.put_new(&object, bytes.clone(), digest).await
        })
        .await?;
        self.check_manifest(world, prefix, manifest).await?;
        Ok(size)
    }

    /// Compares a manifest with its `manifest.mac`.
    pub(crate) async fn check_manifest(
        &self,
        world: &impl World,
        prefix: &str,
        manifest: &[u8],
    ) -> Result<(), EngineError> {
        let object = mac_object(prefix);
        let bytes = persistently(world, async || world.get(&object).await)
            .await?
            .ok_or_else(|| EngineError::Missing(object.clone()))?;
        let mac = mac_from_bytes(&bytes).map_err(|error| EngineError::in_part(&object, error))?;
        let context = manifest_context(manifest);
        match open(world, &self.key, &mac, &context).await? {
            Some(nothing) if nothing.is_empty() => Ok(()),
            _ => Err(sealed_otherwise(&object)),
        }
    }
}

fn sealed_otherwise(object: &str) -> EngineError {
    let fault = "it was altered, or sealed for another place or with another key";
    EngineError::in_part(object, ArchiveError::Sealed(fault.to_owned()))
}

/// Nonce, ciphertext and tag.
pub(crate) async fn seal(
    world: &impl World,
    key: &[u8; KEY],
    bytes: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, EngineError> {
    let mut nonce = [0; NONCE];
    world.randomise(&mut nonce)?;
    let body = world.encrypt(key, &nonce, bytes, context).await?;
    let sealed = Sealed {
        nonce: &nonce,
        body: &body,
    };
    Ok(sealed.join())
}

/// What was sealed; none when it was sealed otherwise.
pub(crate) async fn open(
    world: &impl World,
    key: &[u8; KEY],
    sealed: &[u8],
    context: &[u8],
) -> Result<Option<Vec<u8>>, EngineError> {
    match Sealed::split(sealed) {
        Ok(sealed) => Ok(world.decrypt(key, sealed, context).await?),
        Err(_too_short) => Ok(None),
    }
}
