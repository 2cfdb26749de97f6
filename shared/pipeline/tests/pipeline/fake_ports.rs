//! The platform as fakes: an issuer, a database that counts exactly, a store of keys, a
//! clock; each of them can break.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use m23_auth::{
    KeyCache, KeySource, KeySourceFailed, SignatureCheck, SignatureCheckFailed, VerificationKey,
};
use m23_contract::{BackupCreateRequest, ErrorCode, FunctionName, PitrRestoreRequest};
use m23_pipeline::{
    Admitted, Answer, BodyFailed, BodySource, Caller, Failure, Function, Ids, Pipeline,
    RequestDatabase, Settings,
};
use m23_ports::{Clock, DatabaseError, Digest, DigestFailed, Log, Record};
use m23_rate_limit::{Keys, StoreFailed, WindowStore};
use m23_tenant::TenantId;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

pub const NOW_MS: u64 = 1_800_000_000_000;
pub const NOW: u64 = NOW_MS / 1000;
pub const TENANT: Uuid = Uuid::from_u128(0x7e4a);
pub const USER: &str = "6f2b5c1e-3d49-4f0a-9a55-0d5f3a3c8b11";

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// One remembered request of the fake database.
#[derive(Clone)]
pub struct Counted {
    pub id: String,
    pub key: Option<String>,
    pub hash: String,
    pub response: Option<Value>,
    pub abandoned: bool,
    pub given_back: bool,
    pub by_service: bool,
}

/// A refusal of the database with this code.
pub fn refused_with(code: ErrorCode) -> Failure {
    Failure::Refused {
        code,
        sentence: "not as asked".to_owned(),
        details: Vec::new(),
    }
}

pub struct FakePorts {
    pub role: RefCell<Option<&'static str>>,
    pub tenant: RefCell<Option<TenantId>>,
    pub faults: RefCell<Vec<&'static str>>,
    /// The limit that somebody has raised.
    pub raised: Cell<Option<u64>>,
    pub counted: RefCell<Vec<Counted>>,
    pub calls: RefCell<Vec<(String, bool, Value)>>,
    /// What a database function answers instead of working.
    pub broken: RefCell<Vec<(&'static str, DatabaseError)>>,
    pub keys_down: Cell<bool>,
    pub store: RefCell<BTreeSet<String>>,
    pub store_down: Cell<bool>,
    pub logged: RefCell<Vec<Record>>,
    pub settings: RefCell<Settings>,
    /// Is it worth another attempt to write how the last call ended?
    pub again: Cell<bool>,
    next_id: Cell<u128>,
}

impl FakePorts {
    pub fn new() -> Self {
        Self {
            role: RefCell::new(Some("owner")),
            tenant: RefCell::new(TENANT.to_string().parse().ok()),
            faults: RefCell::default(),
            raised: Cell::new(None),
            counted: RefCell::default(),
            calls: RefCell::default(),
            broken: RefCell::default(),
            keys_down: Cell::new(false),
            store: RefCell::default(),
            store_down: Cell::new(false),
            logged: RefCell::default(),
            settings: RefCell::new(settings(&[])),
            again: Cell::new(false),
            next_id: Cell::new(0),
        }
    }

    pub fn break_function(&self, name: &'static str, error: DatabaseError) {
        self.broken.borrow_mut().push((name, error));
    }

    pub fn mend(&self) {
        self.broken.borrow_mut().clear();
    }

    pub fn called(&self, name: &str) -> usize {
        let calls = self.calls.borrow();
        calls.iter().filter(|(called, ..)| called == name).count()
    }

    pub fn log_text(&self) -> String {
        serde_json::to_string(&*self.logged.borrow()).unwrap()
    }

    pub fn run<F: Function, B: BodySource>(&self, function: &F, request: Request<B>) -> Reply {
        let keys = KeyCache::new();
        let settings = self.settings.borrow().clone();
        let pipeline = Pipeline {
            platform: self,
            settings: &settings,
            keys: &keys,
        };
        let answered = block_on(pipeline.run(function, request));
        let again = block_on(pipeline.conclude(answered.entry.as_ref()));
        self.again.set(again);
        Reply::of(answered.response)
    }

    fn authorize(&self, arguments: &Value) -> Value {
        let role = *self.role.borrow();
        let dry_run = arguments["p_dry_run"].as_bool().unwrap();
        let function = FunctionName::parse(arguments["p_function"].as_str().unwrap()).unwrap();
        let allowed = role
            .and_then(m23_contract::Role::parse)
            .is_some_and(|role| function.allows(role, dry_run));
        json!({"tenant_id": *self.tenant.borrow(), "role": role, "allowed": allowed,
            "used": self.used(), "reset": NOW + 3600,
            "raised": self.raised.get(), "faults": *self.faults.borrow()})
    }

    fn authorize_service(&self, arguments: &Value) -> Value {
        let known = Some(&arguments["p_tenant_id"]).filter(|id| **id == json!(TENANT));
        json!({"tenant_id": known, "role": known.map(|_| "owner"), "allowed": known.is_some(),
            "used": self.used(), "reset": NOW + 3600, "faults": *self.faults.borrow()})
    }

