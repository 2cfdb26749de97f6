//! Driving a restore: every byte is verified on its way into staging; only then does one
//! transaction touch live data. Whatever fails before has changed nothing.

use crate::bucket::Bucket;
use crate::chain::{Kind, Piece, pieces, read_chain};
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::meter::Meter;
use crate::order::RestoreOrder;
use crate::reply::{ask, parse, tell};
use crate::retry::retry_passing;
use futures_util::{StreamExt, stream};
use m23_archive::reader::{Archive, Fault, Stored};
use m23_archive::{Lines, Table, Version};
use m23_contract::{Conflict, ErrorCode, PitrStats, Preview};
use m23_ports::{DatabaseError, Level, Record};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::cell::Cell;
use uuid::Uuid;

/// How many chunks are in memory at once.
const LANES: usize = 2;

/// A restore that is done.
#[derive(Debug, Clone, Deserialize)]
pub struct RestoreOutcome {
    /// The tables that are now as in the backup.
    pub restored_tables: Vec<String>,
    /// Net row changes.
    pub rows_restored: u64,
    /// Seconds since it began.
    pub duration: f64,
    /// The snapshot that undoes it; none for a restore beside the live data.
    pub snapshot_id: Option<Uuid>,
    /// What could not be as asked.
    pub warnings: Vec<String>,
    /// Net row changes by kind.
    pub stats: PitrStats,
    /// The transaction that wrote it.
    #[serde(default)]
    pub transaction_id: Option<String>,
    /// Of an undo: how many rows are in conflict.
    #[serde(default)]
    pub conflict_count: Option<u64>,
    /// Of an undo: the first of them.
    #[serde(default)]
    pub conflicts: Option<Vec<Conflict>>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: String,
    message: String,
    #[serde(default)]
    details: Option<Vec<String>>,
    #[serde(default)]
    cause: Option<String>,
}

/// Drives a restore to its end. Its log row says how it ended.
///
/// # Errors
/// [`EngineError`]; live data is then as it was. Only where the answer of the one transaction was
/// lost, the log row alone knows.
pub async fn drive_restore(
    ports: &impl JobPorts,
    order: &RestoreOrder,
) -> Result<RestoreOutcome, EngineError> {
    let meter = Meter::default();
    meter.begin(ports);
    let outcome: Result<RestoreOutcome, _> = run(ports, order, &meter).await;
    let record = match &outcome {
        Ok(done) => {
            event(order, Level::Info, "restore_completed").with("rows_restored", done.rows_restored)
        }
        Err(error) => event(order, Level::Error, "restore_failed").with_cause(error),
    };
    ports.log(&meter.on(record, ports));
    outcome
}

/// Goes on with restores whose callers were told so, and whose Worker was ended: as many as there are
/// before the `deadline` (Unix milliseconds).
pub async fn resume_restores(ports: &impl JobPorts, deadline: u64) {
    while ports.now_ms() < deadline {
        match claim(ports).await {
            Ok(Some(order)) => {
                if order.dry_run {
                    let _told_by_the_log_row = drive_preview(ports, &order).await;
                } else {
                    let _told_by_the_log_row = drive_restore(ports, &order).await;
                }
            }
            Ok(None) => return,
            Err(error) => {
                return ports
                    .log(&Record::new(Level::Error, "restore_not_claimed").with_cause(&error));
            }
        }
    }
}

async fn claim(ports: &impl JobPorts) -> Result<Option<RestoreOrder>, EngineError> {
    ask(ports, "m23_claim_restore", &json!({})).await
}

/// Drives a dry run to its end; gives what a restore would do, as the database tells it.
///
/// # Errors
/// [`EngineError`]; what was staged is taken away.
pub async fn drive_preview(
    ports: &impl JobPorts,
    order: &RestoreOrder,
) -> Result<Preview, EngineError> {
    let meter = Meter::default();
    meter.begin(ports);
    let seen = run(ports, order, &meter).await;
    let record = match &seen {
        Ok(_) => event(order, Level::Info, "preview_completed"),
        Err(error) => event(order, Level::Error, "preview_failed").with_cause(error),
    };
    ports.log(&meter.on(record, ports));
    seen
}

async fn run<T: DeserializeOwned>(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    meter: &Meter,
) -> Result<T, EngineError> {
    match prepare_and_execute(ports, order, meter).await {
        Ok(reply) => read_outcome(reply),
        Err(error) => {
            fail(ports, order, &error).await;
            Err(error)
        }
    }
}

