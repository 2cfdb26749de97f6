use crate::bucket::{Bucket, PLAIN, SEALED, backup};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn findings(report: &Value) -> Vec<String> {
    let backups = report["backups"].as_array().unwrap();
    let findings = backups
        .iter()
        .flat_map(|backup| backup["findings"].as_array().unwrap());
    findings
        .map(|one| {
            format!(
                "{} {}",
                one["object"].as_str().unwrap(),
                one["fault"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn what_is_whole_has_no_findings() {
    let bucket = Bucket::copy("verify-whole").with_key();
    let report = bucket.json("archive verify BUCKET --json");
    assert_eq!(findings(&report), Vec::<String>::new());
    let backups = report["backups"].as_array().unwrap();
    assert_eq!(backups.len(), 10);
    assert!(backups.iter().all(|backup| backup["opened"] == true));
    assert_eq!(bucket.m23("archive verify BUCKET").code, 0);
}

#[test]
fn without_the_key_hashes_are_compared_and_the_rest_is_said_not_to_be() {
    let bucket = Bucket::copy("verify-closed");
    let ran = bucket.m23(&format!("archive verify BUCKET --tenant {SEALED}"));
    assert_eq!(ran.code, 0);
    assert_eq!(ran.output.matches("ARCHIVE_KEY is not set").count(), 4);
}

#[test]
fn every_object_that_is_altered_cut_exchanged_or_gone_is_found() {
    let name = "verify-damage";
    let count = Bucket::copy(name).objects(&backup(PLAIN, 2), ".gz").len();
    assert_eq!(count, 4);
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("altered", |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("altered", |path| {
            fs::write(path, &fs::read(path).unwrap()[1..]).unwrap()
        }),
        ("bytes long", |path| {
            fs::write(path, [fs::read(path).unwrap(), vec![0]].concat()).unwrap()
        }),
        ("missing", |path| fs::remove_file(path).unwrap()),
    ];
    for at in 0..count {
        for (what, damage) in &damages {
            let bucket = Bucket::copy(name);
            let path = &bucket.objects(&backup(PLAIN, 2), ".gz")[at];
            damage(path);
            let ran = bucket.m23(&format!(
                "archive verify BUCKET --json --backup {}",
                backup(PLAIN, 3)
            ));
            assert_eq!(ran.code, 1);
            let found = findings(&serde_json::from_str(&ran.output).unwrap());
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                path.to_string_lossy()
                    .ends_with(found[0].split(' ').next().unwrap())
            );
            assert!(found[0].contains(what), "{found:?}");
        }
    }
}

#[test]
fn a_chain_whose_member_was_rewritten_or_removed_is_broken() {
    let bucket = Bucket::copy("verify-chain");
    let manifest = &bucket.objects(&backup(PLAIN, 1), "manifest.json")[0];
    let text = fs::read_to_string(manifest).unwrap();
    fs::write(
        manifest,
        text.replace("\"full\",\n  \"job_type\"", "\"other\",\n  \"job_type\""),
    )
    .unwrap();
    assert_ne!(fs::read_to_string(manifest).unwrap(), text);
    let ran = bucket.m23(&format!(
        "archive verify BUCKET --backup {}",
        backup(PLAIN, 3)
    ));
    assert_eq!(ran.code, 1);
    assert!(
        ran.output
            .contains("manifest.json: it was altered, and a backup builds upon it"),
        "{}",
        ran.output
    );
    fs::remove_file(manifest).unwrap();
    let ran = bucket.m23(&format!(
        "archive verify BUCKET --backup {}",
        backup(PLAIN, 2)
    ));
    assert!(
        ran.output.contains("a backup builds upon it"),
        "{}",
        ran.output
    );
}

#[test]
fn an_encrypted_manifest_that_was_rewritten_is_found_with_the_key_even_when_its_sums_hold() {
    let bucket = Bucket::copy("verify-mac").with_key();
    let manifest = &bucket.objects(&backup(SEALED, 3), "manifest.json")[0];
    let text = fs::read_to_string(manifest).unwrap();
    fs::write(manifest, text.replace("\"third\"", "\"first\"")).unwrap();
    let ran = bucket.m23(&format!("archive verify BUCKET --tenant {SEALED}"));
    assert_eq!(ran.code, 1);
    assert!(
        ran.output.contains("manifest.mac: it cannot be decrypted"),
        "{}",
        ran.output
    );
    let mac = &bucket.objects(&backup(SEALED, 2), "manifest.mac")[0];
    fs::remove_file(mac).unwrap();
    let ran = bucket.m23(&format!("archive verify BUCKET --tenant {SEALED}"));
    assert!(
        ran.output.contains("manifest.mac: it is missing"),
        "{}",
        ran.output
    );
}

#[test]
fn objects_that_belong_to_no_backup_are_told_of_and_are_no_fault() {
    let bucket = Bucket::copy("verify-strangers");
    let manifest = &bucket.objects(&backup(PLAIN, 1), "manifest.json")[0];
    fs::write(manifest.with_file_name("stranger"), "").unwrap();
    let ran = bucket.m23("archive verify BUCKET");
    assert_eq!(ran.code, 0);
    assert!(
        ran.output.contains("stranger: belongs to no backup"),
        "{}",
        ran.output
    );
}

#[test]
fn backups_that_name_each_other_as_parents_end() {
    let bucket = Bucket::copy("verify-circle");
    for (one, other) in [(2, 3), (3, 2)] {
        let manifest = &bucket.objects(&backup(PLAIN, one), "manifest.json")[0];
        let mut value: Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
        value["parent"]["backup_id"] = backup(PLAIN, other).into();
        value["parent"]["manifest"] = format!(
            "tenants/{PLAIN}/backups/{}/manifest.json",
            backup(PLAIN, other)
        )
        .into();
        value["parent"]["position"] = value["position"].clone();
        value["parent"]["position_at"] = value["position_at"].clone();
        value["ticks"] = serde_json::json!([]);
        fs::write(manifest, value.to_string()).unwrap();
    }
    assert_eq!(
        bucket
            .m23(&format!(
                "archive verify BUCKET --backup {}",
                backup(PLAIN, 3)
            ))
            .code,
        1
    );
    assert_eq!(
        bucket
            .m23(&format!(
                "archive extract BUCKET --backup {}",
                backup(PLAIN, 3)
            ))
            .code,
        1
    );
}
