//! Driving a recovery test: claim, examine, restore into a place of its own, report.

use super::lines::read;
use super::manifests::{list, read_archives};
use super::plan::{Depth, Known, Plan, Progress, save};
use super::tally::Tally;
use crate::error::EngineError;
use crate::order::RestoreOrder;
use crate::reply::{ask, parse, tell};
use crate::restore::prepare;
use crate::world::World;
use m23_contract::RecoveryTestResults;
use m23_ports::{Level, Record};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What came of one drive.
#[derive(Debug)]
pub enum Examined {
    /// There was nothing to do.
    Nothing,
    /// The test ran to its end; what it found.
    Completed(Uuid, Box<RecoveryTestResults>),
    /// Time was up, or something was away: the next driver goes on from here.
    Paused(Uuid),
    /// It cannot be run; its row says why.
    Failed(Uuid, EngineError),
}

/// The answer of `m23_execute_test`.
#[derive(Debug, Deserialize)]
struct Trial {
    tally: Tally,
    seconds: Option<f64>,
    rows: Option<u64>,
    undone: Option<u64>,
}

/// Drives a test that is waiting for it: `test`, or any when `None`. From `deadline` on (Unix
/// milliseconds) it reads no further object, and lets go of the test.
pub async fn drive_test(world: &impl World, test: Option<Uuid>, deadline: u64) -> Examined {
    let plan = match claim(world, test).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return Examined::Nothing,
        Err(error) => {
            let id = test.map(|id| id.to_string());
            let record = Record::new(Level::Error, "test_not_claimed").with("test_id", id);
            world.log(&record.with_cause(&error));
            return Examined::Nothing;
        }
    };
    plan.meter.begin(world);
    let id = plan.test_id;
    match run(world, &plan, deadline).await {
        Ok(Some(results)) => {
            log(world, &plan, Level::Info, "test_completed", None);
            Examined::Completed(id, Box::new(results))
        }
        Ok(None) => {
            release(world, &plan).await;
            log(world, &plan, Level::Info, "test_paused", None);
            Examined::Paused(id)
        }
        Err(error) if error.is_passing() => {
            release(world, &plan).await;
            log(world, &plan, Level::Warn, "test_interrupted", Some(&error));
            Examined::Paused(id)
        }
        Err(error) => {
            log(world, &plan, Level::Error, "test_failed", Some(&error));
            fail(world, &plan, &error).await;
            Examined::Failed(id, error)
        }
    }
}

async fn claim(world: &impl World, test: Option<Uuid>) -> Result<Option<Plan>, EngineError> {
    ask(world, "m23_claim_test", &json!({ "p_test_id": test })).await
}

/// Gives the results, or nothing when time was up before the end.
async fn run(
    world: &impl World,
    plan: &Plan,
    deadline: u64,
) -> Result<Option<RecoveryTestResults>, EngineError> {
    let mut progress = plan.state.clone();
    let whole = examine(world, plan, &mut progress, deadline).await?;
    save(world, plan, &progress).await?;
    if !whole {
        return Ok(None);
    }
    let trial = match plan.level {
        Depth::Deep => try_restore(world, plan, &mut progress.tally).await?,
        Depth::Basic | Depth::Full => None,
    };
    finish(world, plan, &progress.tally, trial).await.map(Some)
}

/// Examines a chain. Gives whether that is done, or else was stopped by the deadline.
async fn examine(
    world: &impl World,
    plan: &Plan,
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut found = Tally::default();
    let archives = read_archives(world, plan, &mut found).await?;
    if !progress.listed {
        list(world, &archives, &mut found).await?;
        progress.tally.add(found);
        progress.listed = true;
    }
    if plan.level == Depth::Basic {
        return Ok(true);
    }
    read(world, plan, &archives, progress, deadline).await
}

/// A backup without an archive cannot be restored, which was found already; nor is one that is
/// damaged: it could only fail at the same place.
async fn try_restore(
    world: &impl World,
    plan: &Plan,
    tally: &mut Tally,
) -> Result<Option<Value>, EngineError> {
    if !plan.archives.iter().all(Known::is_stored) {
        return Ok(None);
    }
    if tally.is_of_damage() {
        tally.find(
            "not_restorable",
            "the restore",
            "the archive is damaged, so it was not restored",
        );
        return Ok(None);
    }
    let names = json!({ "p_test_id": plan.test_id, "p_lease": plan.lease });
    let order: RestoreOrder = ask(world, "m23_stage_test", &names).await?;
    match prepare(world, &order, &plan.meter).await {
        Ok(()) => {}
        Err(error) if error.is_passing() => return Err(error),
        Err(error) => {
            let kind = if error.is_conflict() {
                "constraint_broken"
            } else {
                "not_restorable"
            };
            tally.find(kind, "the restore", &error.sentence());
            return Ok(None);
        }
    }
    let reply = world.execute("m23_execute_test", &names).await?;
    let trial: Trial = parse("m23_execute_test", reply)?;
    tally.add(trial.tally);
    Ok(Some(
        json!({ "seconds": trial.seconds, "rows": trial.rows, "undone": trial.undone }),
    ))
}

async fn finish(
    world: &impl World,
    plan: &Plan,
    tally: &Tally,
    trial: Option<Value>,
) -> Result<RecoveryTestResults, EngineError> {
    let arguments = json!({
        "p_test_id": plan.test_id, "p_lease": plan.lease, "p_tally": tally, "p_restore": trial,
    });
    ask(world, "m23_finish_test", &arguments).await
}

async fn release(world: &impl World, plan: &Plan) {
    let arguments = json!({ "p_work_id": plan.test_id, "p_lease": plan.lease });
    if let Err(error) = world.call("m23_release_work", &arguments).await {
        let error = error.into();
        log(world, plan, Level::Warn, "lease_not_released", Some(&error));
    }
}

async fn fail(world: &impl World, plan: &Plan, error: &EngineError) {
    let arguments = json!({
        "p_test_id": plan.test_id, "p_lease": plan.lease, "p_error": error.sentence(),
    });
    let told = tell(world, "m23_fail_test", &arguments).await;
    if let Err(error) = told {
        log(
            world,
            plan,
            Level::Error,
            "failure_not_recorded",
            Some(&error),
        );
    }
}

/// Of one drive: what it has read, and for how long it has been at it.
fn log(
    world: &impl World,
    plan: &Plan,
    level: Level,
    event: &'static str,
    error: Option<&EngineError>,
) {
    let record = Record::new(level, event)
        .with("test_id", plan.test_id.to_string())
        .with("tenant_id", plan.tenant_id.to_string());
    let record = plan.meter.on(record, world);
    world.log(&match error {
        Some(error) => record.with_cause(error),
        None => record,
    });
}
