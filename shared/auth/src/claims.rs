//! What a token's claims must say.

use crate::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// How far two clocks may be apart.
const SKEW_SECONDS: f64 = 30.0;

/// What every token must agree with.
#[derive(Debug, Clone)]
pub struct Expectations {
    /// `iss`, exactly.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
}

/// A signed-in user, as the issuer vouches for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// `sub`.
    pub id: Uuid,
}

#[derive(Deserialize)]
pub(crate) struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
    aud: Option<Value>,
    iss: Option<Value>,
    sub: Option<Value>,
    role: Option<Value>,
    is_anonymous: Option<Value>,
}

impl Claims {
    pub(crate) fn check(&self, expected: &Expectations, now_ms: u64) -> Result<User, Refusal> {
        let now = std::time::Duration::from_millis(now_ms).as_secs_f64();
        if self.iss.as_ref().and_then(Value::as_str) != Some(expected.issuer.as_str()) {
            return Err(Refusal::Issuer);
        }
        if !self.is_for(&expected.audience) {
            return Err(Refusal::Audience);
        }
        let expires = self.exp.ok_or(Refusal::Malformed)?;
        if now >= expires + SKEW_SECONDS {
            return Err(Refusal::Expired);
        }
        if self.nbf.is_some_and(|starts| now < starts - SKEW_SECONDS) {
            return Err(Refusal::NotYetValid);
        }
        self.user()
    }

    fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    fn user(&self) -> Result<User, Refusal> {
        let text = |claim: &Option<Value>| {
            claim
                .as_ref()
                .and_then(Value::as_str)
                .map(ToOwned::to_owned)
        };
        match text(&self.role).as_deref() {
            Some("authenticated") => {}
            Some("anon") => return Err(Refusal::AnonKey),
            _ => return Err(Refusal::NotAUser),
        }
        if !matches!(
            self.is_anonymous,
            None | Some(Value::Null | Value::Bool(false))
        ) {
            return Err(Refusal::NotAUser);
        }
        text(&self.sub)
            .filter(|sub| sub.len() == 36)
            .and_then(|sub| Uuid::try_parse(&sub).ok())
            .map(|id| User { id })
            .ok_or(Refusal::NotAUser)
    }
}
