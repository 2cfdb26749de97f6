//! One body's fields, taken one by one; every fault is kept and names its field.

use crate::names::{SchemaName, TableName};
use crate::similar::suggestion;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime};
use serde_json::{Map, Value};
use uuid::Uuid;

/// More faults than this help nobody.
const MOST_FAULTS: usize = 50;

/// The longest piece of a caller's own text that a fault repeats.
const LONGEST_ECHO: usize = 80;

/// The fields of one request body and the faults found so far. `null` counts as absent.
#[derive(Debug, Default)]
pub struct Fields {
    values: Map<String, Value>,
    faults: Vec<String>,
}

impl Fields {
    /// Fields to take from `values`.
    #[must_use]
    pub fn new(values: Map<String, Value>) -> Self {
        Self {
            values,
            faults: Vec::new(),
        }
    }

    /// Notes a fault of `field`.
    pub fn fault(&mut self, field: &str, what: &str) {
        self.faults.push(format!("{}: {what}", echo(field)));
    }

    /// Refuses every field that is not in `known`, with a suggestion where one is near.
    pub fn only(&mut self, known: &[&'static str]) {
        let unknown: Vec<String> = self
            .values
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            match suggestion(&name, known) {
                Some(meant) => self.fault(&name, &format!("unknown field (did you mean {meant}?)")),
                None => self.fault(&name, "unknown field"),
            }
        }
    }

    /// Refuses each of `others` that is present although `reason` rules it out.
    pub fn none_of(&mut self, others: &[&'static str], reason: &str) {
        for name in others {
            if self.has(name) {
                self.fault(name, reason);
            }
        }
    }

    /// Is the field there, and not null?
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.values.get(field).is_some_and(|value| !value.is_null())
    }

    /// All faults, bounded in number.
    #[must_use]
    pub fn into_faults(self) -> Vec<String> {
        bounded(self.faults)
    }

    /// Has any fault been found?
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// An optional boolean.
    pub fn boolean(&mut self, field: &str) -> Option<bool> {
        match self.values.get(field)? {
            Value::Null => None,
            Value::Bool(value) => Some(*value),
            _ => {
                self.fault(field, "must be true or false");
                None
            }
        }
    }

    /// A field that must be exactly `true`, which is how a caller says that they mean it.
    pub fn confirmation(&mut self, field: &str) {
        if self.values.get(field) != Some(&Value::Bool(true)) {
            self.fault(field, "must be true");
        }
    }

    /// An optional text of one line: trimmed of nothing, not blank, no control characters.
    pub fn line(&mut self, field: &str, longest: usize) -> Option<String> {
        let text = self.text(field, longest)?;
        if text.trim().is_empty() {
            self.fault(field, "must not be blank");
            return None;
        }
        if text.contains(char::is_control) {
            self.fault(field, "must not contain control characters");
            return None;
        }
        Some(text)
    }

    /// An optional text of any lines, without the NUL that Postgres cannot store.
    pub fn text(&mut self, field: &str, longest: usize) -> Option<String> {
        let text = self.string(field, "must be a string")?;
        if text.chars().count() > longest {
            self.fault(field, &format!("must have at most {longest} characters"));
            return None;
        }
        if text.contains('\0') {
            self.fault(field, "must not contain the character U+0000");
            return None;
        }
        Some(text)
    }

    /// An optional UUID in its usual form.
    pub fn uuid(&mut self, field: &str) -> Option<Uuid> {
        const WHAT: &str = "must be a UUID";
        let text = self.string(field, WHAT)?;
        let parsed = Some(&text)
            .filter(|text| text.len() == 36)
            .and_then(|text| Uuid::try_parse(text).ok());
        if parsed.is_none() {
            self.fault(field, WHAT);
        }
        parsed
    }

    /// A required UUID.
    pub fn required_uuid(&mut self, field: &str) -> Option<Uuid> {
        if !self.has(field) {
            self.fault(field, "is required and must be a UUID");
            return None;
        }
        self.uuid(field)
    }

