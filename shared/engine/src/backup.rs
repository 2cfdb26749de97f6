//! Driving a backup: claim, read chunk by chunk, store, record, and at last the manifest.

use crate::error::EngineError;
use crate::job::{Claim, Driven, Job, Words, claim, drive, fail, take_up};
use crate::job_ports::JobPorts;
use crate::keys::{KeyPlan, backup_key};
use crate::meter::Meter;
use crate::objects::{fetch, put};
use crate::reply::{ask, tell};
use crate::retry::retry_passing;
use crate::seal::{authenticate, seal};
use futures_channel::mpsc;
use futures_util::StreamExt as _;
use futures_util::future::{Either, join, poll_fn, select};
use futures_util::stream::FuturesOrdered;
use m23_archive::reader::DataKey;
use m23_archive::seal::{chunk_context, fingerprint_context, fingerprint_to_text};
use m23_archive::{ArchiveError, ChunkPlace, Facts, Lines, Manifest, Packer, manifest_object};
use m23_ports::{Database, DatabaseError};
use m23_tenant::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::pin::pin;
use uuid::Uuid;

/// Bytes that are compressed in one go.
const AT_ONCE: usize = 512 * 1024;

/// The answer of `m23_claim_backup`.
#[derive(Debug, Deserialize)]
struct Plan {
    job_id: Uuid,
    lease: Uuid,
    tenant_id: TenantId,
    #[serde(skip)]
    meter: Meter,
    prefix: String,
    key: KeyPlan,
    parent: Option<ParentManifest>,
    parts: Vec<Part>,
}

/// What an incremental builds on: the manifest as the database noted it.
#[derive(Debug, Clone, Deserialize)]
pub struct ParentManifest {
    /// Its object.
    pub manifest: String,
    /// Its SHA-256 when it was written.
    pub sha256: String,
}

/// A table's rows, or what the log says of them since the parent.
#[derive(Debug, Deserialize)]
struct Part {
    ordinal: u32,
    schema: String,
    name: String,
    history: bool,
    done: bool,
    next_seq: u32,
    after: Option<Vec<String>>,
}

/// The first line of a chunk as the database gives it.
#[derive(Debug, Deserialize)]
struct Head {
    rows: u64,
    last_key: Option<Vec<String>>,
    done: bool,
    /// Of the lines as the database read them; kept there, for recovery tests.
    #[serde(default)]
    fingerprint: Option<String>,
    /// Where the next chunk will end, if nothing changes: the one after it can be asked for already.
    #[serde(default)]
    next_key: Option<Vec<String>>,
}

impl Head {
    /// Whether both are of the same lines. What follows them may have changed meanwhile.
    fn is_same(&self, other: &Self) -> bool {
        self.rows == other.rows
            && self.last_key == other.last_key
            && self.fingerprint == other.fingerprint
    }
}

/// A chunk that begins to come: its head says where the next one starts.
struct Coming<R> {
    head: Head,
    rest: R,
}

struct Piece {
    head: Head,
    lines: Vec<u8>,
}

impl Job for Plan {
    type Done = ();

    const WORDS: Words = Words {
        id: "job_id",
        parameter: "p_job_id",
        claim: "m23_claim_backup",
        fail: "m23_fail_backup",
        not_claimed: "backup_not_claimed",
        completed: "backup_completed",
        paused: "backup_paused",
        interrupted: "backup_interrupted",
        failed: "backup_failed",
    };

    fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.job_id,
            lease: self.lease,
            tenant_id: &self.tenant_id,
            meter: &self.meter,
        }
    }

    async fn run(&self, ports: &impl JobPorts, deadline: u64) -> Result<Option<()>, EngineError> {
        Ok(run(ports, self, deadline).await?.then_some(()))
    }
}

