//! The archive format: what a backup looks like in the object store.
//!
//! In scope: the manifest (its fields, its rules, its bytes), the chunks (lines of
//! PostgreSQL's COPY text format, gzipped), the layout of what is encrypted, and the names of
//! objects. Reading checks everything that can be checked without a key or a network; [`reader`] reads whole archives
//! from a store and with a cipher that it is given.
//! `docs/archive-format.md` is its specification.
//!
//! Not in scope: SHA-256 and AES themselves (the caller's platform computes them faster than
//! wasm could), the store, and what rows mean.
//!
//! ```text
//! tenants/{tenant}/backups/{backup}/manifest.json                      written last
//! tenants/{tenant}/backups/{backup}/manifest.mac                       where it is encrypted
//! tenants/{tenant}/backups/{backup}/{nnn}-{schema}.{table}/{seq}-{hash}.copy.gz
//! tenants/{tenant}/backups/{backup}/{nnn}-{schema}.{table}/history-{seq}-{hash}.copy.gz
//! keys/{tenant}/{key}.json                                             wrapped data keys
//! ```
//!
//! A chunk can be read with `gzip -dc` and loaded with psql's `\copy`.

mod chain;
mod chunk;
pub mod definition;
mod error;
mod key;
mod line;
mod manifest;
mod names;
mod position;
pub mod reader;
pub mod seal;
mod strict;
mod table;
mod tenant;
mod version;

pub use chain::check_link;
pub use chunk::{Packer, pack, unpack};
pub use error::ArchiveError;
pub use key::{KEY, KeyObject, fingerprint, master_key};
pub use line::{Entry, Op, check_lines, lines, value};
pub use manifest::{Algorithm, CommitTimes, Encryption, Facts, JobType, Manifest, Parent, Tick};
pub use names::{ChunkPlace, Lines, backup_prefix, key_object, mac_object, manifest_object};
pub use position::Position;
pub use table::{Chunk, Column, Definition, Table, TableName, TenantPath};
pub use tenant::check_tenant;
pub use version::Version;
