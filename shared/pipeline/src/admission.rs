//! The database's two decisions on a request: who is this here, and is there room?

use crate::audit::{AuditEntry, Origin};
use crate::database::{Caller, RequestDatabase};
use crate::failure::Failure;
use m23_contract::{FunctionName, Probe, Role};
use m23_tenant::TenantId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// The answer of `m23_authorize`: who the caller is in their tenant.
#[derive(Debug, Deserialize)]
pub(crate) struct AuthorizeReply {
    pub(crate) tenant_id: Option<TenantId>,
    role: Option<String>,
    allowed: bool,
    pub(crate) used: u32,
    pub(crate) reset: u64,
    /// The limit that the operator of the service has raised for a time.
    #[serde(default)]
    pub(crate) raised: Option<u32>,
    #[serde(default)]
    pub(crate) faults: Vec<String>,
}

impl AuthorizeReply {
    /// Asks for a user's own tenant, or for the one that the service names.
    pub(crate) async fn ask<D: RequestDatabase>(
        database: &D,
        caller: Caller<'_>,
        tenant_id: Option<&TenantId>,
        function: FunctionName,
        probe: &Probe,
    ) -> Result<Self, Failure> {
        let arguments = json!({
            "p_tenant_id": tenant_id,
            "p_function": function.as_str(),
            "p_dry_run": probe.dry_run,
            "p_tables": probe.tables,
            "p_target_schema": probe.target_schema,
            "p_target_timestamp": probe.target_timestamp,
            "p_base_backup_id": probe.base_backup_id,
        });
        decode(database.call(caller, "m23_authorize", &arguments).await?)
    }

    /// The role, when both the database and the contract's table allow the call.
    pub(crate) fn permitted(&self, function: FunctionName, dry_run: bool) -> Option<Role> {
        let role = Role::parse(self.role.as_deref()?)?;
        (self.allowed && function.allows(role, dry_run)).then_some(role)
    }
}

/// A request as it is counted: the argument of `m23_admit`.
pub(crate) struct Counted<'a> {
    pub(crate) id: Uuid,
    pub(crate) function: FunctionName,
    pub(crate) tenant_id: &'a TenantId,
    /// `None`: the service, which uses up no quota.
    pub(crate) user_id: Option<Uuid>,
    pub(crate) limit: u32,
    pub(crate) key: Option<&'a str>,
    pub(crate) body_sha256: [u8; 32],
    pub(crate) origin: &'a Origin,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Admitted,
    Limited,
    Replay,
    Running,
    KeyReused,
}

/// The answer of `m23_admit`.
#[derive(Debug, Deserialize)]
pub(crate) struct AdmitReply {
    pub(crate) outcome: Outcome,
    pub(crate) limit: u32,
    pub(crate) used: u32,
    pub(crate) reset: u64,
    pub(crate) counted_at: Option<u64>,
    pub(crate) response: Option<StoredAnswer>,
}

/// An answer kept under an Idempotency-Key.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Counted<'_> {
    pub(crate) async fn admit<D: RequestDatabase>(
        &self,
        database: &D,
    ) -> Result<AdmitReply, Failure> {
        let arguments = json!({ "p_request": {
            "id": self.id,
            "function": self.function.as_str(),
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "limit": self.limit,
            "idempotency_key": self.key,
            "body_sha256": hex::encode(self.body_sha256),
            "from": self.origin,
        }});
        decode(
            database
                .call(Caller::Service, "m23_admit", &arguments)
                .await?,
        )
    }
}

/// What became of a request that was to be given back: `m23_give_back`.
#[derive(Debug, Deserialize)]
pub(crate) struct GivenBack {
    pub(crate) given_back: bool,
    pub(crate) used: u32,
    pub(crate) reset: u64,
}

/// Gives a request back that ended by our own fault.
pub(crate) async fn give_back<D: RequestDatabase>(
    database: &D,
    id: Uuid,
) -> Result<GivenBack, Failure> {
    let arguments = json!({ "p_id": id });
    decode(
        database
            .call(Caller::Service, "m23_give_back", &arguments)
            .await?,
    )
}

/// Keeps the final answer of a request that has an Idempotency-Key.
pub(crate) async fn finish<D: RequestDatabase>(
    database: &D,
    id: Uuid,
    status: u16,
    body: &Value,
) -> Result<(), Failure> {
    let arguments = json!({ "p_id": id, "p_status": status, "p_body": body });
    database
        .call(Caller::Service, "m23_finish_request", &arguments)
        .await?;
    Ok(())
}

/// Adds to the audit.
pub(crate) async fn audit<D: RequestDatabase>(
    database: &D,
    entry: &AuditEntry,
) -> Result<(), Failure> {
    let arguments = json!({ "p_entry": entry });
    database
        .call(Caller::Service, "m23_audit", &arguments)
        .await?;
    Ok(())
}

/// Frees the Idempotency-Key of a request that came to nothing.
pub(crate) async fn abandon<D: RequestDatabase>(database: &D, id: Uuid) -> Result<(), Failure> {
    let arguments = json!({ "p_id": id });
    database
        .call(Caller::Service, "m23_abandon_request", &arguments)
        .await?;
    Ok(())
}

fn decode<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(Failure::internal)
}
