//! Key objects: a tenant's data key lies in the store, wrapped by a master key. The database
//! knows which one is in use, by its id alone.

use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::reply::ask;
use crate::retry::retry_passing;
use crate::seal::seal;
use m23_archive::reader::{DataKey, Fault, KeyFault, find_key, read_key};
use m23_archive::seal::Sealed;
use m23_archive::{KEY, KeyObject, fingerprint, key_object};
use m23_ports::{Level, Record};
use m23_tenant::TenantId;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// What the database says of a backup's key.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyPlan {
    pub(crate) tenant_id: TenantId,
    /// What this backup is sealed with, once that is decided.
    key_id: Option<Uuid>,
    /// What the tenant's backups are sealed with.
    tenant_key_id: Option<Uuid>,
    /// Plain chunks of this backup are stored already.
    plain: bool,
    /// It must not be plain: the tenant's backups were encrypted.
    sealed: bool,
}

/// The key of a backup that is being made; none for a plain one, which is any where there is no
/// master key, but of a tenant whose backups were encrypted. A backup ends as it began. The tenant's key is made when there is none in the store.
pub(crate) async fn backup_key(
    ports: &impl JobPorts,
    (job, lease): (Uuid, Uuid),
    plan: &KeyPlan,
) -> Result<Option<DataKey>, EngineError> {
    let key_id = match plan.key_id {
        Some(decided) => decided,
        None if plan.plain => return Ok(None),
        None if ports.master_keys().current.is_none() => {
            return if plan.sealed {
                Err(EngineError::Unsealed)
            } else {
                Ok(None)
            };
        }
        None => {
            let offered = offer_key(ports, plan).await?;
            let arguments = json!({
                "p_job_id": job, "p_lease": lease,
                "p_key_id": offered, "p_instead_of": plan.tenant_key_id,
            });
            ask(ports, "m23_choose_key", &arguments).await?
        }
    };
    match read_key(&Bucket(ports), &plan.tenant_id, key_id).await {
        Err(EngineError::Archive(Fault::Key(KeyFault::OtherMaster { object, .. }))) => {
            Err(EngineError::UnusableKey(object))
        }
        key => key.map(Some),
    }
}

/// The tenant's key if it is in the store, else a new one. An object comes before its record: a key
/// that the database knows was there.
async fn offer_key(ports: &impl JobPorts, plan: &KeyPlan) -> Result<Uuid, EngineError> {
    let Some(known) = plan.tenant_key_id else {
        return make_key(ports, &plan.tenant_id).await;
    };
    match find_key(&Bucket(ports), &plan.tenant_id.name(), known).await {
        Err(EngineError::Archive(Fault::Key(fault @ KeyFault::Missing(_)))) => {
            ports.log(&Record::new(Level::Warn, "archive_key_missing").with_cause(&fault));
            make_key(ports, &plan.tenant_id).await
        }
        found => found.map(|object| object.key_id),
    }
}

async fn make_key(ports: &impl JobPorts, tenant: &TenantId) -> Result<Uuid, EngineError> {
    let Some(master) = &ports.master_keys().current else {
        return Err(KeyFault::NoMaster.into());
    };
    let mut id = [0; 16];
    ports.randomise(&mut id)?;
    let id = uuid::Builder::from_random_bytes(id).into_uuid();
    let mut key = [0; KEY];
    ports.randomise(&mut key)?;

    let object = key_object(&tenant.name(), id);
    let fault = |error| EngineError::in_part(&object, error);
    let wrapped = seal(ports, master, &key, &KeyObject::context(tenant, id)).await?;
    let wrapped = Sealed::split(&wrapped).map_err(fault)?;
    let master = fingerprint(&ports.sha256(master).await?);
    let bytes = KeyObject::new(tenant.clone(), id, master, wrapped)
        .to_bytes()
        .map_err(fault)?;
    let digest = ports.sha256(&bytes).await?;
    retry_passing(ports, async || {
        ports.put_new(&object, bytes.clone(), digest).await
    })
    .await?;
    Ok(id)
}
