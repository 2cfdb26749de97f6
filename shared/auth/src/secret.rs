//! Values that must never be shown.

use subtle::ConstantTimeEq as _;

/// A secret string: its `Debug` shows nothing, and there is no `Display`, `PartialEq` or
/// serialisation.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself. Name the reason where you call this.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Is this the same text? The time it takes tells nothing of where the two differ.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
