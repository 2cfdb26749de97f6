//! What a restore chooses, notes and answers, and what it holds in memory.

use crate::faults::INTERNAL;
use crate::restores::{RESTORE, begin, begun, everything, wanted};
use m23_contract::ErrorCode;
use m23_engine::ErrorClass;
use m23_ports::DatabaseError;
use serde_json::json;

const EXECUTE: &str = "m23_execute_restore";

#[test]
fn an_outcome_is_given_as_the_database_said_it() {
    let (ports, order) = begun();
    let outcome = ports.restore(&order).unwrap().unwrap();
    assert_eq!(outcome.restored_tables, ["a", "b", "c", "d"]);
    assert_eq!(
        (outcome.rows_restored, outcome.stats.insert_count),
        (10, 10)
    );
}

#[test]
fn the_line_of_a_restore_says_whose_it_was_how_long_it_took_and_what_it_moved() {
    let (ports, order) = begun();
    ports.restore(&order).unwrap().unwrap();
    let said = ports.line(
        "restore_completed",
        ["work_id", "tenant_id", "backup_id", "rows", "rows_restored"],
    );
    let backup = order.backup_id.map(|id| id.to_string());
    assert_eq!(
        said,
        [
            json!(RESTORE),
            json!(order.tenant_id),
            json!(backup),
            json!(10),
            json!(10)
        ]
    );
    let [ms, bytes] = ports.line("restore_completed", ["ms", "bytes"]);
    assert!(
        ms.as_u64() > Some(0) && bytes.as_u64() > Some(0),
        "{ms} {bytes}"
    );
}

#[test]
fn progress_is_noted_before_the_first_row_is_staged() {
    let (ports, order) = begun();
    ports.restore(&order).unwrap().unwrap();
    let noted = json!({ "phase": "staging", "rows": 0, "total_rows": 10 });
    assert_eq!(ports.restores.borrow().notes, [noted]);
    assert!(ports.first("m23_note_restore") < ports.first("m23_stage_table"));
}

#[test]
fn only_the_chosen_tables_are_read() {
    for chosen in [&["a"][..], &["b"], &["c", "d"]] {
        let (ports, mut order) = begun();
        order.tables = Some(chosen.iter().map(|name| format!("public.{name}")).collect());
        ports.restore(&order).unwrap().unwrap();
        let restores = ports.restores.borrow();
        assert_eq!(restores.written, Some(wanted(chosen)));
        let total: usize = wanted(chosen)
            .values()
            .map(|rows| rows.lines().count())
            .sum();
        assert_eq!(restores.notes[0]["total_rows"], total);
    }
}

#[test]
fn a_table_that_is_gone_is_left_out_unread() {
    let (ports, order) = begun();
    ports.restores.borrow_mut().gone = vec!["a", "d"];
    ports.restore(&order).unwrap().unwrap();
    assert_eq!(ports.restores.borrow().written, Some(wanted(&["b", "c"])));
    assert_eq!(ports.begun("get"), 3, "the manifest, and two chunks of c");
}

#[test]
fn work_on_the_log_alone_is_executed_at_once() {
    let (ports, mut order) = begun();
    (order.backup_id, order.manifest, order.manifest_sha256) = (None, None, None);
    assert!(ports.restore(&order).unwrap().is_ok());
    assert_eq!(ports.steps.borrow().len(), 1);
    assert_eq!(ports.begun(EXECUTE), 1);
}

#[test]
fn a_refusal_of_the_transaction_keeps_its_code_its_sentence_and_its_details() {
    let (ports, _) = begun();
    for code in ErrorCode::ALL {
        for details in [
            vec![],
            vec!["planHash: another".to_owned(), "two".to_owned()],
        ] {
            let order = begin(&ports);
            ports.steps.borrow_mut().clear();
            let refusal = json!({ "code": code, "message": "not as asked", "details": details });
            ports.restores.borrow_mut().answer = Some(json!({ "error": refusal }));
            let error = ports.restore(&order).unwrap().unwrap_err();
            assert_eq!(ports.begun(EXECUTE), 1, "{code}");
            assert_eq!(
                ports.begun("m23_fail_restore"),
                0,
                "{code}: the database has noted it"
            );
            match error.classify() {
                ErrorClass::Database(DatabaseError::Failed(_)) => {
                    assert_eq!(code, ErrorCode::Internal);
                }
                ErrorClass::Database(DatabaseError::Refused {
                    code: kept_code,
                    sentence,
                    details: kept,
                }) => {
                    let (kept, sentence) = ((kept_code, kept), sentence.as_str());
                    assert_eq!((kept, sentence), ((code, details), "not as asked"));
                }
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_fault_of_the_transaction_is_logged_with_its_cause_and_not_shown() {
    for refusal in [
        json!({ "code": "INTERNAL", "message": "of our own", "cause": INTERNAL }),
        json!({ "code": "NO_SUCH_CODE", "message": INTERNAL }),
    ] {
        let (ports, order) = begun();
        ports.restores.borrow_mut().answer = Some(json!({ "error": refusal }));
        let error = ports.restore(&order).unwrap().unwrap_err();
        assert!(!error.sentence().contains("secret"));
        assert!(ports.log_text().contains("m23.secret"));
        assert!(matches!(
            error.classify(),
            ErrorClass::Database(DatabaseError::Failed(_))
        ));
    }
}

#[test]
fn an_answer_in_an_unknown_form_is_a_fault_of_ours() {
    for answer in [
        json!(null),
        json!("done"),
        json!({ "error": "no" }),
        json!({}),
    ] {
        let (ports, order) = begun();
        ports.restores.borrow_mut().answer = Some(answer);
        let error = ports.restore(&order).unwrap().unwrap_err();
        assert!(matches!(error.classify(), ErrorClass::Internal(_)));
        assert_eq!(ports.begun(EXECUTE), 1);
    }
}

#[test]
fn two_chunks_are_in_memory_at_most_and_the_next_is_fetched_while_one_is_sent() {
    for database in 1..6 {
        for store in 1..6 {
            let (ports, order) = begun();
            ports.in_flight.most.set(0);
            ports.patience.set((database, store));
            ports.restore(&order).unwrap().unwrap();
            let most = ports.in_flight.most.get();
            let overlaps = store < database;
            assert!(
                most == 2 || (most == 1 && !overlaps),
                "speeds {database} and {store}: {most}"
            );
            assert_eq!(ports.restores.borrow().written, Some(everything()));
        }
    }
}
