//! Rules of reading request bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use m23_contract::{
    BackupCreateRequest, BackupRestoreRequest, PitrRestoreRequest, PitrRollbackRequest,
    RecoveryTestRequest, Validate, read_request,
};
use serde_json::{Value, json};

const ID: &str = "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11";

fn faults<R: Validate>(body: &Value) -> Vec<String> {
    match read_request::<R>(body.to_string().as_bytes()).request {
        Ok(_) => Vec::new(),
        Err(faults) => faults,
    }
}

fn raw_faults<R: Validate>(body: &[u8]) -> Vec<String> {
    read_request::<R>(body).request.err().unwrap_or_default()
}

#[test]
fn every_request_of_the_contract_is_accepted() {
    let none: Vec<String> = Vec::new();
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobType": "full"})),
        none
    );
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobType": "incremental", "baseBackupId": ID,
            "backupName": "nightly", "description": "a\nb", "tables": ["orders", "shop.Items"]})),
        none
    );
    assert_eq!(faults::<BackupCreateRequest>(&json!({"jobId": ID})), none);
    assert_eq!(
        faults::<BackupRestoreRequest>(
            &json!({"backupJobId": ID, "confirmRestore": true, "targetSchema": "beside"})
        ),
        none
    );
    assert_eq!(
        faults::<PitrRestoreRequest>(
            &json!({"targetTimestamp": "2026-01-31T10:31:00.123456+02:00", "confirmRestore": true})
        ),
        none
    );
    assert_eq!(
        faults::<PitrRollbackRequest>(&json!({"snapshotId": ID, "dryRun": true})),
        none
    );
    assert_eq!(
        faults::<RecoveryTestRequest>(
            &json!({"test_name": "n", "test_type": "manual", "validation_level": "deep"})
        ),
        none
    );
}

#[test]
fn what_becomes_of_blocked_rows_is_passed_on_where_it_is_said() {
    let passed = |more: Value| {
        let mut body = json!({"snapshotId": ID, "dryRun": true});
        body["onBlocked"] = more;
        let request = read_request::<PitrRollbackRequest>(body.to_string().as_bytes()).request;
        request.map(|request| json!(request)["onBlocked"].clone())
    };
    assert_eq!(passed(json!("skip")), Ok(json!("skip")));
    assert_eq!(passed(json!("null")), Ok(json!("null")));
    assert_eq!(passed(Value::Null), Ok(Value::Null));
    assert_eq!(passed(json!("refuse")), Ok(Value::Null));
    let wrong = json!({"backupJobId": ID, "dryRun": true, "onBlocked": "leave",
        "targetTimestamp": "2026-01-31T10:31:00Z"});
    let said = "onBlocked: must be one of refuse, skip, null".to_owned();
    assert!(faults::<BackupRestoreRequest>(&wrong).contains(&said));
    assert!(faults::<PitrRestoreRequest>(&wrong).contains(&said));
}

#[test]
fn null_counts_as_absent() {
    let body = json!({"jobType": "full", "tables": null, "baseBackupId": null, "jobId": null});
    assert!(faults::<BackupCreateRequest>(&body).is_empty());
    assert_eq!(
        faults::<PitrRollbackRequest>(&json!({"snapshotId": ID, "dryRun": null})),
        ["confirmRollback: must be true"]
    );
}

#[test]
fn all_faults_are_reported_at_once_each_with_its_field() {
    let body = json!({"jobType": "part", "backupName": 7, "description": "a\u{0}b",
        "tables": [], "baseBackupId": "x", "colour": "red"});
    assert_eq!(
        faults::<BackupCreateRequest>(&body),
        [
            "colour: unknown field",
            "jobType: must be one of full, incremental, snapshot",
            "backupName: must be a string",
            "description: must not contain the character U+0000",
            "tables: must name at least one table; leave it out for every protected table",
            "baseBackupId: must be a UUID",
        ]
    );
}

#[test]
fn a_misspelt_dry_run_never_becomes_a_restore() {
    let body = json!({"targetTimestamp": "2026-01-31T10:31:00Z", "dryrun": true,
        "confirmRestore": true});
    assert_eq!(
        faults::<PitrRestoreRequest>(&body),
        ["dryrun: unknown field (did you mean dryRun?)"]
    );
    let body = json!({"targetTimestamp": "2026-01-31T10:31:00Z", "dryRun": "true"});
    assert_eq!(
        faults::<PitrRestoreRequest>(&body),
        [
            "dryRun: must be true or false",
            "confirmRestore: must be true"
        ]
    );
}

