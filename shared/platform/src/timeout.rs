//! Nothing waits for ever.

use futures_util::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use worker::Delay;

/// The time was up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub(crate) struct TimedOut(pub Duration);

/// Waits for `work`, but no longer than `limit`.
///
/// # Errors
/// [`TimedOut`]; the work is dropped.
pub(crate) async fn bounded<F: Future>(limit: Duration, work: F) -> Result<F::Output, TimedOut> {
    let work = pin!(work);
    let delay = pin!(Delay::from(limit));
    match select(work, delay).await {
        Either::Left((output, _)) => Ok(output),
        Either::Right(((), _)) => Err(TimedOut(limit)),
    }
}
