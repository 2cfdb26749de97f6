//! The error table of the contract: the one place where a code meets its status.

use serde::{Deserialize, Serialize};

/// A code of the contract's error table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// No token, or one that is malformed, expired, wrongly signed or for somebody else.
    AuthRequired,
    /// The user belongs to no tenant, or to several with none picked.
    TenantNotFound,
    /// The user's role does not allow it.
    InsufficientPermissions,
    /// Invalid input; the details list every fault.
    ValidationFailed,
    /// No such backup in this tenant.
    BackupNotFound,
    /// No such snapshot in this tenant.
    SnapshotNotFound,
    /// A restore or rollback of this tenant is running.
    RestoreInProgress,
    /// The window's quota is used up.
    RateLimitExceeded,
    /// Only POST (and the preflight's OPTIONS) is answered.
    MethodNotAllowed,
    /// No such function.
    NotFound,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// The plan that was confirmed no longer holds.
    PlanChanged,
    /// Rows are blocked, or the table's present rules do not take them; the details name table, column and constraint.
    Conflict,
    /// The backup is unfinished, damaged, undecryptable, or its chain is broken.
    BackupUnusable,
    /// The database or the store does not answer, for now.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of the contract.
    pub const ALL: [Self; 16] = [
        Self::AuthRequired,
        Self::TenantNotFound,
        Self::InsufficientPermissions,
        Self::ValidationFailed,
        Self::BackupNotFound,
        Self::SnapshotNotFound,
        Self::RestoreInProgress,
        Self::RateLimitExceeded,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::PayloadTooLarge,
        Self::PlanChanged,
        Self::Conflict,
        Self::BackupUnusable,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.entry().1
    }

    /// The code of that name, if the contract has it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    const fn entry(self) -> (&'static str, u16) {
        match self {
            Self::AuthRequired => ("AUTH_REQUIRED", 401),
            Self::TenantNotFound => ("TENANT_NOT_FOUND", 403),
            Self::InsufficientPermissions => ("INSUFFICIENT_PERMISSIONS", 403),
            Self::ValidationFailed => ("VALIDATION_FAILED", 400),
            Self::BackupNotFound => ("BACKUP_NOT_FOUND", 404),
            Self::SnapshotNotFound => ("SNAPSHOT_NOT_FOUND", 404),
            Self::RestoreInProgress => ("RESTORE_IN_PROGRESS", 409),
            Self::RateLimitExceeded => ("RATE_LIMIT_EXCEEDED", 429),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", 405),
            Self::NotFound => ("NOT_FOUND", 404),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", 413),
            Self::PlanChanged => ("PLAN_CHANGED", 409),
            Self::Conflict => ("CONFLICT", 409),
            Self::BackupUnusable => ("BACKUP_UNUSABLE", 409),
            Self::Unavailable => ("UNAVAILABLE", 503),
            Self::Internal => ("INTERNAL", 500),
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why the execution of what a dry run has looked at would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WouldFail {
    /// The code of the refusal.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub error: String,
    /// The single faults: tables, columns, constraints, and the way on.
    #[serde(default)]
    pub details: Vec<String>,
}

/// The body of every refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// Always `false`.
    pub success: bool,
    /// A sentence for a person.
    pub error: String,
    /// The code for a program.
    pub code: ErrorCode,
    /// The single faults, where there are several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub details: Option<Vec<String>>,
}

impl ErrorBody {
    /// A refusal; empty details are left out.
    #[must_use]
    pub fn new(code: ErrorCode, error: impl Into<String>, details: Vec<String>) -> Self {
        Self {
            success: false,
            error: error.into(),
            code,
            details: (!details.is_empty()).then_some(details),
        }
    }
}
