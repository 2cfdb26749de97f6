//! What a caller is told about the window.

use crate::WINDOW_SECONDS;

/// The headers that [`Window::headers`] may give, for `Access-Control-Expose-Headers`.
pub const HEADER_NAMES: [&str; 5] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
];

/// The state of one tenant's window for one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Requests allowed in an hour.
    pub limit: u32,
    /// Requests counted in the last hour.
    pub used: u32,
    /// When the oldest counted request leaves the window, in Unix seconds.
    pub reset: u64,
}

impl Window {
    /// A window that nobody has used, or that nobody owns: all of it remains, now.
    #[must_use]
    pub const fn untouched(limit: u32, now_seconds: u64) -> Self {
        Self {
            limit,
            used: 0,
            reset: now_seconds,
        }
    }

    /// Requests left.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }

    /// Seconds until a refused caller may try again: never 0, and never more than the window,
    /// whatever was rounded and however the clocks differ.
    #[must_use]
    pub fn retry_after(&self, now_seconds: u64) -> u64 {
        self.seconds_left(now_seconds).max(1)
    }

    fn seconds_left(&self, now_seconds: u64) -> u64 {
        self.reset.saturating_sub(now_seconds).min(WINDOW_SECONDS)
    }

    /// The headers: the usual three, and the two of the IETF draft (structured fields).
    #[must_use]
    pub fn headers(&self, now_seconds: u64) -> [(&'static str, String); 5] {
        let [limit, remaining, reset, policy, state] = HEADER_NAMES;
        let left = self.remaining();
        let seconds = self.seconds_left(now_seconds);
        [
            (limit, self.limit.to_string()),
            (remaining, left.to_string()),
            (reset, self.reset.to_string()),
            (
                policy,
                format!("\"default\";q={};w={WINDOW_SECONDS}", self.limit),
            ),
            (state, format!("\"default\";r={left};t={seconds}")),
        ]
    }
}
