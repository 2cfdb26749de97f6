//! The limits in force.

use m23_contract::FunctionName;
use serde_json::Value;
use std::collections::BTreeMap;

/// Requests per tenant and hour, for each function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    overrides: BTreeMap<FunctionName, u32>,
}

/// Why `RATE_LIMITS` cannot be used. It is never ignored: a limit that somebody set and that does
/// not hold is worse than an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsFault {
    /// Not a JSON object.
    #[error("RATE_LIMITS must be a JSON object such as {{\"pitr-restore\": 1000}}")]
    NotAnObject,
    /// A name that is none of the five.
    #[error("RATE_LIMITS names an unknown function: {0}")]
    UnknownFunction(String),
    /// A value that is no count.
    #[error("RATE_LIMITS must give a whole number from 0 to 4294967295 for {0}")]
    NotACount(FunctionName),
}

impl Limits {
    /// Reads the variable `RATE_LIMITS`; an empty one changes nothing.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Self, LimitsFault> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let Ok(Value::Object(entries)) = serde_json::from_str(text) else {
            return Err(LimitsFault::NotAnObject);
        };
        let mut overrides = BTreeMap::new();
        for (name, value) in entries {
            let function = FunctionName::parse(&name).ok_or(LimitsFault::UnknownFunction(name))?;
            let limit = value.as_u64().and_then(|count| u32::try_from(count).ok());
            overrides.insert(function, limit.ok_or(LimitsFault::NotACount(function))?);
        }
        Ok(Self { overrides })
    }

    /// The limit of a function.
    #[must_use]
    pub fn of(&self, function: FunctionName) -> u32 {
        self.overrides
            .get(&function)
            .copied()
            .unwrap_or_else(|| function.default_hourly_limit())
    }
}
