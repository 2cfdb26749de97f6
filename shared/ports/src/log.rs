//! The log: one record a line.

use serde::Serialize;
use serde_json::{Map, Value};

/// How loud a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Info,
    /// Something was passed over.
    Warn,
    /// A request failed by our fault.
    Error,
}

/// One line of the log: an event and its fields. Fields are identities, codes, counts and
/// durations; never a row's values, a body or a token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// How loud.
    pub level: Level,
    /// What happened.
    pub event: &'static str,
    /// The fields.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Record {
    /// An event without fields.
    #[must_use]
    pub fn new(level: Level, event: &'static str) -> Self {
        Self {
            level,
            event,
            fields: Map::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the chain of an error's causes, outermost first.
    #[must_use]
    pub fn with_cause(self, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain: Vec<Value> = std::iter::successors(Some(error), |error| error.source())
            .map(|error| Value::String(error.to_string()))
            .collect();
        self.with("cause", chain)
    }
}

/// Where lines of the log go.
pub trait Log {
    /// Writes one line.
    fn log(&self, record: &Record);
}
