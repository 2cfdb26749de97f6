use crate::bucket::{Bucket, PLAIN, SEALED, SECOND, backup};
use serde_json::{Value, json};
use std::fs;

#[test]
fn all_backups_are_listed_by_tenant_and_time() {
    let bucket = Bucket::copy("inspect-list");
    let listed = bucket.json("archive inspect BUCKET --json");
    let ids: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["backup_id"].clone())
        .collect();
    let wanted: Vec<_> = [(PLAIN, 4), (SECOND, 2), (SEALED, 4)]
        .iter()
        .flat_map(|(tenant, last)| (1..=*last).map(|number| json!(backup(tenant, number))))
        .collect();
    assert_eq!(ids, wanted);
    let all = |field: &str| -> Value {
        let listed = listed.as_array().unwrap().iter();
        listed.map(|one| one[field].clone()).collect()
    };
    let encrypted = [[false; 6].as_slice(), &[true; 4]].concat();
    assert_eq!(all("encrypted"), json!(encrypted));
    assert_eq!(all("version"), json!([1, 1, 1, 2, 2, 2, 1, 1, 1, 2]));
    let of_one = bucket.json(&format!("archive inspect BUCKET --json --tenant {PLAIN}"));
    assert_eq!(of_one.as_array().unwrap().len(), 4);
    let text = bucket.m23("archive inspect BUCKET").output;
    assert_eq!(text.lines().count(), 11);
}

#[test]
fn a_backup_is_shown_with_its_chain_and_tables() {
    let bucket = Bucket::copy("inspect-one");
    let shown = bucket.json(&format!(
        "archive inspect BUCKET --json --backup {}",
        backup(PLAIN, 3)
    ));
    assert_eq!(
        shown["chain"],
        json!([1, 2, 3].map(|number| backup(PLAIN, number)))
    );
    assert_eq!(shown["position"], "120:120:");
    assert_eq!(shown["table_list"][0]["name"], "shop.orders");
    assert_eq!(shown["table_list"][0]["history_entries"], 2);
    assert_eq!(shown["table_list"][0]["groups"], json!([]));
    let text = bucket
        .m23(&format!(
            "archive inspect BUCKET --backup {}",
            backup(SEALED, 1)
        ))
        .output;
    assert!(text.contains("AES-256-GCM"), "{text}");
}

#[test]
fn a_backup_is_shown_with_its_version_and_what_its_log_leaves_out() {
    let bucket = Bucket::copy("inspect-version");
    let inspect = |rest: &str| format!("archive inspect BUCKET --backup {rest}");
    let shown = bucket.json(&inspect(&format!("{} --json", backup(SECOND, 2))));
    assert_eq!(shown["version"], 2);
    let groups = json!([[], ["body", "tags"], ["body"], ["tags"]]);
    assert_eq!(shown["table_list"][0]["groups"], groups);
    for (number, version) in [(3, "version 1"), (4, "version 2")] {
        let text = bucket.m23(&inspect(&backup(PLAIN, number))).output;
        assert!(text.contains(version), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_listed_as_such() {
    let bucket = Bucket::copy("inspect-unreadable");
    fs::remove_file(&bucket.objects(&backup(PLAIN, 1), "manifest.json")[0]).unwrap();
    fs::write(&bucket.objects(&backup(PLAIN, 2), "manifest.json")[0], "{").unwrap();
    let listed = bucket.json(&format!("archive inspect BUCKET --json --tenant {PLAIN}"));
    let mut states: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    states.sort_unstable();
    assert_eq!(states, ["complete", "complete", "damaged", "unfinished"]);
}

#[test]
fn an_empty_store_has_no_backups() {
    let bucket = Bucket::copy("inspect-empty");
    fs::remove_dir_all(bucket.folder.join("bucket")).unwrap();
    fs::create_dir(bucket.folder.join("bucket")).unwrap();
    assert_eq!(bucket.json("archive inspect BUCKET --json"), json!([]));
    assert_eq!(bucket.m23("archive inspect BUCKET").code, 0);
}
