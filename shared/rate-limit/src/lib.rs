//! Rate limits: a sliding hour per tenant and function.
//!
//! In scope: the limits and their overrides ([`Limits`]), the window's log in a key-value store
//! ([`WindowLog`]), the early refusal at the edge, and the headers ([`Window`]).
//!
//! Not in scope: the exact count. A key-value store is eventually consistent, so the log here may
//! only *refuse early*; the database counts the same window exactly, in the transaction that
//! records the request, and decides. A store that fails therefore lets requests through to it.

mod limits;
mod log;
mod window;

pub use limits::{Limits, LimitsFault};
pub use log::{Keys, StoreFailed, WindowLog, WindowStore};
pub use window::{HEADER_NAMES, Window};

/// The window's length.
pub const WINDOW_SECONDS: u64 = 3_600;
