//! Versions of the format.

use serde::{Deserialize, Serialize};

/// What an archive calls itself.
pub(crate) const FORMAT: &str = "m23-archive";

/// A version of the format. A reader knows all; the members of a chain may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Version {
    /// Every image of the log carries every column.
    One,
    /// An image of an update may leave out groups of columns that the update did not change.
    Two,
    /// A tenant's key may be any text.
    Three,
}

impl Version {
    /// That of what is written now.
    pub const NEWEST: Self = Self::Three;

    /// How many fields a line of history has before the table's columns.
    #[must_use]
    pub const fn head_fields(self) -> usize {
        match self {
            Self::One => 4,
            Self::Two | Self::Three => 5,
        }
    }

    /// Whether tenants have keys of any type, and not only UUIDs.
    #[must_use]
    pub const fn has_tenants_of_any_key(self) -> bool {
        matches!(self, Self::Three)
    }
}

impl From<Version> for u32 {
    fn from(version: Version) -> Self {
        match version {
            Version::One => 1,
            Version::Two => 2,
            Version::Three => 3,
        }
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            other => Err(format!("there is no version {other}")),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        u32::from(*self).fmt(formatter)
    }
}
