//! Erasing a tenant's keys: what was sealed with them cannot be read by anybody any more.

use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::reply::{ask, tell};
use crate::retry::retry_passing;
use m23_ports::{Level, Record};
use m23_tenant::TenantId;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// An erasure that somebody has asked for.
#[derive(Debug, Deserialize)]
struct Erasure {
    work_id: Uuid,
    lease: Uuid,
    tenant_id: TenantId,
    prefix: String,
}

/// Carries out the erasures that wait. One that fails is left for the next time.
pub async fn erase_keys(ports: &impl JobPorts) {
    loop {
        match erase_next(ports).await {
            Ok(Some((tenant, count))) => ports.log(
                &Record::new(Level::Info, "archive_keys_erased")
                    .with("tenant_id", tenant.to_string())
                    .with("count", count),
            ),
            Ok(None) => return,
            Err(error) => {
                ports.log(&Record::new(Level::Error, "archive_keys_not_erased").with_cause(&error));
                return;
            }
        }
    }
}

async fn erase_next(ports: &impl JobPorts) -> Result<Option<(TenantId, usize)>, EngineError> {
    let Some(erasure): Option<Erasure> = ask(ports, "m23_claim_erasure", &json!({})).await? else {
        return Ok(None);
    };
    let objects = retry_passing(ports, async || ports.sizes(&erasure.prefix).await).await?;
    for object in objects.keys() {
        retry_passing(ports, async || ports.delete(object).await).await?;
    }
    let arguments = json!({ "p_work_id": erasure.work_id, "p_lease": erasure.lease });
    tell(ports, "m23_finish_erasure", &arguments).await?;
    Ok(Some((erasure.tenant_id, objects.len())))
}
