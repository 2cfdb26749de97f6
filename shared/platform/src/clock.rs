//! One event of the clock: its heartbeat, its work, and beside it the watch over everything.

use crate::runtime::Runtime;
use crate::version::version;
use crate::watch::watch;
use futures_util::future::join;
use m23_contract::FunctionName;
use m23_ports::{Database as _, Level, Log as _, Record};
use serde_json::json;
use worker::{Env, ScheduleContext, console_error};

/// Does the work of a scheduled event, and notes in the database that it has begun and how it ended.
pub async fn scheduled(
    env: Env,
    context: ScheduleContext,
    function: FunctionName,
    work: impl AsyncFnOnce(&Runtime),
) {
    let runtime = match Runtime::for_schedule(env, context) {
        Ok(runtime) => runtime,
        Err(fault) => return console_error!("{fault}"),
    };
    beat(&runtime, function, false).await;
    join(work(&runtime), watch(&runtime)).await;
    beat(&runtime, function, true).await;
}

async fn beat(runtime: &Runtime, function: FunctionName, ended: bool) {
    let arguments = json!({
        "p_name": function.as_str(), "p_ended": ended, "p_version": version(),
        "p_error": runtime.fault(),
    });
    if let Err(error) = runtime.call("m23_heartbeat", &arguments).await {
        runtime.log(&Record::new(Level::Warn, "heartbeat_not_noted").with_cause(&error));
    }
}
