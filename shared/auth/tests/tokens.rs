//! Rules of accepting access tokens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use m23_auth::{
    AuthError, Expectations, KeyCache, KeySource, KeySourceFailed, Refusal, Secret, SignatureCheck,
    SignatureCheckFailed, User, VerificationKey, authenticate, bearer_token,
};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const NOW: u64 = 1_800_000_000;
const SUB: &str = "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11";

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// An issuer whose "signature" is the name of the key, so that forging is writing another name.
struct FakeIssuer {
    set: RefCell<Result<Value, ()>>,
    fetches: Cell<u32>,
}

impl FakeIssuer {
    fn new() -> Self {
        let set = json!({"keys": [ec("e1"), rsa("r1"), {"kid": "o1", "kty": "oct", "k": "x"}]});
        Self {
            set: RefCell::new(Ok(set)),
            fetches: Cell::new(0),
        }
    }
}

fn long(letter: u8, bytes: usize) -> String {
    URL_SAFE_NO_PAD.encode(vec![letter; bytes])
}

fn ec(kid: &str) -> Value {
    json!({"kid": kid, "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
        "x": long(1, 32), "y": long(2, 32)})
}

fn rsa(kid: &str) -> Value {
    json!({"kid": kid, "kty": "RSA", "n": long(3, 256), "e": "AQAB", "key_ops": ["verify"]})
}

impl KeySource for FakeIssuer {
    async fn fetch_keys(&self) -> Result<String, KeySourceFailed> {
        self.fetches.set(self.fetches.get() + 1);
        match &*self.set.borrow() {
            Ok(set) => Ok(set.to_string()),
            Err(()) => Err(KeySourceFailed("no route".to_owned())),
        }
    }
}

impl SignatureCheck for FakeIssuer {
    async fn verify(
        &self,
        key: VerificationKey<'_>,
        _signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, SignatureCheckFailed> {
        let owner: &[u8] = match key {
            VerificationKey::Es256 { .. } => b"by-ec",
            VerificationKey::Rs256 { .. } => b"by-rsa",
            VerificationKey::Hs256(secret) => secret.reveal().as_bytes(),
        };
        Ok(signature == owner)
    }
}

fn claims() -> Value {
    json!({"iss": "https://issuer/auth/v1", "aud": "authenticated", "sub": SUB,
        "role": "authenticated", "is_anonymous": false, "exp": NOW + 3600, "iat": NOW})
}

fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all.as_object_mut().unwrap().insert(name.to_owned(), value);
    all
}

fn without(name: &str) -> Value {
    let mut all = claims();
    all.as_object_mut().unwrap().remove(name);
    all
}

fn token(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = URL_SAFE_NO_PAD.encode(signature);
    format!("{}.{}.{signature}", part(header), part(claims))
}

struct Gate {
    issuer: FakeIssuer,
    cache: KeyCache,
    secret: Option<Secret>,
    now: Cell<u64>,
}

impl Gate {
    fn new() -> Self {
        Self {
            issuer: FakeIssuer::new(),
            cache: KeyCache::new(),
            secret: None,
            now: Cell::new(NOW),
        }
    }

    fn try_token(&self, text: &str) -> Result<User, AuthError> {
        let bearer = bearer_token(Some(&format!("Bearer {text}")))?;
        let expected = Expectations {
            issuer: "https://issuer/auth/v1".to_owned(),
            audience: "authenticated".to_owned(),
        };
        block_on(authenticate(
            &self.issuer,
            &self.cache,
            &expected,
            self.secret.as_ref(),
            &bearer,
            self.now.get() * 1000,
        ))
    }

