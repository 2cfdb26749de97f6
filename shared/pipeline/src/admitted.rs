//! A caller who has passed everything.

use crate::database::Caller;
use m23_auth::BearerToken;
use m23_contract::Role;
use m23_tenant::TenantId;
use uuid::Uuid;

/// Who calls, as the token says.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// A signed-in user, and the token to call the database in their name.
    User(Uuid, BearerToken),
    /// Whoever has the service key.
    Service,
}

impl Identity {
    /// `None`: the service.
    pub(crate) const fn user_id(&self) -> Option<Uuid> {
        match self {
            Self::User(id, _) => Some(*id),
            Self::Service => None,
        }
    }

    pub(crate) const fn caller(&self) -> Caller<'_> {
        match self {
            Self::User(_, token) => Caller::User(token),
            Self::Service => Caller::Service,
        }
    }
}

/// A caller whose token, tenant, role and quota are good for this request. Only the pipeline makes
/// one, so a handler that has one cannot have forgotten anything.
#[derive(Debug, Clone)]
pub struct Admitted {
    request_id: Uuid,
    tenant_id: TenantId,
    identity: Identity,
    role: Role,
}

impl Admitted {
    pub(crate) const fn new(
        request_id: Uuid,
        tenant_id: TenantId,
        identity: Identity,
        role: Role,
    ) -> Self {
        Self {
            request_id,
            tenant_id,
            identity,
            role,
        }
    }

    /// The request, as it is counted and logged.
    #[must_use]
    pub const fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// The one tenant that this request may touch.
    #[must_use]
    pub const fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    /// The user; `None` for the service.
    #[must_use]
    pub const fn user_id(&self) -> Option<Uuid> {
        self.identity.user_id()
    }

    /// The user's role in the tenant; the service has an owner's.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// In whose name to call the database.
    #[must_use]
    pub const fn caller(&self) -> Caller<'_> {
        self.identity.caller()
    }
}
