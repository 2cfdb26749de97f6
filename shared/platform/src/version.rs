//! Which release this is.

/// The release of this function.
pub(crate) const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
