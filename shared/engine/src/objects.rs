//! Objects, out and back in: what is read is what was written.

use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::retry::retry_passing;
use m23_archive::reader;

/// Stores bytes under a name that may depend on their SHA-256; gives both.
pub(crate) async fn put(
    ports: &impl JobPorts,
    bytes: Vec<u8>,
    name: impl Fn(&str) -> String,
) -> Result<(String, String), EngineError> {
    let digest = ports.sha256(&bytes).await?;
    let sha256 = hex::encode(digest);
    let object = name(&sha256);
    retry_passing(ports, async || {
        ports.put_new(&object, bytes.clone(), digest).await
    })
    .await?;
    Ok((object, sha256))
}

/// Reads an object whose SHA-256 is known.
pub(crate) async fn fetch(
    ports: &impl JobPorts,
    object: &str,
    sha256: &str,
) -> Result<Vec<u8>, EngineError> {
    reader::fetch(&Bucket(ports), object, sha256, u64::MAX).await
}
