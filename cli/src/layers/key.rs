//! Keys, told apart as PostgreSQL does.

use m23_archive::{Table, value};

/// Reads the key out of a table's rows, as a text that is the same for equal keys.
///
/// Values are compared as text. Where a type has more than one text for a value, they are brought
/// to one: see [`same_text`].
pub struct KeyReader {
    /// Places in a row, in the key's order, and how to bring them to one text.
    fields: Vec<(usize, SameText)>,
}

/// Gives equal values the same text.
type SameText = fn(&str) -> String;

impl KeyReader {
    pub fn new(table: &Table) -> Self {
        let place = |name: &String| table.columns.iter().position(|column| &column.name == name);
        let field = |place: usize| {
            table
                .columns
                .get(place)
                .map(|column| (place, same_text(&column.type_name)))
        };
        Self {
            fields: table
                .key
                .iter()
                .filter_map(place)
                .filter_map(field)
                .collect(),
        }
    }

    /// The key of a row.
    pub fn read(&self, row: &str) -> String {
        let fields: Vec<&str> = row.split('\t').collect();
        let mut key = String::new();
        for (place, same_text) in &self.fields {
            key.push_str(&same_text(fields.get(*place).copied().unwrap_or_default()));
            key.push('\t');
        }
        key
    }
}

/// The key columns whose equal values may have texts that differ, so that only a database can tell
/// their keys apart: each with its type, and its collation where that is the reason.
pub fn undecided(table: &Table) -> Vec<String> {
    let key = table
        .columns
        .iter()
        .filter(|column| table.key.contains(&column.name));
    key.filter_map(|column| {
        let collation = collation(table, &column.name);
        if is_undecided(&column.type_name) {
            Some(format!("{} ({})", column.name, column.type_name))
        } else {
            collation.map(|collation| format!("{} (collation {collation})", column.name))
        }
    })
    .collect()
}

/// Arrays of types that have more than one text for a value, unless [`same_text`] knows them.
fn is_undecided(type_name: &str) -> bool {
    let element = type_name.trim_end_matches("[]");
    let is_ambiguous = matches!(element, "interval" | "jsonb" | "character" | "bpchar")
        || element == "citext"
        || element.ends_with(".citext");
    is_ambiguous && element != type_name
}

/// The collation of a column that is the application's own. A manifest does not say whether it is
/// deterministic; those of the server are.
fn collation(table: &Table, column: &str) -> Option<String> {
    let create = table.definition.create.iter();
    let (_, columns) = create
        .filter_map(|statement| statement.strip_prefix("create table "))
        .find_map(|statement| statement.split_once(" ("))?;
    let quoted = format!("\"{}\" ", column.replace('"', "\"\""));
    let bare = format!("{column} ");
    let definition = columns.split(", ").find_map(|definition| {
        let named = definition.strip_prefix(&quoted);
        named.or_else(|| definition.strip_prefix(&bare))
    })?;
    let (_, collation) = definition.split_once(" collate ")?;
    let collation = collation.split(" generated ").next()?;
    let collation = collation.trim_end_matches(')');
    let collation = collation.strip_suffix(" not null").unwrap_or(collation);
    (!collation.starts_with("pg_catalog.")).then(|| collation.to_owned())
}

/// What brings equal values of a type to one text.
fn same_text(type_name: &str) -> SameText {
    match type_name {
        "numeric" => numeric,
        "real" | "double precision" => float,
        "character" | "bpchar" => |text| text.trim_end_matches(' ').to_owned(),
        "interval" => interval,
        "jsonb" => jsonb,
        "numeric[]" | "numrange" | "numrange[]" | "nummultirange" | "nummultirange[]" => numbers,
        "real[]" | "double precision[]" => floats,
        "citext" => citext,
        name if name.ends_with(".citext") => citext,
        _ => str::to_owned,
    }
}

fn numeric(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn float(text: &str) -> String {
    if text == "-0" { "0" } else { text }.to_owned()
}

fn floats(text: &str) -> String {
    text.split_inclusive(['{', ',', '}'])
        .map(|piece| match piece {
            "-0," => "0,",
            "-0}" => "0}",
            other => other,
        })
        .collect()
}

/// Every number of a text that holds nothing else but signs and words.
fn numbers(text: &str) -> String {
    let mut same = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = from.split_at(end.unwrap_or(from.len()));
        same.push_str(before);
        same.push_str(&numeric(number));
        rest = after;
    }
    same + rest
}

/// The server orders the keys of objects and keeps the last of each; only the scale of numbers is
/// left to differ.
fn jsonb(field: &str) -> String {
    let Ok(Some(text)) = value(field) else {
        return field.to_owned();
    };
    let mut same = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(start) = rest.find('"') {
        let (before, from) = rest.split_at(start);
        let (string, after) = from.split_at(string_end(from));
        same.push_str(&numbers(before));
        same.push_str(string);
        rest = after;
    }
    same + &numbers(rest)
}

/// Where the string ends that a text begins with, its quotes included.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, character) in text.char_indices().skip(1) {
        if character == '"' && !is_escaped {
            return place + 1;
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    text.len()
}

/// A month has 30 days and a day 24 hours where intervals are compared.
fn interval(text: &str) -> String {
    microseconds(text).map_or_else(|| text.to_owned(), |all| all.to_string())
}

fn microseconds(text: &str) -> Option<i128> {
    const DAY: i128 = 86_400_000_000;
    let mut all = 0;
    let mut words = text.split(' ');
    while let Some(word) = words.next() {
        all += if word.contains(':') {
            time_of_day(word)?
        } else {
            let count = whole(word)?;
            count
                * match words.next()? {
                    "year" | "years" => 360 * DAY,
                    "mon" | "mons" => 30 * DAY,
                    "day" | "days" => DAY,
                    _ => return None,
                }
        };
    }
    Some(all)
}

