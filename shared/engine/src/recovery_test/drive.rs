//! Driving a recovery test: claim, examine, restore into a place of its own, report.

use super::lines::read;
use super::manifests::{list, read_archives};
use super::plan::{Depth, Known, Plan, Progress, save};
use super::tally::Tally;
use crate::error::EngineError;
use crate::job::{Claim, Driven, Job, Words, drive, take_up};
use crate::job_ports::JobPorts;
use crate::order::RestoreOrder;
use crate::reply::{ask, parse};
use crate::restore::prepare;
use m23_contract::RecoveryTestResults;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The answer of `m23_execute_test`.
#[derive(Debug, Deserialize)]
struct Trial {
    tally: Tally,
    seconds: Option<f64>,
    rows: Option<u64>,
    undone: Option<u64>,
}

impl Job for Plan {
    type Done = Box<RecoveryTestResults>;

    const WORDS: Words = Words {
        id: "test_id",
        parameter: "p_test_id",
        claim: "m23_claim_test",
        fail: "m23_fail_test",
        not_claimed: "test_not_claimed",
        completed: "test_completed",
        paused: "test_paused",
        interrupted: "test_interrupted",
        failed: "test_failed",
    };

    fn claim(&self) -> Claim<'_> {
        Claim {
            id: self.test_id,
            lease: self.lease,
            tenant_id: &self.tenant_id,
            meter: &self.meter,
        }
    }

    async fn run(
        &self,
        ports: &impl JobPorts,
        deadline: u64,
    ) -> Result<Option<Self::Done>, EngineError> {
        Ok(run(ports, self, deadline).await?.map(Box::new))
    }
}

/// Drives a test that is waiting for it: `test`, or any when `None`. From `deadline` on (Unix
/// milliseconds) it reads no further object, and lets go of the test. Gives what it found.
pub async fn drive_test(
    ports: &impl JobPorts,
    test: Option<Uuid>,
    deadline: u64,
) -> Driven<Box<RecoveryTestResults>> {
    drive::<Plan>(ports, test, deadline).await
}

/// Drives the tests that nobody drives, until there are none or the `deadline` has come.
pub async fn take_up_tests(ports: &impl JobPorts, deadline: u64) {
    take_up::<Plan>(ports, deadline).await;
}

/// Gives the results, or nothing when time was up before the end.
async fn run(
    ports: &impl JobPorts,
    plan: &Plan,
    deadline: u64,
) -> Result<Option<RecoveryTestResults>, EngineError> {
    let mut progress = plan.state.clone();
    let whole = examine(ports, plan, &mut progress, deadline).await?;
    save(ports, plan, &progress).await?;
    if !whole {
        return Ok(None);
    }
    let trial = match plan.level {
        Depth::Deep => try_restore(ports, plan, &mut progress.tally).await?,
        Depth::Basic | Depth::Full => None,
    };
    finish(ports, plan, &progress.tally, trial).await.map(Some)
}

/// Examines a chain. Gives whether that is done, or else was stopped by the deadline.
async fn examine(
    ports: &impl JobPorts,
    plan: &Plan,
    progress: &mut Progress,
    deadline: u64,
) -> Result<bool, EngineError> {
    let mut found = Tally::default();
    let archives = read_archives(ports, plan, &mut found).await?;
    if !progress.listed {
        list(ports, &archives, &mut found).await?;
        progress.tally.add(found);
        progress.listed = true;
    }
    if plan.level == Depth::Basic {
        return Ok(true);
    }
    read(ports, plan, &archives, progress, deadline).await
}

/// A backup without an archive cannot be restored, which was found already; nor is one that is
/// damaged: it could only fail at the same place.
async fn try_restore(
    ports: &impl JobPorts,
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
    let order: RestoreOrder = ask(ports, "m23_stage_test", &names).await?;
    match prepare(ports, &order, &plan.meter).await {
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
    let reply = ports.execute("m23_execute_test", &names).await?;
    let trial: Trial = parse("m23_execute_test", reply)?;
    tally.add(trial.tally);
    Ok(Some(
        json!({ "seconds": trial.seconds, "rows": trial.rows, "undone": trial.undone }),
    ))
}

async fn finish(
    ports: &impl JobPorts,
    plan: &Plan,
    tally: &Tally,
    trial: Option<Value>,
) -> Result<RecoveryTestResults, EngineError> {
    let arguments = json!({
        "p_test_id": plan.test_id, "p_lease": plan.lease, "p_tally": tally, "p_restore": trial,
    });
    ask(ports, "m23_finish_test", &arguments).await
}
