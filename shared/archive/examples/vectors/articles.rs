//! A chain of version 2 alone: two backups, at 10:00 and 11:00, and groups of columns that change between them.

use serde_json::{Value, json};

fn articles(whole: bool, chunks: &Value, history: &Value) -> Value {
    json!({
        "schema": "shop", "name": "articles", "tenant_column": "tenant_id", "key": ["id"],
        "columns": [{ "name": "id", "type": "bigint", "not_null": true },
                    { "name": "tenant_id", "type": "uuid", "not_null": true },
                    { "name": "title", "type": "text", "not_null": true },
                    { "name": "views", "type": "integer", "not_null": true },
                    { "name": "body", "type": "text", "not_null": true },
                    { "name": "tags", "type": "text[]" }],
        "whole": whole, "chunks": chunks, "history": history,
        "definition": {
            "create": ["create table shop.articles (id bigint not null, tenant_id uuid not null, title text not null, \
                        views integer not null, body text not null, tags text[])"],
            "finish": ["alter table shop.articles add primary key (id)"],
            "references": [],
        },
    })
}

pub fn full(_: bool) -> Value {
    json!({
        "backup_name": "full", "job_type": "full", "position": "200:200:",
        "position_at": "2026-01-31T10:00:00Z",
        "tables": [articles(true, &json!([
            ["1\tTENANT\tFirst\t0\tone\t{a}", "2\tTENANT\tSecond\t0\ttwo\t{b}",
             "3\tTENANT\tThird\t0\tthree\t\\N", "4\tTENANT\tFourth\t0\tfour\\nlines\t{}"],
        ]), &json!([]))],
    })
}

/// Group 0 has no column any more; of 1 were body and tags together, later each had a group of its own (2, 3).
///
/// At 10:10 articles 1, 2 and 3 are read, at 10:20 the tags of 1 changed, at 10:25 article 3 is deleted, at
/// 10:30 the body of 2 is changed, at 10:40 article 4 becomes 6, at 10:45 the body of 1 is changed, and at
/// 10:50 articles 1 and 6 are read, and at 10:52 the body of 2 is changed again.
pub fn second(_: bool) -> Value {
    let line = |op: &str, change: u32, minute: u32, row: &str| {
        let xid = 200 + minute;
        format!("{op}\t{change}\t{xid}\t2026-01-31 10:{minute}:00+00\t{row}")
    };
    let mut articles = articles(
        false,
        &json!([
            [
                "1\tTENANT\tFirst\t2\tone, edited\t{a,x}",
                "2\tTENANT\tSecond\t1\ttwo, done\t{b}"
            ],
            ["6\tTENANT\tFourth\t1\tfour\\nlines\t{}"]
        ]),
        &json!([
            [
                line("U", 1, 10, "2\t1\tTENANT\tFirst\t0\t\\N\t\\N"),
                line("U", 2, 10, "2\t2\tTENANT\tSecond\t0\t\\N\t\\N"),
                line("U", 3, 10, "3\t3\tTENANT\tThird\t0\t\\N\t\\N"),
                line("U", 4, 20, "4\t1\tTENANT\tFirst\t1\t\\N\t{a}"),
            ],
            [
                line("D", 5, 25, "0\t3\tTENANT\tThird\t1\tthree\t\\N"),
                line("U", 6, 30, "8\t2\tTENANT\tSecond\t1\ttwo\t\\N"),
                line("o", 7, 40, "0\t4\t\\N\t\\N\t\\N\t\\N\t\\N"),
                line("n", 8, 40, "0\t6\t\\N\t\\N\t\\N\t\\N\t\\N"),
                line("U", 9, 40, "0\t4\tTENANT\tFourth\t0\tfour\\nlines\t{}"),
            ],
            [
                line("U", 10, 45, "8\t1\tTENANT\tFirst\t1\tone\t\\N"),
                line("U", 11, 50, "12\t1\tTENANT\tFirst\t1\t\\N\t\\N"),
                line("U", 12, 50, "2\t6\tTENANT\tFourth\t0\t\\N\t\\N"),
                line("U", 13, 52, "8\t2\tTENANT\tSecond\t1\ttwo, edited\t\\N"),
            ],
        ]),
    );
    articles["groups"] = json!([[], ["body", "tags"], ["body"], ["tags"]]);
    json!({
        "backup_name": "second", "job_type": "incremental", "position": "300:300:",
        "position_at": "2026-01-31T11:00:00Z",
        "tables": [articles],
    })
}

pub fn full_of_text(native: bool) -> Value {
    of_text(full(native))
}

pub fn second_of_text(native: bool) -> Value {
    of_text(second(native))
}

/// The same of a table whose tenants are texts.
fn of_text(mut facts: Value) -> Value {
    let is_full = facts["job_type"] == "full";
    let table = &mut facts["tables"][0];
    table["columns"][1]["type"] = json!("text");
    let create = &mut table["definition"]["create"][0];
    *create = json!(
        create
            .as_str()
            .unwrap()
            .replace("tenant_id uuid", "tenant_id text")
    );
    if let Some(tables) = facts["tables"].as_array_mut() {
        tables.push(notes(is_full));
    }
    facts
}

/// A table without a tenant column: a note is of the tenant whose article it is of. None changes.
fn notes(is_full: bool) -> Value {
    let chunks = if is_full {
        json!([["1\tcolour", "1\tsize", "2\tsize"]])
    } else {
        json!([])
    };
    json!({
        "schema": "shop", "name": "notes", "key": ["article", "name"],
        "path": { "columns": ["article"], "parent": { "schema": "shop", "name": "articles" },
                  "parent_columns": ["id"] },
        "columns": [{ "name": "article", "type": "bigint", "not_null": true },
                    { "name": "name", "type": "text", "not_null": true }],
        "whole": is_full, "chunks": chunks, "history": [],
        "definition": {
            "create": ["create table shop.notes (article bigint not null, name text not null)"],
            "finish": ["alter table shop.notes add primary key (article, name)"],
            "references": ["alter table shop.notes add foreign key (article) references shop.articles (id)"],
        },
    })
}
