//! Calls with the service key, for a tenant that they name.

use crate::fake_ports::{FakePorts, Pieces, Pitr, Stub, TENANT, post, request, token};
use http::{HeaderValue, Request};
use m23_contract::{FunctionName, RecoveryTestRequest, Role};
use m23_pipeline::{Admitted, Answer, Caller, Failure, Function};
use serde_json::{Value, json};

const FULL: &str = r#"{"jobType":"full"}"#;
const WHY: &str = "the%20customer%E2%80%99s%20import";

fn with(mut request: Request<Pieces>, headers: &[(&'static str, &str)]) -> Request<Pieces> {
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(*name, value);
    }
    request
}

fn service(headers: &[(&'static str, &str)], body: &str) -> Request<Pieces> {
    with(request("POST", Some("Bearer service-key"), body), headers)
}

fn tenant() -> String {
    TENANT.to_string()
}

fn for_the_tenant(body: &str) -> Request<Pieces> {
    service(&[("x-m23-tenant", &tenant()), ("x-m23-reason", WHY)], body)
}

#[test]
fn the_service_key_may_call_for_the_tenant_that_it_names_with_an_owners_rights() {
    let ports = FakePorts::new();
    let stub = Stub::new();
    assert_eq!(ports.run(&stub, for_the_tenant(FULL)).status, 200);
    let answered = stub.answered.borrow();
    let caller = &answered[0].0;
    assert_eq!(caller.tenant_id().as_str(), tenant());
    assert_eq!((caller.user_id(), caller.role()), (None, Role::Owner));
    assert!(matches!(caller.caller(), Caller::Service));
    let calls = ports.calls.borrow();
    assert!(calls.iter().all(|(_, as_user, _)| !as_user));
}

#[test]
fn only_the_very_key_counts() {
    for other in [
        "Bearer service-ke",
        "Bearer service-key2",
        "Bearer SERVICE-KEY",
        &token(&[("role", json!("service_role"))], "good"),
    ] {
        let ports = FakePorts::new();
        let call = with(
            request("POST", Some(other), FULL),
            &[("x-m23-tenant", &tenant()), ("x-m23-reason", WHY)],
        );
        let reply = ports.run(&Stub::new(), call);
        assert_eq!((reply.status, reply.code()), (401, "AUTH_REQUIRED"));
        assert!(ports.calls.borrow().is_empty());
    }
}

#[test]
fn the_service_key_is_never_taken_from_a_browser_or_without_a_tenant() {
    let origin = ("origin", "https://app.example");
    let named = ("x-m23-tenant", &*tenant());
    let reason = ("x-m23-reason", WHY);
    for headers in [
        &[named, reason, origin][..],
        &[reason],
        &[("x-m23-tenant", ""), reason],
        &[("x-m23-tenant", "%20"), reason],
    ] {
        let ports = FakePorts::new();
        let reply = ports.run(&Stub::new(), service(headers, FULL));
        assert_eq!((reply.status, reply.code()), (401, "AUTH_REQUIRED"));
        assert_eq!(reply.window(), ("", "", ""));
        assert!(ports.calls.borrow().is_empty());
    }
}

#[test]
fn a_tenant_that_nothing_knows_is_not_found() {
    let unknown = uuid::Uuid::from_u128(7).to_string();
    let undashed = tenant().replace('-', "");
    let long = "7".repeat(513);
    for named in [
        &*unknown,
        &undashed,
        "acme",
        "%zz",
        "%ff",
        "caf\u{e9}",
        &long,
    ] {
        let ports = FakePorts::new();
        let call = service(&[("x-m23-tenant", named), ("x-m23-reason", WHY)], FULL);
        let reply = ports.run(&Stub::new(), call);
        assert_eq!(
            (reply.status, reply.code()),
            (403, "TENANT_NOT_FOUND"),
            "{named}"
        );
        assert_eq!(ports.called("m23_admit") + ports.called("m23_audit"), 0);
    }
    let ports = FakePorts::new();
    let twice = [("x-m23-tenant", &*tenant()), ("x-m23-tenant", &*unknown)];
    assert_eq!(ports.run(&Stub::new(), service(&twice, FULL)).status, 403);
}

/// What the database is asked for is the key as it was sent, and a uuid as PostgreSQL prints it.
#[test]
fn a_tenant_is_named_by_any_text_in_percent_encoding() {
    for (sent, key) in [
        ("cm4x%2F%C3%A4%22%27", "cm4x/\u{e4}\"'"),
        ("42", "42"),
        ("%20acme%20", " acme "),
        (&tenant().to_uppercase(), &tenant()),
    ] {
        let ports = FakePorts::new();
        let call = service(&[("x-m23-tenant", sent), ("x-m23-reason", WHY)], FULL);
        ports.run(&Stub::new(), call);
        let calls = ports.calls.borrow();
        assert_eq!(calls[0].2["p_tenant_id"], json!(key), "{sent}");
    }
}

#[test]
fn a_user_who_names_a_tenant_is_refused() {
    for named in [&*tenant(), "", "%zz"] {
        let ports = FakePorts::new();
        let reply = ports.run(&Stub::new(), with(post(FULL), &[("x-m23-tenant", named)]));
        assert_eq!(
            (reply.status, reply.code()),
            (403, "INSUFFICIENT_PERMISSIONS")
        );
        assert_eq!(ports.called("m23_admit"), 0);
        assert_eq!(
            ports.called("m23_audit"),
            1,
            "it is in their tenant's audit"
        );
    }
}

fn faults(headers: &[(&'static str, &str)], body: &str) -> Value {
    let tenant = tenant();
    let named = [&[("x-m23-tenant", &*tenant)], headers].concat();
    let reply = FakePorts::new().run(&Stub::new(), service(&named, body));
    assert_eq!((reply.status, reply.code()), (400, "VALIDATION_FAILED"));
    reply.body["details"].clone()
}

#[test]
fn whoever_changes_something_must_say_why() {
    let missing = "x-m23-reason: is required with the service key";
    assert_eq!(faults(&[], FULL), json!([missing]));
    assert_eq!(faults(&[("x-m23-reason", "%20")], FULL), json!([missing]));
    let both = json!([
        "jobType: must be one of full, incremental, snapshot",
        missing
    ]);
    assert_eq!(faults(&[], r#"{"jobType":"x"}"#), both);
}

#[test]
fn a_dry_run_and_a_recovery_test_need_no_reason() {
    struct Test;
    impl Function for Test {
        type Request = RecoveryTestRequest;
        const NAME: FunctionName = FunctionName::RecoveryTest;
        async fn handle(&self, _: &Admitted, _: Self::Request) -> Result<Answer, Failure> {
            Answer::done(&json!({"success": true}))
        }
    }
    let at_root = |body: &str| {
        let mut call = service(&[("x-m23-tenant", &tenant())], body);
        *call.uri_mut() = "https://edge/".parse().unwrap();
        call
    };
    let test = r#"{"test_name":"x","test_type":"manual","validation_level":"basic"}"#;
    assert_eq!(FakePorts::new().run(&Test, at_root(test)).status, 200);
    let at = r#""targetTimestamp":"2026-01-31T10:31:00Z""#;
    let dry = FakePorts::new().run(&Pitr, at_root(&format!("{{{at},\"dryRun\":true}}")));
    assert_eq!(dry.code(), "UNAVAILABLE", "it came to the handler");
    let real = format!("{{{at},\"confirmRestore\":true}}");
    assert_eq!(FakePorts::new().run(&Pitr, at_root(&real)).status, 400);
}

#[test]
fn reason_and_operator_are_short_percent_encoded_text() {
    let reason = |value: &str| faults(&[("x-m23-reason", value)], FULL)[0].clone();
    for bad in ["%", "%4", "%zz", "50% off", "%ff", "caf\u{e9}"] {
        assert_eq!(reason(bad), "x-m23-reason: must be percent-encoded UTF-8");
    }
    let long = "%C3%A9".repeat(501);
    assert_eq!(
        reason(&long),
        "x-m23-reason: must have at most 500 characters"
    );
    for control in ["a%00", "a%0Ab", "a%7F"] {
        assert_eq!(
            reason(control),
            "x-m23-reason: must not contain control characters"
        );
    }
    let twice = [("x-m23-reason", "a"), ("x-m23-reason", "b")];
    assert_eq!(
        faults(&twice, FULL),
        json!(["x-m23-reason: is given twice"])
    );
    let long = "a".repeat(201);
    assert_eq!(
        faults(&[("x-m23-reason", "a"), ("x-m23-operator", &long)], FULL),
        json!(["x-m23-operator: must have at most 200 characters"])
    );
    let longest = "%C3%A9".repeat(500);
    let call = service(
        &[("x-m23-tenant", &tenant()), ("x-m23-reason", &longest)],
        FULL,
    );
    assert_eq!(FakePorts::new().run(&Stub::new(), call).status, 200);
}

#[test]
fn the_services_calls_use_up_no_quota_and_none_is_refused_for_it() {
    let ports = FakePorts::new();
    for _ in 0..12 {
        let reply = ports.run(&Stub::new(), for_the_tenant(FULL));
        assert_eq!((reply.status, reply.window().1), (200, "10"));
    }
    assert!(ports.store.borrow().is_empty(), "nor the edge's");
    for _ in 0..10 {
        assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 200);
    }
    assert_eq!(ports.run(&Stub::new(), post(FULL)).status, 429);
    let reply = ports.run(&Stub::new(), for_the_tenant(FULL));
    assert_eq!((reply.status, reply.window().1), (200, "0"));
}

#[test]
fn the_audit_has_the_reason_and_the_person() {
    let ports = FakePorts::new();
    let named = ("x-m23-tenant", &*tenant());
    let who = ("x-m23-operator", "Ada%20L.");
    ports.run(
        &Stub::new(),
        service(&[named, ("x-m23-reason", WHY), who], FULL),
    );
    ports.run(&Stub::new(), service(&[named, who], FULL));
    let purpose = json!({"caller": "service", "reason": "the customer\u{2019}s import", "operator": "Ada L."});
    let calls = ports.calls.borrow();
    let admitted = calls.iter().find(|(name, ..)| name == "m23_admit").unwrap();
    assert_eq!(admitted.2["p_request"]["from"]["detail"], purpose);
    assert_eq!(admitted.2["p_request"]["user_id"], Value::Null);
    let entries: Vec<Value> = calls
        .iter()
        .filter(|(name, ..)| name == "m23_audit")
        .map(|(.., arguments)| {
            let entry = &arguments["p_entry"];
            json!([entry["event"], entry["actor"], entry["detail"]])
        })
        .collect();
    let refused = json!({"caller": "service", "operator": "Ada L."});
    assert_eq!(
        entries,
        [
            json!(["ended", null, purpose]),
            json!(["refused", null, refused])
        ]
    );
    assert!(!ports.log_text().contains("import"), "the log has no prose");
}

#[test]
fn no_preflight_allows_the_services_headers() {
    let reply = FakePorts::new().run(&Stub::new(), request("OPTIONS", None, ""));
    assert!(!reply.header("access-control-allow-headers").contains("m23"));
    assert!(!reply.header("access-control-allow-headers").contains('*'));
}

#[test]
fn the_service_may_repeat_a_call_under_its_key() {
    let ports = FakePorts::new();
    let again = || with(for_the_tenant(FULL), &[("idempotency-key", "k")]);
    assert_eq!(ports.run(&Stub::new(), again()).status, 200);
    let reply = ports.run(&Stub::new(), again());
    assert_eq!(
        (reply.status, reply.header("idempotent-replayed")),
        (200, "true")
    );
}
