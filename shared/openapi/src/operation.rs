//! One function as an operation.

use m23_contract::{
    BackupCreateRequest, BackupCreateResponse, BackupRestoreRequest, BackupRestoreResponse,
    FunctionName, PitrRestoreRequest, PitrRestoreResponse, PitrRollbackRequest,
    PitrRollbackResponse, RecoveryTestRequest, RecoveryTestResponse, Role,
};
use serde_json::{Map, Value, json};

use crate::components::Schemas;
use crate::examples::{Example, examples_of};
use crate::{errors, headers};

/// The operation of `function`.
pub(crate) fn operation(function: FunctionName, schemas: &mut Schemas) -> Value {
    let (summary, description) = words(function);
    let (request, response) = bodies(function, schemas);
    let mut responses = errors::responses(function, schemas);
    for (status, meaning) in answers(function) {
        responses.insert(
            status.to_string(),
            answer(function, *status, meaning, &response),
        );
    }
    json!({
        "operationId": operation_id(function),
        "summary": summary,
        "description": format!("{description}\n\n{}", who_and_how_often(function)),
        "parameters": [{ "$ref": "#/components/parameters/IdempotencyKey" }],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": request, "examples": request_examples(function) } },
        },
        "responses": responses,
    })
}

fn bodies(function: FunctionName, schemas: &mut Schemas) -> (Value, Value) {
    match function {
        FunctionName::BackupCreate => (
            schemas.request::<BackupCreateRequest>(),
            schemas.response::<BackupCreateResponse>(),
        ),
        FunctionName::BackupRestore => (
            schemas.request::<BackupRestoreRequest>(),
            schemas.response::<BackupRestoreResponse>(),
        ),
        FunctionName::PitrRestore => (
            schemas.request::<PitrRestoreRequest>(),
            schemas.response::<PitrRestoreResponse>(),
        ),
        FunctionName::PitrRollback => (
            schemas.request::<PitrRollbackRequest>(),
            schemas.response::<PitrRollbackResponse>(),
        ),
        FunctionName::RecoveryTest => (
            schemas.request::<RecoveryTestRequest>(),
            schemas.response::<RecoveryTestResponse>(),
        ),
    }
}

const fn operation_id(function: FunctionName) -> &'static str {
    match function {
        FunctionName::BackupCreate => "createBackup",
        FunctionName::BackupRestore => "restoreBackup",
        FunctionName::PitrRestore => "restoreToMoment",
        FunctionName::PitrRollback => "rollBack",
        FunctionName::RecoveryTest => "testRecovery",
    }
}

const fn words(function: FunctionName) -> (&'static str, &'static str) {
    match function {
        FunctionName::BackupCreate => (
            "Back the tenant up",
            "Accepts a backup and answers at once; the work goes on. `backup_jobs` follows it.",
        ),
        FunctionName::BackupRestore => (
            "Restore a backup",
            "Verifies the whole archive, then writes the difference in one transaction, after a `pre_restore` snapshot.",
        ),
        FunctionName::PitrRestore => (
            "Restore to a moment, or preview it",
            "Takes the tenant's tables back to what was committed at `targetTimestamp`. With `dryRun` it only looks.",
        ),
        FunctionName::PitrRollback => (
            "Go back to a snapshot, or preview it",
            "Undoes a restore by its `snapshotId`, or goes back to a snapshot made by hand. With `dryRun` it only looks.",
        ),
        FunctionName::RecoveryTest => (
            "Prove that a backup can be restored",
            "Restores a backup into a place of its own and checks it. `success` means that the test ran; what it found is in `results`.",
        ),
    }
}

/// The good answers: status and meaning.
const fn answers(function: FunctionName) -> &'static [(u16, &'static str)] {
    match function {
        FunctionName::BackupCreate => &[(200, "Accepted; the work goes on after this answer.")],
        _ => &[
            (200, "Done, or looked at."),
            (
                202,
                "It goes on after this answer; the log row of the id given tells the end.",
            ),
        ],
    }
}

fn answer(function: FunctionName, status: u16, meaning: &str, schema: &Value) -> Value {
    let examples: Map<String, Value> = examples_of(function)
        .into_iter()
        .filter(|example| example.status == status)
        .map(|example| {
            (
                example.name.to_owned(),
                json!({ "value": example.response }),
            )
        })
        .collect();
    json!({
        "description": meaning,
        "headers": headers::of_answer(),
        "content": { "application/json": { "schema": schema, "examples": examples } },
    })
}

fn request_examples(function: FunctionName) -> Map<String, Value> {
    let named = |example: Example| {
        let value = json!({ "summary": example.summary, "value": example.request });
        (example.name.to_owned(), value)
    };
    examples_of(function).into_iter().map(named).collect()
}

fn who_and_how_often(function: FunctionName) -> String {
    let roles = |dry_run: bool| {
        [Role::Owner, Role::Admin, Role::Operator, Role::Viewer]
            .into_iter()
            .filter(|role| function.allows(*role, dry_run))
            .map(Role::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (really, dry) = (roles(false), roles(true));
    let looking = if dry == really {
        String::new()
    } else {
        format!(" (a dry run: {dry})")
    };
    format!(
        "Who: {really}{looking}. Limit: {} requests per tenant and hour, unless the deployment says otherwise.",
        function.default_hourly_limit()
    )
}
