//! A definition that is accepted holds no end of a statement and no command of psql's, and stays
//! the same to PostgreSQL as it is written for psql.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m23_archive::definition::{Stage, check_statement, for_psql};
use m23_archive::{Definition, Table};

fn table() -> Table {
    Table {
        schema: "shop".to_owned(),
        name: "orders".to_owned(),
        tenant_column: Some("t".to_owned()),
        path: None,
        key: vec!["k".to_owned()],
        columns: Vec::new(),
        whole: true,
        groups: None,
        chunks: Vec::new(),
        history: Vec::new(),
        definition: Definition::default(),
    }
}

/// What stands outside of quotes, read in the plainest way: a backslash counts after an E alone.
fn outside(sql: &str) -> String {
    let mut rest = sql;
    let mut found = String::new();
    while let Some(start) = rest.find(['\'', '"']) {
        let (before, from) = rest.split_at(start);
        found.push_str(before);
        let is_escaped = before.ends_with('E') && from.starts_with('\'');
        let mut characters = from.char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        let mut end = from.len();
        while let Some((at, character)) = characters.next() {
            if character == '\\' && is_escaped {
                characters.next();
            } else if Some(character) == quote {
                end = at + 1;
                break;
            }
        }
        rest = from.get(end..).expect("it ends with a quote");
    }
    found + rest
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(sql) = std::str::from_utf8(bytes) else {
        return;
    };
    let table = table();
    for (stage, of) in [
        (Stage::Types, None),
        (Stage::Create, Some(&table)),
        (Stage::Finish, Some(&table)),
        (Stage::References, Some(&table)),
    ] {
        let Ok(subject) = check_statement(sql, stage, of) else {
            continue;
        };
        let plain = outside(sql);
        assert!(!plain.contains([';', '\\', '$', '\r', '\0']));
        assert!(!plain.contains("--") && !plain.contains("/*"));
        assert!(!sql.contains('\0'));
        let written = for_psql(sql);
        assert_eq!(check_statement(&written, stage, of), Ok(subject));
        assert_eq!(written.replace(' ', ""), sql.replace(' ', ""));
    }
});
