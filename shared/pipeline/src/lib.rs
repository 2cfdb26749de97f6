//! One request, from its first byte to its answer, the same for all five functions.
//!
//! In scope: CORS and method, the body's size, the token, validation with all faults at once,
//! tenant and role, the rate limit, idempotency, the handler's call, and the one place where a
//! [`Failure`] becomes a status, a code and a sentence. Everything the platform does is
//! behind [`Platform`] and the ports (`m23-ports`), so that all of it is tested natively.
//!
//! Not in scope: what a function does ([`Function::handle`]), how the platform does it
//! (`m23-platform`), and the truth about tenants, roles and counts, which is the database's.
//!
//! A handler cannot forget authentication: it is given an [`Admitted`], and only this crate makes
//! one.

mod admission;
mod admitted;
mod audit;
mod body;
mod database;
mod edge;
mod failure;
mod function;
mod health;
mod idempotency;
mod run;
mod service;
mod services;
mod settings;

pub use admitted::Admitted;
pub use audit::AuditEntry;
pub use body::{BodyFailed, BodySource, LARGEST_BODY};
pub use database::{Caller, RequestDatabase, decode_error};
pub use failure::{Cause, Failure};
pub use function::{Answer, Function};
pub use health::{Inquiry, health_inquiry, health_response};
pub use run::{Answered, Pipeline, refuse_unconfigured};
pub use services::{Ids, Platform};
pub use settings::{Settings, SettingsFault};
