//! The ports: what requests and jobs need of the platform, as traits, with their errors.
//!
//! In scope: the clock, digests, the log, the database's functions and the objects of the bucket, each as small as
//! it can be. `m23-platform` implements them; tests implement them in memory.
//!
//! Not in scope: any decision. What only requests need (keys, signatures, ids, rate windows) is `m23-pipeline`'s,
//! and what only jobs need (the cipher, pauses) is `m23-engine`'s.

mod clock;
mod database;
mod digest;
mod log;
mod objects;

pub use clock::Clock;
pub use database::{Database, DatabaseError};
pub use digest::{Digest, DigestFailed};
pub use log::{Level, Log, Record};
pub use objects::{Objects, StoreFailed};
