//! `Idempotency-Key`: one piece of work, however often it is asked for.

use crate::fake_ports::{FakePorts, Stub, post_with_key};
use m23_pipeline::{Answer, Failure};
use m23_ports::DatabaseError;
use serde_json::json;

const FULL: &str = r#"{"jobType":"full"}"#;

#[test]
fn a_repeated_request_gets_the_first_answer_and_is_not_counted() {
    let ports = FakePorts::new();
    let stub = Stub::that(|| Answer::accepted(&json!({"success": true, "n": 1})));
    let first = ports.run(&stub, post_with_key(FULL, "k 1"));
    stub.now(|| Answer::done(&json!({"success": true, "n": 2})));
    let second = ports.run(&stub, post_with_key(FULL, "k 1"));
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.window().1, "9");
    assert_eq!(stub.answered.borrow().len(), 1);
    assert!(
        second
            .header("access-control-expose-headers")
            .contains("idempotent-replayed")
    );
}

#[test]
fn a_refusal_is_kept_too() {
    let ports = FakePorts::new();
    let stub = Stub::that(|| Err(Failure::BackupUnusable(vec!["chunk 2: missing".to_owned()])));
    let first = ports.run(&stub, post_with_key(FULL, "k"));
    let second = ports.run(&stub, post_with_key(FULL, "k"));
    assert_eq!((second.status, &second.body), (409, &first.body));
    assert_eq!(stub.answered.borrow().len(), 1);
}

#[test]
fn a_passing_failure_frees_the_key() {
    for failure in [|| Failure::unavailable("x"), || Failure::internal("x")] {
        let ports = FakePorts::new();
        let stub = Stub::that(move || Err(failure()));
        assert!(ports.run(&stub, post_with_key(FULL, "k")).status >= 500);
        stub.now(|| Answer::done(&json!({"success": true})));
        let second = ports.run(&stub, post_with_key(FULL, "k"));
        assert_eq!(
            (second.status, second.header("idempotent-replayed")),
            (200, "")
        );
        assert_eq!(ports.called("m23_abandon_request"), 1);
    }
}

#[test]
fn the_same_key_with_another_body_is_refused() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), post_with_key(FULL, "k"));
    let reply = ports.run(
        &Stub::new(),
        post_with_key(r#"{"jobType":"snapshot"}"#, "k"),
    );
    assert_eq!((reply.status, reply.code()), (400, "VALIDATION_FAILED"));
    assert_eq!(
        reply.body["details"],
        json!(["Idempotency-Key: was used with another body"])
    );
}

#[test]
fn a_second_request_waits_for_the_first() {
    let ports = FakePorts::new();
    ports.break_function(
        "m23_finish_request",
        DatabaseError::Unavailable("x".to_owned()),
    );
    let first = ports.run(&Stub::new(), post_with_key(FULL, "k"));
    assert_eq!(first.status, 200, "the caller gets the answer all the same");
    assert!(ports.log_text().contains("answer not kept"));
    ports.mend();
    let second = ports.run(&Stub::new(), post_with_key(FULL, "k"));
    assert_eq!((second.status, second.code()), (503, "UNAVAILABLE"));
    assert_eq!(second.header("retry-after"), "5");
}

#[test]
fn a_key_is_short_and_printable() {
    let ports = FakePorts::new();
    for key in ["", "é", &"k".repeat(256), "a\tb"] {
        let reply = ports.run(&Stub::new(), post_with_key(FULL, key));
        assert_eq!(
            (reply.status, reply.code()),
            (400, "VALIDATION_FAILED"),
            "{key}"
        );
        assert!(
            reply.body["error"]
                .as_str()
                .unwrap()
                .contains("Idempotency-Key")
        );
    }
    assert_eq!(ports.called("m23_admit"), 0);
    let longest = "k".repeat(255);
    assert_eq!(
        ports
            .run(&Stub::new(), post_with_key(FULL, &longest))
            .status,
        200
    );
}
