//! Everything that can go wrong with a request, and the one place where it meets the contract.

use m23_auth::{AuthError, Refusal};
use m23_contract::{ErrorCode, FunctionName};
use m23_ports::{DatabaseError, DigestFailed};

/// What is behind a failure. It is logged, and never shown to a caller.
pub type Cause = Box<dyn std::error::Error + 'static>;

/// Try again after this many seconds when the database or the store did not answer.
const RETRY_SOON_SECONDS: u64 = 5;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Neither POST nor OPTIONS.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// A path that is no function's.
    #[error("no such function")]
    NoSuchFunction,
    /// The body is larger than [`crate::LARGEST_BODY`].
    #[error("payload too large")]
    PayloadTooLarge,
    /// No token, or not a good one.
    #[error("not signed in")]
    NotSignedIn(#[source] Refusal),
    /// The database does not take the token that was good a moment ago.
    #[error("the database refused the token")]
    TokenRefused(#[source] Cause),
    /// Faults of the request, each naming its field.
    #[error("invalid request")]
    Invalid(Vec<String>),
    /// The user belongs to no tenant, or the choice among several is not made.
    #[error("no tenant")]
    NoTenant,
    /// Nothing knows the tenant that the service names.
    #[error("unknown tenant")]
    UnknownTenant,
    /// A user names a tenant as only the service may.
    #[error("a user names a tenant")]
    TenantNamed,
    /// The role does not allow it.
    #[error("not permitted")]
    NotPermitted(FunctionName),
    /// The quota is used up; seconds until there is room.
    #[error("rate limited")]
    RateLimited {
        /// Seconds until the oldest counted request leaves the window.
        retry_after: u64,
        /// An owner is told whom to ask for more.
        is_owner: bool,
    },
    /// The backup cannot be used; what is wrong with it.
    #[error("backup unusable")]
    BackupUnusable(Vec<String>),
    /// A refusal that the database put into the contract's words.
    #[error("refused by the database: {code}")]
    Refused {
        /// The contract's code.
        code: ErrorCode,
        /// A sentence for a person.
        sentence: String,
        /// The single faults.
        details: Vec<String>,
    },
    /// The first request with this Idempotency-Key has not ended.
    #[error("the first request with this key is running")]
    StillRunning,
    /// The database, the store or the issuer does not answer.
    #[error("unavailable")]
    Unavailable(#[source] Cause),
    /// A fault of ours.
    #[error("internal fault")]
    Internal(#[source] Cause),
}

/// A failure as a caller sees it.
pub(crate) struct Report {
    pub(crate) code: ErrorCode,
    pub(crate) sentence: String,
    pub(crate) details: Vec<String>,
    pub(crate) retry_after: Option<u64>,
}

impl Failure {
    /// A fault of ours, with what is behind it.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// Something that we need does not answer.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// The code that the caller will see.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.report().code
    }

    /// The one mapping from what happened to what a caller is told. It has no arm for "the rest",
    /// and none of its sentences repeats a cause.
    pub(crate) fn report(&self) -> Report {
        let plain = |code, sentence: &str| Report {
            code,
            sentence: sentence.to_owned(),
            details: Vec::new(),
            retry_after: None,
        };
        match self {
            Self::MethodNotAllowed => plain(ErrorCode::MethodNotAllowed, "Use POST."),
            Self::NoSuchFunction => plain(ErrorCode::NotFound, "There is no such function."),
            Self::PayloadTooLarge => plain(
                ErrorCode::PayloadTooLarge,
                "The request's body is larger than 64 KB.",
            ),
            Self::NotSignedIn(refusal) => plain(ErrorCode::AuthRequired, &refusal.to_string()),
            Self::TokenRefused(_) => plain(
                ErrorCode::AuthRequired,
                "The access token is no longer accepted; sign in again.",
            ),
            Self::Invalid(faults) => Report {
                details: faults.clone(),
                ..plain(ErrorCode::ValidationFailed, &count_of_faults(faults))
            },
            Self::NoTenant => plain(
                ErrorCode::TenantNotFound,
                "You belong to no tenant, or to several and have picked none of them.",
            ),
            Self::UnknownTenant => plain(
                ErrorCode::TenantNotFound,
                "No table, record or membership knows the tenant that x-m23-tenant names.",
            ),
            Self::TenantNamed => plain(
                ErrorCode::InsufficientPermissions,
                "Only the service key may name a tenant: leave x-m23-tenant out.",
            ),
            Self::NotPermitted(function) => plain(
                ErrorCode::InsufficientPermissions,
                &format!("Your role in this tenant does not allow {function}."),
            ),
            Self::RateLimited {
                retry_after,
                is_owner,
            } => Report {
                retry_after: Some(*retry_after),
                ..plain(ErrorCode::RateLimitExceeded, limit_sentence(*is_owner))
            },
            Self::BackupUnusable(faults) => Report {
                details: faults.clone(),
                ..plain(
                    ErrorCode::BackupUnusable,
                    "This backup cannot be used; nothing has been changed.",
                )
            },
            Self::Refused {
                code,
                sentence,
                details,
            } => Report {
                details: details.clone(),
                retry_after: passes(*code).then_some(RETRY_SOON_SECONDS),
                ..plain(*code, &as_a_sentence(sentence))
            },
            Self::StillRunning => Report {
                retry_after: Some(RETRY_SOON_SECONDS),
                ..plain(
                    ErrorCode::Unavailable,
                    "The first request with this Idempotency-Key has not ended yet.",
                )
            },
            Self::Unavailable(_) => Report {
                retry_after: Some(RETRY_SOON_SECONDS),
                ..plain(
                    ErrorCode::Unavailable,
                    "A service that this request needs does not answer; try again shortly.",
                )
            },
            Self::Internal(_) => plain(
                ErrorCode::Internal,
                "Something went wrong on our side; the request id tells us what.",
            ),
        }
    }
}

/// Does what the code says pass by itself?
fn passes(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RestoreInProgress | ErrorCode::Unavailable)
}

fn limit_sentence(is_owner: bool) -> &'static str {
    if is_owner {
        "This tenant's hourly limit for this function is used up; \
         the operator of the service can raise it for a time (raise_limit)."
    } else {
        "This tenant's hourly limit for this function is used up."
    }
}

fn count_of_faults(faults: &[String]) -> String {
    match faults {
        [one] => format!("The request is invalid: {one}."),
        many => format!("The request is invalid: {} faults.", many.len()),
    }
}

/// A capital at its start and a full stop at its end, whatever the database wrote.
fn as_a_sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let Some(first) = letters.next() else {
        return "The request was refused.".to_owned();
    };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::NotSignedIn(refusal)
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(refusal) => Self::NotSignedIn(refusal),
            AuthError::NoKeys(_) => Self::unavailable(error),
            AuthError::NoCheck(_) => Self::internal(error),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Refused {
                code,
                sentence,
                details,
            } => Self::Refused {
                code,
                sentence,
                details,
            },
            DatabaseError::TokenRefused(_) => Self::TokenRefused(error.into()),
            DatabaseError::Unavailable(_) => Self::unavailable(error),
            DatabaseError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<DigestFailed> for Failure {
    fn from(error: DigestFailed) -> Self {
        Self::internal(error)
    }
}
