//! Names of tables and schemas, raw as the contract wants them: never quoted, case as stored.

use serde::{Serialize, Serializer};

/// Postgres cuts longer names; we refuse them instead.
const LONGEST_NAME: usize = 63;

/// Schemas that a restore never writes into. `m23`, `pg_` and `supabase_` are prefixes besides.
const SYSTEM_SCHEMAS: [&str; 20] = [
    "auth",
    "cron",
    "dbdev",
    "extensions",
    "graphql",
    "graphql_public",
    "information_schema",
    "m23",
    "net",
    "pgbouncer",
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "public",
    "realtime",
    "repack",
    "storage",
    "tiger",
    "vault",
];

const SYSTEM_PREFIXES: [&str; 3] = ["m23_", "pg_", "supabase_"];

/// A table as a caller names it: `orders` (schema public) or `schema.orders`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    raw: String,
    dot: Option<usize>,
}

impl TableName {
    /// Reads a raw name, or says what is wrong with it.
    ///
    /// # Errors
    /// A short phrase that reads after the name of the field.
    pub fn parse(raw: &str) -> Result<Self, &'static str> {
        let dot = raw.find('.');
        let parts = raw.split_once('.').unwrap_or(("public", raw));
        for part in [parts.0, parts.1] {
            if part.is_empty() {
                return Err("has an empty name");
            }
            if part.len() > LONGEST_NAME {
                return Err("is longer than 63 bytes");
            }
            if part.contains(char::is_control) {
                return Err("contains a control character");
            }
            if part.contains('"') {
                return Err("must be raw, without quotes");
            }
        }
        Ok(Self {
            raw: raw.to_owned(),
            dot,
        })
    }

    /// The schema; `public` where none was written.
    #[must_use]
    pub fn schema(&self) -> &str {
        self.dot
            .and_then(|dot| self.raw.get(..dot))
            .unwrap_or("public")
    }

    /// The table's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.dot
            .and_then(|dot| self.raw.get(dot + 1..))
            .unwrap_or(&self.raw)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.raw)
    }
}

/// A schema to restore into: a plain name that is no system schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SchemaName(String);

impl SchemaName {
    /// Reads a schema's name, or says what is wrong with it.
    ///
    /// # Errors
    /// A short phrase that reads after the name of the field.
    pub fn parse(raw: &str) -> Result<Self, &'static str> {
        let mut letters = raw.chars();
        let starts_well = letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !starts_well
            || !letters.all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '-'))
        {
            return Err("must be letters, digits, _ and -, and start with a letter or _");
        }
        if raw.len() > LONGEST_NAME {
            return Err("is longer than 63 bytes");
        }
        if is_system_schema(raw) {
            return Err("is not free; choose another name");
        }
        Ok(Self(raw.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_system_schema(raw: &str) -> bool {
    let lower = raw.to_ascii_lowercase();
    SYSTEM_SCHEMAS.contains(&lower.as_str())
        || SYSTEM_PREFIXES
            .iter()
            .any(|prefix| lower.starts_with(prefix))
}
