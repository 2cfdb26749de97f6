use crate::bucket::{Bucket, SEALED, backup};
use std::fs;

const NEW: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn a_wrong_or_missing_key_is_told_of() {
    let bucket = Bucket::copy("keys-wrong");
    let extract = format!("archive extract BUCKET --backup {}", backup(SEALED, 1));
    let ran = bucket.m23(&extract);
    assert_eq!(ran.code, 4);
    assert!(ran.error.contains("set ARCHIVE_KEY"), "{}", ran.error);
    let ran = bucket.with_new_key(NEW).m23(&extract);
    assert_eq!(ran.code, 4);
    assert!(ran.error.contains("is another one"), "{}", ran.error);
    let ran = Bucket::copy("keys-wrong")
        .with_new_key("c2hvcnQ=")
        .m23(&extract);
    assert_eq!((ran.code, ran.error.contains("c2hvcnQ")), (4, false));
}

#[test]
fn a_new_master_key_opens_what_the_old_one_did_and_archives_stay_as_they_are() {
    let bucket = Bucket::copy("keys-rewrap").with_key();
    let before = bucket.m23(&format!(
        "archive extract BUCKET --backup {}",
        backup(SEALED, 3)
    ));
    let objects = |bucket: &Bucket| {
        bucket
            .objects(SEALED, "tenants")
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect::<Vec<_>>()
    };
    let stored = objects(&bucket);
    let bucket = bucket.with_new_key(NEW);
    let report = bucket.json("keys rewrap BUCKET --json");
    assert_eq!(
        (report["rewrapped"].as_u64(), report["already"].as_u64()),
        (Some(1), Some(0))
    );
    let again = bucket.json("keys rewrap BUCKET --json");
    assert_eq!(
        (again["rewrapped"].as_u64(), again["already"].as_u64()),
        (Some(0), Some(1))
    );
    let bucket = bucket.without_previous();
    let after = bucket.m23(&format!(
        "archive extract BUCKET --backup {}",
        backup(SEALED, 3)
    ));
    assert_eq!((after.code, after.output), (0, before.output));
    assert_eq!(objects(&bucket), stored);
    assert_eq!(
        bucket
            .with_key()
            .m23(&format!(
                "archive verify BUCKET --backup {}",
                backup(SEALED, 3)
            ))
            .code,
        4
    );
}

#[test]
fn rewrapping_needs_both_keys_and_leaves_foreign_ones_alone() {
    let bucket = Bucket::copy("keys-rewrap-refused").with_key();
    assert_eq!(bucket.m23("keys rewrap BUCKET").code, 2);
    let key = &bucket.objects(SEALED, "/keys/")[0];
    let before = fs::read(key).unwrap();
    let bucket = bucket
        .with_new_key(NEW)
        .with_new_key("ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    assert_eq!(bucket.m23("keys rewrap BUCKET").code, 4);
    assert_eq!(fs::read(key).unwrap(), before);
}

#[test]
fn an_altered_key_object_is_damaged() {
    let bucket = Bucket::copy("keys-altered").with_key();
    let key = &bucket.objects(SEALED, "/keys/")[0];
    let text = fs::read_to_string(key).unwrap();
    let at = text.find("wrapped\": \"").unwrap() + 12;
    let letter = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(key, format!("{}{letter}{}", &text[..at], &text[at + 1..])).unwrap();
    let ran = bucket.m23(&format!("archive verify BUCKET --tenant {SEALED}"));
    assert_eq!(ran.code, 1);
    assert!(
        ran.output.contains(".json: it was altered"),
        "{}",
        ran.output
    );
}

#[test]
fn an_erased_key_leaves_a_tenant_unreadable_and_nobody_else() {
    let bucket = Bucket::copy("keys-erase").with_key();
    let ran = bucket.m23(&format!("keys erase BUCKET {SEALED}"));
    assert_eq!(ran.code, 2, "nobody confirmed it");
    assert_eq!(
        bucket
            .m23(&format!("archive verify BUCKET --tenant {SEALED}"))
            .code,
        0
    );
    assert_eq!(
        bucket
            .m23(&format!("keys erase BUCKET {SEALED} --yes"))
            .code,
        0
    );
    assert_eq!(
        bucket
            .m23(&format!(
                "archive extract BUCKET --backup {}",
                backup(SEALED, 1)
            ))
            .code,
        4
    );
    assert_eq!(
        bucket
            .m23(&format!("keys erase BUCKET {SEALED} --yes"))
            .code,
        5
    );
    assert_eq!(
        bucket
            .m23("archive verify BUCKET --tenant 00000000-0000-0000-0000-00000000000a")
            .code,
        0
    );
}
