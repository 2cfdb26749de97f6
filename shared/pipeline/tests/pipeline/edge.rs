//! CORS, methods, paths, sizes, and what every response carries.

use crate::fake_ports::{
    FakePorts, NOW, Pieces, Stub, USER, block_on, post, refused_with, request, settings, token,
};
use http::Request;
use m23_contract::{ErrorCode, FunctionName};
use m23_pipeline::{LARGEST_BODY, Settings, refuse_unconfigured};
use m23_ports::DatabaseError;
use serde_json::json;

const FULL: &str = r#"{"jobType":"full"}"#;

#[test]
fn a_good_request_is_handled_and_counted() {
    let ports = FakePorts::new();
    let stub = Stub::new();
    let reply = ports.run(&stub, post(FULL));
    assert_eq!(
        (reply.status, reply.body.clone()),
        (200, json!({"success": true}))
    );
    assert_eq!(reply.window(), ("10", "9", &*(NOW + 1800).to_string()));
    assert_eq!(reply.header("ratelimit-policy"), "\"default\";q=10;w=3600");
    assert_eq!(reply.header("ratelimit"), "\"default\";r=9;t=1800");
    assert_eq!(reply.header("content-type"), "application/json");
    let answered = stub.answered.borrow();
    let (caller, _) = &answered[0];
    assert_eq!(caller.user_id().unwrap().to_string(), USER);
    assert_eq!(
        caller.request_id().to_string(),
        reply.header("x-request-id")
    );
    assert!(!format!("{caller:?}").contains(&token(&[], "good")[10..40]));
    assert_eq!(
        ports.called("m23_finish_request"),
        0,
        "no key, nothing kept"
    );
}

#[test]
fn a_preflight_needs_no_token_and_names_every_header() {
    let ports = FakePorts::new();
    let reply = ports.run(&Stub::new(), request("OPTIONS", None, ""));
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(
        reply.header("access-control-allow-methods"),
        "POST, OPTIONS"
    );
    for name in [
        "authorization",
        "x-client-info",
        "apikey",
        "content-type",
        "x-retry-count",
        "x-region",
        "idempotency-key",
    ] {
        assert!(
            reply.header("access-control-allow-headers").contains(name),
            "{name}"
        );
    }
    assert!(ports.calls.borrow().is_empty());
}

#[test]
fn every_response_has_cors_and_a_request_id() {
    let ports = FakePorts::new();
    ports.break_function("m23_admit", DatabaseError::Failed("x".to_owned()));
    let replies = [
        ports.run(&Stub::new(), request("OPTIONS", None, "")),
        ports.run(&Stub::new(), request("GET", None, "")),
        ports.run(&Stub::new(), request("POST", None, "")),
        ports.run(&Stub::new(), post("{}")),
        ports.run(&Stub::new(), post(FULL)),
        ports.run(&Stub::new(), post(&"x".repeat(LARGEST_BODY + 1))),
    ];
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [204, 405, 401, 400, 500, 413]);
    for reply in &replies {
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        for name in [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "ratelimit-policy",
            "ratelimit",
            "retry-after",
            "x-request-id",
        ] {
            assert!(
                reply.header("access-control-expose-headers").contains(name),
                "{name}"
            );
        }
        assert_eq!(reply.header("x-request-id").len(), 36);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[test]
fn a_request_id_of_the_callers_own_is_not_trusted() {
    let ports = FakePorts::new();
    let mut request = post(FULL);
    request
        .headers_mut()
        .insert("x-request-id", http::HeaderValue::from_static("mine"));
    let reply = ports.run(&Stub::new(), request);
    assert_ne!(reply.header("x-request-id"), "mine");
    assert!(!ports.log_text().contains("mine"));
}

#[test]
fn only_post_is_answered() {
    let ports = FakePorts::new();
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let reply = ports.run(&Stub::new(), request(method, Some(&token(&[], "good")), ""));
        assert_eq!((reply.status, reply.code()), (405, "METHOD_NOT_ALLOWED"));
        assert_eq!(reply.header("allow"), "POST, OPTIONS");
    }
}

#[test]
fn another_path_is_no_function() {
    let ports = FakePorts::new();
    for (path, status) in [
        ("/functions/v1/backup-create", 200),
        ("/functions/v1/backup-create/", 200),
        ("/", 200),
        ("/functions/v1/backup-restore", 404),
        ("/functions/v1/backup-create/more", 404),
    ] {
        let mut request = post(FULL);
        *request.uri_mut() = format!("https://edge{path}").parse().unwrap();
        assert_eq!(ports.run(&Stub::new(), request).status, status, "{path}");
    }
}

#[test]
fn a_large_body_is_refused_whatever_its_length_says() {
    let ports = FakePorts::new();
    let large = " ".repeat(LARGEST_BODY + 1);
    let mut told = post("");
    told.headers_mut()
        .insert("content-length", http::HeaderValue::from(LARGEST_BODY + 1));
    let mut lied = post(&large);
    lied.headers_mut()
        .insert("content-length", http::HeaderValue::from(2));
    let mut pieces = post("");
    *pieces.body_mut() = Pieces((0..70).map(|_| Some(vec![b' '; 1000])).collect());
    for request in [told, lied, pieces, post(&large)] {
        let reply = ports.run(&Stub::new(), request);
        assert_eq!((reply.status, reply.code()), (413, "PAYLOAD_TOO_LARGE"));
    }
    assert_eq!(ports.called("m23_admit"), 0);
    let just_fits = format!("{FULL}{}", " ".repeat(LARGEST_BODY - FULL.len()));
    assert_eq!(ports.run(&Stub::new(), post(&just_fits)).status, 200);
}

