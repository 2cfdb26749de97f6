//! The reasons to refuse a caller.

/// Why a caller is not accepted. Each reads as a sentence for a person and tells no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization` header.
    #[error("Sign in first: the request carries no access token.")]
    Missing,
    /// Not a token at all.
    #[error("The access token is malformed.")]
    Malformed,
    /// An algorithm that its key does not have (`none` is one of them).
    #[error("The access token is signed in a way that is not accepted.")]
    Algorithm,
    /// The issuer has no such key.
    #[error("The access token is signed with an unknown key.")]
    UnknownKey,
    /// The signature does not fit.
    #[error("The access token's signature is wrong.")]
    Signature,
    /// Past its `exp`.
    #[error("The access token has expired.")]
    Expired,
    /// Before its `nbf`.
    #[error("The access token is not valid yet.")]
    NotYetValid,
    /// For somebody else.
    #[error("The access token is for another audience.")]
    Audience,
    /// By somebody else.
    #[error("The access token is from another issuer.")]
    Issuer,
    /// The project's anonymous key, which every visitor has.
    #[error("This is the project's anon key: sign in first.")]
    AnonKey,
    /// An anonymous sign-in, or a key of another kind.
    #[error("The access token is not a signed-in user's.")]
    NotAUser,
    /// The service key, without the tenant that it is to work for.
    #[error("The service key must name a tenant: send x-m23-tenant.")]
    NoTenantNamed,
    /// The service key, from a web page.
    #[error("The service key is not accepted from a browser.")]
    ServiceInBrowser,
}
