use crate::bucket::{Bucket, PLAIN, SEALED, backup, vectors};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// The rows in a script, by table, in order.
fn rows_of(script: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = None;
    for line in script.lines() {
        if line == "\\." {
            table = None;
        } else if let Some(name) = &table {
            tables
                .entry(String::clone(name))
                .or_default()
                .push(line.to_owned());
        } else if let Some(rest) = line.strip_prefix("copy ") {
            let name = rest.split(" (").next().unwrap().replace('"', "");
            tables.insert(name.clone(), Vec::new());
            table = Some(name);
        }
    }
    tables.values_mut().for_each(|rows| rows.sort());
    tables
}

#[test]
fn every_state_of_a_chain_comes_out_as_it_was() {
    assert_states(&Bucket::copy("extract-states").with_key(), "states.json");
    let texts = Bucket::of_text("extract-states-of-text").with_key();
    assert_states(&texts, "texts/states.json");
}

/// What comes out of a bucket is what the vectors say.
pub fn assert_states(bucket: &Bucket, states: &str) {
    let states: Vec<Value> =
        serde_json::from_slice(&fs::read(vectors().join(states)).unwrap()).unwrap();
    for state in states {
        let mut arguments = format!(
            "archive extract BUCKET --backup {}",
            state["backup"].as_str().unwrap()
        );
        if let Some(at) = state["at"].as_str() {
            arguments += &format!(" --at {at}");
        }
        let tables = state["tables"].as_object().unwrap();
        if let (1, Some(name)) = (tables.len(), tables.keys().next()) {
            arguments += &format!(" --table {name}");
        }
        let ran = bucket.m23(&arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}", ran.error);
        let found = rows_of(&ran.output);
        assert_eq!(found.len(), tables.len(), "{arguments}");
        for (name, rows) in tables {
            let row = |row: &Value| {
                let tenant = state["tenant"].as_str().unwrap();
                let field = tenant.replace('\\', "\\\\");
                row.as_str().unwrap().replace("TENANT", &field)
            };
            let mut wanted: Vec<String> = rows.as_array().unwrap().iter().map(row).collect();
            wanted.sort();
            assert_eq!(found[name], wanted, "{arguments} {name}");
        }
    }
}

#[test]
fn a_moment_outside_the_chain_or_without_a_log_is_refused() {
    let bucket = Bucket::copy("extract-outside");
    for (at, what) in [
        ("2026-01-31T09:59:59Z", "not between"),
        ("2026-01-31T12:00:01Z", "not between"),
        ("2026-01-31T10:30:00Z", "shop.Order Notes"),
    ] {
        let ran = bucket.m23(&format!(
            "archive extract BUCKET --backup {} --at {at}",
            backup(PLAIN, 3)
        ));
        assert_eq!(ran.code, 2);
        assert!(ran.error.contains(what), "{}", ran.error);
        assert_eq!(ran.output, "");
    }
}

#[test]
fn csv_is_what_postgres_reads() {
    let bucket = Bucket::copy("extract-csv");
    let arguments = format!(
        "archive extract BUCKET --backup {} --format csv --output FOLDER/rows --json",
        backup(PLAIN, 1)
    );
    let report = bucket.json(&arguments);
    assert_eq!(report["tables"][0]["rows"], 6);
    let text = fs::read_to_string(bucket.folder.join("rows/shop.orders.csv")).unwrap();
    let wanted = format!(
        "id,tenant_id,item,price\n1,{PLAIN},apple,1.00\n2,{PLAIN},pear,2.00\n3,{PLAIN},plum,3.50\n7,{PLAIN},,\n8,{PLAIN},\"\",0.00\n9,{PLAIN},\"tab\t, newline\n, \\N, \"\"quote\"\", ö, \\.\",9.99\n"
    );
    assert_eq!(text, wanted);
    assert_eq!(
        fs::read_to_string(bucket.folder.join("rows/shop.Order Notes.csv")).unwrap(),
        "order,name,tenant_id,text\n"
    );
    assert_eq!(
        bucket.m23(&arguments).code,
        6,
        "what is there is not written over"
    );
}

#[test]
fn a_script_makes_types_and_tables_then_rows_then_the_rest() {
    let bucket = Bucket::copy("extract-sql");
    let script = bucket
        .m23(&format!(
            "archive extract BUCKET --backup {}",
            backup(PLAIN, 1)
        ))
        .output;
    let order = [
        "begin;",
        "create schema if not exists \"shop\";",
        "create domain shop.money",
        "create table shop.orders",
        "copy \"shop\".\"orders\"",
        "pg_get_serial_sequence",
        "copy \"shop\".\"Order Notes\"",
        "commit;",
        "create index orders_tenant",
        "add primary key (\"order\", name)",
        "foreign key",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|text| {
            script
                .find(text)
                .unwrap_or_else(|| panic!("{text} is missing"))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let rows = bucket
        .m23(&format!(
            "archive extract BUCKET --backup {} --data-only --table shop.orders",
            backup(PLAIN, 1)
        ))
        .output;
    assert!(rows.contains("set constraints all deferred;"));
    assert!(
        !rows.contains("create") && !rows.contains("Order Notes"),
        "{rows}"
    );
    let one = bucket
        .m23(&format!(
            "archive extract BUCKET --backup {} --table shop.orders",
            backup(PLAIN, 1)
        ))
        .output;
    assert!(!one.contains("foreign key"));
    assert_eq!(
        bucket
            .m23(&format!(
                "archive extract BUCKET --backup {} --table nope",
                backup(PLAIN, 1)
            ))
            .code,
        2
    );
}

#[test]
fn nothing_is_taken_from_a_damaged_chunk() {
    for tenant in [PLAIN, SEALED] {
        let bucket = Bucket::copy("extract-damaged").with_key();
        let object = &bucket.objects(&backup(tenant, 2), "history-000002")[0];
        let mut bytes = fs::read(object).unwrap();
        bytes[15] ^= 1;
        fs::write(object, bytes).unwrap();
        let ran = bucket.m23(&format!(
            "archive extract BUCKET --backup {}",
            backup(tenant, 3)
        ));
        assert_eq!(ran.code, 1);
        assert!(
            ran.error.contains("history-000002") && ran.error.contains("altered"),
            "{}",
            ran.error
        );
        assert!(
            !ran.output.contains("commit;"),
            "the script does not commit what is not whole"
        );
    }
}