/// Narrow enough that nothing overflows that is made of it.
fn whole(digits: &str) -> Option<i128> {
    digits.parse::<i64>().ok().map(i128::from)
}

/// `[+-]hours:minutes:seconds[.fraction]`, in microseconds.
fn time_of_day(word: &str) -> Option<i128> {
    let unsigned = word.trim_start_matches(['+', '-']);
    let mut parts = unsigned.split(':');
    let hours = whole(parts.next()?)?;
    let minutes = whole(parts.next()?)?;
    let seconds = parts.next()?;
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let fraction = whole(&format!("{fraction:0<6}"))?;
    let all = ((hours * 60 + minutes) * 60 + whole(seconds)?) * 1_000_000 + fraction;
    Some(if word.starts_with('-') { -all } else { all })
}

fn citext(text: &str) -> String {
    match value(text) {
        Ok(Some(value)) => value.to_lowercase().replace('\t', "\\t"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m23_archive::{Column, Definition};

    fn reader(types: &[&str]) -> KeyReader {
        KeyReader::new(&table(types))
    }

    fn table(types: &[&str]) -> Table {
        let name = |place: usize| format!("k{place}");
        let column = |(place, type_name): (usize, &&str)| Column {
            name: name(place),
            type_name: (*type_name).to_owned(),
            not_null: true,
            identity: None,
        };
        Table {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            tenant_column: Some("k0".to_owned()),
            path: None,
            key: (0..types.len()).rev().map(name).collect(),
            columns: types.iter().enumerate().map(column).collect(),
            whole: true,
            groups: None,
            chunks: Vec::new(),
            history: Vec::new(),
            definition: Definition::default(),
        }
    }

    #[test]
    fn keys_that_are_equal_to_postgres_are_the_same() {
        for (type_name, one, other) in [
            ("numeric", "1.0", "1.00"),
            ("numeric", "10", "10.000"),
            ("double precision", "-0", "0"),
            ("character", "a ", "a"),
            ("citext", "A\\tb", "a\\tB"),
            ("extensions.citext", "A", "a"),
            ("interval", "1 mon", "30 days"),
            ("interval", "1 day", "24:00:00"),
            ("interval", "-1 days +23:59:59.5", "-00:00:00.5"),
            ("interval", "1 year 1 mon", "390 days"),
            ("jsonb", "{\"a\": [1.0, -2.50]}", "{\"a\": [1.00, -2.5]}"),
            ("jsonb", "{\"\\\\\"1.0\": 1.0}", "{\"\\\\\"1.0\": 1}"),
            ("numeric[]", "{1.0,NULL,NaN}", "{1.00,NULL,NaN}"),
            ("numrange", "[1.0,2.50)", "[1.00,2.5)"),
            ("nummultirange", "{[1.0,2.0),[3,)}", "{[1,2),[3.0,)}"),
            ("double precision[]", "{{-0,1},{-0,-0}}", "{{0,1},{0,0}}"),
        ] {
            let reader = reader(&[type_name]);
            assert_eq!(
                reader.read(one),
                reader.read(other),
                "{type_name} {one} {other}"
            );
        }
    }

    #[test]
    fn keys_that_differ_are_not() {
        for (types, one, other) in [
            (&["text"][..], "A", "a"),
            (&["numeric"], "10", "1"),
            (&["numeric"], "1.05", "1.5"),
            (&["interval"], "1 mon", "31 days"),
            (&["interval"], "-00:00:01", "00:00:01"),
            (&["interval"], "infinity", "-infinity"),
            (&["jsonb"], "{\"1.0\": 1}", "{\"1.00\": 1}"),
            (&["jsonb"], "\"1.0\"", "\"1.00\""),
            (&["jsonb"], "10", "1"),
            (&["numeric[]"], "{1,0}", "{1.0}"),
            (&["numeric[]"], "[0:1]={1,2}", "{1,2}"),
            (&["double precision[]"], "{-0.5}", "{0.5}"),
            (&["text", "text"], "a\tb", "b\ta"),
            (&["citext", "citext"], "a\\tb\tc", "a\tb\\tc"),
        ] {
            let reader = reader(types);
            assert_ne!(
                reader.read(one),
                reader.read(other),
                "{types:?} {one} {other}"
            );
        }
    }

    #[test]
    fn what_text_cannot_decide_is_told() {
        let told = |types: &[&str]| undecided(&table(types));
        assert_eq!(
            told(&[
                "bigint",
                "numeric",
                "interval",
                "jsonb",
                "numeric[]",
                "shop.mood"
            ]),
            [""; 0]
        );
        assert_eq!(
            told(&["interval[]", "uuid", "extensions.citext[]"]),
            ["k0 (interval[])", "k2 (extensions.citext[])"]
        );
    }

    #[test]
    fn a_collation_of_the_application_is_told() {
        let mut table = table(&["text", "text", "text"]);
        table.definition.create = vec![
            "create schema if not exists shop".to_owned(),
            "create table shop.t (k0 text collate shop.loose not null, \
             k1 text collate pg_catalog.\"C\" not null, k2 text not null)"
                .to_owned(),
        ];
        assert_eq!(undecided(&table), ["k0 (collation shop.loose)"]);
    }

    #[test]
    fn a_key_has_its_columns_alone() {
        let reader = reader(&["text", "text"]);
        assert_eq!(reader.read("a\tb\tmore"), "b\ta\t");
    }
}
