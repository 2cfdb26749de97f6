//! What the audit is told of a call.

use crate::fake_ports::{
    FakePorts, Stub, TENANT, USER, post, post_with_key, refused_with, request, token,
};
use http::Request;
use m23_contract::ErrorCode;
use m23_pipeline::{Answer, Failure};
use m23_ports::DatabaseError;
use serde_json::{Value, json};

const FULL: &str = r#"{"jobType":"full"}"#;

/// The entries that were written after answers.
fn entries(ports: &FakePorts) -> Vec<Value> {
    let calls = ports.calls.borrow();
    calls
        .iter()
        .filter(|(name, ..)| name == "m23_audit")
        .map(|(_, as_user, arguments)| {
            assert!(!as_user, "no user writes the audit");
            arguments["p_entry"].clone()
        })
        .collect()
}

fn outcome(ports: &FakePorts) -> Vec<Value> {
    entries(ports)
        .iter()
        .map(|entry| json!([entry["event"], entry["status"], entry["code"]]))
        .collect()
}

fn from_somewhere(
    mut request: Request<crate::fake_ports::Pieces>,
) -> Request<crate::fake_ports::Pieces> {
    for (name, value) in [
        ("cf-connecting-ip", "192.0.2.7"),
        ("user-agent", "a browser"),
    ] {
        let value = http::HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
    }
    request
}

#[test]
fn a_call_is_noted_as_it_is_admitted_and_again_when_it_has_ended() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), from_somewhere(post(FULL)));
    let calls = ports.calls.borrow();
    let (_, _, admitted) = calls.iter().find(|(name, ..)| name == "m23_admit").unwrap();
    let origin = json!({"from_address": "192.0.2.7", "user_agent": "a browser"});
    assert_eq!(admitted["p_request"]["from"], origin);
    drop(calls);
    let written = entries(&ports);
    assert_eq!(
        written,
        [
            json!({"tenant_id": TENANT, "actor": USER, "action": "backup-create",
            "request_id": written[0]["request_id"], "event": "ended", "status": 200, "code": null,
            "from_address": "192.0.2.7", "user_agent": "a browser"})
        ]
    );
}

#[test]
fn a_call_that_failed_has_its_code() {
    let ends_as = |failure: fn() -> Failure, status: u16, code: ErrorCode| {
        let ports = FakePorts::new();
        ports.run(&Stub::that(move || Err(failure())), post(FULL));
        assert_eq!(outcome(&ports), [json!(["ended", status, code])]);
    };
    ends_as(
        || refused_with(ErrorCode::BackupNotFound),
        404,
        ErrorCode::BackupNotFound,
    );
    ends_as(
        || refused_with(ErrorCode::RestoreInProgress),
        409,
        ErrorCode::RestoreInProgress,
    );
    ends_as(|| Failure::internal("x"), 500, ErrorCode::Internal);
}

#[test]
fn a_call_that_was_not_admitted_is_refused_in_the_audit() {
    let refused = |ports: &FakePorts, body: &str, outcomes: Value| {
        ports.run(&Stub::new(), post(body));
        assert_eq!(json!(outcome(ports).last()), outcomes);
    };
    let ports = FakePorts::new();
    refused(&ports, "{}", json!(["refused", 400, "VALIDATION_FAILED"]));
    ports.role.replace(Some("viewer"));
    refused(
        &ports,
        FULL,
        json!(["refused", 403, "INSUFFICIENT_PERMISSIONS"]),
    );
    ports.role.replace(Some("owner"));
    for _ in 0..10 {
        ports.run(&Stub::new(), post(FULL));
    }
    refused(&ports, FULL, json!(["refused", 429, "RATE_LIMIT_EXCEEDED"]));
    ports.store_down.set(true); // the database refuses, not the edge
    refused(&ports, FULL, json!(["refused", 429, "RATE_LIMIT_EXCEEDED"]));
    ports.run(
        &Stub::new(),
        request("GET", Some(&token(&[], "good")), FULL),
    );
    assert_eq!(
        json!(outcome(&ports).last()),
        json!(["refused", 405, "METHOD_NOT_ALLOWED"])
    );
}

#[test]
fn an_answer_that_is_given_again_says_so() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), post_with_key(FULL, "k"));
    ports.run(&Stub::new(), post_with_key(FULL, "k"));
    assert_eq!(
        outcome(&ports),
        [json!(["ended", 200, null]), json!(["replayed", 200, null])]
    );
}

#[test]
fn nobody_is_in_nobodys_audit() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), request("POST", None, FULL));
    ports.run(&Stub::new(), request("POST", Some("Bearer x"), FULL));
    ports.run(&Stub::new(), request("OPTIONS", None, ""));
    ports.tenant.replace(None);
    ports.run(&Stub::new(), post(FULL));
    assert_eq!(entries(&ports), Vec::<Value>::new());
}

#[test]
fn an_outcome_that_cannot_be_written_changes_no_answer_and_is_logged() {
    let ports = FakePorts::new();
    ports.break_function("m23_audit", DatabaseError::Unavailable("away".to_owned()));
    let reply = ports.run(&Stub::that(|| Answer::done(&json!({"n": 1}))), post(FULL));
    assert_eq!((reply.status, reply.body), (200, json!({"n": 1})));
    assert!(ports.log_text().contains("outcome not audited"));
}

#[test]
fn an_outcome_is_written_again_while_the_database_is_away() {
    let ports = FakePorts::new();
    let away = DatabaseError::Unavailable("away".to_owned());
    let broken = DatabaseError::Failed("broken".to_owned());
    for (error, again) in [(Some(away), true), (Some(broken), false), (None, false)] {
        ports.mend();
        if let Some(error) = error {
            ports.break_function("m23_audit", error);
        }
        ports.run(&Stub::new(), post(FULL));
        assert_eq!(ports.again.get(), again);
    }
}
