//! A tenant whose key is a text that no name can hold.

use crate::bucket::Bucket;
use serde_json::json;

const TEXT: &str = "cm4x/ä\"'\\";
const NAME: &str = "~e4f9a3467086f29ab6f0920a30bed81b";

#[test]
fn a_tenant_is_named_by_its_key_whatever_it_is_and_found_by_it() {
    let bucket = Bucket::of_text("texts-found").with_key();
    for tenant in ["", &format!("--tenant {TEXT}")] {
        let listed = bucket.json(&format!("archive inspect BUCKET --json {tenant}"));
        assert_eq!(listed.as_array().unwrap().len(), 2);
        assert_eq!(
            (&listed[0]["tenant_id"], &listed[1]["tenant_id"]),
            (&json!(TEXT), &json!(TEXT))
        );
        let verified = bucket.json(&format!(
            "archive verify BUCKET --require-key --json {tenant}"
        ));
        assert_eq!(
            (&verified["findings"], &verified["backups"][0]["tenant_id"]),
            (&json!(0), &json!(TEXT))
        );
    }
    let shown = bucket.m23("archive inspect BUCKET --backup 00000000-0000-0000-0000-0000000000c2");
    assert!(shown.output.contains(TEXT), "{}", shown.output);
    let none = bucket.json(&format!("archive inspect BUCKET --json --tenant {NAME}"));
    assert_eq!(none, json!([]), "the name of a tenant is not its key");
}

#[test]
fn a_backup_that_cannot_be_read_is_listed_by_its_tenants_name() {
    let bucket = Bucket::of_text("texts-unreadable").with_key();
    for manifest in bucket.objects("0000c1", "manifest.json") {
        std::fs::write(manifest, "{}").unwrap();
    }
    let listed = bucket.json("archive inspect BUCKET --json");
    assert_eq!(
        (&listed[0]["state"], &listed[0]["tenant_id"]),
        (&json!("damaged"), &json!(null))
    );
    assert!(bucket.m23("archive inspect BUCKET").output.contains(NAME));
}

#[test]
fn its_keys_are_rewrapped_and_erased_like_those_of_any_other() {
    const NEW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let bucket = Bucket::of_text("texts-keys").with_key().with_new_key(NEW);
    let rewrapped = bucket.json("keys rewrap BUCKET --json");
    assert_eq!(rewrapped, json!({ "rewrapped": 1, "already": 0 }));
    let bucket = bucket.without_previous();
    assert_eq!(bucket.m23("archive verify BUCKET --require-key").code, 0);
    let erased = bucket.json(&format!("keys erase BUCKET {TEXT} --yes --json"));
    assert_eq!(erased, json!({ "tenant_id": TEXT, "erased": 1 }));
    assert_eq!(bucket.m23("archive verify BUCKET").code, 4);
}

#[test]
fn an_empty_key_is_refused() {
    let ran = Bucket::of_text("texts-empty").m23("archive inspect BUCKET --tenant=");
    assert_eq!(ran.code, 2);
    assert!(
        ran.error.contains("a tenant's key is not empty"),
        "{}",
        ran.error
    );
}
