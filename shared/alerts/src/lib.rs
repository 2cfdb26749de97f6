//! Alerts on their way out: one webhook, signed as [Standard Webhooks](https://www.standardwebhooks.com) say.
//!
//! In scope: which address may be called, what is signed, and the order of claiming, sending and noting.
//!
//! Not in scope: what is worth telling, when it is told again, and which messages are somebody else's for now, which
//! is the database's; and the platform, which is behind [`Courier`].

mod address;
mod delivery;
mod webhook;

pub use delivery::{Courier, deliver};
pub use webhook::{Webhook, WebhookFault};
