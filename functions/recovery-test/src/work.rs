//! The work of `recovery-test`: accepting a test, and driving it.

use m23_contract::{
    LONGEST_WAIT_SECONDS, RecoveryTestAccepted, RecoveryTestCompleted, RecoveryTestRequest,
    RecoveryTestResponse, WorkStatus,
};
use m23_engine::{Driven, do_in_shares, drive_test, take_up_tests};
use m23_pipeline::{Admitted, Answer, Failure};
use m23_platform::{Runtime, failure_of, or_detach, rpc_as_user};
use m23_ports::Clock as _;
use std::time::Duration;
use uuid::Uuid;

const BEGIN: Duration = Duration::from_secs(15);

/// How long a request's Worker goes on: while its caller waits, and for most of what the platform
/// allows after the answer.
const REQUESTED_MS: u64 = LONGEST_WAIT_SECONDS * 1_000 + 20_000;

/// How long one scheduled event drives tests; the next comes a minute later.
const SCHEDULED_MS: u64 = 50_000;

/// How long it begins what is due, and how long it goes round the tenants, before it drives tests.
const SHARES_MS: u64 = 10_000;

/// Accepts a test in the caller's name; gives its id.
pub(crate) async fn begin(
    runtime: &Runtime,
    caller: &Admitted,
    request: &RecoveryTestRequest,
) -> Result<Uuid, Failure> {
    rpc_as_user(
        runtime,
        caller,
        "m23_begin_test",
        ("p_test", request),
        BEGIN,
    )
    .await
}

/// Drives a test, and answers with what it found, or with 202 while it goes on.
pub(crate) async fn drive(runtime: &Runtime, test: Uuid) -> Result<Answer, Failure> {
    let ports = runtime.clone();
    let deadline = runtime.now_ms() + REQUESTED_MS;
    let work = async move { drive_test(&ports, Some(test), deadline).await };
    match or_detach(runtime, work).await? {
        Some(Driven::Completed(_, results)) => {
            Answer::done(&RecoveryTestResponse::Completed(RecoveryTestCompleted {
                success: true,
                test_id: test,
                status: WorkStatus::Completed,
                results: *results,
            }))
        }
        Some(Driven::Failed(_, error)) => Err(failure_of(error)),
        Some(Driven::Nothing | Driven::Paused(_)) | None => {
            Answer::accepted(&RecoveryTestResponse::Accepted(RecoveryTestAccepted {
                success: true,
                test_id: test,
                status: WorkStatus::InProgress,
            }))
        }
    }
}

/// Begins what plans say is due, does a share of what is done for every tenant, and takes up tests that nobody
/// drives: their Worker is gone, or its time was up.
pub(crate) async fn take_up(runtime: &Runtime) {
    for work in ["m23_begin_scheduled_tests", "m23_go_rounds"] {
        let until = runtime.now_ms() + SHARES_MS;
        do_in_shares(runtime, work, until).await;
    }
    let deadline = runtime.now_ms() + SCHEDULED_MS;
    take_up_tests(runtime, deadline).await;
}
