//! What the platform does for a request.

use crate::database::RequestDatabase;
use m23_auth::{KeySource, SignatureCheck};
use m23_ports::{Clock, Digest, Log};
use m23_rate_limit::WindowStore;
use uuid::Uuid;

/// New identities.
pub trait Ids {
    /// A random UUID.
    fn new_id(&self) -> Uuid;
}

/// Everything together.
pub trait Platform:
    RequestDatabase + WindowStore + KeySource + SignatureCheck + Digest + Clock + Ids + Log
{
}

impl<P> Platform for P where
    P: RequestDatabase + WindowStore + KeySource + SignatureCheck + Digest + Clock + Ids + Log
{
}
