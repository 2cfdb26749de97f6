//! The issuer's public keys and their cache.

use crate::token::{Algorithm, decode};
use serde::Deserialize;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// Keys older than this are fetched again before they are used.
const LONGEST_KEPT_MS: u64 = 10 * 60 * 1000;

/// While the issuer does not answer, keys that were good are used for this long.
const LONGEST_OUTAGE_MS: u64 = 60 * 60 * 1000;

/// An issuer that did not answer is left alone for this long: its callers must not wait for it each time.
const PAUSE_AFTER_FAILURE_MS: u64 = 10 * 1000;

/// After an unknown key made us ask the issuer again, the next unknown one must wait this long:
/// made-up key ids must not become a flood at the issuer.
const PAUSE_AFTER_UNKNOWN_MS: u64 = 10 * 1000;

/// A 2048-bit modulus has this many bytes; shorter keys are not used.
const SHORTEST_MODULUS: usize = 256;

/// More keys than this in one set are ignored.
const MOST_KEYS: usize = 64;

/// Where the issuer's key set comes from.
#[allow(async_fn_in_trait)]
pub trait KeySource {
    /// Fetches the set, as JSON text, in bounded time and size.
    async fn fetch_keys(&self) -> Result<String, KeySourceFailed>;
}

/// The key set could not be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the issuer's keys cannot be had: {0}")]
pub struct KeySourceFailed(pub String);

/// One usable public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Es256 { x: String, y: String },
    Rs256 { n: String, e: String },
}

impl PublicKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256 { .. } => Algorithm::Es256,
            Self::Rs256 { .. } => Algorithm::Rs256,
        }
    }
}

#[derive(Debug)]
struct KeySet {
    keys: Vec<(String, PublicKey)>,
    fetched_ms: u64,
}

impl KeySet {
    fn find(&self, id: &str) -> Option<PublicKey> {
        self.keys
            .iter()
            .find(|(key_id, _)| key_id == id)
            .map(|(_, key)| key.clone())
    }
}

/// Keeps the issuer's keys for ten minutes, and for an hour where it does not answer. One per isolate,
/// shared by its requests. A set that was fetched replaces the one before it: what it lacks is gone.
#[derive(Debug, Default)]
pub struct KeyCache {
    set: RefCell<Option<Rc<KeySet>>>,
    asked_for_unknown_ms: RefCell<Option<u64>>,
    failed: RefCell<Option<(u64, KeySourceFailed)>>,
}

impl KeyCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of that id, or `None` when the issuer has none.
    pub(crate) async fn find<S: KeySource>(
        &self,
        source: &S,
        id: &str,
        now_ms: u64,
    ) -> Result<Option<PublicKey>, KeySourceFailed> {
        let Some(kept) = self.kept(now_ms, LONGEST_KEPT_MS) else {
            return self.find_anew(source, id, now_ms).await;
        };
        if let Some(key) = kept.find(id) {
            return Ok(Some(key));
        }
        if !self.may_ask_again(now_ms) {
            return self.recent_failure(now_ms).map_or(Ok(None), Err);
        }
        Ok(self.refresh(source, now_ms).await?.find(id))
    }

    /// Looks into a set that is fetched now. If there is none to be had, a key that was good a while ago
    /// is good, and of others nobody knows.
    async fn find_anew<S: KeySource>(
        &self,
        source: &S,
        id: &str,
        now_ms: u64,
    ) -> Result<Option<PublicKey>, KeySourceFailed> {
        let kept = self.kept(now_ms, LONGEST_OUTAGE_MS);
        let failure = match self.recent_failure(now_ms).filter(|_| kept.is_some()) {
            Some(failure) => failure,
            None => match self.refresh(source, now_ms).await {
                Ok(set) => return Ok(set.find(id)),
                Err(failure) => failure,
            },
        };
        let key = kept.and_then(|set| set.find(id));
        key.map(Some).ok_or(failure)
    }

    fn kept(&self, now_ms: u64, longest_ms: u64) -> Option<Rc<KeySet>> {
        self.set
            .borrow()
            .as_ref()
            .filter(|set| now_ms.abs_diff(set.fetched_ms) < longest_ms)
            .map(Rc::clone)
    }

    fn recent_failure(&self, now_ms: u64) -> Option<KeySourceFailed> {
        self.failed
            .borrow()
            .as_ref()
            .filter(|(at_ms, _)| now_ms.abs_diff(*at_ms) < PAUSE_AFTER_FAILURE_MS)
            .map(|(_, failure)| failure.clone())
    }

    /// Notes that an unknown id asks for a fetch, unless another has just done so.
    fn may_ask_again(&self, now_ms: u64) -> bool {
        let mut asked = self.asked_for_unknown_ms.borrow_mut();
        let allowed = asked.is_none_or(|last| now_ms.abs_diff(last) >= PAUSE_AFTER_UNKNOWN_MS);
        if allowed {
            *asked = Some(now_ms);
        }
        allowed
    }

    async fn refresh<S: KeySource>(
        &self,
        source: &S,
        now_ms: u64,
    ) -> Result<Rc<KeySet>, KeySourceFailed> {
        let fetched = source.fetch_keys().await;
        match fetched.and_then(|text| parse_key_set(&text)) {
            Ok(keys) => {
                let set = Rc::new(KeySet {
                    keys,
                    fetched_ms: now_ms,
                });
                *self.set.borrow_mut() = Some(Rc::clone(&set));
                Ok(set)
            }
            Err(failure) => {
                *self.failed.borrow_mut() = Some((now_ms, failure.clone()));
                Err(failure)
            }
        }
    }
}

#[derive(Deserialize)]
struct RawKeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kid: String,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// Reads a key set. Keys of kinds that are not accepted are skipped: a set may hold others.
fn parse_key_set(text: &str) -> Result<Vec<(String, PublicKey)>, KeySourceFailed> {
    let set: RawKeySet = serde_json::from_str(text)
        .map_err(|_| KeySourceFailed("the key set is not a JWKS".to_owned()))?;
    Ok(set
        .keys
        .into_iter()
        .take(MOST_KEYS)
        .filter_map(|key| serde_json::from_value::<RawKey>(key).ok())
        .filter(is_for_signatures)
        .filter_map(usable)
        .collect())
}

fn is_for_signatures(key: &RawKey) -> bool {
    key.purpose
        .as_deref()
        .is_none_or(|purpose| purpose == "sig")
        && key
            .key_ops
            .as_ref()
            .is_none_or(|uses| uses.iter().any(|one| one == "verify"))
}

fn usable(key: RawKey) -> Option<(String, PublicKey)> {
    let declared = |name: &str| key.alg.as_deref().is_none_or(|alg| alg == name);
    let public = match key.kty.as_str() {
        "EC" if key.crv.as_deref() == Some("P-256") && declared("ES256") => {
            let (x, y) = (key.x?, key.y?);
            (decode(&x).ok()?.len() == 32 && decode(&y).ok()?.len() == 32)
                .then_some(PublicKey::Es256 { x, y })?
        }
        "RSA" if declared("RS256") => {
            let (n, e) = (key.n?, key.e?);
            (decode(&n).ok()?.len() >= SHORTEST_MODULUS && !decode(&e).ok()?.is_empty())
                .then_some(PublicKey::Rs256 { n, e })?
        }
        _ => return None,
    };
    Some((key.kid, public))
}
