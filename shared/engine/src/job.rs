//! Driving a job that has a lease: claim it, bring it as far as the deadline lets, and say how that ended. Backups and
//! recovery tests are such jobs; a restore is not: it is driven to its end.

use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::meter::Meter;
use crate::reply::{ask, tell};
use m23_ports::{Level, Record};
use m23_tenant::TenantId;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

/// What came of one drive.
#[derive(Debug)]
pub enum Driven<T> {
    /// There was nothing to do.
    Nothing,
    /// The job is done; what came of it.
    Completed(Uuid, T),
    /// Time was up, or something was away: the next driver goes on from here.
    Paused(Uuid),
    /// It cannot be done; its row says why.
    Failed(Uuid, EngineError),
}

/// What the database's functions and the log call a kind of job.
pub(crate) struct Words {
    /// The field of its id.
    pub(crate) id: &'static str,
    /// The parameter of its id.
    pub(crate) parameter: &'static str,
    /// Claims one, with its lease.
    pub(crate) claim: &'static str,
    /// Ends one as failed.
    pub(crate) fail: &'static str,
    pub(crate) not_claimed: &'static str,
    pub(crate) completed: &'static str,
    pub(crate) paused: &'static str,
    pub(crate) interrupted: &'static str,
    pub(crate) failed: &'static str,
}

/// The right to drive a job, and what the drive has come to.
pub(crate) struct Claim<'a> {
    pub(crate) id: Uuid,
    pub(crate) lease: Uuid,
    pub(crate) tenant_id: &'a TenantId,
    pub(crate) meter: &'a Meter,
}

/// A job that was claimed, as the database describes it.
pub(crate) trait Job: DeserializeOwned {
    /// What comes of one that is done.
    type Done;

    const WORDS: Words;

    fn claim(&self) -> Claim<'_>;

    /// Brings it further; nothing when time was up before the end.
    async fn run(
        &self,
        ports: &impl JobPorts,
        deadline: u64,
    ) -> Result<Option<Self::Done>, EngineError>;
}

/// Drives a job that is waiting for it: the one of this `id`, or any when `None`. Stops at `deadline` (Unix
/// milliseconds) and lets go of the job, so that the next driver can take it up at once.
pub(crate) async fn drive<J: Job>(
    ports: &impl JobPorts,
    id: Option<Uuid>,
    deadline: u64,
) -> Driven<J::Done> {
    let job: J = match claim(ports, id).await {
        Ok(Some(job)) => job,
        Ok(None) => return Driven::Nothing,
        Err(error) => {
            let id = id.map(|id| id.to_string());
            let record = Record::new(Level::Error, J::WORDS.not_claimed).with(J::WORDS.id, id);
            ports.log(&record.with_cause(&error));
            return Driven::Nothing;
        }
    };
    let Claim { id, meter, .. } = job.claim();
    meter.begin(ports);
    match job.run(ports, deadline).await {
        Ok(Some(done)) => {
            log(ports, &job, Level::Info, J::WORDS.completed, None);
            Driven::Completed(id, done)
        }
        Ok(None) => {
            release(ports, &job).await;
            log(ports, &job, Level::Info, J::WORDS.paused, None);
            Driven::Paused(id)
        }
        Err(error) if error.is_passing() => {
            log(ports, &job, Level::Warn, J::WORDS.interrupted, Some(&error));
            release(ports, &job).await;
            Driven::Paused(id)
        }
        Err(error) => {
            log(ports, &job, Level::Error, J::WORDS.failed, Some(&error));
            fail(ports, &job, &error).await;
            Driven::Failed(id, error)
        }
    }
}

/// Drives the jobs that nobody drives, one after the other, until there are none or the `deadline` has come: their
/// Worker is gone, or its time was up.
pub(crate) async fn take_up<J: Job>(ports: &impl JobPorts, deadline: u64) {
    while ports.now_ms() < deadline {
        match drive::<J>(ports, None, deadline).await {
            Driven::Completed(..) | Driven::Failed(..) => {}
            Driven::Nothing | Driven::Paused(_) => return,
        }
    }
}

/// Claims a job.
pub(crate) async fn claim<J: Job>(
    ports: &impl JobPorts,
    id: Option<Uuid>,
) -> Result<Option<J>, EngineError> {
    let arguments = json!({ (J::WORDS.parameter): id });
    ask(ports, J::WORDS.claim, &arguments).await
}

/// Says in a job's row what ended it.
pub(crate) async fn fail<J: Job>(ports: &impl JobPorts, job: &J, error: &EngineError) {
    let Claim { id, lease, .. } = job.claim();
    let arguments = json!({
        (J::WORDS.parameter): id, "p_lease": lease, "p_error": error.sentence(),
    });
    if let Err(error) = tell(ports, J::WORDS.fail, &arguments).await {
        log(
            ports,
            job,
            Level::Error,
            "failure_not_recorded",
            Some(&error),
        );
    }
}

async fn release<J: Job>(ports: &impl JobPorts, job: &J) {
    let Claim { id, lease, .. } = job.claim();
    let arguments = json!({ "p_work_id": id, "p_lease": lease });
    if let Err(error) = ports.call("m23_release_work", &arguments).await {
        log(
            ports,
            job,
            Level::Warn,
            "lease_not_released",
            Some(&error.into()),
        );
    }
}

/// Of one drive: what it has moved, and for how long it has been at it.
fn log<J: Job>(
    ports: &impl JobPorts,
    job: &J,
    level: Level,
    event: &'static str,
    error: Option<&EngineError>,
) {
    let Claim {
        id,
        tenant_id,
        meter,
        ..
    } = job.claim();
    let record = Record::new(level, event)
        .with(J::WORDS.id, id.to_string())
        .with("tenant_id", tenant_id.to_string());
    let record = meter.on(record, ports);
    ports.log(&match error {
        Some(error) => record.with_cause(error),
        None => record,
    });
}