    fn refusal(&self, text: &str) -> Refusal {
        match self.try_token(text) {
            Err(AuthError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn claims(&self, claims: &Value) -> Result<User, AuthError> {
        self.try_token(&token(&es256(), claims, "by-ec"))
    }

    fn refused_claims(&self, claims: &Value) -> Refusal {
        self.refusal(&token(&es256(), claims, "by-ec"))
    }
}

fn es256() -> Value {
    json!({"alg": "ES256", "kid": "e1", "typ": "JWT"})
}

#[test]
fn a_good_token_gives_its_user() {
    let gate = Gate::new();
    assert_eq!(gate.claims(&claims()).unwrap().id.to_string(), SUB);
    let rs256 = json!({"alg": "RS256", "kid": "r1"});
    assert!(gate.try_token(&token(&rs256, &claims(), "by-rsa")).is_ok());
    assert_eq!(gate.issuer.fetches.get(), 1);
}

#[test]
fn a_bearer_token_must_be_there_and_be_one() {
    let refusal = |header| bearer_token(header).unwrap_err();
    assert_eq!(refusal(None), Refusal::Missing);
    assert_eq!(refusal(Some("  ")), Refusal::Missing);
    for bad in [
        "Bearer",
        "Bearer ",
        "Basic abc",
        "a.b.c",
        "Bearer a b",
        "Bearer a,b",
    ] {
        assert_ne!(refusal(Some(bad)), Refusal::Signature, "{bad}");
    }
    assert_eq!(
        refusal(Some(&format!("Bearer {}", "a".repeat(20_000)))),
        Refusal::Malformed
    );
    assert!(bearer_token(Some("bearer a.b.c")).is_ok());
}

#[test]
fn a_token_is_never_shown() {
    let token = bearer_token(Some("Bearer secret-token")).unwrap();
    assert!(!format!("{token:?} {:?}", Secret::new("hush")).contains("secret-token"));
    assert!(!format!("{:?}", Secret::new("hush")).contains("hush"));
}

#[test]
fn malformed_tokens_are_refused() {
    let gate = Gate::new();
    let good = token(&es256(), &claims(), "by-ec");
    for bad in ["a", "a.b", "a.b.c", "....", "a.b.c.d", ".."] {
        assert_eq!(gate.refusal(bad), Refusal::Malformed, "{bad}");
    }
    assert_eq!(gate.refusal(&format!("{good}.x")), Refusal::Malformed);
    assert_eq!(
        gate.refusal(&token(&json!([]), &claims(), "by-ec")),
        Refusal::Malformed
    );
    assert_eq!(gate.refused_claims(&json!([1])), Refusal::Malformed);
    assert_eq!(gate.refused_claims(&without("exp")), Refusal::Malformed);
    assert_eq!(
        gate.refused_claims(&with("exp", json!("soon"))),
        Refusal::Malformed
    );
}

#[test]
fn forged_tokens_are_refused() {
    let gate = Gate::new();
    let forged = token(&es256(), &claims(), "by-somebody");
    assert_eq!(gate.refusal(&forged), Refusal::Signature);
}

#[test]
fn alg_none_is_refused() {
    let gate = Gate::new();
    for alg in ["none", "None", "NONE", "", "ES384", "PS256", "HS512"] {
        let header = json!({"alg": alg, "kid": "e1"});
        assert_eq!(
            gate.refusal(&token(&header, &claims(), "")),
            Refusal::Algorithm,
            "{alg}"
        );
    }
}

#[test]
fn hs256_with_the_public_key_is_refused() {
    let mut gate = Gate::new();
    let header = json!({"alg": "HS256", "kid": "e1"});
    let confused = token(&header, &claims(), &long(1, 32));
    assert_eq!(gate.refusal(&confused), Refusal::Algorithm);
    gate.secret = Some(Secret::new("shared"));
    assert_eq!(gate.refusal(&confused), Refusal::Algorithm);
    let with_secret = token(&header, &claims(), "shared");
    assert_eq!(gate.refusal(&with_secret), Refusal::Algorithm);
}

#[test]
fn hs256_needs_a_configured_secret() {
    let mut gate = Gate::new();
    for header in [
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "kid": "legacy"}),
    ] {
        let text = token(&header, &claims(), "shared");
        gate.secret = None;
        assert_eq!(gate.refusal(&text), Refusal::Algorithm);
        gate.secret = Some(Secret::new("shared"));
        assert!(gate.try_token(&text).is_ok());
        gate.secret = Some(Secret::new("other"));
        assert_eq!(gate.refusal(&text), Refusal::Signature);
    }
}

#[test]
fn the_algorithm_belongs_to_the_key() {
    let gate = Gate::new();
    let header = json!({"alg": "RS256", "kid": "e1"});
    assert_eq!(
        gate.refusal(&token(&header, &claims(), "by-rsa")),
        Refusal::Algorithm
    );
    let critical = json!({"alg": "ES256", "kid": "e1", "crit": ["b64"]});
    assert_eq!(
        gate.refusal(&token(&critical, &claims(), "by-ec")),
        Refusal::Algorithm
    );
}

#[test]
fn expired_tokens_are_refused_after_30_s_of_skew() {
    let gate = Gate::new();
    assert!(gate.claims(&with("exp", json!(NOW - 29))).is_ok());
    assert_eq!(
        gate.refused_claims(&with("exp", json!(NOW - 30))),
        Refusal::Expired
    );
    assert_eq!(
        gate.refused_claims(&with("exp", json!(-1))),
        Refusal::Expired
    );
}

#[test]
fn tokens_of_the_future_are_refused() {
    let gate = Gate::new();
    assert!(gate.claims(&with("nbf", json!(NOW + 30))).is_ok());
    assert_eq!(
        gate.refused_claims(&with("nbf", json!(NOW + 31))),
        Refusal::NotYetValid
    );
}

#[test]
fn another_audience_or_issuer_is_refused() {
    let gate = Gate::new();
    assert!(
        gate.claims(&with("aud", json!(["x", "authenticated"])))
            .is_ok()
    );
    for aud in [json!("x"), json!([]), json!(["x"]), json!(5), json!(null)] {
        assert_eq!(gate.refused_claims(&with("aud", aud)), Refusal::Audience);
    }
    for iss in [
        json!("https://issuer/auth/v1/"),
        json!("https://evil"),
        json!(null),
    ] {
        assert_eq!(gate.refused_claims(&with("iss", iss)), Refusal::Issuer);
    }
    assert_eq!(gate.refused_claims(&without("aud")), Refusal::Audience);
    assert_eq!(gate.refused_claims(&without("iss")), Refusal::Issuer);
}

#[test]
fn anon_service_and_anonymous_users_are_refused() {
    let gate = Gate::new();
    assert_eq!(
        gate.refused_claims(&with("role", json!("anon"))),
        Refusal::AnonKey
    );
    for role in [json!("service_role"), json!(null), json!(["authenticated"])] {
        assert_eq!(gate.refused_claims(&with("role", role)), Refusal::NotAUser);
    }
    for anonymous in [json!(true), json!("true"), json!(1)] {
        assert_eq!(
            gate.refused_claims(&with("is_anonymous", anonymous)),
            Refusal::NotAUser
        );
    }
    assert!(gate.claims(&without("is_anonymous")).is_ok());
    for sub in [json!("root"), json!(""), json!(7), json!(null)] {
        assert_eq!(gate.refused_claims(&with("sub", sub)), Refusal::NotAUser);
    }
}

#[test]
fn an_unknown_kid_is_looked_up_once_more_and_made_up_ones_do_not_hammer() {
    let gate = Gate::new();
    gate.claims(&claims()).unwrap();
    let of = |kid: &str| token(&json!({"alg": "ES256", "kid": kid}), &claims(), "by-ec");
    *gate.issuer.set.borrow_mut() = Ok(json!({"keys": [ec("e1"), ec("e2")]}));
    assert!(
        gate.try_token(&of("e2")).is_ok(),
        "a rotated key is found at once"
    );
    assert_eq!(gate.issuer.fetches.get(), 2);
    for made_up in 0..50 {
        assert_eq!(
            gate.refusal(&of(&format!("m{made_up}"))),
            Refusal::UnknownKey
        );
    }
    assert_eq!(gate.issuer.fetches.get(), 2);
    gate.now.set(NOW + 11);
    assert_eq!(gate.refusal(&of("m")), Refusal::UnknownKey);
    assert_eq!(gate.issuer.fetches.get(), 3);
}

#[test]
fn keys_are_kept_ten_minutes_at_most() {
    let gate = Gate::new();
    gate.claims(&claims()).unwrap();
    gate.now.set(NOW + 599);
    gate.claims(&claims()).unwrap();
    assert_eq!(gate.issuer.fetches.get(), 1);
    *gate.issuer.set.borrow_mut() = Ok(json!({"keys": []}));
    gate.now.set(NOW + 600);
    assert_eq!(gate.refused_claims(&claims()), Refusal::UnknownKey);
    assert_eq!(gate.issuer.fetches.get(), 2);
}

#[test]
fn an_issuer_that_does_not_answer_refuses_nobody() {
    let gate = Gate::new();
    *gate.issuer.set.borrow_mut() = Err(());
    assert!(matches!(gate.claims(&claims()), Err(AuthError::NoKeys(_))));
    *gate.issuer.set.borrow_mut() = Ok(json!("nonsense"));
    assert!(matches!(gate.claims(&claims()), Err(AuthError::NoKeys(_))));
}

#[test]
fn keys_that_were_good_outlast_an_outage_of_the_issuer_by_an_hour() {
    let gate = Gate::new();
    gate.claims(&claims()).unwrap();
    for outage in [Err(()), Ok(json!("nonsense"))] {
        *gate.issuer.set.borrow_mut() = outage;
        gate.now.set(gate.now.get() + 1700);
        let fetches = gate.issuer.fetches.get();
        for _ in 0..50 {
            assert!(gate.claims(&with("exp", json!(NOW + 9000))).is_ok());
        }
        assert_eq!(gate.issuer.fetches.get(), fetches + 1, "nobody waits again");
    }
    let unknown = json!({"alg": "ES256", "kid": "e9"});
    let unknown = token(&unknown, &with("exp", json!(NOW + 9000)), "by-ec");
    assert!(
        matches!(gate.try_token(&unknown), Err(AuthError::NoKeys(_))),
        "it may be a new one"
    );
    gate.now.set(NOW + 3600);
    let late = gate.claims(&with("exp", json!(NOW + 9000)));
    assert!(matches!(late, Err(AuthError::NoKeys(_))));
}

#[test]
fn a_key_that_was_taken_away_is_not_used_in_an_outage() {
    let gate = Gate::new();
    gate.claims(&claims()).unwrap();
    *gate.issuer.set.borrow_mut() = Ok(json!({"keys": [ec("e2")]}));
    gate.now.set(NOW + 600);
    assert_eq!(gate.refused_claims(&claims()), Refusal::UnknownKey);
    *gate.issuer.set.borrow_mut() = Err(());
    gate.now.set(NOW + 1300);
    assert!(matches!(gate.claims(&claims()), Err(AuthError::NoKeys(_))));
}

#[test]
fn an_issuer_that_answers_again_is_asked_again() {
    let gate = Gate::new();
    gate.claims(&claims()).unwrap();
    let set = gate.issuer.set.replace(Err(()));
    gate.now.set(NOW + 600);
    gate.claims(&claims()).unwrap();
    *gate.issuer.set.borrow_mut() = set;
    gate.now.set(NOW + 610);
    gate.claims(&claims()).unwrap();
    gate.now.set(NOW + 1209);
    gate.claims(&claims()).unwrap();
    assert_eq!(gate.issuer.fetches.get(), 3);
}

#[test]
fn a_secret_is_only_its_own_text() {
    let secret = Secret::new("sb_secret_x");
    assert!(secret.is("sb_secret_x"));
    for other in [
        "",
        "sb_secret_",
        "sb_secret_y",
        "sb_secret_x ",
        "SB_SECRET_X",
    ] {
        assert!(!secret.is(other), "{other}");
    }
}

#[test]
fn unusable_keys_are_not_used() {
    let change = |name: &str, value: Value| {
        let mut key = ec("e1");
        key.as_object_mut().unwrap().insert(name.to_owned(), value);
        key
    };
    let mut weak = rsa("e1");
    weak.as_object_mut()
        .unwrap()
        .insert("n".to_owned(), json!(long(3, 128)));
    for key in [
        change("crv", json!("P-384")),
        change("alg", json!("HS256")),
        change("use", json!("enc")),
        change("key_ops", json!(["sign"])),
        change("x", json!("short")),
        change("kty", json!("oct")),
        weak,
    ] {
        let gate = Gate::new();
        *gate.issuer.set.borrow_mut() = Ok(json!({"keys": [key]}));
        assert_eq!(gate.refused_claims(&claims()), Refusal::UnknownKey, "{key}");
    }
}
