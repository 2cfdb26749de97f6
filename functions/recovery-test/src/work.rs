//! The work of `recovery-test`: accepting a test, and driving it.

use m23_contract::{RecoveryTestRequest, RecoveryTestResponse, WorkStatus};
use m23_engine::{Examined, do_in_shares, drive_test};
use m23_pipeline::{Admitted, Failure};
use m23_platform::{Workers, ask_as_caller, failure_of, patiently};
use m23_ports::Clock as _;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// How long a request's Worker goes on: its caller's patience, and most of what the platform
/// allows after the answer.
const REQUESTED_MS: u64 = 44_000;

/// How long one scheduled event drives tests; the next comes a minute later.
const SCHEDULED_MS: u64 = 50_000;

/// How long it begins what is due, and how long it goes round the tenants, before it drives tests.
const SHARES_MS: u64 = 10_000;

/// Accepts a test in the caller's name; gives its id.
pub(crate) async fn begin(
    workers: &Workers,
    caller: &Admitted,
    request: &RecoveryTestRequest,
) -> Result<Uuid, Failure> {
    ask_as_caller(
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
        Some(Examined::Failed(_, error)) => Err(failure_of(error)),
        Some(Examined::Nothing | Examined::Paused(_)) | None => Ok((begun, false)),
    }
}

/// Begins what plans say is due, does a share of what is done for every tenant, and takes up tests that nobody
/// drives: their Worker is gone, or its time was up.
pub(crate) async fn take_up(workers: &Workers) {
    for work in ["m23_begin_scheduled_tests", "m23_go_rounds"] {
        let until = workers.now_ms() + SHARES_MS;
        do_in_shares(workers, work, until).await;
    }
    let deadline = workers.now_ms() + SCHEDULED_MS;
    while workers.now_ms() < deadline {
        match drive_test(workers, None, deadline).await {
            Examined::Completed(..) | Examined::Failed(..) => {}
            Examined::Nothing | Examined::Paused(_) => break,
        }
    }
}