#[test]
fn a_restore_must_be_confirmed_with_true_itself() {
    for word in [json!(false), json!("true"), json!(1), json!(null)] {
        let body = json!({"backupJobId": ID, "confirmRestore": word});
        assert_eq!(
            faults::<BackupRestoreRequest>(&body),
            ["confirmRestore: must be true"]
        );
    }
}

#[test]
fn a_dry_run_needs_no_confirmation() {
    let reading = read_request::<PitrRestoreRequest>(
        br#"{"targetTimestamp":"2026-01-31T10:31Z","dryRun":true,"confirmRestore":false}"#,
    );
    assert!(reading.request.unwrap().dry_run);
    assert!(reading.probe.dry_run);
}

#[test]
fn a_body_that_is_no_json_object_is_one_clear_fault() {
    let create = raw_faults::<BackupCreateRequest>;
    assert_eq!(create(b""), ["body: is empty"]);
    assert_eq!(create(b"  \n"), ["body: is empty"]);
    assert_eq!(create(b"[1]"), ["body: must be a JSON object"]);
    assert_eq!(create(b"null"), ["body: must be a JSON object"]);
    assert_eq!(create(b"\"full\""), ["body: must be a JSON object"]);
    assert_eq!(
        create(b"{\"jobType\":"),
        ["body: is not JSON (line 1, column 11)"]
    );
    assert_eq!(create(b"{} {}"), ["body: is not JSON (line 1, column 4)"]);
    assert_eq!(create(b"{\"a\":\"\xff\"}"), ["body: is not UTF-8 (line 1)"]);
    assert_eq!(
        create("[".repeat(60_000).as_bytes()).len(),
        1,
        "deep nesting is refused, not a stack overflow"
    );
}

#[test]
fn a_name_given_twice_is_refused() {
    assert_eq!(
        raw_faults::<BackupCreateRequest>(br#"{"jobType":"full","jobType":"snapshot"}"#),
        ["jobType: is given twice"]
    );
}

#[test]
fn only_an_incremental_builds_on_a_base() {
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobType": "incremental"})),
        ["baseBackupId: is required for incremental"]
    );
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobType": "incremental", "baseBackupId": 5})),
        ["baseBackupId: must be a UUID"]
    );
    let full = json!({"jobType": "full", "baseBackupId": ID}).to_string();
    let Ok(BackupCreateRequest::New(backup)) = read_request(full.as_bytes()).request else {
        panic!("a full backup may name a base");
    };
    assert_eq!(backup.base_backup_id, None);
}

#[test]
fn a_job_id_stands_alone() {
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobId": ID, "jobType": "full", "tables": ["a"]})),
        [
            "jobType: cannot be combined with jobId",
            "tables: cannot be combined with jobId"
        ]
    );
    assert_eq!(
        faults::<BackupCreateRequest>(&json!({"jobId": "1"})),
        ["jobId: must be a UUID"]
    );
}

#[test]
fn only_the_usual_form_of_a_uuid_is_one() {
    for id in [
        "6f2b5c1e3d494f0a9a550d5f3a3c8b11",
        "{6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11}",
        "",
        "../../etc/passwd",
    ] {
        let body = json!({"backupJobId": id, "confirmRestore": true});
        assert_eq!(
            faults::<BackupRestoreRequest>(&body),
            ["backupJobId: must be a UUID"],
            "{id}"
        );
    }
}

#[test]
fn table_names_are_raw_and_named_once() {
    let body = json!({"jobType": "full", "tables": ["orders", "public.orders", "\"a\"", ".x",
        "y.", 5, "a".repeat(64), "Mixed Case.Über"]});
    assert_eq!(
        faults::<BackupCreateRequest>(&body),
        [
            "tables: \"public.orders\" is named twice",
            "tables: \"\"a\"\" must be raw, without quotes",
            "tables: \".x\" has an empty name",
            "tables: \"y.\" has an empty name",
            "tables: entry 6 must be a string",
            &format!("tables: \"{}\" is longer than 63 bytes", "a".repeat(64)),
        ]
    );
}

#[test]
fn a_table_name_knows_its_schema() {
    let body = br#"{"jobType":"full","tables":["orders","Shop.Items"]}"#;
    let tables = read_request::<BackupCreateRequest>(body)
        .probe
        .tables
        .unwrap();
    let pairs: Vec<_> = tables.iter().map(|t| (t.schema(), t.name())).collect();
    assert_eq!(pairs, [("public", "orders"), ("Shop", "Items")]);
    assert_eq!(
        serde_json::to_value(&tables).unwrap(),
        json!(["orders", "Shop.Items"])
    );
}

