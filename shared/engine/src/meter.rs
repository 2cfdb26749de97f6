//! What a drive has come to so far, for its lines in the log.

use m23_ports::{Clock, Record};
use std::cell::Cell;

/// Counts rows and bytes on their way, and knows since when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    since_ms: Cell<u64>,
    rows: Cell<u64>,
    bytes: Cell<u64>,
}

impl Meter {
    pub(crate) fn begin(&self, clock: &impl Clock) {
        self.since_ms.set(clock.now_ms());
    }

    /// `bytes` as stored.
    pub(crate) fn count(&self, rows: u64, bytes: u64) {
        self.rows.set(self.rows.get() + rows);
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Adds to a record what this drive has moved, and for how long.
    pub(crate) fn on(&self, record: Record, clock: &impl Clock) -> Record {
        record
            .with("ms", clock.now_ms().saturating_sub(self.since_ms.get()))
            .with("rows", self.rows.get())
            .with("bytes", self.bytes.get())
    }
}
