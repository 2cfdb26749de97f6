//! Tokens, validation, tenant, role; and what an upstream failure looks like.

use crate::fake_ports::{FakePorts, NOW, Pitr, Stub, post, refused_with, request, token};
use m23_auth::bearer_token;
use m23_contract::ErrorCode;
use m23_pipeline::{Answer, Caller, Failure, decode_error};
use m23_ports::DatabaseError;
use serde_json::{Value, json};

const FULL: &str = r#"{"jobType":"full"}"#;

#[test]
fn a_caller_without_a_good_token_is_refused_before_the_database() {
    let ports = FakePorts::new();
    let bad = [
        None,
        Some("Bearer x".to_owned()),
        Some("Basic eDp5".to_owned()),
        Some(token(&[], "forged")),
        Some(token(&[("exp", json!(NOW - 60))], "good")),
        Some(token(&[("aud", json!("other"))], "good")),
        Some(token(&[("iss", json!("https://evil"))], "good")),
        Some(token(&[("role", json!("service_role"))], "good")),
        Some(token(&[("role", json!("anon"))], "good")),
        Some(token(&[("is_anonymous", json!(true))], "good")),
    ];
    for authorization in bad {
        let reply = ports.run(
            &Stub::new(),
            request("POST", authorization.as_deref(), FULL),
        );
        assert_eq!((reply.status, reply.code()), (401, "AUTH_REQUIRED"));
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        assert_eq!(reply.window(), ("", "", ""), "not an authenticated caller");
    }
    assert!(ports.calls.borrow().is_empty());
}

#[test]
fn the_anon_key_is_told_to_sign_in() {
    let ports = FakePorts::new();
    for key in ["Bearer anon", &token(&[("role", json!("anon"))], "good")] {
        let reply = ports.run(&Stub::new(), request("POST", Some(key), FULL));
        assert_eq!((reply.status, reply.code()), (401, "AUTH_REQUIRED"));
        assert_eq!(
            reply.body["error"],
            "This is the project's anon key: sign in first."
        );
    }
}

#[test]
fn a_refused_validation_uses_no_quota_and_shows_the_window() {
    let ports = FakePorts::new();
    for body in [
        "",
        "{",
        "[]",
        r#"{"jobType":"x"}"#,
        r#"{"jobType":"full","dryrun":1}"#,
    ] {
        let reply = ports.run(&Stub::new(), post(body));
        assert_eq!(
            (reply.status, reply.code()),
            (400, "VALIDATION_FAILED"),
            "{body}"
        );
        assert_eq!(reply.window(), ("10", "10", &*(NOW + 3600).to_string()));
        assert!(
            reply.body["details"]
                .as_array()
                .is_some_and(|lines| !lines.is_empty())
        );
    }
    assert_eq!(ports.called("m23_admit"), 0);
}

