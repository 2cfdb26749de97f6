//! Rules of the engine, against a database and a store in memory that break at any step.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod backup_breaks;
mod backup_limits;
mod backups;
mod chains;
mod collecting;
mod fake_ports;
mod faults;
mod recovery_tests;
mod restore_breaks;
mod restore_ends;
mod restore_verifies;
mod restores;
mod sealed;
mod sealed_backups;
mod sealed_restores;
mod shares;
