//! What driving a job needs of the platform.

use crate::cipher::Cipher;
use m23_ports::{Clock, Database, Digest, Log, Objects};

/// The database with the service key, the object store, a cipher, and time.
#[allow(async_fn_in_trait)]
pub trait JobPorts: Cipher + Clock + Database + Digest + Log + Objects {
    /// Lets some time pass.
    async fn pause(&self, milliseconds: u32);

    /// Lets whatever else this thread has begun go on first.
    async fn give_way(&self);
}
