//! The five functions from a terminal: a tenant is backed up, restored, taken back, tested.

pub mod api;
pub mod arguments;
mod outcome;

use crate::error::CliError;
use crate::progress;
use crate::report::print;
use api::Api;
use arguments::{
    BackupRestore, Choice, Connection, Create, Decision, JobType, Level, Mode, OnBlocked, Restore,
    Rollback, Test,
};
use chrono::SecondsFormat;
use outcome::Outcome;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;

const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Looks in a row that may go unanswered: work goes on while a network does not.
const PATIENCE: u32 = 5;

/// What a function is asked for.
struct Order {
    function: &'static str,
    /// The table with the row of its work, and the field of the answer that names the row.
    table: &'static str,
    id: &'static str,
    /// What it is, for people.
    what: &'static str,
    body: Map<String, Value>,
}

pub async fn create(order: &Create) -> Result<ExitCode, CliError> {
    let job_type = match order.job_type {
        JobType::Full => "full",
        JobType::Incremental => "incremental",
        JobType::Snapshot => "snapshot",
    };
    let body = body([
        ("jobType", json!(job_type)),
        ("backupName", json!(order.name)),
        ("description", json!(order.description)),
        ("tables", tables(&order.tables)),
        ("baseBackupId", json!(order.base)),
    ]);
    let call = Order {
        function: "backup-create",
        table: "backup_jobs",
        id: "jobId",
        what: "backup",
        body,
    };
    run(&order.connection, call).await
}

pub async fn restore_backup(order: &BackupRestore) -> Result<ExitCode, CliError> {
    let mut body = body([
        ("backupJobId", json!(order.backup)),
        ("tables", tables(&order.tables)),
    ]);
    choose(&mut body, &order.choice);
    decide(&mut body, &order.decision, "confirmRestore");
    let call = Order {
        function: "backup-restore",
        table: "restore_logs",
        id: "restoreLogId",
        what: "restore",
        body,
    };
    run(&order.connection, call).await
}

pub async fn restore(order: &Restore) -> Result<ExitCode, CliError> {
    let moment = order.to.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut body = body([
        ("targetTimestamp", json!(moment)),
        ("baseBackupId", json!(order.base_backup)),
        ("tables", tables(&order.tables)),
        (
            "includeRelated",
            json!(order.include_related.then_some(true)),
        ),
    ]);
    choose(&mut body, &order.choice);
    decide(&mut body, &order.decision, "confirmRestore");
    let call = Order {
        function: "pitr-restore",
        table: "restore_logs",
        id: "restoreLogId",
        what: "restore",
        body,
    };
    run(&order.connection, call).await
}

pub async fn rollback(order: &Rollback) -> Result<ExitCode, CliError> {
    let mut body = body([
        ("snapshotId", json!(order.snapshot)),
        ("reason", json!(order.connection.reason)),
    ]);
    decide(&mut body, &order.decision, "confirmRollback");
    let call = Order {
        function: "pitr-rollback",
        table: "pitr_rollbacks",
        id: "rollbackId",
        what: "rollback",
        body,
    };
    run(&order.connection, call).await
}

pub async fn test(order: &Test) -> Result<ExitCode, CliError> {
    let level = match order.level {
        Level::Basic => "basic",
        Level::Full => "full",
        Level::Deep => "deep",
    };
    let body = body([
        ("test_name", json!(order.name)),
        ("test_type", json!("manual")),
        ("validation_level", json!(level)),
        ("backup_job_id", json!(order.backup)),
        ("dr_plan_id", json!(order.plan)),
    ]);
    let call = Order {
        function: "recovery-test",
        table: "recovery_tests",
        id: "testId",
        what: "recovery test",
        body,
    };
    run(&order.connection, call).await
}

/// The fields that have a value.
fn body<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn tables(names: &[String]) -> Value {
    match names {
        [] => Value::Null,
        names => json!(names),
    }
}

/// What of the tables is restored, and where.
fn choose(body: &mut Map<String, Value>, choice: &Choice) {
    let mode = choice.mode.map(|mode| match mode {
        Mode::Exact => "exact",
        Mode::MissingOnly => "missing_only",
        Mode::OverwriteExisting => "overwrite_existing",
    });
    body.extend(self::body([
        ("targetSchema", json!(choice.into)),
        ("mode", json!(mode)),
    ]));
    body.extend(choice.select.clone().unwrap_or_default());
}

/// Whoever does not confirm only looks.
fn decide(body: &mut Map<String, Value>, decision: &Decision, confirmation: &str) {
    let field = if decision.confirm {
        confirmation
    } else {
        "dryRun"
    };
    body.insert(field.to_owned(), json!(true));
    if let Some(hash) = &decision.plan_hash {
        body.insert("planHash".to_owned(), json!(hash));
    }
    if let Some(choice) = decision.on_blocked {
        let choice = match choice {
            OnBlocked::Refuse => "refuse",
            OnBlocked::Skip => "skip",
            OnBlocked::Null => "null",
        };
        body.insert("onBlocked".to_owned(), json!(choice));
    }
}

async fn run(connection: &Connection, order: Order) -> Result<ExitCode, CliError> {
    let api = Api::open(connection)?;
    let mut report = match api.call(order.function, &order.body).await {
        Ok(answer) => answer,
        Err(error) => {
            if let (true, Some(refusal)) = (connection.json, error.refusal()) {
                print(true, &refusal.body(), |_| String::new())?;
            }
            return Err(error);
        }
    };
    if let (Some(id), false) = (running(&report, order.id), connection.no_wait) {
        let row = follow(&api, &order, &id, connection.json).await?;
        report.insert("status".to_owned(), json!(row.get("status")));
        report.insert("row".to_owned(), Value::Object(row));
    }
    let outcome = Outcome::of(&report, order.id, order.body.contains_key("dryRun"));
    print(connection.json, &report, |_| outcome.text(order.what))?;
    Ok(ExitCode::from(u8::from(!outcome.is_well())))
}

/// The id of work that goes on after the answer.
fn running(answer: &Map<String, Value>, id: &str) -> Option<String> {
    let status = answer.get("status").and_then(Value::as_str);
    let goes_on = matches!(status, Some("pending" | "in_progress"));
    let id = answer.get(id).and_then(Value::as_str)?;
    goes_on.then(|| id.to_owned())
}

/// Follows work to its end, however it ends.
async fn follow(
    api: &Api,
    order: &Order,
    id: &str,
    quiet: bool,
) -> Result<Map<String, Value>, CliError> {
    let shown = progress::spinner(&format!("{} {id}", order.what), quiet);
    let mut pause = FIRST_PAUSE;
    let mut unanswered = 0;
    loop {
        match api.row(order.table, id).await? {
            Some(row) => {
                unanswered = 0;
                let status = row
                    .get("status")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if !matches!(status, "pending" | "in_progress") {
                    shown.finish_and_clear();
                    return Ok(row);
                }
                shown.set_message(outcome::progress(&row));
            }
            None if unanswered == PATIENCE => {
                return Err(CliError::Unreachable {
                    what: format!("the row of {} {id}, which goes on,", order.what),
                    cause: format!("{} looks went unanswered", PATIENCE + 1),
                });
            }
            None => unanswered += 1,
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
