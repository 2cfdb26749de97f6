//! Keys, told apart as PostgreSQL does.

use m23_archive::{Table, value};

/// Reads the key out of a table's rows, as a text that is the same for equal keys.
///
/// Values are compared as text. Where a type has more than one text for a value, they are brought
/// to one: `numeric` (1.0 and 1.00), `character` (trailing blanks), floats (-0 and 0), `citext`.
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
/// their keys apart: each with its type.
pub fn undecided(table: &Table) -> Vec<String> {
    let key = table
        .columns
        .iter()
        .filter(|column| table.key.contains(&column.name));
    key.filter(|column| is_undecided(&column.type_name))
        .map(|column| format!("{} ({})", column.name, column.type_name))
        .collect()
}

fn is_undecided(type_name: &str) -> bool {
    let element = type_name.trim_end_matches("[]");
    let has_scale = matches!(
        element,
        "numeric" | "real" | "double precision" | "character" | "citext"
    );
    matches!(element, "interval" | "jsonb" | "numrange" | "nummultirange")
        || (has_scale && element != type_name)
}

fn same_text(type_name: &str) -> SameText {
    match type_name {
        "numeric" => numeric,
        "real" | "double precision" => float,
        "character" | "bpchar" => |text| text.trim_end_matches(' ').to_owned(),
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
            tenant_column: "k0".to_owned(),
            key: (0..types.len()).rev().map(name).collect(),
            columns: types.iter().enumerate().map(column).collect(),
            whole: true,
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
            told(&["bigint", "numeric", "extensions.citext", "shop.mood"]),
            [""; 0]
        );
        assert_eq!(
            told(&["interval", "uuid", "numeric[]"]),
            ["k0 (interval)", "k2 (numeric[])"]
        );
    }

    #[test]
    fn a_key_has_its_columns_alone() {
        let reader = reader(&["text", "text"]);
        assert_eq!(reader.read("a\tb\tmore"), "b\ta\t");
    }
}
