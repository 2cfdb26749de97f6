//! The log: one JSON object a line, on the console.

use m23_ports::{Level, Record};
use worker::{console_error, console_log, console_warn};

/// Writes a record.
pub(crate) fn write(record: &Record) {
    let line = serde_json::to_string(record)
        .unwrap_or_else(|_| format!("{{\"event\":\"{}\"}}", record.event));
    match record.level {
        Level::Info => console_log!("{line}"),
        Level::Warn => console_warn!("{line}"),
        Level::Error => console_error!("{line}"),
    }
}
