//! The engine: drives backups out of the database and restores back into it.
//!
//! In scope: the order of steps, what is retried, what ends a job, and every check between
//! the object store and the database. A job's state is in the database; a driver keeps none,
//! so that another can go on where it stopped, and every step may be done twice.
//!
//! Not in scope: what a row is (the database reads and writes lines), what an archive looks
//! like (`m23-archive`), and the platform, which is behind [`JobPorts`].

mod backup;
mod bucket;
mod chain;
mod cipher;
mod collect;
mod erase;
mod error;
mod job;
mod job_ports;
mod keys;
mod meter;
mod objects;
mod order;
mod recovery_test;
mod reply;
mod restore;
mod retry;
mod seal;
mod shares;

pub use backup::{ParentManifest, check_accepted, drive_backup, take_up_backups};
pub use cipher::{Cipher, CipherFailed, MasterKeyFault, MasterKeys};
pub use collect::collect;
pub use erase::erase_keys;
pub use error::{EngineError, ErrorClass};
pub use job::Driven;
pub use job_ports::JobPorts;
pub use order::RestoreOrder;
pub use recovery_test::{drive_test, take_up_tests};
pub use restore::{RestoreOutcome, drive_preview, drive_restore, resume_restores};
pub use shares::do_in_shares;