#[test]
fn a_body_is_read_to_its_end_even_where_nobody_wants_it() {
    let ports = FakePorts::new();
    let body = || Pieces(vec![Some(b"{".to_vec()), Some(b"}".to_vec())]);
    let sent = |method, uri| Request::builder().method(method).uri(uri);
    for (method, uri, status) in [
        ("POST", "https://edge/functions/v1/nothing", 404),
        ("GET", "https://edge/functions/v1/backup-create", 405),
    ] {
        let mut unwanted = body();
        let reply = ports.run(&Stub::new(), sent(method, uri).body(&mut unwanted).unwrap());
        assert_eq!((reply.status, unwanted.0.len()), (status, 0));
    }
    let mut unwanted = body();
    let request = sent("POST", "https://edge/functions/v1/backup-create").body(&mut unwanted);
    let fault = Settings::read(|_| None).unwrap_err();
    let name = FunctionName::BackupCreate;
    block_on(refuse_unconfigured(&ports, name, request.unwrap(), fault));
    assert_eq!(unwanted.0.len(), 0);
}

#[test]
fn an_authenticated_caller_is_told_the_window_whatever_the_refusal() {
    let ports = FakePorts::new();
    ports.run(&Stub::new(), post(FULL));
    let mut elsewhere = post(FULL);
    *elsewhere.uri_mut() = "https://edge/functions/v1/nothing".parse().unwrap();
    let mut broken = post("");
    *broken.body_mut() = Pieces(vec![None]);
    let large = "x".repeat(LARGEST_BODY + 1);
    let token = token(&[], "good");
    for request in [
        elsewhere,
        broken,
        post(&large),
        request("GET", Some(&token), ""),
    ] {
        let reply = ports.run(&Stub::new(), request);
        assert_eq!(reply.window().1, "9", "{}", reply.code());
    }
    let forged = request("POST", Some(&token.replace("Bearer e", "Bearer f")), &large);
    let reply = ports.run(&Stub::new(), forged);
    assert_eq!((reply.status, reply.window().1), (413, ""));
}

#[test]
fn a_refusal_that_is_certain_needs_no_database() {
    let ports = FakePorts::new();
    ports.break_function("m23_authorize", DatabaseError::Unavailable("x".to_owned()));
    let reply = ports.run(&Stub::new(), post(&"x".repeat(LARGEST_BODY + 1)));
    assert_eq!((reply.status, reply.window().1), (413, "10"));
}

#[test]
fn a_body_that_breaks_off_is_invalid() {
    let ports = FakePorts::new();
    let mut broken = post("");
    *broken.body_mut() = Pieces(vec![Some(b"{".to_vec()), None]);
    let reply = ports.run(&Stub::new(), broken);
    assert_eq!((reply.status, reply.code()), (400, "VALIDATION_FAILED"));
}

#[test]
fn one_line_is_logged_for_a_request_with_its_fields() {
    let ports = FakePorts::new();
    let reply = ports.run(
        &Stub::that(|| Err(refused_with(ErrorCode::BackupNotFound))),
        post(FULL),
    );
    let logged = ports.logged.borrow();
    assert_eq!(logged.len(), 1);
    let line = serde_json::to_value(&logged[0]).unwrap();
    assert_eq!(line["request_id"], reply.header("x-request-id"));
    assert_eq!(line["function"], "backup-create");
    assert_eq!(line["user_id"], USER);
    assert_eq!(line["code"], "BACKUP_NOT_FOUND");
    assert_eq!(line["status"], 404);
    assert!(line["tenant_id"].is_string() && line["ms"].is_number());
}

#[test]
fn settings_that_cannot_be_used_answer_internal_and_log_why() {
    let ports = FakePorts::new();
    let fault = Settings::read(|name| (name == "SUPABASE_URL").then(|| "https://x".to_owned()));
    let fault = fault.unwrap_err();
    let name = FunctionName::BackupCreate;
    let reply = block_on(refuse_unconfigured(&ports, name, post(FULL), fault.clone()));
    assert_eq!(reply.status().as_u16(), 500);
    assert!(!String::from_utf8_lossy(reply.body()).contains("SUPABASE"));
    assert!(ports.log_text().contains("SUPABASE_ANON_KEY is not set"));
    let options = request("OPTIONS", None, "");
    let preflight = block_on(refuse_unconfigured(&ports, name, options, fault));
    assert_eq!(preflight.status().as_u16(), 204);
}

#[test]
fn settings_have_the_documented_defaults() {
    let defaults = settings(&[]);
    assert_eq!(defaults.supabase_url, "https://issuer");
    assert_eq!(defaults.expectations.issuer, "https://issuer/auth/v1");
    assert_eq!(defaults.expectations.audience, "authenticated");
    assert!(defaults.shared_secret.is_none());
    assert!(!format!("{defaults:?}").contains("service-key"));
    let set = settings(&[
        ("JWT_ISSUER", "https://other"),
        ("SUPABASE_JWT_SECRET", "s"),
    ]);
    assert_eq!(set.expectations.issuer, "https://other");
    assert!(set.shared_secret.is_some());
}