    /// A required word out of `choices`.
    pub fn choice<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = self
            .values
            .get(field)
            .and_then(Value::as_str)
            .and_then(|word| choices.iter().find(|(name, _)| *name == word));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let required = if self.has(field) {
                ""
            } else {
                "is required and "
            };
            let what = format!("{required}must be one of {}", names.join(", "));
            self.fault(field, &what);
        }
        found.map(|(_, value)| *value)
    }

    /// An optional list of words out of `choices`: not empty, each named once.
    pub fn choices<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<Vec<T>> {
        let value = self.values.get(field).filter(|value| !value.is_null())?;
        let words: Option<Vec<&str>> = value
            .as_array()
            .filter(|list| !list.is_empty())
            .and_then(|list| list.iter().map(Value::as_str).collect());
        let distinct = words.filter(|words| {
            let mut seen = std::collections::HashSet::new();
            words.iter().all(|word| seen.insert(*word))
        });
        let found = distinct.and_then(|words| {
            words
                .iter()
                .map(|word| choices.iter().find(|(name, _)| name == word))
                .map(|found| found.map(|(_, value)| *value))
                .collect()
        });
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let what = format!("must be a list of {}, each once", names.join(", "));
            self.fault(field, &what);
        }
        found
    }

    /// An optional object.
    pub fn object(&mut self, field: &str) -> Option<Map<String, Value>> {
        match self.values.get(field)? {
            Value::Null => None,
            Value::Object(object) => Some(object.clone()),
            _ => {
                self.fault(field, "must be an object");
                None
            }
        }
    }

    /// A required moment: ISO 8601 with its zone.
    pub fn moment(&mut self, field: &str) -> Option<DateTime<FixedOffset>> {
        const WHAT: &str =
            "must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z";
        if !self.has(field) {
            self.fault(field, &format!("is required and {WHAT}"));
            return None;
        }
        let text = self.string(field, WHAT)?;
        let moment = parse_moment(&text);
        if moment.is_none() && lacks_zone(&text) {
            self.fault(field, "needs a time zone: Z or an offset such as +02:00");
        } else if moment.is_none() {
            self.fault(field, WHAT);
        }
        moment
    }

    /// An optional list of tables: not empty, each well formed and named once.
    pub fn tables(&mut self, field: &str) -> Option<Vec<TableName>> {
        let list = match self.values.get(field)? {
            Value::Null => return None,
            Value::Array(list) => list.clone(),
            _ => {
                self.fault(field, "must be a list of table names");
                return None;
            }
        };
        if list.is_empty() {
            self.fault(
                field,
                "must name at least one table; leave it out for every protected table",
            );
            return None;
        }
        let before = self.faults.len();
        let tables = self.each_table(field, &list);
        (self.faults.len() == before).then_some(tables)
    }

    fn each_table(&mut self, field: &str, list: &[Value]) -> Vec<TableName> {
        let mut tables: Vec<TableName> = Vec::with_capacity(list.len());
        let mut seen = std::collections::HashSet::new();
        for (index, value) in list.iter().enumerate() {
            let Some(raw) = value.as_str() else {
                self.fault(field, &format!("entry {} must be a string", index + 1));
                continue;
            };
            match TableName::parse(raw) {
                Err(what) => self.fault(field, &format!("\"{}\" {what}", echo(raw))),
                Ok(table) => {
                    if seen.insert((table.schema().to_owned(), table.name().to_owned())) {
                        tables.push(table);
                    } else {
                        self.fault(field, &format!("\"{}\" is named twice", echo(raw)));
                    }
                }
            }
        }
        tables
    }

    /// An optional schema to restore into.
    pub fn schema(&mut self, field: &str) -> Option<SchemaName> {
        let text = self.string(field, "must be a string")?;
        match SchemaName::parse(&text) {
            Ok(schema) => Some(schema),
            Err(what) => {
                self.fault(field, &format!("\"{}\" {what}", echo(&text)));
                None
            }
        }
    }

    fn string(&mut self, field: &str, what: &str) -> Option<String> {
        match self.values.get(field)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            _ => {
                self.fault(field, what);
                None
            }
        }
    }
}

/// A caller's own words, short and printable, so that a fault can name them.
fn echo(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(LONGEST_ECHO)
        .flat_map(|letter| {
            let printable = !letter.is_control();
            printable
                .then_some(letter)
                .into_iter()
                .chain((!printable).then_some('\u{fffd}'))
        })
        .collect();
    if text.chars().nth(LONGEST_ECHO).is_some() {
        shown.push('…');
    }
    shown
}

fn bounded(mut faults: Vec<String>) -> Vec<String> {
    if faults.len() > MOST_FAULTS {
        let more = faults.len() - MOST_FAULTS;
        faults.truncate(MOST_FAULTS);
        faults.push(format!("body: and {more} more faults"));
    }
    faults
}

pub(crate) fn parse_moment(text: &str) -> Option<DateTime<FixedOffset>> {
    if !text.is_ascii() || text.len() > 40 {
        return None;
    }
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%#z"))
        .or_else(|_| DateTime::parse_from_str(&text.replace('Z', "+00:00"), "%Y-%m-%dT%H:%M%#z"))
        .ok()
        // In UTC, because Postgres knows no offset beyond 16 hours and no year 0.
        .map(|moment| moment.to_utc().fixed_offset())
        .filter(|moment| (1..=9999).contains(&moment.year()))
}

fn lacks_zone(text: &str) -> bool {
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
    ]
    .iter()
    .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok())
}
