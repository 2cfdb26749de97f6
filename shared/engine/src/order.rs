//! What the database asks a driver to restore.

use m23_tenant::TenantId;
use serde::Deserialize;
use uuid::Uuid;

/// A restore that the database has accepted.
#[derive(Debug, Clone, Deserialize)]
pub struct RestoreOrder {
    /// The row of `restore_logs` or `pitr_rollbacks`.
    pub work_id: Uuid,
    /// The right to drive it.
    pub lease: Uuid,
    /// The only tenant it may touch.
    pub tenant_id: TenantId,
    /// The backup to read from; none when the log alone has the rows.
    pub backup_id: Option<Uuid>,
    /// The manifest's object.
    pub manifest: Option<String>,
    /// The manifest's SHA-256 when it was written.
    pub manifest_sha256: Option<String>,
    /// The chosen tables, as `schema.table`; all when absent.
    pub tables: Option<Vec<String>>,
    /// Whether the database goes back from the backup's moment: it needs the backup's history.
    #[serde(default)]
    pub rewind: bool,
    /// Whether it tells what it would do, and does not do it.
    #[serde(default)]
    pub dry_run: bool,
}
