//! Rules of limits and headers.
#![allow(clippy::unwrap_used)]

use m23_contract::FunctionName;
use m23_rate_limit::{Limits, LimitsFault, Window};

#[test]
fn an_override_changes_its_function_only() {
    let limits = Limits::parse(r#"{"pitr-restore": 1000, "backup-create": 0}"#).unwrap();
    assert_eq!(limits.of(FunctionName::PitrRestore), 1000);
    assert_eq!(limits.of(FunctionName::BackupCreate), 0);
    assert_eq!(limits.of(FunctionName::RecoveryTest), 20);
    assert_eq!(Limits::parse("").unwrap(), Limits::default());
    assert_eq!(Limits::parse("{}").unwrap(), Limits::default());
}

#[test]
fn a_wrong_override_is_an_error_that_says_what_is_wrong() {
    for text in ["[]", "5", "{", "null"] {
        assert_eq!(Limits::parse(text), Err(LimitsFault::NotAnObject), "{text}");
    }
    let unknown = Limits::parse(r#"{"backup_create": 5}"#).unwrap_err();
    assert!(unknown.to_string().contains("backup_create"));
    for value in ["-1", "1.5", "\"5\"", "null", "99999999999"] {
        let fault = Limits::parse(&format!("{{\"pitr-restore\": {value}}}")).unwrap_err();
        assert_eq!(fault, LimitsFault::NotACount(FunctionName::PitrRestore));
    }
}

#[test]
fn the_headers_are_the_usual_three_and_the_drafts_two() {
    let window = Window {
        limit: 10,
        used: 4,
        reset: 1_120,
    };
    let lines: Vec<String> = window
        .headers(1_000)
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        lines,
        [
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 6",
            "x-ratelimit-reset: 1120",
            "ratelimit-policy: \"default\";q=10;w=3600",
            "ratelimit: \"default\";r=6;t=120",
        ]
    );
}

#[test]
fn figures_never_go_below_zero() {
    let window = Window {
        limit: 3,
        used: 5,
        reset: 900,
    };
    assert_eq!(window.remaining(), 0);
    assert_eq!(window.retry_after(1_000), 1);
    assert_eq!(Window::untouched(3, 1_000).remaining(), 3);
}

#[test]
fn nobody_waits_longer_than_the_window() {
    let window = Window {
        limit: 3,
        used: 3,
        reset: 4_601,
    };
    assert_eq!(window.retry_after(1_000), 3_600);
    let [.., (_, state)] = window.headers(1_000);
    assert_eq!(state, "\"default\";r=0;t=3600");
}
