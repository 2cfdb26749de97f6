//! Archives that somebody else has written: what they say is found, and nothing of it is executed.

use crate::bucket::{Bucket, PLAIN, SEALED, SECOND, backup};
use crate::marks::rewrite_lines;
use m23_archive::Lines;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Changes a plain backup's manifest, on which no other one builds.
fn edit(bucket: &Bucket, backup: &str, edit: impl Fn(&mut Value)) {
    let path = &bucket.objects(backup, "manifest.json")[0];
    let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

/// Statements that psql would take for more than one, or for a command of its own.
const HOSTILE: [&str; 5] = [
    "create table shop.articles (id int)\n\\! touch FOLDER/here\n",
    "create table shop.articles (id int); drop table shop.orders",
    "create table shop.articles (id int) \\g | touch FOLDER/here",
    "create table shop.articles as select pg_sleep(1)",
    "drop schema shop",
];

#[test]
fn a_definition_that_nobody_should_execute_is_found_and_not_written() {
    for sql in HOSTILE {
        let bucket = Bucket::copy("hostile-definition");
        let sql = sql.replace("FOLDER", &bucket.folder.to_string_lossy());
        edit(&bucket, &backup(SECOND, 2), |manifest| {
            manifest["tables"][0]["definition"]["create"][0] = json!(sql);
        });
        let verified = bucket.m23(&format!("archive verify BUCKET --tenant {SECOND}"));
        assert_eq!(verified.code, 1, "{sql}");
        assert!(
            verified.output.contains("a definition "),
            "{}",
            verified.output
        );
        assert_eq!(verified.output.matches("DAMAGED").count(), 1);
        let extract = format!("archive extract BUCKET --backup {}", backup(SECOND, 2));
        let script = bucket.m23(&extract);
        assert_eq!((script.code, script.output.as_str()), (1, ""), "{sql}");
        assert!(script.error.contains("--data-only"), "{}", script.error);
        assert_eq!(
            bucket.m23(&format!("{extract} --data-only")).code,
            0,
            "rows need none"
        );
        let csv = format!("{extract} --format csv --output FOLDER/rows");
        assert_eq!(bucket.m23(&csv).code, 0);
    }
}

#[test]
fn a_type_that_is_more_than_a_type_is_not_written_where_there_is_no_definition() {
    let bucket = Bucket::copy("hostile-type");
    edit(&bucket, &backup(SECOND, 1), |manifest| {
        manifest["tables"][0]["definition"] = Value::Null;
        manifest["tables"][0]["columns"][1]["type"] = json!("uuid);\n\\! touch here\n--");
    });
    let ran = bucket.m23(&format!(
        "archive extract BUCKET --backup {}",
        backup(SECOND, 1)
    ));
    assert_eq!((ran.code, ran.output.as_str()), (1, ""), "{}", ran.error);
}

#[test]
fn rows_of_another_tenant_and_nul_are_found_and_not_written() {
    for (kind, what, new) in [
        (Lines::Rows, "1 row(s) of another tenant", PLAIN),
        (Lines::History, "row(s) of another tenant", PLAIN),
        (Lines::Rows, "has a NUL", "\0"),
        (Lines::History, "has a NUL", "\0"),
    ] {
        let bucket = Bucket::copy("hostile-rows");
        rewrite_lines(&bucket, &backup(SECOND, 2), kind, |chunks| {
            let line = chunks
                .iter_mut()
                .flatten()
                .find(|line| line.contains(SECOND));
            let line = line.unwrap();
            *line = line.replacen(SECOND, new, 1);
        });
        let verified = bucket.m23(&format!(
            "archive verify BUCKET --backup {}",
            backup(SECOND, 2)
        ));
        assert_eq!(verified.code, 1, "{what}");
        assert!(
            verified.output.contains(what),
            "{what}: {}",
            verified.output
        );
        let ran = bucket.m23(&format!(
            "archive extract BUCKET --backup {}",
            backup(SECOND, 2)
        ));
        assert_eq!(ran.code, 1);
        assert!(!ran.output.contains("commit;"));
    }
}

#[test]
fn a_chunk_that_promises_3_gb_is_refused_before_it_is_read() {
    for field in ["bytes", "stored_bytes"] {
        let bucket = Bucket::copy("hostile-size");
        edit(&bucket, &backup(SECOND, 2), |manifest| {
            let chunk = &mut manifest["tables"][0]["chunks"][0];
            let before = chunk[field].as_u64().unwrap();
            chunk[field] = json!(3_u64 << 30);
            let sum = manifest[field].as_u64().unwrap();
            manifest[field] = json!(sum - before + (3 << 30));
        });
        // Were it fetched, it would be missing.
        let chunk = &bucket.objects(&backup(SECOND, 2), ".gz")[0];
        fs::remove_file(chunk).unwrap();
        let ran = bucket.m23(&format!(
            "archive verify BUCKET --backup {}",
            backup(SECOND, 2)
        ));
        assert_eq!(ran.code, 1);
        assert!(ran.output.contains("has a chunk that"), "{}", ran.output);
        assert!(!ran.output.contains("missing"), "{}", ran.output);
    }
}

#[test]
fn names_move_nothing_on_a_terminal() {
    let bucket = Bucket::copy("hostile-names");
    let evil = "a\u{1b}[2J\u{9b}1m\nnothing wrong\u{202e}";
    edit(&bucket, &backup(SECOND, 2), |manifest| {
        manifest["backup_name"] = json!(evil);
        manifest["tables"][0]["definition"]["create"][0] = json!(format!("drop \"{evil}\""));
    });
    edit(&bucket, &backup(SECOND, 1), |manifest| {
        manifest["tables"][0]["tenant_column"] = json!("nope");
        manifest["tables"][0]["name"] = json!(evil);
    });
    for command in [
        format!("archive verify BUCKET --tenant {SECOND}"),
        format!("archive verify BUCKET --tenant {SECOND} --json"),
        format!("archive inspect BUCKET --tenant {SECOND}"),
        format!("archive inspect BUCKET --backup {}", backup(SECOND, 2)),
        format!("archive extract BUCKET --backup {}", backup(SECOND, 2)),
    ] {
        let ran = bucket.m23(&command);
        let said = ran.output + &ran.error;
        assert!(
            !said.contains(['\u{1b}', '\u{9b}', '\u{202e}']),
            "{command}: {said}"
        );
        let is_forged = |line: &str| line.trim_start().starts_with("nothing wrong");
        assert!(!said.lines().any(is_forged), "{command}: {said}");
    }
}

fn empty(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
}

#[test]
fn a_store_without_a_backup_is_no_store_that_is_whole() {
    let bucket = Bucket::copy("hostile-empty")
        .with_key()
        .with_new_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    for manifest in bucket.objects("", "manifest.json") {
        fs::remove_file(manifest).unwrap();
    }
    let unfinished = bucket.m23("archive verify BUCKET");
    assert_eq!(unfinished.code, 5, "no manifest, no backup");
    assert!(
        unfinished.output.contains("unfinished"),
        "{}",
        unfinished.output
    );
    empty(&bucket.folder.join("bucket"));
    let rebuild = "catalogue rebuild --database postgresql://nobody@127.0.0.1:1/none";
    for command in [
        "archive verify BUCKET".to_owned(),
        "archive verify BUCKET --json".to_owned(),
        format!("archive verify BUCKET --tenant {PLAIN}"),
        "archive verify FOLDER/bukcet".to_owned(),
        "keys rewrap BUCKET".to_owned(),
        "keys rewrap FOLDER/bukcet".to_owned(),
        format!("{rebuild} BUCKET"),
        format!("{rebuild} FOLDER/bukcet"),
    ] {
        let ran = bucket.m23(&command);
        assert_eq!(ran.code, 5, "{command}: {}", ran.error);
        assert!(
            ran.error.starts_with("error: there is no "),
            "{}",
            ran.error
        );
    }
    assert_eq!(
        bucket
            .m23(&format!("archive verify BUCKET --tenant {PLAIN}"))
            .code,
        5
    );
}

#[test]
fn a_required_key_is_that_of_every_backup() {
    let bucket = Bucket::copy("hostile-key");
    let verify = |bucket: &Bucket, tenant: &str| {
        bucket.m23(&format!(
            "archive verify BUCKET --require-key --tenant {tenant}"
        ))
    };
    assert_eq!(verify(&bucket, SEALED).code, 4, "there is none");
    let bucket = bucket.with_key();
    assert_eq!(verify(&bucket, SEALED).code, 0);
    let plain = verify(&bucket, PLAIN);
    assert_eq!(plain.code, 1);
    assert_eq!(
        plain.output.matches("it is not encrypted").count(),
        4,
        "{}",
        plain.output
    );
    let one = bucket.m23(&format!(
        "archive verify BUCKET --require-key --backup {}",
        backup(PLAIN, 1)
    ));
    assert_eq!(one.code, 1);
    // The previous key opens them, and is not the one that is required.
    let bucket = bucket.with_new_key("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_eq!(
        bucket
            .m23(&format!("archive verify BUCKET --tenant {SEALED}"))
            .code,
        0
    );
    let other = verify(&bucket, SEALED);
    assert_eq!(other.code, 4);
    assert_eq!(
        other.output.matches("is another one").count(),
        4,
        "{}",
        other.output
    );
}

#[test]
fn a_key_that_is_gone_hides_no_damage_of_others() {
    let bucket = Bucket::copy("hostile-erased").with_key();
    assert_eq!(
        bucket
            .m23(&format!("keys erase BUCKET {SEALED} --yes"))
            .code,
        0
    );
    let ran = bucket.m23("archive verify BUCKET");
    assert_eq!(ran.code, 4);
    assert_eq!(ran.output.matches("CLOSED").count(), 4, "{}", ran.output);
    assert_eq!(ran.output.matches(": whole").count(), 6, "{}", ran.output);
    let chunk = &bucket.objects(&backup(PLAIN, 1), ".gz")[0];
    fs::remove_file(chunk).unwrap();
    assert_eq!(bucket.m23("archive verify BUCKET").code, 1);
}
