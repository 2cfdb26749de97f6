//! A claimed test, and how far it has come.

use super::tally::Tally;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::meter::Meter;
use crate::reply::tell;
use m23_tenant::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// How far a test goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Depth {
    Basic,
    Full,
    Deep,
}

/// The answer of `m23_claim_test`.
#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    pub(super) test_id: Uuid,
    pub(super) lease: Uuid,
    pub(super) tenant_id: TenantId,
    #[serde(skip)]
    pub(super) meter: Meter,
    pub(super) level: Depth,
    pub(super) state: Progress,
    /// A chain, the full backup first.
    pub(super) archives: Vec<Known>,
}

/// How far an examination has come; kept in the database for whoever goes on with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    /// The manifests, and the sizes of all objects.
    pub(super) listed: bool,
    /// Objects that have been read.
    pub(super) read: u64,
    pub(super) tally: Tally,
}

/// One archive of a chain, as the database knows it.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    pub(super) backup_id: Uuid,
    pub(super) manifest: Option<String>,
    pub(super) manifest_sha256: Option<String>,
}

impl Known {
    /// Whether it lies in the bucket: a snapshot is a position inside the database.
    pub(super) const fn is_stored(&self) -> bool {
        self.manifest.is_some()
    }
}

/// Notes how far the examination has come, and renews the lease.
pub(super) async fn save(
    ports: &impl JobPorts,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), EngineError> {
    let arguments = json!({
        "p_test_id": plan.test_id, "p_lease": plan.lease, "p_state": progress,
    });
    tell(ports, "m23_save_test", &arguments).await
}