    fn used(&self) -> usize {
        let counted = self.counted.borrow();
        counted
            .iter()
            .filter(|one| !one.given_back && !one.by_service)
            .count()
    }

    fn admit(&self, arguments: &Value) -> Value {
        let request = &arguments["p_request"];
        let key = request["idempotency_key"].as_str().map(ToOwned::to_owned);
        let hash = request["body_sha256"].as_str().unwrap().to_owned();
        let asked = request["limit"].as_u64().unwrap();
        let limit = self.raised.get().map_or(asked, |raised| raised.max(asked));
        let say = |outcome: &str, response: Value| {
            json!({"outcome": outcome, "limit": limit, "used": self.used(), "reset": NOW + 1800,
                "counted_at": NOW_MS, "response": response})
        };
        let earlier = self
            .counted
            .borrow()
            .iter()
            .find(|one| key.is_some() && one.key == key && !one.abandoned)
            .cloned();
        if let Some(earlier) = earlier {
            return match earlier.response {
                _ if earlier.hash != hash => say("key_reused", Value::Null),
                Some(response) => say("replay", response),
                None => say("running", Value::Null),
            };
        }
        let by_service = request["user_id"].is_null();
        if !by_service && self.used() as u64 >= limit {
            return say("limited", Value::Null);
        }
        self.counted.borrow_mut().push(Counted {
            id: request["id"].as_str().unwrap().to_owned(),
            key,
            hash,
            response: None,
            abandoned: false,
            given_back: false,
            by_service,
        });
        say("admitted", Value::Null)
    }

    fn finish(&self, arguments: &Value) -> Value {
        for one in self.counted.borrow_mut().iter_mut() {
            if one.id == arguments["p_id"].as_str().unwrap() {
                one.response =
                    Some(json!({"status": arguments["p_status"], "body": arguments["p_body"]}));
            }
        }
        Value::Null
    }

    /// As the database does, at most ten are given back.
    fn give_back(&self, arguments: &Value) -> Value {
        let given = self
            .counted
            .borrow()
            .iter()
            .filter(|one| one.given_back)
            .count();
        let gives = given < 10;
        for one in self.counted.borrow_mut().iter_mut() {
            one.given_back |= gives && one.id == arguments["p_id"].as_str().unwrap();
        }
        json!({"given_back": gives, "used": self.used(), "reset": NOW + 1800})
    }

