//! Who is calling: access tokens of Supabase Auth, verified.
//!
//! In scope: the bearer header, the token's form, the issuer's keys (JWKS) and their cache, the
//! choice of key and algorithm, and the claims. A token is good only when all of it holds; what
//! comes out is a [`User`].
//!
//! Not in scope: the arithmetic of signatures ([`SignatureCheck`]) and fetching keys
//! ([`KeySource`]), which the platform supplies; and what a user may do, which the database knows.
//! `user_metadata` is never read, and `app_metadata` only by the database.

mod bearer;
mod claims;
mod keys;
mod refusal;
mod secret;
mod token;
mod verify;

pub use bearer::{BearerToken, bearer_token};
pub use claims::{Expectations, User};
pub use keys::{KeyCache, KeySource, KeySourceFailed};
pub use refusal::Refusal;
pub use secret::Secret;
pub use verify::{AuthError, SignatureCheck, SignatureCheckFailed, VerificationKey, authenticate};
