//! The audit of a call: who, from where, with what outcome. Its beginning is written by the call
//! that admits it; its end, and what was not admitted, after the answer.

use crate::service::Purpose;
use http::HeaderMap;
use m23_contract::ErrorCode;
use m23_tenant::TenantId;
use serde::Serialize;
use uuid::Uuid;

/// Where a call comes from, as its headers say. The address is the platform's word.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Origin {
    from_address: Option<String>,
    user_agent: Option<String>,
    /// Of a call with the service key: why, and by whom.
    #[serde(rename = "detail", skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<Purpose>,
}

impl Origin {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self {
            from_address: text("cf-connecting-ip"),
            user_agent: text("user-agent"),
            purpose: None,
        }
    }
}

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The end of a call whose beginning is written already.
    Ended,
    /// A call that was not admitted.
    Refused,
    /// A call that got the answer of an earlier one.
    Replayed,
}

/// One entry, to be written after the answer.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEntry {
    pub(crate) tenant_id: TenantId,
    /// `None`: the service key.
    pub(crate) actor: Option<Uuid>,
    pub(crate) action: &'static str,
    pub(crate) request_id: Uuid,
    pub(crate) event: Event,
    pub(crate) status: u16,
    pub(crate) code: Option<ErrorCode>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}
