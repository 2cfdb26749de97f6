//! Collecting: objects of backups that are deleted or failed, and whatever lies beside a complete one.

use crate::error::EngineError;
use crate::reply::{ask, tell};
use crate::retry::persistently;
use crate::world::World;
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
pub async fn collect(world: &impl World, deadline: u64) -> usize {
    let mut deleted = 0;
    while world.now_ms() < deadline {
        match collect_next(world).await {
            Ok(Some(count)) => deleted += count,
            Ok(None) => break,
            Err(error) => {
                world.log(&Record::new(Level::Error, "not_collected").with_cause(&error));
                break;
            }
        }
    }
    deleted
}

async fn collect_next(world: &impl World) -> Result<Option<usize>, EngineError> {
    let Some(next): Option<Collection> = ask(world, "m23_next_collection", &json!({})).await?
    else {
        return Ok(None);
    };
    let found = persistently(world, async || world.sizes(&next.prefix).await).await?;
    let mut doomed: Vec<&String> = found
        .keys()
        .filter(|object| !next.keep.contains(object))
        .collect();
    // The manifest first: without it there is no backup, whatever stops us then.
    doomed.sort_by_key(|object| !object.ends_with("/manifest.json"));
    for object in &doomed {
        persistently(world, async || world.delete(object).await).await?;
    }
    let arguments = json!({ "p_job_id": next.job_id });
    tell(world, "m23_note_collected", &arguments).await?;
    let record = Record::new(Level::Info, "objects_collected");
    world.log(
        &record
            .with("job_id", next.job_id.to_string())
            .with("objects", doomed.len()),
    );
    Ok(Some(doomed.len()))
}
