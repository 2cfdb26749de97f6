//! The tool itself, on the test vectors of the archive crate.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod bucket;
mod calls;
mod extract;
mod help;
mod hostile;
mod inspect;
mod keys;
mod marks;
mod s3;
mod texts;
mod verify;