/// Drives a backup that is waiting for it: `job`, or any when `None`. From `deadline` on (Unix milliseconds) it
/// reads no further chunk, and lets go of the backup.
pub async fn drive_backup(ports: &impl JobPorts, job: Option<Uuid>, deadline: u64) -> Driven<()> {
    drive::<Plan>(ports, job, deadline).await
}

/// Drives the backups that nobody drives, until there are none or the `deadline` has come.
pub async fn take_up_backups(ports: &impl JobPorts, deadline: u64) {
    take_up::<Plan>(ports, deadline).await;
}

/// Looks whether a backup that has just been accepted can build on its parent, and be encrypted where
/// it must be, before its caller is told so; ends it when not.
///
/// # Errors
/// What is wrong with the parent's manifest in the store; [`EngineError::Unsealed`].
pub async fn check_accepted(
    ports: &impl JobPorts,
    job: Uuid,
    sealed: bool,
    parent: Option<&ParentManifest>,
) -> Result<(), EngineError> {
    let checked = match parent {
        _ if sealed && ports.master_keys().current.is_none() => Err(EngineError::Unsealed),
        Some(parent) => is_unaltered(ports, parent).await,
        None => Ok(()),
    };
    if let Err(error) = &checked
        && let Ok(Some(plan)) = claim::<Plan>(ports, Some(job)).await
    {
        fail(ports, &plan, error).await;
    }
    checked
}

async fn is_unaltered(ports: &impl JobPorts, parent: &ParentManifest) -> Result<(), EngineError> {
    fetch(ports, &parent.manifest, &parent.sha256).await?;
    Ok(())
}

/// Gives whether the backup is complete, or else was stopped by its deadline.
async fn run(ports: &impl JobPorts, plan: &Plan, deadline: u64) -> Result<bool, EngineError> {
    if let Some(parent) = &plan.parent {
        is_unaltered(ports, parent).await?;
    }
    let key = backup_key(ports, (plan.job_id, plan.lease), &plan.key).await?;
    let key = key.as_ref();
    let unfinished = plan.parts.iter().filter(|part| !part.done);
    for (place, part) in unfinished.enumerate() {
        // However little time there is, a drive brings its job further.
        let is_late = place > 0 && ports.now_ms() >= deadline;
        if is_late || !back_up_part(ports, (plan, key), part, deadline).await? {
            return Ok(false);
        }
    }
    finish(ports, plan, key).await?;
    Ok(true)
}

/// Reads a part's chunks ahead of storing them. Gives whether the part is complete, or else was stopped
/// by the deadline.
async fn back_up_part(
    ports: &impl JobPorts,
    (plan, key): (&Plan, Option<&DataKey>),
    part: &Part,
    deadline: u64,
) -> Result<bool, EngineError> {
    let (sender, chunks) = mpsc::channel(0);
    let reading = read_ahead(ports, plan, part, deadline, sender);
    let storing = store_chunks(ports, (plan, key), part, chunks);
    match select(pin!(reading), pin!(storing)).await {
        Either::Left(((), storing)) => storing.await,
        Either::Right((outcome, _reading)) => outcome,
    }
}

/// A chunk, or why there are no more.
type Chunk<W> = Result<Coming<<W as Database>::Rest>, EngineError>;

