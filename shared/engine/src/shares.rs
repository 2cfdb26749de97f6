//! Work that the database does in shares: each call begins some of it, commits, and says how much it was.

use crate::job_ports::JobPorts;
use m23_ports::{Level, Record};
use serde_json::json;

/// Calls `name` until it has nothing left to do, or until the `deadline` (Unix milliseconds). A call that fails
/// is told, and the rest is left to the next event.
pub async fn do_in_shares(ports: &impl JobPorts, name: &str, deadline: u64) {
    while ports.now_ms() < deadline {
        match ports.call(name, &json!({})).await {
            Ok(done) if done.as_u64().is_some_and(|count| count > 0) => {}
            Ok(_) => return,
            Err(error) => {
                return ports.log(
                    &Record::new(Level::Error, "schedule_not_followed")
                        .with("function", name)
                        .with_cause(&error),
                );
            }
        }
    }
}
