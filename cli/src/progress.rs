//! Progress, for people: nothing where nobody looks.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::Duration;

const SPINNER: &str = "{spinner} {prefix:.bold} {msg} {elapsed}";
const TICK: Duration = Duration::from_millis(120);
const BYTES: &str = "{prefix:.bold} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

const COUNT: &str = "{prefix:.bold} {wide_bar} {pos}/{len} {eta}";

/// Something that goes on, for as long as nobody knows; silent as a bar is.
pub fn spinner(what: &str, quiet: bool) -> ProgressBar {
    if quiet || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_prefix(what.to_owned());
    spinner.enable_steady_tick(TICK);
    match ProgressStyle::with_template(SPINNER) {
        Ok(style) => spinner.with_style(style),
        Err(_) => spinner,
    }
}

/// A bar over so many bytes; a silent one with `--json`, or when standard error is no terminal.
pub fn bytes(what: impl Into<String>, total: u64, quiet: bool) -> ProgressBar {
    bar(what.into(), BYTES, total, quiet)
}

/// The same over so many things.
pub fn count(what: &str, total: usize, quiet: bool) -> ProgressBar {
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    bar(what.to_owned(), COUNT, total, quiet)
}

fn bar(what: String, template: &str, total: u64, quiet: bool) -> ProgressBar {
    if quiet || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar =
        ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_prefix(what);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
