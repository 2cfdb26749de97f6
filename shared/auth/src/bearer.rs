//! The `Authorization` header.

use crate::refusal::Refusal;
use crate::secret::Secret;

/// Larger tokens are refused unread. Supabase's own are about 1 KB.
const LONGEST_TOKEN: usize = 16 * 1024;

/// A caller's access token as it was sent, to be passed on to the database.
#[derive(Debug, Clone)]
pub struct BearerToken(Secret);

impl BearerToken {
    /// The token itself, for an `Authorization` header or its verification.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// Takes the token out of an `Authorization` header.
///
/// # Errors
/// [`Refusal::Missing`] without a header, [`Refusal::Malformed`] when it is not one bearer token.
pub fn bearer_token(header: Option<&str>) -> Result<BearerToken, Refusal> {
    let header = header.map(str::trim).unwrap_or_default();
    if header.is_empty() {
        return Err(Refusal::Missing);
    }
    let (scheme, token) = header.split_once(' ').ok_or(Refusal::Malformed)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Refusal::Malformed);
    }
    if token.len() > LONGEST_TOKEN || !token.bytes().all(is_token_byte) {
        return Err(Refusal::Malformed);
    }
    Ok(BearerToken(Secret::new(token)))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
