//! What the audit is told of a call.

use crate::world::{Stub, TENANT, USER, World, post, post_with_key, request, token};
use http::Request;
use m23_contract::ErrorCode;
use m23_pipeline::{Answer, Failure};
use m23_ports::DatabaseError;
use serde_json::{Value, json};

const FULL: &str = r#"{"jobType":"full"}"#;

/// The entries that were written after answers.
fn entries(world: &World) -> Vec<Value> {
    let calls = world.calls.borrow();
    calls
        .iter()
        .filter(|(name, ..)| name == "m23_audit")
        .map(|(_, as_user, arguments)| {
            assert!(!as_user, "no user writes the audit");
            arguments["p_entry"].clone()
        })
        .collect()
}

fn outcome(world: &World) -> Vec<Value> {
    entries(world)
        .iter()
        .map(|entry| json!([entry["event"], entry["status"], entry["code"]]))
        .collect()
}

fn from_somewhere(mut request: Request<crate::world::Pieces>) -> Request<crate::world::Pieces> {
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
    let world = World::new();
    world.run(&Stub::new(), from_somewhere(post(FULL)));
    let calls = world.calls.borrow();
    let (_, _, admitted) = calls.iter().find(|(name, ..)| name == "m23_admit").unwrap();
    let origin = json!({"from_address": "192.0.2.7", "user_agent": "a browser"});
    assert_eq!(admitted["p_request"]["from"], origin);
    drop(calls);
    let written = entries(&world);
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
        let world = World::new();
        world.run(&Stub::that(move || Err(failure())), post(FULL));
        assert_eq!(outcome(&world), [json!(["ended", status, code])]);
    };
    ends_as(|| Failure::BackupNotFound, 404, ErrorCode::BackupNotFound);
    ends_as(
        || Failure::RestoreInProgress,
        409,
        ErrorCode::RestoreInProgress,
    );
    ends_as(|| Failure::internal("x"), 500, ErrorCode::Internal);
}

#[test]
fn a_call_that_was_not_admitted_is_refused_in_the_audit() {
    let refused = |world: &World, body: &str, outcomes: Value| {
        world.run(&Stub::new(), post(body));
        assert_eq!(json!(outcome(world).last()), outcomes);
    };
    let world = World::new();
    refused(&world, "{}", json!(["refused", 400, "VALIDATION_FAILED"]));
    world.role.replace(Some("viewer"));
    refused(
        &world,
        FULL,
        json!(["refused", 403, "INSUFFICIENT_PERMISSIONS"]),
    );
    world.role.replace(Some("owner"));
    for _ in 0..10 {
        world.run(&Stub::new(), post(FULL));
    }
    refused(&world, FULL, json!(["refused", 429, "RATE_LIMIT_EXCEEDED"]));
    world.store_down.set(true); // the database refuses, not the edge
    refused(&world, FULL, json!(["refused", 429, "RATE_LIMIT_EXCEEDED"]));
    world.run(
        &Stub::new(),
        request("GET", Some(&token(&[], "good")), FULL),
    );
    assert_eq!(
        json!(outcome(&world).last()),
        json!(["refused", 405, "METHOD_NOT_ALLOWED"])
    );
}

#[test]
fn an_answer_that_is_given_again_says_so() {
    let world = World::new();
    world.run(&Stub::new(), post_with_key(FULL, "k"));
    world.run(&Stub::new(), post_with_key(FULL, "k"));
    assert_eq!(
        outcome(&world),
        [json!(["ended", 200, null]), json!(["replayed", 200, null])]
    );
}

#[test]
fn nobody_is_in_nobodys_audit() {
    let world = World::new();
    world.run(&Stub::new(), request("POST", None, FULL));
    world.run(&Stub::new(), request("POST", Some("Bearer x"), FULL));
    world.run(&Stub::new(), request("OPTIONS", None, ""));
    world.tenant.set(None);
    world.run(&Stub::new(), post(FULL));
    assert_eq!(entries(&world), Vec::<Value>::new());
}

#[test]
fn an_outcome_that_cannot_be_written_changes_no_answer_and_is_logged() {
    let world = World::new();
    world.break_function("m23_audit", DatabaseError::Unavailable("away".to_owned()));
    let reply = world.run(&Stub::that(|| Answer::done(&json!({"n": 1}))), post(FULL));
    assert_eq!((reply.status, reply.body), (200, json!({"n": 1})));
    assert!(world.log_text().contains("outcome not audited"));
}

#[test]
fn an_outcome_is_written_again_while_the_database_is_away() {
    let world = World::new();
    let away = DatabaseError::Unavailable("away".to_owned());
    let broken = DatabaseError::Failed("broken".to_owned());
    for (error, again) in [(Some(away), true), (Some(broken), false), (None, false)] {
        world.mend();
        if let Some(error) = error {
            world.break_function("m23_audit", error);
        }
        world.run(&Stub::new(), post(FULL));
        assert_eq!(world.again.get(), again);
    }
}