/// As soon as a chunk's first line says where the next one starts, that one is asked for; and where it says
/// where the next one ends, the one after it as well, so that the database reads two at once. Their lines
/// are taken in when they are stored. Ends behind the last chunk, an error or the deadline.
async fn read_ahead<W: JobPorts>(
    ports: &W,
    plan: &Plan,
    part: &Part,
    deadline: u64,
    mut chunks: mpsc::Sender<Chunk<W>>,
) {
    let ask_after = |after: Option<Vec<String>>| ask_for_chunk(ports, plan, part, after);
    let mut asked = FuturesOrdered::new();
    asked.push_back(ask_after(part.after.clone()));
    let mut asked_after = None;
    let mut chunk = asked.next().await;
    while let Some(read) = chunk.take() {
        if let Ok(Coming { head, .. }) = &read
            && !head.done
            && ports.now_ms() < deadline
        {
            if asked_after != head.last_key {
                asked.clear();
                asked.push_back(ask_after(head.last_key.clone()));
            }
            if head.next_key.is_some() {
                asked.push_back(ask_after(head.next_key.clone()));
            }
            asked_after.clone_from(&head.next_key);
        } else {
            asked.clear();
        }
        let passed_on = async {
            let room = poll_fn(|context| chunks.poll_ready(context)).await;
            room.and_then(|()| chunks.start_send(read))
        };
        let (passed_on, next) = join(passed_on, asked.next()).await;
        if passed_on.is_ok() {
            chunk = next;
        }
    }
}

async fn store_chunks<W: JobPorts>(
    ports: &W,
    (plan, key): (&Plan, Option<&DataKey>),
    part: &Part,
    mut chunks: mpsc::Receiver<Chunk<W>>,
) -> Result<bool, EngineError> {
    let mut seq = part.next_seq;
    let mut after = part.after.clone();
    let mut done = false;
    while let Some(coming) = chunks.next().await {
        let coming = coming?;
        done = coming.head.done;
        let last_key = coming.head.last_key.clone();
        let piece = receive(ports, plan, part, after.as_ref(), coming).await?;
        store(ports, (plan, key), part, seq, piece).await?;
        after = last_key;
        seq += 1;
    }
    Ok(done)
}

async fn ask_for_chunk<W: JobPorts>(
    ports: &W,
    plan: &Plan,
    part: &Part,
    after: Option<Vec<String>>,
) -> Result<Coming<W::Rest>, EngineError> {
    let after = after.as_ref();
    retry_passing(ports, async || ask_once(ports, plan, part, after).await).await
}

async fn ask_once<W: JobPorts>(
    ports: &W,
    plan: &Plan,
    part: &Part,
    after: Option<&Vec<String>>,
) -> Result<Coming<W::Rest>, EngineError> {
    let arguments = json!({
        "p_job_id": plan.job_id, "p_lease": plan.lease, "p_ordinal": part.ordinal,
        "p_history": part.history, "p_after": after,
    });
    let (line, rest) = ports.read("m23_read_chunk", &arguments).await?;
    let head = serde_json::from_slice(&line).map_err(|error| EngineError::UnknownReply {
        call: "m23_read_chunk",
        cause: error.to_string(),
    })?;
    Ok(Coming { head, rest })
}

/// The lines of a chunk that has begun to come. Where its answer breaks off it is asked for again: it
/// is the same one, or else what has been asked for meanwhile is not the next.
async fn receive<W: JobPorts>(
    ports: &W,
    plan: &Plan,
    part: &Part,
    after: Option<&Vec<String>>,
    begun: Coming<W::Rest>,
) -> Result<Piece, EngineError> {
    let Coming { head, rest } = begun;
    let mut first = Some(rest);
    let lines = retry_passing(ports, async || {
        if let Some(rest) = first.take() {
            return Ok::<_, EngineError>(rest.await?);
        }
        let again = ask_once(ports, plan, part, after).await?;
        if !again.head.is_same(&head) {
            return Err(
                DatabaseError::Unavailable("a chunk came again otherwise".to_owned()).into(),
            );
        }
        Ok(again.rest.await?)
    })
    .await?;
    Ok(Piece { head, lines })
}

