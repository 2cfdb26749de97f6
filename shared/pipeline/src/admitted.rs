//! A caller who has passed everything.

use m23_auth::BearerToken;
use m23_contract::Role;
use uuid::Uuid;

/// A caller whose token, tenant, role and quota are good for this request. Only the pipeline makes
/// one, so a handler that has one cannot have forgotten anything.
#[derive(Debug, Clone)]
pub struct Admitted {
    request_id: Uuid,
    tenant_id: Uuid,
    user_id: Uuid,
    role: Role,
    token: BearerToken,
}

impl Admitted {
    pub(crate) fn new(
        request_id: Uuid,
        tenant_id: Uuid,
        user_id: Uuid,
        role: Role,
        token: BearerToken,
    ) -> Self {
        Self {
            request_id,
            tenant_id,
            user_id,
            role,
            token,
        }
    }

    /// The request, as it is counted and logged.
    #[must_use]
    pub const fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// The one tenant that this request may touch.
    #[must_use]
    pub const fn tenant_id(&self) -> Uuid {
        self.tenant_id
    }

    /// The user.
    #[must_use]
    pub const fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// The user's role in the tenant.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The user's own token, to call the database in their name.
    #[must_use]
    pub const fn token(&self) -> &BearerToken {
        &self.token
    }
}
