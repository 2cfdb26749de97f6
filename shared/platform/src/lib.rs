//! The one crate that knows the Workers platform.
//!
//! In scope: settings from the environment, calls to PostgREST, Workers KV and R2, WebCrypto, the
//! issuer's keys, the clock, random ids, the console, work after the answer, looking whether the parts answer,
//! and the glue between a Worker's request and the pipeline ([`serve`]), and around an event of the clock ([`scheduled`]).
//!
//! Not in scope: any decision about a request, which is `m23-pipeline`'s, and anything of backups
//! and restores, which is `m23-engine`'s: [`Runtime`] implements the ports of both.

mod body;
mod clock;
mod crypto;
mod detach;
mod failure;
mod fetch;
mod health;
mod issuer;
mod job_ports;
mod log;
mod objects;
mod postgrest;
mod rate_windows;
mod restore_call;
mod rpc_as_user;
mod runtime;
mod serve;
mod timeout;
mod version;
mod watch;

pub use clock::scheduled;
pub use detach::or_detach;
pub use failure::failure_of;
pub use restore_call::{RestoreCall, serve_restore};
pub use rpc_as_user::rpc_as_user;
pub use runtime::Runtime;
pub use serve::serve;
