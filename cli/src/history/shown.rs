//! What the database tells of the past, for people: a line each.

use crate::report::columns;
use crate::terminal::plain;
use serde_json::Value;

pub fn transactions(rows: &[Value]) -> String {
    table(rows, "no transactions", |row| {
        vec![
            text(row, "at"),
            text(row, "transaction_id"),
            format!(
                "+{} ~{} -{}",
                text(row, "inserts"),
                text(row, "updates"),
                text(row, "deletes")
            ),
            who(row),
            list(row, "tables"),
        ]
    })
}

pub fn changes(rows: &[Value]) -> String {
    table(rows, "no changes", |row| {
        vec![
            text(row, "operation"),
            text(row, "table_name"),
            short(row.get("row_key")),
            difference(row),
        ]
    })
}

pub fn row(rows: &[Value]) -> String {
    table(rows, "no changes", |row| {
        vec![
            text(row, "at"),
            text(row, "transaction_id"),
            who(row),
            text(row, "operation"),
            difference(row),
        ]
    })
}

pub fn found(rows: &[Value]) -> String {
    table(rows, "no rows", |row| {
        vec![
            text(row, "at"),
            text(row, "transaction_id"),
            who(row),
            text(row, "operation"),
            short(row.get("old_values")),
        ]
    })
}

pub fn counts(rows: &[Value]) -> String {
    table(rows, "no changes", |row| {
        vec![
            text(row, "bucket_start"),
            text(row, "row_count"),
            text(row, "operation"),
            text(row, "table_name"),
        ]
    })
}

pub fn events(rows: &[Value]) -> String {
    table(rows, "no events", |row| {
        vec![text(row, "at"), text(row, "kind"), text(row, "summary")]
    })
}

/// A line a row, and one for where a search has stopped.
fn table(rows: &[Value], none: &str, cells: impl Fn(&Value) -> Vec<String>) -> String {
    let is_row = |row: &&Value| row.get("searched_back").is_none_or(Value::is_null);
    let lines: Vec<_> = rows.iter().filter(is_row).map(cells).collect();
    let mut shown = if lines.is_empty() {
        format!("{none}\n")
    } else {
        columns(&lines)
    };
    if let Some(stop) = rows.last().filter(|row| !is_row(row)) {
        shown += &format!(
            "searched back to {}; go on with --before '{}'\n",
            text(stop, "searched_back"),
            short(Some(stop))
        );
    }
    shown
}

/// What a change has made of a row, column by column.
fn difference(row: &Value) -> String {
    let (old, new) = (row.get("old_values"), row.get("new_values"));
    let names = row.get("changed_columns").and_then(Value::as_array);
    let told = names.into_iter().flatten().filter_map(Value::as_str);
    let value = |values: Option<&Value>, name: &str| values.and_then(|row| row.get(name)).cloned();
    told.map(|name| match (value(old, name), value(new, name)) {
        (Some(was), Some(is)) => format!(
            "{}: {} → {}",
            plain(name),
            short(Some(&was)),
            short(Some(&is))
        ),
        (was, is) => format!("{}: {}", plain(name), short(was.or(is).as_ref())),
    })
    .collect::<Vec<_>>()
    .join(", ")
}

/// Who made a change: a user, M23 itself, or the service.
fn who(row: &Value) -> String {
    ["source", "actor"]
        .into_iter()
        .map(|name| text(row, name))
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "-".to_owned())
}

fn list(row: &Value, name: &str) -> String {
    let names = row.get(name).and_then(Value::as_array);
    let told = names.into_iter().flatten().filter_map(Value::as_str);
    told.map(plain).collect::<Vec<_>>().join(", ")
}

fn text(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => plain(text).into_owned(),
        Some(value) => short(Some(value)),
    }
}

/// JSON in one line.
fn short(value: Option<&Value>) -> String {
    value.map_or_else(String::new, |value| plain(&value.to_string()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_change_is_told_by_its_columns() {
        let rows = [
            json!({"operation": "UPDATE", "table_name": "t", "row_key": {"id": 1}, "changed_columns": ["a"],
                   "old_values": {"id": 1, "a": null}, "new_values": {"id": 1, "a": "x\u{1b}"}}),
            json!({"operation": "DELETE", "table_name": "t", "row_key": {"id": 2}, "changed_columns": ["id"],
                   "old_values": {"id": 2}, "new_values": null}),
        ];
        assert_eq!(
            changes(&rows),
            "UPDATE  t  {\"id\":1}  a: null → \"x\\u001b\"\nDELETE  t  {\"id\":2}  id: 2\n"
        );
    }

    #[test]
    fn where_a_search_has_stopped_is_no_row() {
        let stop =
            json!({"at": null, "searched_back": "2026-01-31T10:00:00Z", "transaction_id": "7"});
        let shown = found(&[stop]);
        assert!(shown.starts_with("no rows\nsearched back to 2026-01-31T10:00:00Z; "));
        assert!(shown.contains("\"transaction_id\":\"7\""));
    }
}
