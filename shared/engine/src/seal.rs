//! Sealing: what a backup encrypts, each thing for its place.

use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::retry::persistently;
use crate::world::World;
use m23_archive::reader::DataKey;
use m23_archive::seal::{NONCE, Sealed, mac_to_bytes, manifest_context};
use m23_archive::{KEY, mac_object};

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

/// Stores what authenticates a manifest, before it. What an earlier driver has left there
/// must hold for these bytes. Gives its size.
pub(crate) async fn authenticate(
    world: &impl World,
    key: &DataKey,
    prefix: &str,
    manifest: &[u8],
) -> Result<u64, EngineError> {
    let sealed = seal(world, &key.key, &[], &manifest_context(manifest)).await?;
    let fault = |error| EngineError::in_part("manifest.mac", error);
    let bytes = mac_to_bytes(Sealed::split(&sealed).map_err(fault)?);
    let size = bytes.len() as u64;
    let digest = world.sha256(&bytes).await?;
    let object = mac_object(prefix);
    persistently(world, async || {
        world.put_new(&object, bytes.clone(), digest).await
    })
    .await?;
    key.check_manifest(&Bucket(world), prefix, manifest).await?;
    Ok(size)
}
