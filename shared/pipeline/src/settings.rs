//! A deployment's settings, read once.

use m23_auth::{Expectations, Secret};
use m23_rate_limit::{Limits, LimitsFault};

/// What every function needs to know about its deployment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The project's address, without a slash at its end.
    pub supabase_url: String,
    /// The project's public key.
    pub anon_key: Secret,
    /// The key for what users must not do themselves.
    pub service_role_key: Secret,
    /// What tokens must agree with.
    pub expectations: Expectations,
    /// The legacy HS256 secret, where the project still uses one.
    pub shared_secret: Option<Secret>,
    /// The rate limits in force.
    pub limits: Limits,
}

/// A deployment that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsFault {
    /// Nothing is set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// Not an address.
    #[error("SUPABASE_URL must start with https:// or http://")]
    NotAnAddress,
    /// Limits that cannot be used.
    #[error(transparent)]
    Limits(#[from] LimitsFault),
}

impl Settings {
    /// Reads the settings from variables and secrets.
    ///
    /// # Errors
    /// The first fault; a request is then answered `INTERNAL`, and the fault is logged.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsFault> {
        let some = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required = |name: &'static str| some(name).ok_or(SettingsFault::Missing(name));
        let url = required("SUPABASE_URL")?;
        let supabase_url = url.trim().trim_end_matches('/').to_owned();
        if !supabase_url.starts_with("https://") && !supabase_url.starts_with("http://") {
            return Err(SettingsFault::NotAnAddress);
        }
        let issuer = some("JWT_ISSUER").unwrap_or_else(|| format!("{supabase_url}/auth/v1"));
        let audience = some("JWT_AUDIENCE").unwrap_or_else(|| "authenticated".to_owned());
        Ok(Self {
            anon_key: Secret::new(required("SUPABASE_ANON_KEY")?),
            service_role_key: Secret::new(required("SUPABASE_SERVICE_ROLE_KEY")?),
            expectations: Expectations { issuer, audience },
            shared_secret: some("SUPABASE_JWT_SECRET").map(Secret::new),
            limits: Limits::parse(&some("RATE_LIMITS").unwrap_or_default())?,
            supabase_url,
        })
    }
}
