//! Names of tenants where few characters will do.

use crate::TenantId;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A tenant in the names of objects and keys: a simple key as it is, of any other `~` and the first half of its
/// SHA-256. Two tenants never share one, because `~` is in no simple key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TenantName(String);

/// A text is no name of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no tenant's name")]
pub struct NotAName;

impl TenantName {
    const LONGEST_SIMPLE: usize = 100;
    const HASHED_BYTES: usize = 16;

    pub(crate) fn of(tenant: &TenantId) -> Self {
        let key = tenant.as_str();
        if is_simple(key) {
            return Self(key.to_owned());
        }
        let digest = Sha256::digest(key);
        Self(format!(
            "~{}",
            hex::encode(digest.get(..Self::HASHED_BYTES).unwrap_or_default())
        ))
    }

    /// Whose name it is; none where it is made of a hash.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        is_simple(&self.0).then(|| self.0.parse().ok()).flatten()
    }
}

fn is_simple(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=TenantName::LONGEST_SIMPLE).contains(&key.len()) && key.bytes().all(is_plain)
}

fn is_hashed(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix('~').is_some_and(|digits| {
        digits.len() == 2 * TenantName::HASHED_BYTES && digits.bytes().all(is_digit)
    })
}

impl FromStr for TenantName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_own = |tenant: TenantId| tenant.as_str() == text;
        let is_name = is_hashed(text) || is_simple(text) && text.parse().is_ok_and(is_own);
        is_name.then(|| Self(text.to_owned())).ok_or(NotAName)
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(key: &str) -> String {
        key.parse::<TenantId>().unwrap().name().to_string()
    }

    /// `names.tsv` is the test of `m23.tenant_name`, too.
    #[test]
    fn names_are_those_that_the_database_gives() {
        let vectors = include_str!("../names.tsv");
        for line in vectors.lines() {
            let (key, expected) = line.split_once('\t').unwrap();
            assert_eq!(name(key), expected, "{key}");
            assert_eq!(
                expected.parse::<TenantName>().unwrap().to_string(),
                expected
            );
        }
        assert!(vectors.lines().count() >= 8);
    }

    #[test]
    fn a_simple_name_tells_the_tenant_and_a_hash_does_not() {
        let named = |text: &str| text.parse::<TenantName>().map(|name| name.tenant());
        assert_eq!(named("acme_1"), Ok("acme_1".parse().ok()));
        assert_eq!(named(&format!("~{}", "0".repeat(32))), Ok(None));
    }

    #[test]
    fn what_no_tenant_is_called_is_no_name() {
        let upper = "0B7E6C8A-0000-4000-8000-00000000ABCD";
        let odd = [
            format!("~{}", "A".repeat(32)),
            format!("~{}", "0".repeat(31)),
            "a".repeat(101),
        ];
        for text in ["", "a b", "a/b", "..", "~", upper]
            .into_iter()
            .chain(odd.iter().map(String::as_str))
        {
            assert_eq!(text.parse::<TenantName>(), Err(NotAName), "{text}");
        }
    }

    #[test]
    fn a_key_that_looks_like_the_name_of_another_has_a_name_of_its_own() {
        let hashed = name("a b");
        assert_ne!(name(&hashed), hashed);
    }
}
