//! The archive format: what a backup looks like in the object store.
//!
//! In scope: the manifest (its fields, its rules, its bytes), the chunks (lines of
//! PostgreSQL's COPY text format, gzipped), and the names of objects. Reading checks
//! everything that can be checked without a key or a network.
//!
//! Not in scope: SHA-256 itself (the caller's platform computes it faster than wasm
//! could), the store, and what rows mean.
//!
//! ```text
//! tenants/{tenant}/backups/{backup}/manifest.json                      written last
//! tenants/{tenant}/backups/{backup}/{nnn}-{schema}.{table}/{seq}-{hash}.copy.gz
//! ```
//!
//! A chunk can be read with `gzip -dc` and loaded with psql's `\copy`.

mod chunk;
mod error;
mod manifest;
mod names;

pub use chunk::{pack, unpack};
pub use error::ArchiveError;
pub use manifest::{Chunk, Column, Facts, Manifest, Table};
pub use names::{chunk_object, manifest_object};
