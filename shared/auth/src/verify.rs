//! From a token to a user.

use crate::bearer::BearerToken;
use crate::claims::{Claims, Expectations, User};
use crate::keys::{KeyCache, KeySource, KeySourceFailed, PublicKey};
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::token::{Algorithm, UncheckedToken};

/// A key to verify with; the algorithm belongs to the key, never to the token. Numbers are
/// base64url, as in a JSON Web Key.
#[derive(Debug, Clone, Copy)]
pub enum VerificationKey<'a> {
    /// ECDSA on P-256 with SHA-256.
    Es256 {
        /// The point's x.
        x: &'a str,
        /// The point's y.
        y: &'a str,
    },
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 {
        /// The modulus.
        n: &'a str,
        /// The exponent.
        e: &'a str,
    },
    /// HMAC with SHA-256.
    Hs256(&'a Secret),
}

/// The arithmetic of signatures.
#[allow(async_fn_in_trait)]
pub trait SignatureCheck {
    /// Does `signature` fit `signed` under `key`?
    async fn verify(
        &self,
        key: VerificationKey<'_>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, SignatureCheckFailed>;
}

/// The check itself could not be made (a key that is no point of its curve, say).
#[derive(Debug, Clone, thiserror::Error)]
#[error("a signature cannot be checked: {0}")]
pub struct SignatureCheckFailed(pub String);

/// Why there is no user.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The caller is not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The issuer does not answer, so nobody can be accepted or refused.
    #[error(transparent)]
    NoKeys(#[from] KeySourceFailed),
    /// The platform cannot check signatures.
    #[error(transparent)]
    NoCheck(#[from] SignatureCheckFailed),
}

/// Verifies a token: form, key, algorithm, signature, then claims.
///
/// `shared_secret` is the legacy HS256 secret of a project; without it no HS256 token is good.
///
/// # Errors
/// [`AuthError::Refused`] when the token is not good, the others when that cannot be known.
pub async fn authenticate<P: KeySource + SignatureCheck>(
    platform: &P,
    keys: &KeyCache,
    expected: &Expectations,
    shared_secret: Option<&Secret>,
    token: &BearerToken,
    now_ms: u64,
) -> Result<User, AuthError> {
    let unchecked = UncheckedToken::parse(token)?;
    let public = match (&unchecked.key_id, unchecked.algorithm) {
        (_, Algorithm::Hs256) if shared_secret.is_none() => {
            return Err(Refusal::Algorithm.into());
        }
        (Some(id), _) => keys.find(platform, id, now_ms).await?,
        (None, _) => None,
    };
    let key = choose_key(public.as_ref(), unchecked.algorithm, shared_secret)?;
    let good = platform
        .verify(key, unchecked.signed, &unchecked.signature)
        .await?;
    if !good {
        return Err(Refusal::Signature.into());
    }
    let claims: Claims = unchecked.claims()?;
    Ok(claims.check(expected, now_ms)?)
}

/// A public key serves its own algorithm only; the shared secret serves HS256 only, and only where
/// the token's key id is not that of a public key.
fn choose_key<'a>(
    public: Option<&'a PublicKey>,
    algorithm: Algorithm,
    shared_secret: Option<&'a Secret>,
) -> Result<VerificationKey<'a>, Refusal> {
    match (public, shared_secret) {
        (Some(key), _) if key.algorithm() != algorithm => Err(Refusal::Algorithm),
        (Some(PublicKey::Es256 { x, y }), _) => Ok(VerificationKey::Es256 { x, y }),
        (Some(PublicKey::Rs256 { n, e }), _) => Ok(VerificationKey::Rs256 { n, e }),
        (None, Some(secret)) if algorithm == Algorithm::Hs256 => Ok(VerificationKey::Hs256(secret)),
        (None, _) => Err(Refusal::UnknownKey),
    }
}
