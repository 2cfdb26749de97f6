//! What a restore may choose: rows by key, rows by their values, and what has happened to them since.

use crate::fields::Fields;
use crate::names::TableName;
use serde::Serialize;
use serde_json::{Map, Value};

/// The most keys that `rows` may name.
pub(crate) const MOST_ROWS: usize = 10_000;

/// The most keys that `exceptRows` may name.
pub(crate) const MOST_EXCEPT_ROWS: usize = 1_000;

/// The most values that `where` may have.
pub(crate) const MOST_VALUES: usize = 1_000;

/// From it on a reader of JSON may have made another number of it.
const FIRST_UNSAFE_NUMBER: f64 = 9_007_199_254_740_992.0;

const COMPARISONS: [&str; 5] = ["gte", "gt", "lte", "lt", "in"];

/// What has happened to a row since the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was inserted: a restore takes it away.
    Insert,
    /// It was updated: a restore changes it back.
    Update,
    /// It was deleted: a restore brings it back.
    Delete,
}

/// Which rows come along with the chosen ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WithRelated {
    /// Changed rows that refer to them, and those that refer to these.
    Children,
    /// Rows that they need and that are missing now, and those that these need.
    Parents,
    /// Both.
    Both,
}

/// Which of the changed rows a restore takes: the fields of its body that choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// The rows with these keys, by table; with `where` a row of either is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::keys_by_table")
    )]
    pub rows: Option<Map<String, Value>>,
    /// All but the rows with these keys, by table: at most 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::keys_by_table")
    )]
    pub except_rows: Option<Map<String, Value>>,
    /// The rows with these values, by table: as of the moment; of a row that is new since, as it is. At most 1,000.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::filters_by_table")
    )]
    pub filters: Option<Map<String, Value>>,
    /// What has happened since; all three when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_operations")
    )]
    pub operations: Option<Vec<ChangeKind>>,
    /// Which rows come along; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(default, schema_with = "crate::schema::optional_with_related")
    )]
    pub with_related: Option<WithRelated>,
}

impl Selection {
    /// Takes them out of a body, and notes every fault.
    pub(crate) fn take(fields: &mut Fields) -> Self {
        Self {
            rows: by_table(fields, "rows", check_keys)
                .filter(|rows| is_within(fields, "rows", rows, MOST_ROWS, "keys")),
            except_rows: by_table(fields, "exceptRows", check_keys)
                .filter(|rows| is_within(fields, "exceptRows", rows, MOST_EXCEPT_ROWS, "keys")),
            filters: by_table(fields, "where", check_filter)
                .filter(|filters| is_within(fields, "where", filters, MOST_VALUES, "values")),
            operations: operations(fields),
            with_related: with_related(fields),
        }
    }
}

/// An optional object by table: each well formed, and named once.
fn by_table(
    fields: &mut Fields,
    field: &str,
    check: fn(&mut Vec<(String, String)>, &str, &Value),
) -> Option<Map<String, Value>> {
    let tables = fields.object(field)?;
    if tables.is_empty() {
        fields.fault(field, "must name at least one table");
        return None;
    }
    let mut seen = std::collections::HashSet::new();
    let mut faults = Vec::new();
    for (name, value) in &tables {
        let path = format!("{field}.{name}");
        match TableName::parse(name) {
            Err(what) => faults.push((path, what.to_owned())),
            Ok(table) if !seen.insert((table.schema().to_owned(), table.name().to_owned())) => {
                faults.push((path, "is named twice".to_owned()));
            }
            Ok(_) => check(&mut faults, &path, value),
        }
    }
    for (path, what) in &faults {
        fields.fault(path, what);
    }
    faults.is_empty().then_some(tables)
}

fn check_keys(faults: &mut Vec<(String, String)>, path: &str, keys: &Value) {
    let mut fault = |path: String, what: &str| faults.push((path, what.to_owned()));
    let Some(keys) = keys.as_array().filter(|keys| !keys.is_empty()) else {
        return fault(
            path.to_owned(),
            "must be a list of keys, such as [{\"id\": 1}]",
        );
    };
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match key.as_object().filter(|key| !key.is_empty()) {
            None => fault(path, "must be an object of the key's columns"),
            Some(columns) => {
                for (column, value) in columns {
                    if let Some(what) = scalar_fault(value) {
                        fault(format!("{path}.{column}"), what);
                    } else if value.is_null() {
                        fault(format!("{path}.{column}"), "is required");
                    }
                }
            }
        }
    }
}

fn check_filter(faults: &mut Vec<(String, String)>, path: &str, filter: &Value) {
    let mut fault = |path: String, what: &str| faults.push((path, what.to_owned()));
    let Some(columns) = filter.as_object().filter(|columns| !columns.is_empty()) else {
        return fault(path.to_owned(), "must be an object of columns and values");
    };
    for (column, value) in columns {
        let path = format!("{path}.{column}");
        let Some(terms) = value.as_object() else {
            if let Some(what) = scalar_fault(value) {
                fault(path, what);
            }
            continue;
        };
        if terms.is_empty() {
            fault(
                path.clone(),
                "must have at least one of gte, gt, lte, lt, in",
            );
        }
        for (comparison, operand) in terms {
            let path = format!("{path}.{comparison}");
            match (comparison.as_str(), operand) {
                (name, _) if !COMPARISONS.contains(&name) => {
                    fault(path, "is none of gte, gt, lte, lt, in");
                }
                ("in", Value::Array(values)) => {
                    for (index, value) in values.iter().enumerate() {
                        if let Some(what) = scalar_fault(value) {
                            fault(format!("{path}[{index}]"), what);
                        }
                    }
                }
                ("in", _) => fault(path, "must be an array"),
                (_, Value::Null) => fault(path, "must have a value"),
                (_, value) => {
                    if let Some(what) = scalar_fault(value) {
                        fault(path, what);
                    }
                }
            }
        }
    }
}

/// What is wrong with a value; that it is null is for the caller to judge.
fn scalar_fault(value: &Value) -> Option<&'static str> {
    match value {
        Value::Array(_) | Value::Object(_) => Some("must be a value"),
        Value::Number(number) => number
            .as_f64()
            .is_none_or(|number| number.abs() >= FIRST_UNSAFE_NUMBER)
            .then_some("is a number of 2^53 or more: write it as a string"),
        Value::String(text) => text
            .contains('\0')
            .then_some("must not contain the character U+0000"),
        Value::Null | Value::Bool(_) => None,
    }
}

fn is_within(
    fields: &mut Fields,
    field: &str,
    tables: &Map<String, Value>,
    most: usize,
    what: &str,
) -> bool {
    let count: usize = tables.values().map(count_of).sum();
    if count > most {
        fields.fault(field, &format!("has more than {most} {what}"));
    }
    count <= most
}

/// How many keys a list has, or values a filter.
fn count_of(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.len(),
        Value::Object(parts) => parts.values().map(count_of).sum(),
        _ => 1,
    }
}

fn operations(fields: &mut Fields) -> Option<Vec<ChangeKind>> {
    let choices = [
        ("insert", ChangeKind::Insert),
        ("update", ChangeKind::Update),
        ("delete", ChangeKind::Delete),
    ];
    fields.choices("operations", &choices)
}

fn with_related(fields: &mut Fields) -> Option<WithRelated> {
    let choices = [
        ("children", WithRelated::Children),
        ("parents", WithRelated::Parents),
        ("both", WithRelated::Both),
    ];
    fields
        .has("withRelated")
        .then(|| fields.choice("withRelated", &choices))
        .flatten()
}
