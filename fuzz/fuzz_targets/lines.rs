//! A line that is accepted has one value a column, and each value one text; what an image leaves out is null.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m23_archive::{Column, Definition, Entry, Lines, Table, Version, check_lines, lines, value};

fn table() -> Table {
    let column = |name: &str| Column {
        name: name.to_owned(),
        type_name: "text".to_owned(),
        not_null: name == "k",
        identity: None,
    };
    Table {
        schema: "s".to_owned(),
        name: "t".to_owned(),
        tenant_column: Some("t".to_owned()),
        path: None,
        key: vec!["k".to_owned()],
        columns: ["k", "t", "v"].map(column).to_vec(),
        whole: false,
        groups: Some(vec![Vec::new(), vec!["v".to_owned()]]),
        chunks: Vec::new(),
        history: Vec::new(),
        definition: Definition::default(),
    }
}

fn written(value: Option<&str>) -> String {
    match value {
        None => "\\N".to_owned(),
        Some(text) => text
            .replace('\\', "\\\\")
            .replace('\t', "\\t")
            .replace('\n', "\\n")
            .replace('\r', "\\r"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let table = table();
    for (kind, version) in [
        (Lines::Rows, Version::Two),
        (Lines::History, Version::One),
        (Lines::History, Version::Two),
    ] {
        if check_lines(bytes, &table, kind, version).is_err() {
            continue;
        }
        for (_, line) in lines(bytes).expect("it was checked") {
            let (row, unchanged) = match kind {
                Lines::Rows => (line, 0),
                Lines::History => {
                    let entry = Entry::parse(line, version).expect("it was checked");
                    (entry.row, entry.unchanged)
                }
            };
            let fields: Vec<&str> = row.split('\t').collect();
            assert_eq!(fields.len(), 3);
            assert!(unchanged < 4 && (unchanged < 2 || fields.last() == Some(&"\\N")));
            for field in fields {
                assert_eq!(
                    written(value(field).expect("it was checked").as_deref()),
                    field
                );
            }
        }
    }
});
