//! The time.

/// A clock.
pub trait Clock {
    /// Unix milliseconds.
    fn now_ms(&self) -> u64;
}