    fn abandon(&self, arguments: &Value) -> Value {
        for one in self.counted.borrow_mut().iter_mut() {
            one.abandoned |= one.id == arguments["p_id"].as_str().unwrap();
        }
        Value::Null
    }
}

pub fn settings(more: &[(&str, &str)]) -> Settings {
    Settings::read(|name| {
        let fixed = [
            ("SUPABASE_URL", "https://issuer/"),
            ("SUPABASE_ANON_KEY", "anon"),
            ("SUPABASE_SERVICE_ROLE_KEY", "service-key"),
        ];
        more.iter()
            .chain(&fixed)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
}

impl RequestDatabase for FakePorts {
    async fn call(
        &self,
        caller: Caller<'_>,
        name: &str,
        arguments: &Value,
    ) -> Result<Value, DatabaseError> {
        let as_user = matches!(caller, Caller::User(_));
        self.calls
            .borrow_mut()
            .push((name.to_owned(), as_user, arguments.clone()));
        if let Some((_, error)) = self.broken.borrow().iter().find(|(n, _)| *n == name) {
            return Err(error.clone());
        }
        match (name, as_user) {
            ("m23_authorize", true) => Ok(self.authorize(arguments)),
            ("m23_authorize", false) => Ok(self.authorize_service(arguments)),
            ("m23_admit", false) => Ok(self.admit(arguments)),
            ("m23_finish_request", false) => Ok(self.finish(arguments)),
            ("m23_give_back", false) => Ok(self.give_back(arguments)),
            ("m23_abandon_request", false) => Ok(self.abandon(arguments)),
            ("m23_audit", false) => Ok(Value::Null),
            other => Err(DatabaseError::Failed(format!("{other:?}"))),
        }
    }
}

impl WindowStore for FakePorts {
    async fn put_key(&self, name: &str, _ttl_seconds: u64) -> Result<(), StoreFailed> {
        if self.store_down.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        self.store.borrow_mut().insert(name.to_owned());
        Ok(())
    }

    async fn delete_key(&self, name: &str) -> Result<(), StoreFailed> {
        if self.store_down.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        self.store.borrow_mut().remove(name);
        Ok(())
    }

    async fn list_keys(&self, prefix: &str, _cursor: Option<&str>) -> Result<Keys, StoreFailed> {
        if self.store_down.get() {
            return Err(StoreFailed("down".to_owned()));
        }
        let names = self.store.borrow();
        Ok(Keys {
            names: names
                .iter()
                .filter(|n| n.starts_with(prefix))
                .cloned()
                .collect(),
            cursor: None,
        })
    }
}

impl KeySource for FakePorts {
    async fn fetch_keys(&self) -> Result<String, KeySourceFailed> {
        if self.keys_down.get() {
            return Err(KeySourceFailed("no route to 10.0.0.7".to_owned()));
        }
        let number = URL_SAFE_NO_PAD.encode([1; 32]);
        let key = json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": number, "y": number});
        Ok(json!({ "keys": [key] }).to_string())
    }
}

impl SignatureCheck for FakePorts {
    async fn verify(
        &self,
        _key: VerificationKey<'_>,
        _signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, SignatureCheckFailed> {
        Ok(signature == b"good")
    }
}

impl Digest for FakePorts {
    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], DigestFailed> {
        let mut sum = [0_u8; 32];
        for (index, byte) in bytes.iter().enumerate() {
            sum[index % 32] = sum[index % 32].wrapping_mul(31).wrapping_add(*byte);
        }
        Ok(sum)
    }
}

impl Clock for FakePorts {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }
}

impl Ids for FakePorts {
    fn new_id(&self) -> Uuid {
        self.next_id.set(self.next_id.get() + 1);
        Uuid::from_u128(self.next_id.get())
    }
}

impl Log for FakePorts {
    fn log(&self, record: &Record) {
        self.logged.borrow_mut().push(record.clone());
    }
}

/// A function whose outcome a test decides.
pub struct Stub {
    pub outcome: RefCell<Box<dyn Fn() -> Result<Answer, Failure>>>,
    pub answered: RefCell<Vec<(Admitted, BackupCreateRequest)>>,
}

impl Stub {
    pub fn new() -> Self {
        Self::that(|| Answer::done(&json!({"success": true})))
    }

    pub fn that(outcome: impl Fn() -> Result<Answer, Failure> + 'static) -> Self {
        Self {
            outcome: RefCell::new(Box::new(outcome)),
            answered: RefCell::default(),
        }
    }

    pub fn now(&self, outcome: impl Fn() -> Result<Answer, Failure> + 'static) {
        *self.outcome.borrow_mut() = Box::new(outcome);
    }
}

impl Function for Stub {
    type Request = BackupCreateRequest;
    const NAME: FunctionName = FunctionName::BackupCreate;

    async fn handle(&self, caller: &Admitted, request: Self::Request) -> Result<Answer, Failure> {
        self.answered.borrow_mut().push((caller.clone(), request));
        (self.outcome.borrow())()
    }
}

/// A function that a dry run opens to operators.
pub struct Pitr;

impl Function for Pitr {
    type Request = PitrRestoreRequest;
    const NAME: FunctionName = FunctionName::PitrRestore;

    async fn handle(&self, _: &Admitted, _: Self::Request) -> Result<Answer, Failure> {
        Err(Failure::StillRunning)
    }
}

/// A body in pieces; `None` breaks it off.
pub struct Pieces(pub Vec<Option<Vec<u8>>>);

impl BodySource for Pieces {
    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, BodyFailed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        match self.0.remove(0) {
            Some(piece) => Ok(Some(piece)),
            None => Err(BodyFailed("gone".to_owned())),
        }
    }
}

/// A body whose rest can be looked at afterwards.
impl BodySource for &mut Pieces {
    async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, BodyFailed> {
        (**self).next_piece().await
    }
}

pub fn token(change: &[(&str, Value)], signature: &str) -> String {
    let mut claims = json!({"iss": "https://issuer/auth/v1", "aud": "authenticated", "sub": USER,
        "role": "authenticated", "exp": NOW + 600});
    for (name, value) in change {
        claims[*name] = value.clone();
    }
    let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
    let header = part(r#"{"alg":"ES256","kid":"k"}"#);
    format!(
        "Bearer {header}.{}.{}",
        part(&claims.to_string()),
        part(signature)
    )
}

pub fn post(body: &str) -> Request<Pieces> {
    request("POST", Some(&token(&[], "good")), body)
}

pub fn post_with_key(body: &str, key: &str) -> Request<Pieces> {
    let mut request = post(body);
    let key = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
    request.headers_mut().insert("idempotency-key", key);
    request
}

pub fn request(method: &str, authorization: Option<&str>, body: &str) -> Request<Pieces> {
    let mut builder = Request::builder()
        .method(method)
        .uri("https://edge/functions/v1/backup-create");
    if let Some(value) = authorization {
        builder = builder.header("authorization", value);
    }
    builder
        .body(Pieces(vec![Some(body.as_bytes().to_vec())]))
        .unwrap()
}

pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Reply {
    fn of(response: Response<Vec<u8>>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(response.body()).unwrap_or(Value::Null),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    pub fn window(&self) -> (&str, &str, &str) {
        (
            self.header("x-ratelimit-limit"),
            self.header("x-ratelimit-remaining"),
            self.header("x-ratelimit-reset"),
        )
    }
}
