//! Every byte and every line of a chain's chunks.

use super::kinds::{chunk_kind, note};
use super::plan::{Plan, Progress, save};
use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use m23_archive::reader::{Archive, Stored};

/// How far it has come is noted this often, in milliseconds: well within a lease.
const NOTED_EVERY_MS: u64 = 5_000;

/// Reads every byte from where an earlier driver stopped.
pub(super) async fn read(
    ports: &impl JobPorts,
    plan: &Plan,
    archives: &[Archive],
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut noted_at = ports.now_ms();
    let done = usize::try_from(progress.read).unwrap_or(usize::MAX);
    for (place, stored) in archives
        .iter()
        .flat_map(Archive::all_chunks)
        .skip(done)
        .enumerate()
    {
        let chunk = stored.chunk;
        // However little time there is, a drive brings its test further.
        if place > 0 && ports.now_ms() >= deadline {
            return Ok(false);
        }
        if !progress.tally.knows(&chunk.object) {
            match read_chunk(ports, stored).await {
                Ok(()) => progress.tally.pass(),
                Err(error) => note(&mut progress.tally, &chunk.object, error, chunk_kind)?,
            }
        }
        progress.read += 1;
        plan.meter.count(chunk.rows, chunk.stored_bytes);
        if ports.now_ms() >= noted_at + NOTED_EVERY_MS {
            save(ports, plan, progress).await?;
            noted_at = ports.now_ms();
        }
    }
    Ok(true)
}

/// Every byte and line of a chunk. What cannot be decrypted is compared with its hash.
async fn read_chunk(ports: &impl JobPorts, stored: Stored<'_>) -> Result<(), EngineError> {
    let bucket = Bucket(ports);
    if stored.archive.is_locked() {
        stored.fetch(&bucket).await?;
    } else {
        stored.read_checked(&bucket).await?;
    }
    Ok(())
}
