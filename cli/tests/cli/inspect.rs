use crate::bucket::{Bucket, PLAIN, SEALED, backup};
use serde_json::json;
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
    let wanted: Vec<_> = [PLAIN, SEALED]
        .iter()
        .flat_map(|tenant| (1..4).map(|number| json!(backup(tenant, number))))
        .collect();
    assert_eq!(ids, wanted);
    let encrypted: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["encrypted"].clone())
        .collect();
    assert_eq!(
        json!(encrypted),
        json!([false, false, false, true, true, true])
    );
    let of_one = bucket.json(&format!("archive inspect BUCKET --json --tenant {PLAIN}"));
    assert_eq!(of_one.as_array().unwrap().len(), 3);
    let text = bucket.m23("archive inspect BUCKET").output;
    assert_eq!(text.lines().count(), 7);
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
    let text = bucket
        .m23(&format!(
            "archive inspect BUCKET --backup {}",
            backup(SEALED, 1)
        ))
        .output;
    assert!(text.contains("AES-256-GCM"), "{text}");
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
    assert_eq!(states, ["complete", "damaged", "unfinished"]);
}

#[test]
fn an_empty_store_has_no_backups() {
    let bucket = Bucket::copy("inspect-empty");
    fs::remove_dir_all(bucket.folder.join("bucket")).unwrap();
    fs::create_dir(bucket.folder.join("bucket")).unwrap();
    assert_eq!(bucket.json("archive inspect BUCKET --json"), json!([]));
    assert_eq!(bucket.m23("archive verify BUCKET").code, 0);
}
