//! Placeholder header; the crate is filled in the next commits.
