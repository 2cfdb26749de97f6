//! What the task runner says while it works: one line per step, with its seconds.

use std::time::{Duration, Instant};

/// A step under way.
pub struct Step {
    name: String,
    started: Instant,
}

impl Step {
    /// Says that the step begins.
    pub fn begin(name: impl Into<String>) -> Self {
        let name = name.into();
        eprintln!("· {name} …");
        Self {
            name,
            started: Instant::now(),
        }
    }

    /// Says that the step is done, and how long it took.
    pub fn done(self) {
        eprintln!("✓ {} ({})", self.name, seconds(self.started.elapsed()));
    }
}

/// A duration as people read it: `3.2 s`.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A size as people read it: `93.4 KB`.
pub fn kilobytes(bytes: usize) -> String {
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 bytes
    let kilobytes = bytes as f64 / 1000.0;
    format!("{kilobytes:.1} KB")
}
