//! What has become of a call, for people. An answer and the row of its work say the same in other words.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Stats {
    total_operations: u64,
    insert_count: u64,
    update_count: u64,
    delete_count: u64,
    affected_tables: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Results {
    issues_found: u64,
    validations_passed: u64,
    recommendations: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WouldFail {
    error: String,
    details: Vec<String>,
}

/// What somebody has written since, and a restore would take away.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Lost {
    actor: Option<String>,
    source: Option<String>,
    tables: Vec<String>,
    rows: u64,
}

/// What an answer, or a row, says.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Said {
    status: Option<String>,
    stats: Option<Stats>,
    #[serde(alias = "rows_restored")]
    rows_restored: Option<u64>,
    #[serde(
        alias = "restored_tables",
        alias = "affectedTables",
        alias = "affected_tables",
        alias = "tables"
    )]
    restored_tables: Option<Vec<String>>,
    #[serde(alias = "snapshot_id")]
    snapshot_id: Option<String>,
    results: Option<Results>,
    warnings: Option<Vec<String>>,
    would_fail: Option<WouldFail>,
    rows_lost: Option<Vec<Lost>>,
    plan_hash: Option<String>,
    #[serde(alias = "error_message")]
    error: Option<String>,
}

/// How many shares of what would be lost are shown.
const SHARES: usize = 20;

/// How a call has ended, or that it goes on.
pub struct Outcome {
    said: Said,
    id: Option<String>,
    dry_run: bool,
}

impl Outcome {
    pub fn of(report: &Map<String, Value>, id: &str, dry_run: bool) -> Self {
        Self {
            id: report
                .get(id)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
            said: said(report),
            dry_run,
        }
    }

    /// Whether nothing is wrong: it has not failed, would not fail, and has found no fault.
    pub fn is_well(&self) -> bool {
        let found = self.said.results.as_ref();
        !matches!(self.said.status.as_deref(), Some("failed" | "cancelled"))
            && self.said.would_fail.is_none()
            && found.is_none_or(|results| results.issues_found == 0)
    }

    pub fn text(&self, what: &str) -> String {
        let mut text = self.headline(what);
        if let Some(error) = &self.said.error {
            let _ = writeln!(text, "  {error}");
        }
        self.figures(&mut text);
        self.losses(&mut text);
        for warning in self.said.warnings.iter().flatten() {
            let _ = writeln!(text, "warning: {warning}");
        }
        if let Some(refusal) = &self.said.would_fail {
            let _ = writeln!(text, "it would be refused: {}", refusal.error);
            for detail in &refusal.details {
                let _ = writeln!(text, "  {detail}");
            }
        }
        self.way_on(&mut text);
        text
    }

    fn headline(&self, what: &str) -> String {
        let id = self.id.as_deref().unwrap_or_default();
        match self.said.status.as_deref() {
            None if self.dry_run => format!("dry run of a {what}: nothing was changed\n"),
            Some("completed") if self.dry_run => {
                format!("dry run {id}: nothing was changed\n")
            }
            Some("pending" | "in_progress") => format!("{what} {id} goes on\n"),
            status => format!("{what} {id}: {}\n", status.unwrap_or("done")),
        }
    }

    fn figures(&self, text: &mut String) {
        if let Some(stats) = &self.said.stats {
            let _ = writeln!(
                text,
                "  {} rows: {} inserted, {} updated, {} deleted{}",
                stats.total_operations,
                stats.insert_count,
                stats.update_count,
                stats.delete_count,
                list(&stats.affected_tables)
            );
        } else if let Some(rows) = self.said.rows_restored {
            let tables = self.said.restored_tables.as_deref().unwrap_or_default();
            let _ = writeln!(text, "  {rows} rows{}", list(tables));
        }
        if let Some(results) = &self.said.results {
            let _ = writeln!(
                text,
                "  {} checks passed, {} issues found",
                results.validations_passed, results.issues_found
            );
            for recommendation in &results.recommendations {
                let _ = writeln!(text, "  {recommendation}");
            }
        }
    }

    /// What would be lost: the largest shares, and how many more there are.
    fn losses(&self, text: &mut String) {
        let lost = self.said.rows_lost.as_deref().unwrap_or_default();
        for share in lost.iter().take(SHARES) {
            let _ = writeln!(
                text,
                "  lost: {} rows{}, written by {} ({})",
                share.rows,
                list(&share.tables),
                share.actor.as_deref().unwrap_or("nobody signed in"),
                share.source.as_deref().unwrap_or("source unknown")
            );
        }
        if let Some(more @ 1..) = lost.len().checked_sub(SHARES) {
            let _ = writeln!(text, "  lost: rows of {more} more writers");
        }
    }

    /// What to do next.
    fn way_on(&self, text: &mut String) {
        let completed = self.said.status.as_deref() == Some("completed");
        match (&self.said.snapshot_id, &self.said.plan_hash) {
            (Some(snapshot), _) if completed && !self.dry_run => {
                let _ = writeln!(text, "to undo it: m23 rollback {snapshot} --confirm");
            }
            (_, Some(hash)) if self.dry_run => {
                let _ = writeln!(text, "to do just this: add --confirm --plan-hash {hash}");
            }
            _ => {}
        }
    }
}

/// The row says how work ended that went on; of a dry run, its preview stands there.
fn said(report: &Map<String, Value>) -> Said {
    let Some(Value::Object(row)) = report.get("row") else {
        return read(report.clone());
    };
    let mut fields = row.clone();
    // That of a rollback names the snapshot that was used, too.
    if let Some(snapshot) = fields.remove("pre_rollback_snapshot_id") {
        fields.insert("snapshot_id".to_owned(), snapshot);
    }
    if let Some(Value::Object(preview)) = row.get("metadata").and_then(|kept| kept.get("preview")) {
        fields.extend(preview.clone());
    }
    read(fields)
}

/// What is not said, or otherwise than it is known, is left out: the JSON has it.
fn read(fields: Map<String, Value>) -> Said {
    serde_json::from_value(Value::Object(fields)).unwrap_or_default()
}

fn list(tables: &[String]) -> String {
    match tables {
        [] => String::new(),
        tables => format!(", in {}", tables.join(", ")),
    }
}

/// How far work has come, as far as its row says.
pub fn progress(row: &Map<String, Value>) -> String {
    let progress = row.get("metadata").and_then(|kept| kept.get("progress"));
    let figure = |name: &str| progress.and_then(|progress| progress.get(name)?.as_f64());
    match (figure("rows"), figure("percent")) {
        (Some(rows), Some(percent)) => format!("{rows:.0} rows, {percent:.0} %"),
        (Some(rows), None) => format!("{rows:.0} rows"),
        _ => row
            .get("status")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    }
}
