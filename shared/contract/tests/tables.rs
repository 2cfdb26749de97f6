//! The contract's tables, line by line.
#![allow(clippy::unwrap_used)]

use m23_contract::{ErrorBody, ErrorCode, FunctionName, Role};

#[test]
fn the_error_table_is_the_contracts() {
    let table: Vec<(&str, u16)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str(), code.status()))
        .collect();
    assert_eq!(
        table,
        [
            ("AUTH_REQUIRED", 401),
            ("TENANT_NOT_FOUND", 403),
            ("INSUFFICIENT_PERMISSIONS", 403),
            ("VALIDATION_FAILED", 400),
            ("BACKUP_NOT_FOUND", 404),
            ("SNAPSHOT_NOT_FOUND", 404),
            ("RESTORE_IN_PROGRESS", 409),
            ("RATE_LIMIT_EXCEEDED", 429),
            ("METHOD_NOT_ALLOWED", 405),
            ("NOT_FOUND", 404),
            ("PAYLOAD_TOO_LARGE", 413),
            ("PLAN_CHANGED", 409),
            ("CONFLICT", 409),
            ("BACKUP_UNUSABLE", 409),
            ("UNAVAILABLE", 503),
            ("INTERNAL", 500),
        ]
    );
}

#[test]
fn a_code_reads_back_as_itself_and_serializes_as_its_name() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
    assert_eq!(ErrorCode::parse("42P01"), None);
}

#[test]
fn an_error_body_leaves_empty_details_out() {
    let body = ErrorBody::new(ErrorCode::NotFound, "No.", Vec::new());
    assert_eq!(
        serde_json::to_string(&body).unwrap(),
        r#"{"success":false,"error":"No.","code":"NOT_FOUND"}"#
    );
}

#[test]
fn limits_and_roles_are_the_contracts() {
    let rows: Vec<(&str, u32, String, String)> = FunctionName::ALL
        .iter()
        .map(|function| {
            let who = |dry_run| {
                [Role::Owner, Role::Admin, Role::Operator, Role::Viewer]
                    .into_iter()
                    .filter(|role| function.allows(*role, dry_run))
                    .map(Role::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            (
                function.as_str(),
                function.default_hourly_limit(),
                who(false),
                who(true),
            )
        })
        .collect();
    let row = |name: &'static str, limit, real: &str, dry: &str| {
        (name, limit, real.to_owned(), dry.to_owned())
    };
    assert_eq!(
        rows,
        [
            row(
                "backup-create",
                10,
                "owner admin operator",
                "owner admin operator"
            ),
            row("backup-restore", 5, "owner admin", "owner admin"),
            row("pitr-restore", 3, "owner admin", "owner admin operator"),
            row("pitr-rollback", 5, "owner admin", "owner admin operator"),
            row(
                "recovery-test",
                20,
                "owner admin operator",
                "owner admin operator"
            ),
        ]
    );
}

#[test]
fn an_unknown_role_is_no_role() {
    for name in ["superuser", "OWNER", "", "service_role"] {
        assert_eq!(Role::parse(name), None);
    }
}
