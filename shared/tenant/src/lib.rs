//! What tenants are called: the application's own key as text, whatever its type there, and a name made of it for
//! objects and keys of stores.

mod name;

pub use name::TenantName;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A tenant, named by the text of the application's own key. A uuid is in lower case, as PostgreSQL prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// Why a text names no tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATenant {
    /// It is empty.
    #[error("a tenant's key is not empty")]
    Empty,
    /// It is longer than [`TenantId::MOST_BYTES`].
    #[error("a tenant's key has at most 512 bytes")]
    TooLong,
    /// PostgreSQL cannot store it.
    #[error("a tenant's key does not contain the character U+0000")]
    Nul,
}

impl TenantId {
    /// The longest key, in bytes of UTF-8.
    pub const MOST_BYTES: usize = 512;

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it appears in the names of objects and of keys.
    #[must_use]
    pub fn name(&self) -> TenantName {
        TenantName::of(self)
    }

    /// Whether it is a uuid.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        is_uuid(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = NotATenant;

    fn try_from(mut text: String) -> Result<Self, NotATenant> {
        if text.is_empty() {
            return Err(NotATenant::Empty);
        }
        if text.len() > Self::MOST_BYTES {
            return Err(NotATenant::TooLong);
        }
        if text.contains('\0') {
            return Err(NotATenant::Nul);
        }
        if is_uuid(&text) {
            text.make_ascii_lowercase();
        }
        Ok(Self(text))
    }
}

impl FromStr for TenantId {
    type Err = NotATenant;

    fn from_str(text: &str) -> Result<Self, NotATenant> {
        Self::try_from(text.to_owned())
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a text has the usual form of a uuid, in either case.
fn is_uuid(text: &str) -> bool {
    let is_right = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_right)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const UUID: &str = "0b7e6c8a-0000-4000-8000-00000000abcd";

    #[test]
    fn a_uuid_is_in_lower_case_and_any_other_key_as_it_is() {
        let id: TenantId = UUID.to_uppercase().parse().unwrap();
        assert_eq!(id.as_str(), UUID);
        for key in ["42", "ACME", " x ", "cm4x/ä\"'", &UUID.to_uppercase()[1..]] {
            assert_eq!(key.parse::<TenantId>().unwrap().as_str(), key);
        }
    }

    #[test]
    fn a_key_is_not_empty_has_512_bytes_at_most_and_no_nul() {
        let parsed = |text: &str| text.parse::<TenantId>();
        assert_eq!(parsed(""), Err(NotATenant::Empty));
        assert!(parsed(&"ä".repeat(256)).is_ok());
        assert_eq!(parsed(&"ä".repeat(257)), Err(NotATenant::TooLong));
        assert_eq!(parsed("a\0b"), Err(NotATenant::Nul));
    }

    #[test]
    fn json_keeps_to_the_same_rules() {
        let read = |json: &str| serde_json::from_str::<TenantId>(json);
        let upper = format!("\"{}\"", UUID.to_uppercase());
        let id = read(&upper).unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{UUID}\""));
        assert!(read("\"\"").is_err());
        assert!(read("42").is_err());
    }
}
