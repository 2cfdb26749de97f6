//! The work of `recovery-test`: accepting a test, and driving it.

use m23_contract::{RecoveryTestRequest, RecoveryTestResponse, WorkStatus};
use m23_engine::{Examined, World as _, drive_test};
use m23_pipeline::{Admitted, Clock as _, Failure, Level, Log as _, Record};
use m23_platform::{Workers, ask_as_user, patiently};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// How long a request's Worker goes on: its caller's patience, and most of what the platform
/// allows after the answer.
const REQUESTED_MS: u64 = 44_000;

/// How long one scheduled event drives tests; the next comes a minute later.
const SCHEDULED_MS: u64 = 50_000;

/// Accepts a test in the user's name; gives its id.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &RecoveryTestRequest,
) -> Result<Uuid, Failure> {
    ask_as_user(
        workers,
        caller,
        "m23_begin_test",
        ("p_test", request),
        BEGIN,
    )
    .await
}

/// Drives a test. Gives its answer, and whether it is done.
pub(crate) async fn drive(
    workers: &Workers,
    test: Uuid,
) -> Result<(RecoveryTestResponse, bool), Failure> {
    let begun = RecoveryTestResponse {
        success: true,
        test_id: Some(test),
        status: Some(WorkStatus::InProgress),
        ..RecoveryTestResponse::default()
    };
    let world = workers.clone();
    let deadline = workers.now_ms() + REQUESTED_MS;
    let work = async move { drive_test(&world, Some(test), deadline).await };
    match patiently(workers, work).await? {
        Some(Examined::Completed(_, results)) => {
            let done = RecoveryTestResponse {
                status: Some(WorkStatus::Completed),
                results: Some(*results),
                ..begun
            };
            Ok((done, true))
        }
        Some(Examined::Failed(_, error)) => Err(error.into()),
        Some(Examined::Nothing | Examined::Paused(_)) | None => Ok((begun, false)),
    }
}

/// Begins the tests that plans say are due; the clock drives them like any other.
async fn begin_scheduled(workers: &Workers) {
    let begun = workers.call("m23_begin_scheduled_tests", &json!({})).await;
    if let Err(error) = begun {
        workers.log(&Record::new(Level::Error, "schedule_not_followed").with_cause(&error));
    }
}

/// Begins what is due, and takes up tests that nobody drives: their Worker is gone, or its time was
/// up.
pub(crate) async fn take_up(workers: &Workers) {
    begin_scheduled(workers).await;
    let deadline = workers.now_ms() + SCHEDULED_MS;
    while workers.now_ms() < deadline {
        match drive_test(workers, None, deadline).await {
            Examined::Completed(..) | Examined::Failed(..) => {}
            Examined::Nothing | Examined::Paused(_) => break,
        }
    }
}
