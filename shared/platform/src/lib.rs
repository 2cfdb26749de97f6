//! The one crate that knows the Workers platform.