#[test]
fn system_schemas_are_no_target() {
    for schema in [
        "public",
        "auth",
        "m23",
        "m23_private",
        "pg_catalog",
        "pg_temp_3",
        "PG_x",
        "storage",
        "information_schema",
        "realtime",
        "extensions",
        "graphql",
        "graphql_public",
        "vault",
        "net",
        "cron",
        "supabase_migrations",
        "supabase_functions",
    ] {
        let body = json!({"backupJobId": ID, "confirmRestore": true, "targetSchema": schema});
        assert_eq!(
            faults::<BackupRestoreRequest>(&body),
            [format!(
                "targetSchema: \"{schema}\" is not free; choose another name"
            )]
        );
    }
    for schema in ["", "a b", "a;drop", "1a", "a.b", "a\"b", "-a"] {
        let body = json!({"backupJobId": ID, "confirmRestore": true, "targetSchema": schema});
        let faults = faults::<BackupRestoreRequest>(&body);
        assert_eq!(faults.len(), 1, "{schema}");
        assert!(faults.concat().starts_with("targetSchema: "));
    }
}

#[test]
fn a_moment_needs_its_zone() {
    let of = |text: &str| {
        faults::<PitrRestoreRequest>(&json!({"targetTimestamp": text, "dryRun": true})).concat()
    };
    for good in [
        "2026-01-31T10:31:00Z",
        "2026-01-31T10:31:00.5+02:00",
        "2026-01-31T10:31:00+0200",
        "2026-01-31T10:31:00+02",
        "2026-01-31T10:31Z",
        "2026-01-31T10:31+02:00",
    ] {
        assert_eq!(of(good), "", "{good}");
    }
    let request = read_request::<PitrRestoreRequest>(
        br#"{"targetTimestamp": "2026-01-31T10:31:00-23:18", "dryRun": true}"#,
    );
    assert_eq!(
        serde_json::to_value(request.request.unwrap().target_timestamp).unwrap(),
        "2026-02-01T09:49:00Z",
        "an offset that Postgres does not know"
    );
    for zoneless in [
        "2026-01-31T10:31:00",
        "2026-01-31 10:31:00.1",
        "2026-01-31T10:31",
    ] {
        assert_eq!(
            of(zoneless),
            "targetTimestamp: needs a time zone: Z or an offset such as +02:00"
        );
    }
    for bad in [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-01-31",
        "1738319460",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
    ] {
        assert!(
            of(bad).starts_with("targetTimestamp: must be an ISO 8601"),
            "{bad}"
        );
    }
}

#[test]
fn missing_required_fields_are_all_named() {
    let named = |faults: Vec<String>| -> Vec<String> {
        faults
            .iter()
            .map(|fault| fault.split(':').next().unwrap().to_owned())
            .collect()
    };
    let empty = json!({});
    assert_eq!(named(faults::<BackupCreateRequest>(&empty)), ["jobType"]);
    assert_eq!(
        named(faults::<BackupRestoreRequest>(&empty)),
        ["backupJobId", "confirmRestore"]
    );
    assert_eq!(
        named(faults::<PitrRestoreRequest>(&empty)),
        ["targetTimestamp", "confirmRestore"]
    );
    assert_eq!(
        named(faults::<PitrRollbackRequest>(&empty)),
        ["snapshotId", "confirmRollback"]
    );
    assert_eq!(
        named(faults::<RecoveryTestRequest>(&empty)),
        ["test_name", "test_type", "validation_level"]
    );
}

#[test]
fn faults_are_bounded_in_number_and_length() {
    let mut body = serde_json::Map::new();
    for index in 0..500 {
        body.insert(format!("field{index}"), json!(1));
    }
    body.insert("x".repeat(5_000), json!(1));
    let faults = faults::<PitrRollbackRequest>(&Value::Object(body));
    assert_eq!(faults.len(), 51);
    assert!(faults.iter().all(|fault| fault.len() < 200));
    assert!(faults.last().unwrap().contains("more faults"));
}

#[test]
fn the_probe_is_filled_although_other_fields_are_faulty() {
    let reading = read_request::<BackupRestoreRequest>(
        br#"{"backupJobId":"x","tables":["orders"],"targetSchema":"beside"}"#,
    );
    assert_eq!(reading.request.unwrap_err().len(), 2);
    assert_eq!(reading.probe.tables.unwrap().len(), 1);
    assert_eq!(reading.probe.target_schema.unwrap().as_str(), "beside");
}

/// A dry run of `pitr-restore` with more fields.
fn choosing(more: &Value) -> Value {
    let mut body = json!({"targetTimestamp": "2026-01-31T10:31:00Z", "dryRun": true});
    for (name, value) in more.as_object().unwrap() {
        body.as_object_mut()
            .unwrap()
            .insert(name.clone(), value.clone());
    }
    body
}