async fn prepare_and_execute(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    meter: &Meter,
) -> Result<Value, EngineError> {
    prepare(ports, order, meter).await?;
    execute(ports, order).await
}

/// What comes from an archive is staged; the log is in the database already.
pub(crate) async fn prepare(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    meter: &Meter,
) -> Result<(), EngineError> {
    match (order.backup_id, &order.manifest, &order.manifest_sha256) {
        (None, ..) => Ok(()),
        (Some(_), Some(object), Some(sha256)) => {
            let chain = read_chain(ports, order, object, sha256).await?;
            stage(ports, order, &chain, meter).await
        }
        (Some(_), ..) => Err(Fault::Missing("the backup's manifest".to_owned()).into()),
    }
}

/// `chain` begins with the backup that was asked for, and ends with the full one.
async fn stage(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    chain: &[Archive],
    meter: &Meter,
) -> Result<(), EngineError> {
    let Some(tip) = chain.first() else {
        return Ok(());
    };
    let tables = tip.manifest.facts.tables.iter();
    let chosen: Vec<(&Table, Vec<Piece<'_>>)> = tables
        .filter(|table| is_chosen(order, table))
        .map(|table| (table, pieces(chain, table, order.rewind)))
        .collect();
    note(ports, order, chosen.iter().map(|(_, all)| lines(all)).sum()).await?;
    for (ordinal, (table, pieces)) in (1_u32..).zip(chosen) {
        let room = Room {
            ordinal,
            table,
            version: tip.manifest.version,
            lines: lines(&pieces),
        };
        let stored = pieces.iter().map(|piece| piece.stored.chunk.stored_bytes);
        meter.count(room.lines, stored.sum());
        if let Some(next) = make_room(ports, order, &room).await? {
            stage_table(ports, order, ordinal, next, &pieces).await?;
        }
    }
    Ok(())
}

fn lines(pieces: &[Piece<'_>]) -> u64 {
    pieces.iter().map(|piece| piece.stored.chunk.rows).sum()
}

fn is_chosen(order: &RestoreOrder, table: &Table) -> bool {
    let name = format!("{}.{}", table.schema, table.name);
    order
        .tables
        .as_ref()
        .is_none_or(|tables| tables.contains(&name))
}

/// What the database has to know of a table before its pieces come.
struct Room<'a> {
    ordinal: u32,
    /// As the backup that was asked for has it.
    table: &'a Table,
    /// Of that backup.
    version: Version,
    /// Of all pieces.
    lines: u64,
}

/// Gives which piece is the next to be staged: an earlier driver may have come further than none.
async fn make_room(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    room: &Room<'_>,
) -> Result<Option<u32>, EngineError> {
    let Room { ordinal, table, .. } = room;
    let columns: Vec<&String> = table.columns.iter().map(|column| &column.name).collect();
    let groups = (room.version >= Version::Two).then(|| table.groups());
    let arguments = json!({
        "p_restore_id": order.work_id, "p_lease": order.lease,
        "p_table": { "ordinal": ordinal, "schema": table.schema, "name": table.name,
                     "columns": columns, "groups": groups, "rows": room.lines,
                     "rewind": order.rewind && !table.whole },
    });
    ask(ports, "m23_stage_table", &arguments).await
}

/// Two chunks of rows are on their way side by side, as no two of them have a key in common; a history
/// waits for what comes before it, and is waited for. After a failure nothing more is begun, and what
/// has begun is waited for: the database could not take it away.
async fn stage_table(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    ordinal: u32,
    next: u32,
    pieces: &[Piece<'_>],
) -> Result<(), EngineError> {
    let left: Vec<_> = (1_u32..)
        .zip(pieces)
        .filter(|(seq, _)| *seq >= next)
        .collect();
    let is_rows = |piece: &Piece<'_>| piece.kind == Kind::Rows;
    for run in left.chunk_by(|(_, one), (_, other)| is_rows(one) && is_rows(other)) {
        let failed = Cell::new(false);
        let lanes = stream::iter(run).map(async |(seq, piece)| {
            if failed.get() {
                return Ok(());
            }
            let staged = stage_piece(ports, order, ordinal, *seq, piece).await;
            failed.set(failed.get() || staged.is_err());
            staged
        });
        let staged: Vec<_> = lanes.buffered(LANES).collect().await;
        staged.into_iter().collect::<Result<(), _>>()?;
    }
    Ok(())
}

async fn stage_piece(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    ordinal: u32,
    seq: u32,
    piece: &Piece<'_>,
) -> Result<(), EngineError> {
    let lines = piece.stored.read(&Bucket(ports)).await?;
    if piece.kind == Kind::Rewind {
        // What an image leaves out is looked for elsewhere: the database relies on these marks.
        piece.stored.check(&lines)?;
    }
    send(ports, order, ordinal, (seq, piece, lines)).await
}

async fn send(
    ports: &impl JobPorts,
    order: &RestoreOrder,
    ordinal: u32,
    (seq, piece, lines): (u32, &Piece<'_>, Vec<u8>),
) -> Result<(), EngineError> {
    let head = json!({
        "restore_id": order.work_id, "lease": order.lease,
        "ordinal": ordinal, "seq": seq, "rows": piece.stored.chunk.rows, "kind": piece.kind.word(),
        "version": piece.stored.version(), "from": place(piece.stored),
        "fingerprint": piece.stored.fingerprint(&Bucket(ports)).await?,
    });
    let mut body = head.to_string().into_bytes();
    body.reserve(lines.len() + 1);
    body.push(b'\n');
    body.extend_from_slice(&lines);
    drop(lines);
    retry_passing(ports, async || ports.send("m23_stage_chunk", &body).await).await?;
    Ok(())
}

/// Where a chunk stands in its backup, as the database knows it.
fn place(stored: Stored<'_>) -> Value {
    json!({
        "backup_id": stored.archive.manifest.facts.backup_id, "ordinal": stored.ordinal,
        "seq": stored.seq, "history": stored.lines == Lines::History,
    })
}

/// How much there is to stage; the database counts from there.
async fn note(ports: &impl JobPorts, order: &RestoreOrder, total: u64) -> Result<(), EngineError> {
    let arguments = json!({
        "p_restore_id": order.work_id, "p_lease": order.lease,
        "p_progress": { "phase": "staging", "rows": 0, "total_rows": total },
    });
    tell(ports, "m23_note_restore", &arguments).await?;
    Ok(())
}

/// Not tried twice: an answer that was lost may have been the commit.
async fn execute(ports: &impl JobPorts, order: &RestoreOrder) -> Result<Value, EngineError> {
    let arguments = json!({ "p_restore_id": order.work_id, "p_lease": order.lease });
    Ok(ports.execute("m23_execute_restore", &arguments).await?)
}

/// The database has noted in the log row what it answers here, a failure as well.
fn read_outcome<T: DeserializeOwned>(mut reply: Value) -> Result<T, EngineError> {
    match reply.get_mut("error").map(Value::take) {
        Some(refusal) => Err(refused(parse("m23_execute_restore", refusal)?)),
        None => parse("m23_execute_restore", reply),
    }
}

fn refused(refusal: Refusal) -> EngineError {
    let Some(code) = ErrorCode::parse(&refusal.code).filter(|code| *code != ErrorCode::Internal)
    else {
        return DatabaseError::Failed(refusal.cause.unwrap_or(refusal.message)).into();
    };
    DatabaseError::Refused {
        code,
        sentence: refusal.message,
        details: refusal.details.unwrap_or_default(),
    }
    .into()
}

/// Says in the log row what ended the restore. The lease decides: once the one transaction has
/// committed, or failed by itself, the database refuses this.
async fn fail(ports: &impl JobPorts, order: &RestoreOrder, error: &EngineError) {
    let arguments = json!({
        "p_restore_id": order.work_id, "p_lease": order.lease, "p_error": error.sentence(),
    });
    let told = ports.call("m23_fail_restore", &arguments).await;
    if let Err(untold) = told {
        ports.log(
            &event(order, Level::Warn, "failure_not_recorded")
                .with_cause(&EngineError::from(untold)),
        );
    }
}

fn event(order: &RestoreOrder, level: Level, name: &'static str) -> Record {
    Record::new(level, name)
        .with("work_id", order.work_id.to_string())
        .with("tenant_id", order.tenant_id.to_string())
        .with("backup_id", order.backup_id.map(|id| id.to_string()))
}