#[test]
fn the_faults_of_body_header_and_database_come_together() {
    let ports = FakePorts::new();
    ports
        .faults
        .borrow_mut()
        .push("tables: \"nope\" is not protected");
    let mut request = post(r#"{"jobType":"x","tables":["nope"]}"#);
    let key = http::HeaderValue::from_bytes(b"caf\xe9").unwrap();
    request.headers_mut().insert("idempotency-key", key);
    let reply = ports.run(&Stub::new(), request);
    assert_eq!(
        reply.body["details"],
        json!([
            "jobType: must be one of full, incremental, snapshot",
            "Idempotency-Key: must be 1 to 255 printable ASCII characters",
            "tables: \"nope\" is not protected"
        ])
    );
    let calls = ports.calls.borrow();
    assert_eq!(calls[0].2["p_tables"], json!(["nope"]));
}

#[test]
fn a_fault_that_only_the_database_sees_is_a_fault() {
    let ports = FakePorts::new();
    ports
        .faults
        .borrow_mut()
        .push("tables: \"nope\" is unknown");
    let reply = ports.run(
        &Stub::new(),
        post(r#"{"jobType":"full","tables":["nope"]}"#),
    );
    assert_eq!((reply.status, reply.code()), (400, "VALIDATION_FAILED"));
    assert_eq!(ports.called("m23_admit"), 0);
}

#[test]
fn a_caller_with_no_tenant_is_refused_and_learns_nothing() {
    let ports = FakePorts::new();
    ports.tenant.replace(None);
    *ports.role.borrow_mut() = None;
    ports
        .faults
        .borrow_mut()
        .push("tables: \"secret\" is not protected");
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!((reply.status, reply.code()), (403, "TENANT_NOT_FOUND"));
    assert_eq!(reply.window(), ("10", "10", &*NOW.to_string()));
    assert!(!reply.body.to_string().contains("secret"));
}

#[test]
fn a_role_that_does_not_allow_it_is_refused_and_not_counted() {
    let ports = FakePorts::new();
    for role in ["viewer", "superuser", ""] {
        *ports.role.borrow_mut() = Some(role);
        let reply = ports.run(&Stub::new(), post(FULL));
        assert_eq!(
            (reply.status, reply.code()),
            (403, "INSUFFICIENT_PERMISSIONS"),
            "{role}"
        );
        assert_eq!(reply.window().1, "10");
    }
    assert_eq!(ports.called("m23_admit"), 0);
}

#[test]
fn an_operator_may_look_but_not_restore() {
    let ports = FakePorts::new();
    *ports.role.borrow_mut() = Some("operator");
    let run = |body: &str| {
        let mut request = post(body);
        *request.uri_mut() = "https://edge/".parse().unwrap();
        ports.run(&Pitr, request).code().to_owned()
    };
    let at = r#""targetTimestamp":"2026-01-31T10:31:00Z""#;
    assert_eq!(run(&format!("{{{at},\"dryRun\":true}}")), "UNAVAILABLE");
    assert_eq!(
        run(&format!("{{{at},\"confirmRestore\":true}}")),
        "INSUFFICIENT_PERMISSIONS"
    );
}

#[test]
fn an_upstream_that_does_not_answer_is_a_503_that_says_when_and_not_why() {
    for name in ["m23_authorize", "m23_admit"] {
        let ports = FakePorts::new();
        ports.break_function(
            name,
            DatabaseError::Unavailable("10.0.0.7 refused".to_owned()),
        );
        let reply = ports.run(&Stub::new(), post(FULL));
        assert_eq!((reply.status, reply.code()), (503, "UNAVAILABLE"));
        assert_eq!(reply.header("retry-after"), "5");
        assert_eq!(reply.window().0, "10");
        assert!(!reply.body.to_string().contains("10.0.0.7"));
        assert!(ports.log_text().contains("10.0.0.7"));
    }
    let ports = FakePorts::new();
    ports.keys_down.set(true);
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!((reply.status, reply.code()), (503, "UNAVAILABLE"));
    assert!(!reply.body.to_string().contains("10.0.0.7"));
}

#[test]
fn a_fault_of_ours_shows_no_sql() {
    let ports = FakePorts::new();
    let cause = "42P01 (404): relation \"m23.requests\" does not exist";
    ports.break_function("m23_admit", DatabaseError::Failed(cause.to_owned()));
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!((reply.status, reply.code()), (500, "INTERNAL"));
    assert!(!reply.body.to_string().contains("relation"));
    assert!(ports.log_text().contains("42P01"));
}

#[test]
fn a_token_that_the_database_does_not_take_is_a_401() {
    let ports = FakePorts::new();
    ports.break_function(
        "m23_authorize",
        DatabaseError::TokenRefused("expired".to_owned()),
    );
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!((reply.status, reply.code()), (401, "AUTH_REQUIRED"));
}

#[test]
fn every_failure_has_its_status_code_and_sentence() {
    let failures: Vec<fn() -> Failure> = vec![
        || refused_with(ErrorCode::BackupNotFound),
        || refused_with(ErrorCode::SnapshotNotFound),
        || refused_with(ErrorCode::RestoreInProgress),
        || refused_with(ErrorCode::PlanChanged),
        || Failure::BackupUnusable(vec!["chunk 3: altered".to_owned()]),
        || Failure::StillRunning,
        || Failure::Refused {
            code: ErrorCode::BackupNotFound,
            sentence: String::new(),
            details: Vec::new(),
        },
        || Failure::unavailable("the cause 4711"),
        || Failure::internal("the cause 4711"),
    ];
    let seen: Vec<(u16, String)> = failures
        .into_iter()
        .map(|failure| {
            let ports = FakePorts::new();
            let reply = ports.run(&Stub::that(move || Err(failure())), post(FULL));
            assert_eq!(reply.body["success"], false);
            assert!(reply.body["error"].as_str().unwrap().ends_with('.'));
            assert!(!reply.body.to_string().contains("4711"));
            let passes = reply.status == 503 || reply.code() == "RESTORE_IN_PROGRESS";
            assert_eq!(reply.header("retry-after").is_empty(), !passes);
            let left = if reply.status >= 500 { "10" } else { "9" };
            assert_eq!(reply.window().1, left, "counted, but for faults of ours");
            (reply.status, reply.code().to_owned())
        })
        .collect();
    let expected = [
        (404, "BACKUP_NOT_FOUND"),
        (404, "SNAPSHOT_NOT_FOUND"),
        (409, "RESTORE_IN_PROGRESS"),
        (409, "PLAN_CHANGED"),
        (409, "BACKUP_UNUSABLE"),
        (503, "UNAVAILABLE"),
        (404, "BACKUP_NOT_FOUND"),
        (503, "UNAVAILABLE"),
        (500, "INTERNAL"),
    ];
    let expected = expected.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn a_long_work_is_answered_202() {
    let ports = FakePorts::new();
    let stub = Stub::that(|| Answer::accepted(&json!({"success": true})));
    assert_eq!(ports.run(&stub, post(FULL)).status, 202);
}

fn decoded(status: u16, body: &Value) -> DatabaseError {
    decode_error(Caller::Service, status, body.to_string().as_bytes())
}

#[test]
fn a_refusal_in_the_contracts_words_is_passed_on() {
    let body = json!({"code": "BACKUP_NOT_FOUND", "message": "There is no such backup.",
        "details": "[\"a\",\"b\"]", "hint": null});
    assert_eq!(
        decoded(404, &body),
        DatabaseError::Refused {
            code: ErrorCode::BackupNotFound,
            sentence: "There is no such backup.".to_owned(),
            details: vec!["a".to_owned(), "b".to_owned()],
        }
    );
}

#[test]
fn the_databases_words_become_a_sentence() {
    let ports = FakePorts::new();
    let stub = Stub::that(|| {
        Err(Failure::Refused {
            code: ErrorCode::BackupNotFound,
            sentence: "no such backup in this tenant".to_owned(),
            details: vec!["backupJobId: unknown".to_owned()],
        })
    });
    let reply = ports.run(&stub, post(FULL));
    assert_eq!(
        reply.body,
        json!({"success": false, "error": "No such backup in this tenant.",
            "code": "BACKUP_NOT_FOUND", "details": ["backupJobId: unknown"]})
    );
}

#[test]
fn passing_trouble_and_lasting_trouble_are_told_apart() {
    for (status, code) in [
        (503, "PGRST000"),
        (503, "PGRST001"),
        (503, "PGRST002"),
        (504, "PGRST003"),
        (500, "57014"),
        (500, "57P01"),
        (405, "25006"),
        (503, "53100"),
        (503, "53200"),
        (503, "53300"),
        (503, "08006"),
        (500, "40P01"),
        (500, "55P03"),
        (400, ""),
    ] {
        let error = decoded(status, &json!({"code": code, "message": "m"}));
        assert!(matches!(error, DatabaseError::Unavailable(_)), "{code}");
    }
    for (status, code) in [
        (404, "PGRST202"),
        (404, "42P01"),
        (403, "42501"),
        (400, "P0001"),
    ] {
        let error = decoded(status, &json!({"code": code, "message": "m"}));
        assert!(matches!(error, DatabaseError::Failed(_)), "{code}");
    }
    let plain = |status| decode_error(Caller::Service, status, b"<html>nginx</html>");
    assert!(matches!(plain(502), DatabaseError::Unavailable(_)));
    assert!(matches!(plain(500), DatabaseError::Failed(_)));
}

#[test]
fn a_full_disk_is_told_to_the_operator_and_not_to_the_caller() {
    let full = json!({"code": "53100", "message": "could not extend file \"base/5/16384\""});
    let ports = FakePorts::new();
    ports.break_function("m23_admit", decoded(503, &full));
    let reply = ports.run(&Stub::new(), post(FULL));
    assert_eq!((reply.status, reply.code()), (503, "UNAVAILABLE"));
    assert_eq!(reply.header("retry-after"), "5");
    assert!(!reply.body.to_string().contains("disk"));
    assert!(
        ports
            .log_text()
            .contains("the database's disk is full: see")
    );
}

#[test]
fn a_refused_token_is_the_users_fault_only_when_it_was_the_users() {
    let body = json!({"code": "PGRST301", "message": "JWT expired"});
    let token = bearer_token(Some("Bearer a.b.c")).unwrap();
    let of = |caller| decode_error(caller, 401, body.to_string().as_bytes());
    assert!(matches!(
        of(Caller::User(&token)),
        DatabaseError::TokenRefused(_)
    ));
    assert!(matches!(of(Caller::Service), DatabaseError::Failed(_)));
}

#[test]
fn a_rows_values_are_not_kept_for_the_log() {
    let body = json!({"code": "23505", "message": "duplicate key value violates \"x\"",
        "details": "Key (email)=(ann@example.org) already exists."});
    assert!(!decoded(409, &body).to_string().contains("ann@"));
    let body = json!({"code": "22P02", "message": "invalid input syntax: \"ann@example.org\""});
    assert_eq!(
        decoded(400, &body).to_string(),
        "the database failed: 22P02 (400)"
    );
}
