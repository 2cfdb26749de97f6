//! The release that the functions are of.

/// The release of this function.
pub(crate) const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
