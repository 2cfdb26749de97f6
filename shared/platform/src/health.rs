//! Looks whether the parts answer. What was found is kept for a while: whoever asks often asks this isolate, and not
//! the database.

use crate::runtime::{Runtime, ambient};
use crate::timeout::bounded;
use crate::version::version;
use futures_util::future::join3;
use m23_contract::{DatabaseHealth, Health, PartStatus};
use m23_pipeline::Caller;
use m23_ports::{Level, Log as _, Record};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::time::Duration;

const KEPT_MS: u64 = 10_000;

/// A part that takes longer than this to answer does not.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a look reads; there need be nothing at that name.
const NAME: &str = "health";

thread_local! {
    static KEPT: RefCell<Option<(u64, Health)>> = const { RefCell::new(None) };
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

/// How the service is, or was a moment ago.
pub(crate) async fn health(runtime: &Runtime) -> Health {
    let kept = KEPT.with_borrow(Clone::clone);
    if let Some((at, health)) = kept
        && (LOOKING.get() || ambient::now_ms().saturating_sub(at) < KEPT_MS)
    {
        return health;
    }
    let looking = Looking::begin();
    let health = look(runtime).await;
    drop(looking);
    KEPT.set(Some((ambient::now_ms(), health.clone())));
    health
}

/// The health of a deployment whose settings cannot be used.
pub(crate) fn unusable() -> Health {
    Health::new(version(), None, PartStatus::Down, PartStatus::Down)
}

/// Somebody looks. Who gives up, by being dropped, does not any more.
struct Looking;

impl Looking {
    fn begin() -> Self {
        LOOKING.set(true);
        Self
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        LOOKING.set(false);
    }
}

async fn look(runtime: &Runtime) -> Health {
    let (database, kv, objects) = join3(
        ask_database(runtime),
        answers(runtime, "kv", read_rate_windows(runtime)),
        answers(runtime, "objects", read_archives(runtime)),
    )
    .await;
    Health::new(version(), database, kv, objects)
}

async fn ask_database(runtime: &Runtime) -> Option<DatabaseHealth> {
    let asked = runtime
        .database()
        .rpc(Caller::Service, "m23_health", &json!({}), PATIENCE)
        .await
        .map_err(|error| error.to_string());
    let said =
        asked.and_then(|said| serde_json::from_value(said).map_err(|error| error.to_string()));
    said.map_err(|cause| not_answering(runtime, "database", &cause))
        .ok()
}

async fn read_rate_windows(runtime: &Runtime) -> Result<(), String> {
    let store = runtime.rate_windows().map_err(|error| error.to_string())?;
    let read = store.get(NAME).text().await;
    read.map(drop).map_err(|error| error.to_string())
}

async fn read_archives(runtime: &Runtime) -> Result<(), String> {
    let archives = runtime.archives().map_err(|error| error.to_string())?;
    let read = archives.head(NAME).await;
    read.map(drop).map_err(|error| error.to_string())
}

async fn answers(
    runtime: &Runtime,
    part: &str,
    read: impl Future<Output = Result<(), String>>,
) -> PartStatus {
    let outcome = bounded(PATIENCE, read).await;
    match outcome.unwrap_or_else(|timed_out| Err(timed_out.to_string())) {
        Ok(()) => PartStatus::Ok,
        Err(cause) => {
            not_answering(runtime, part, &cause);
            PartStatus::Down
        }
    }
}

/// The cause is for our log alone.
fn not_answering(runtime: &Runtime, part: &str, cause: &str) {
    let record = Record::new(Level::Warn, "part_not_answering");
    runtime.log(&record.with("part", part).with("cause", cause));
}
