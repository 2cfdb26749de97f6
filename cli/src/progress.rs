//! Progress, for people: nothing where nobody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};

const BYTES: &str = "{prefix:.bold} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// A bar over so many bytes; a silent one with `--json`, or when standard error is no terminal.
pub fn bytes(what: &'static str, total: u64, quiet: bool) -> ProgressBar {
    if quiet || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar =
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_prefix(what);
    match ProgressStyle::with_template(BYTES) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
