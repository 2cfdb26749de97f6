//! The five functions from a terminal, on an address that fails on purpose. What they do on the real
//! stack is in tests/requests/service.test.ts.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{JoinHandle, spawn};

/// What the address does with one request.
enum Turn {
    /// Takes it, and hangs up.
    HangUp,
    Answer(u16, &'static str, Value),
}

/// An address that does this turn by turn; gives the requests that came.
fn address(turns: Vec<Turn>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = spawn(move || {
        turns
            .into_iter()
            .map(|turn| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read(&mut stream);
                if let Turn::Answer(status, headers, body) = turn {
                    let body = body.to_string();
                    write!(stream, "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
                }
                request
            })
            .collect()
    });
    (url, served)
}

/// A request's head, in lower case, and its body.
fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).unwrap();
        text += std::str::from_utf8(&piece[..count]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.to_lowercase().lines().find_map(|line| {
            let length = line.strip_prefix("content-length: ")?;
            length.parse::<usize>().ok()
        });
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return format!("{}\r\n\r\n{body}", head.to_lowercase());
        }
    }
}

struct Ran {
    code: i32,
    output: String,
    error: String,
}

fn m23(url: &str, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_m23"))
        .args(arguments)
        .env("M23_URL", url)
        .env("M23_SERVICE_KEY", "the-service-key")
        .env("M23_TENANT", "caf\u{e9} 7")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn key_of(request: &str) -> &str {
    request
        .lines()
        .find(|line| line.starts_with("idempotency-key: "))
        .unwrap()
}

const LOOK: [&str; 3] = ["restore", "--to", "2026-01-31T10:31:00Z"];

fn seen() -> Value {
    json!({"success": true, "planHash": "3f1c", "stats": {"totalOperations": 3, "insertCount": 1,
        "updateCount": 2, "deleteCount": 0, "affectedTables": ["orders"]}, "warnings": ["mind this"],
        "rowsLost": [{"actor": null, "source": "app: import as billing", "tables": ["orders"], "rows": 2}]})
}

#[test]
fn the_call_is_what_the_command_line_says() {
    let (url, served) = address(vec![Turn::Answer(200, "", seen())]);
    let more = [
        "--table",
        "orders",
        "--reason",
        "ticket 4711",
        "--operator",
        "Zo\u{eb}",
    ];
    let ran = m23(&url, &[&LOOK[..], &more].concat());
    assert_eq!(ran.code, 0, "{}", ran.error);
    let request = served.join().unwrap().remove(0);
    for part in [
        "post /functions/v1/pitr-restore ",
        "authorization: bearer the-service-key\r\n",
        "x-m23-tenant: caf%c3%a9%207\r\n",
        "x-m23-reason: ticket%204711\r\n",
        "x-m23-operator: zo%c3%ab\r\n",
        r#"{"dryRun":true,"tables":["orders"],"targetTimestamp":"2026-01-31T10:31:00Z"}"#,
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    assert_eq!(
        ran.output,
        "dry run of a restore: nothing was changed\n  3 rows: 1 inserted, 2 updated, 0 deleted, in orders\n  \
         lost: 2 rows, in orders, written by nobody signed in (app: import as billing)\n\
         warning: mind this\nto do just this: add --confirm --plan-hash 3f1c\n"
    );
}

#[test]
fn the_three_calls_that_restore_say_what_becomes_of_blocked_rows() {
    let id = "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11";
    for call in [&LOOK[..], &["backup", "restore", id], &["rollback", id]] {
        let (url, served) = address(vec![Turn::Answer(200, "", seen())]);
        let ran = m23(&url, &[call, &["--on-blocked", "null"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.error);
        let request = served.join().unwrap().remove(0);
        assert!(request.contains(r#""onBlocked":"null""#), "{request}");
    }
}

#[test]
fn what_is_chosen_goes_into_the_call() {
    let id = "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11";
    let chosen = r#"{"rows": {"orders": [{"id": 17}]}, "withRelated": "children"}"#;
    for call in [&LOOK[..], &["backup", "restore", id]] {
        let (url, served) = address(vec![Turn::Answer(200, "", seen())]);
        let choice = ["--select", chosen, "--mode", "missing_only"];
        let ran = m23(&url, &[call, &choice].concat());
        assert_eq!(ran.code, 0, "{}", ran.error);
        let request = served.join().unwrap().remove(0);
        for part in [
            r#""mode":"missing_only""#,
            r#""rows":{"orders":[{"id":17}]}"#,
            r#""withRelated":"children""#,
        ] {
            assert!(request.contains(part), "{part} in {request}");
        }
    }
}

#[test]
fn a_choice_that_is_none_is_a_fault_of_the_command_line() {
    for wrong in ["rows", "[]", r#"{"tables": ["orders"]}"#] {
        let ran = m23(
            "http://127.0.0.1:9",
            &[&LOOK[..], &["--select", wrong]].concat(),
        );
        assert_eq!(ran.code, 2, "{}", ran.error);
    }
}

#[test]
fn a_call_whose_answer_was_lost_is_repeated_under_its_key() {
    let later = json!({"success": false, "code": "UNAVAILABLE", "error": "Not yet."});
    let (url, served) = address(vec![
        Turn::HangUp,
        Turn::Answer(503, "retry-after: 0\r\n", later),
        Turn::Answer(200, "", seen()),
    ]);
    assert_eq!(m23(&url, &LOOK).code, 0);
    let requests = served.join().unwrap();
    assert_eq!(key_of(&requests[0]), key_of(&requests[1]));
    assert_eq!(key_of(&requests[1]), key_of(&requests[2]));
}

#[test]
fn refusals_have_exit_codes_of_their_own() {
    for (status, code, exit) in [
        (403, "TENANT_NOT_FOUND", 7),
        (400, "VALIDATION_FAILED", 7),
        (429, "RATE_LIMIT_EXCEEDED", 8),
    ] {
        let body = json!({"success": false, "code": code, "error": "No.", "details": ["a: b"]});
        let (url, served) = address(vec![Turn::Answer(status, "x-request-id: 42\r\n", body)]);
        let ran = m23(&url, &[&LOOK[..], &["--json"]].concat());
        served.join().unwrap();
        assert_eq!(ran.code, exit);
        assert_eq!(
            ran.error,
            format!("error: {code}: No.\n  a: b\n  request 42\n")
        );
        let told: Value = serde_json::from_str(&ran.output).unwrap();
        assert_eq!(
            (&told["code"], &told["requestId"]),
            (&json!(code), &json!("42"))
        );
    }
    let away = || Turn::Answer(503, "retry-after: 0\r\n", json!({"code": "UNAVAILABLE"}));
    let (url, served) = address(vec![away(), away(), away()]);
    assert_eq!(m23(&url, &LOOK).code, 3);
    served.join().unwrap();
}

#[test]
fn a_page_that_is_not_m23s_is_told_of() {
    let (url, served) = address(vec![Turn::Answer(404, "", json!("nothing here"))]);
    let ran = m23(&url, &LOOK);
    served.join().unwrap();
    assert_eq!(ran.code, 7);
    assert!(ran.error.contains("is --url its address?"), "{}", ran.error);
}

#[test]
fn what_would_fail_or_was_found_is_an_exit_code_too() {
    let mut refused = seen();
    refused["wouldFail"] =
        json!({"code": "CONFLICT", "error": "They do not fit.", "details": ["orders: x"]});
    let (url, served) = address(vec![Turn::Answer(200, "", refused)]);
    let ran = m23(&url, &LOOK);
    served.join().unwrap();
    assert_eq!(ran.code, 1);
    assert!(
        ran.output
            .contains("it would be refused: They do not fit.\n  orders: x\n")
    );
    let results = json!({"duration": 1, "issuesFound": 2, "validationsPassed": 5, "recommendations": ["Mend it."]});
    let found = json!({"success": true, "testId": "t", "status": "completed", "results": results});
    let (url, served) = address(vec![Turn::Answer(200, "", found)]);
    let ran = m23(&url, &["test"]);
    served.join().unwrap();
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.output,
        "recovery test t: completed\n  5 checks passed, 2 issues found\n  Mend it.\n"
    );
}

#[test]
fn work_that_goes_on_is_followed_over_a_network_that_fails() {
    let begun = json!({"success": true, "restoreLogId": "r1", "status": "in_progress"});
    let row = |status: &str| {
        json!([{"id": "r1", "status": status, "error_message": "it was cancelled",
        "snapshot_id": null, "stats": null, "warnings": []}])
    };
    let (url, served) = address(vec![
        Turn::Answer(202, "", begun),
        Turn::Answer(200, "", row("in_progress")),
        Turn::HangUp,
        Turn::Answer(503, "", json!({})),
        Turn::Answer(200, "", row("cancelled")),
    ]);
    let ran = m23(&url, &[&LOOK[..], &["--confirm", "--reason", "r"]].concat());
    let requests = served.join().unwrap();
    assert!(requests[1].starts_with("get /rest/v1/restore_logs?id=eq.r1&select=* "));
    assert!(requests[1].contains("apikey: the-service-key\r\n"));
    assert_eq!(ran.code, 1, "{}", ran.error);
    assert_eq!(ran.output, "restore r1: cancelled\n  it was cancelled\n");
}

#[test]
fn nobody_waits_who_does_not_want_to() {
    let begun = json!({"success": true, "restoreLogId": "r1", "status": "in_progress"});
    let (url, served) = address(vec![Turn::Answer(202, "", begun)]);
    let ran = m23(&url, &[&LOOK[..], &["--confirm", "--no-wait"]].concat());
    served.join().unwrap();
    assert_eq!((ran.code, &*ran.output), (0, "restore r1 goes on\n"));
}