async fn store(
    ports: &impl JobPorts,
    (plan, key): (&Plan, Option<&DataKey>),
    part: &Part,
    seq: u32,
    piece: Piece,
) -> Result<(), EngineError> {
    let Piece { head, lines } = piece;
    let mut record = json!({
        "job_id": plan.job_id, "lease": plan.lease, "ordinal": part.ordinal, "history": part.history, "seq": seq,
        "rows": head.rows, "last_key": head.last_key, "done": head.done, "fingerprint": head.fingerprint,
    });
    if head.rows > 0 {
        let bytes = lines.len();
        let packed = compress(ports, &lines)
            .await
            .map_err(|error| EngineError::in_part(&part.name, error))?;
        drop(lines);
        let place = place(plan, part, seq, key.is_some());
        let stored = match key {
            Some(key) => {
                let at = |context: fn(Uuid, u32, Lines, u32) -> Vec<u8>| {
                    context(plan.job_id, part.ordinal, place.lines, seq)
                };
                if let Some(sum) = &head.fingerprint {
                    // Anybody can read a manifest, and could try what a few lines come to.
                    let sealed =
                        seal(ports, &key.key, sum.as_bytes(), &at(fingerprint_context)).await?;
                    let sealed = fingerprint_to_text(&sealed);
                    merge(&mut record, json!({ "sealed_fingerprint": sealed }));
                }
                seal(ports, &key.key, &packed, &at(chunk_context)).await?
            }
            None => packed,
        };
        let stored_bytes = stored.len();
        let (object, sha256) = put(ports, stored, |sha256| place.object(sha256)).await?;
        plan.meter.count(head.rows, stored_bytes as u64);
        merge(
            &mut record,
            json!({ "object": object, "sha256": sha256, "bytes": bytes, "stored_bytes": stored_bytes }),
        );
    }
    let arguments = json!({ "p_chunk": record });
    tell(ports, "m23_record_chunk", &arguments).await?;
    Ok(())
}

/// Compressing keeps this thread busy: before each piece of the lines, what it has begun goes on, such
/// as the request for the next chunk.
async fn compress(ports: &impl JobPorts, lines: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let (bytes, most) = (lines.len() as u64, m23_archive::Chunk::MOST_BYTES);
    if bytes > most {
        return Err(ArchiveError::TooLarge { bytes, most });
    }
    let mut packer = Packer::new(lines.len());
    for piece in lines.chunks(AT_ONCE) {
        ports.give_way().await;
        packer.write(piece)?;
    }
    packer.finish()
}

fn place<'a>(plan: &'a Plan, part: &'a Part, seq: u32, sealed: bool) -> ChunkPlace<'a> {
    ChunkPlace {
        prefix: &plan.prefix,
        ordinal: part.ordinal,
        schema: &part.schema,
        table: &part.name,
        lines: if part.history {
            Lines::History
        } else {
            Lines::Rows
        },
        seq,
        sealed,
    }
}

/// No manifest, no backup: it is written last, and the job is complete only after it has been
/// read back. One that an earlier driver left there may say what no longer holds.
async fn finish(
    ports: &impl JobPorts,
    plan: &Plan,
    key: Option<&DataKey>,
) -> Result<(), EngineError> {
    let arguments = json!({ "p_job_id": plan.job_id, "p_lease": plan.lease });
    let facts: Facts = ask(ports, "m23_backup_facts", &arguments).await?;
    let manifest = Manifest::new(facts, key.map(DataKey::encryption))
        .map_err(|error| EngineError::in_part("the manifest", error))?;
    let bytes = manifest
        .to_bytes()
        .map_err(|error| EngineError::in_part("the manifest", error))?;
    let mac_size = match key {
        Some(key) => authenticate(ports, key, &plan.prefix, &bytes).await?,
        None => 0,
    };
    let size = manifest.stored_bytes + bytes.len() as u64 + mac_size;
    let (object, sha256) = put(ports, bytes, |_| manifest_object(&plan.prefix)).await?;
    fetch(ports, &object, &sha256).await?;
    let arguments = json!({
        "p_job_id": plan.job_id, "p_lease": plan.lease, "p_manifest": object,
        "p_manifest_sha256": sha256, "p_size_bytes": size,
    });
    tell(ports, "m23_finish_backup", &arguments).await?;
    Ok(())
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
