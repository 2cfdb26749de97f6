//! The bucket and the cipher of a job, as the reader of archives takes them.

use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::retry::retry_passing;
use m23_archive::KEY;
use m23_archive::reader::{Opener, Source};
use m23_archive::seal::Sealed;

/// A job's bucket: what is away is tried again.
pub(crate) struct Bucket<'a, W>(pub(crate) &'a W);

impl<W: JobPorts> Source for Bucket<'_, W> {
    type Error = EngineError;

    async fn get(&self, object: &str, _most: u64) -> Result<Option<Vec<u8>>, EngineError> {
        retry_passing(self.0, async || self.0.get(object).await).await
    }

    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], EngineError> {
        Ok(self.0.sha256(bytes).await?)
    }
}

impl<W: JobPorts> Opener for Bucket<'_, W> {
    fn masters(&self) -> impl Iterator<Item = [u8; KEY]> {
        let keys = self.0.master_keys();
        [keys.current, keys.previous].into_iter().flatten()
    }

    async fn open(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.decrypt(key, sealed, context).await?)
    }
}
