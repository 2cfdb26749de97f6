//! Examples: a request and what is answered to it.

use m23_contract::FunctionName;
use serde_json::{Value, json};

/// A request with its answer.
#[derive(Debug, Clone)]
pub struct Example {
    /// A name, unique in its function.
    pub name: &'static str,
    /// What it shows.
    pub summary: &'static str,
    /// The body of the request.
    pub request: Value,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub response: Value,
}

const BACKUP: &str = "0b6f6d2e-7d0b-4c53-8a43-1d1f4f1c9a10";
const RESTORE: &str = "5c1f2f0a-94be-4a27-9d6c-3a86a2f3c711";
const SNAPSHOT: &str = "8e3f6b64-2a0e-45f2-b0c8-7d3f5d1f0c12";
const MOMENT: &str = "2026-01-31T10:31:00Z";
const PLAN: &str = "3f1c8a5d9be24c7f";

/// The examples of a function.
#[must_use]
pub fn examples_of(function: FunctionName) -> Vec<Example> {
    match function {
        FunctionName::BackupCreate => backup_create(),
        FunctionName::BackupRestore => backup_restore(),
        FunctionName::PitrRestore => pitr_restore(),
        FunctionName::PitrRollback => pitr_rollback(),
        FunctionName::RecoveryTest => recovery_test(),
    }
}

fn backup_create() -> Vec<Example> {
    let accepted = json!({
        "success": true, "jobId": BACKUP, "backupName": "before the import", "estimatedDuration": 2.5, "status": "pending"
    });
    vec![
        Example {
            name: "full",
            summary: "Every protected table",
            request: json!({ "jobType": "full", "backupName": "before the import" }),
            status: 200,
            response: accepted.clone(),
        },
        Example {
            name: "described",
            summary: "Run a job that is a pending row of backup_jobs",
            request: json!({ "jobId": BACKUP }),
            status: 200,
            response: accepted,
        },
    ]
}

fn backup_restore() -> Vec<Example> {
    vec![
        Example {
            name: "tables",
            summary: "Two tables, in place",
            request: json!({ "backupJobId": BACKUP, "tables": ["projects", "tasks"], "confirmRestore": true }),
            status: 200,
            response: json!({
                "success": true, "restoreLogId": RESTORE, "status": "completed", "restoredTables": ["projects", "tasks"],
                "rowsRestored": 12, "duration": 0.42, "snapshotId": SNAPSHOT, "warnings": []
            }),
        },
        Example {
            name: "beside",
            summary: "A copy beside the live data, which takes its time",
            request: json!({ "backupJobId": BACKUP, "confirmRestore": true, "targetSchema": "before_import" }),
            status: 202,
            response: json!({ "success": true, "restoreLogId": RESTORE, "status": "in_progress" }),
        },
    ]
}

fn stats() -> Value {
    json!({ "totalOperations": 3, "insertCount": 2, "updateCount": 1, "deleteCount": 0, "affectedTables": ["tasks"] })
}

fn changes() -> Value {
    json!({ "tasks": [
        { "operation": "update", "key": { "id": 7 }, "now": { "title": "?" }, "then": { "title": "Call back" } }
    ] })
}

fn lost() -> Value {
    json!([{ "actor": null, "source": "api: PATCH /tasks as authenticated", "tables": ["tasks"], "rows": 2 }])
}

fn pitr_restore() -> Vec<Example> {
    vec![
        Example {
            name: "preview",
            summary: "What would change, row by row",
            request: json!({ "targetTimestamp": MOMENT, "dryRun": true }),
            status: 200,
            response: json!({
                "success": true, "previewChanges": changes(), "changeCounts": { "tasks": 3 },
                "rowsLost": lost(), "previewId": RESTORE, "planHash": PLAN, "stats": stats(), "warnings": []
            }),
        },
        Example {
            name: "restore",
            summary: "What the preview has shown, and nothing else",
            request: json!({ "targetTimestamp": MOMENT, "confirmRestore": true, "planHash": PLAN }),
            status: 200,
            response: json!({
                "success": true, "restoreLogId": RESTORE, "status": "completed", "stats": stats(),
                "snapshotId": SNAPSHOT, "warnings": []
            }),
        },
    ]
}

fn pitr_rollback() -> Vec<Example> {
    vec![
        Example {
            name: "preview",
            summary: "What going back would change",
            request: json!({ "snapshotId": SNAPSHOT, "dryRun": true }),
            status: 200,
            response: json!({
                "success": true, "previewChanges": changes(), "changeCounts": { "tasks": 3 },
                "rowsLost": lost(), "previewId": RESTORE, "planHash": PLAN, "stats": stats(), "warnings": []
            }),
        },
        Example {
            name: "undo",
            summary: "Undo a restore",
            request: json!({ "snapshotId": SNAPSHOT, "reason": "the wrong day", "confirmRollback": true }),
            status: 200,
            response: json!({
                "success": true, "rollbackId": RESTORE, "status": "completed",
                "affectedTables": ["tasks"], "rowsRestored": 3, "snapshotId": BACKUP, "warnings": []
            }),
        },
    ]
}

fn recovery_test() -> Vec<Example> {
    vec![Example {
        name: "deep",
        summary: "The newest backup, every row checked",
        request: json!({ "test_name": "monthly", "test_type": "manual", "validation_level": "deep" }),
        status: 200,
        response: json!({
            "success": true, "testId": RESTORE, "status": "completed",
            "results": { "duration": 3.1, "issuesFound": 0, "validationsPassed": 14, "recommendations": [], "findings": [] }
        }),
    }]
}