#[test]
fn what_is_chosen_is_passed_on_as_it_was_written() {
    let chosen = json!({
        "rows": {"orders": [{"id": 1}, {"id": "9007199254740993"}], "shop.items": [{"a": 1, "b": "x"}]},
        "exceptRows": {"orders": [{"id": 2}]},
        "where": {"orders": {"status": "open", "note": null, "total": {"gte": 1, "lt": "9.5"},
            "kind": {"in": ["a", null]}}},
        "operations": ["delete", "update"],
        "withRelated": "both",
    });
    let body = choosing(&chosen).to_string();
    let pitr = read_request::<PitrRestoreRequest>(body.as_bytes()).request;
    let written = json!(pitr.expect("no fault"));
    for (name, value) in chosen.as_object().unwrap() {
        assert_eq!(written[name], *value, "{name}");
    }
    let mut body = json!({"backupJobId": ID, "dryRun": true});
    for (name, value) in chosen.as_object().unwrap() {
        body.as_object_mut()
            .unwrap()
            .insert(name.clone(), value.clone());
    }
    assert_eq!(faults::<BackupRestoreRequest>(&body), Vec::<String>::new());
    let nothing = json!({"rows": null, "exceptRows": null, "where": null, "operations": null,
        "withRelated": null});
    assert_eq!(
        faults::<PitrRestoreRequest>(&choosing(&nothing)),
        Vec::<String>::new()
    );
}

#[test]
fn each_fault_of_a_choice_names_its_place() {
    let wrong = json!({
        "rows": {"orders": [], "a\"b": [{"id": 1}], "items": [{}, {"id": null}, {"id": [1]}, 7],
            "public.items": [{"id": 1}], "big": [{"id": 9_007_199_254_740_993_u64}]},
        "exceptRows": {},
        "where": {"orders": {}, "items": {"a": {}, "b": {"like": "x"}, "c": {"in": 1}, "d": {"gt": null},
            "e": [1], "f": {"in": [1e300]}, "g": "a\u{0}b"}},
        "operations": ["delete", "delete"],
        "withRelated": "all",
    });
    assert_eq!(
        faults::<PitrRestoreRequest>(&choosing(&wrong)),
        [
            "rows.a\"b: must be raw, without quotes",
            "rows.big[0].id: is a number of 2^53 or more: write it as a string",
            "rows.items[0]: must be an object of the key's columns",
            "rows.items[1].id: is required",
            "rows.items[2].id: must be a value",
            "rows.items[3]: must be an object of the key's columns",
            "rows.orders: must be a list of keys, such as [{\"id\": 1}]",
            "rows.public.items: is named twice",
            "exceptRows: must name at least one table",
            "where.items.a: must have at least one of gte, gt, lte, lt, in",
            "where.items.b.like: is none of gte, gt, lte, lt, in",
            "where.items.c.in: must be an array",
            "where.items.d.gt: must have a value",
            "where.items.e: must be a value",
            "where.items.f.in[0]: is a number of 2^53 or more: write it as a string",
            "where.items.g: must not contain the character U+0000",
            "where.orders: must be an object of columns and values",
            "operations: must be a list of insert, update, delete, each once",
            "withRelated: must be one of children, parents, both",
        ]
    );
}

#[test]
fn a_choice_has_its_limits() {
    let keys = |count: usize| -> Value { (0..count).map(|id| json!({"id": id})).collect() };
    let values = |count: usize| -> Value { (0..count).map(|id| json!(id)).collect() };
    let said = |more: Value| faults::<PitrRestoreRequest>(&choosing(&more));
    assert!(said(json!({"exceptRows": {"a": keys(500), "b": keys(500)}})).is_empty());
    assert_eq!(
        said(json!({"exceptRows": {"a": keys(500), "b": keys(501)}})),
        ["exceptRows: has more than 1000 keys"]
    );
    assert!(said(json!({"where": {"a": {"id": {"in": values(999)}, "b": 1}}})).is_empty());
    assert_eq!(
        said(json!({"where": {"a": {"id": {"in": values(999)}, "b": 1, "c": {"gt": 1}}}})),
        ["where: has more than 1000 values"]
    );
    assert_eq!(
        said(json!({"rows": {"a": keys(10_001)}})),
        ["rows: has more than 10000 keys"]
    );
}

#[test]
fn a_name_given_twice_is_seen_however_deep_it_stands() {
    let body = r#"{"targetTimestamp": "2026-01-31T10:31:00Z", "dryRun": true,
        "rows": {"orders": [{"id": 1}], "orders": [{"id": 2}]}}"#;
    let said = raw_faults::<PitrRestoreRequest>(body.as_bytes());
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("body: has an object with a name given twice"));
}
