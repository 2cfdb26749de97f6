//! Collecting: objects of backups that are deleted or failed, and whatever lies beside a complete one.

use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::reply::{ask, tell};
use crate::retry::retry_passing;
use m23_ports::{Level, Record};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Where objects are to be deleted, and which of them stay.
#[derive(Debug, Deserialize)]
struct Collection {
    job_id: Uuid,
    prefix: String,
    keep: Vec<String>,
}

/// Deletes objects that nobody needs any more, until there are none or the `deadline` (Unix
/// milliseconds) has come. Gives how many. What fails is tried again by the next driver.
pub async fn collect(ports: &impl JobPorts, deadline: u64) -> usize {
    let mut deleted = 0;
    while ports.now_ms() < deadline {
        match collect_next(ports).await {
            Ok(Some(count)) => deleted += count,
            Ok(None) => break,
            Err(error) => {
                ports.log(&Record::new(Level::Error, "not_collected").with_cause(&error));
                break;
            }
        }
    }
    deleted
}

async fn collect_next(ports: &impl JobPorts) -> Result<Option<usize>, EngineError> {
    let Some(next): Option<Collection> = ask(ports, "m23_next_collection", &json!({})).await?
    else {
        return Ok(None);
    };
    let found = retry_passing(ports, async || ports.sizes(&next.prefix).await).await?;
    let mut doomed: Vec<&String> = found
        .keys()
        .filter(|object| !next.keep.contains(object))
        .collect();
    // The manifest first: without it there is no backup, whatever stops us then.
    doomed.sort_by_key(|object| !object.ends_with("/manifest.json"));
    for object in &doomed {
        retry_passing(ports, async || ports.delete(object).await).await?;
    }
    let arguments = json!({ "p_job_id": next.job_id });
    tell(ports, "m23_note_collected", &arguments).await?;
    let record = Record::new(Level::Info, "objects_collected");
    ports.log(
        &record
            .with("job_id", next.job_id.to_string())
            .with("objects", doomed.len()),
    );
    Ok(Some(doomed.len()))
}
