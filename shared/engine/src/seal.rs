//! Sealing: what a backup encrypts, each thing for its place.

use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::retry::retry_passing;
use m23_archive::reader::DataKey;
use m23_archive::seal::{NONCE, Sealed, mac_to_bytes, manifest_context};
use m23_archive::{KEY, mac_object};

/// Nonce, ciphertext and tag.
pub(crate) async fn seal(
    ports: &impl JobPorts,
    key: &[u8; KEY],
    bytes: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, EngineError> {
    let mut nonce = [0; NONCE];
    ports.randomise(&mut nonce)?;
    let body = ports.encrypt(key, &nonce, bytes, context).await?;
    let sealed = Sealed {
        nonce: &nonce,
        body: &body,
    };
    Ok(sealed.join())
}

/// Stores what authenticates a manifest, before it. What an earlier driver has left there
/// must hold for these bytes. Gives its size.
pub(crate) async fn authenticate(
    ports: &impl JobPorts,
    key: &DataKey,
    prefix: &str,
    manifest: &[u8],
) -> Result<u64, EngineError> {
    let sealed = seal(ports, &key.key, &[], &manifest_context(manifest)).await?;
    let fault = |error| EngineError::in_part("manifest.mac", error);
    let bytes = mac_to_bytes(Sealed::split(&sealed).map_err(fault)?);
    let size = bytes.len() as u64;
    let digest = ports.sha256(&bytes).await?;
    let object = mac_object(prefix);
    retry_passing(ports, async || {
        ports.put_new(&object, bytes.clone(), digest).await
    })
    .await?;
    key.check_manifest(&Bucket(ports), prefix, manifest).await?;
    Ok(size)
}
