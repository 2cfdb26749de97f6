//! Everything outside that one event may use: the pipeline's and the engine's ports.

use crate::crypto;
use crate::issuer;
use crate::log;
use crate::objects::ArchiveBucket;
use crate::postgrest::PostgRest;
use crate::rate_windows;
use m23_archive::KEY;
use m23_archive::seal::{NONCE, Sealed};
use m23_auth::{
    KeyCache, KeySource, KeySourceFailed, SignatureCheck, SignatureCheckFailed, VerificationKey,
};
use m23_engine::{Cipher, CipherFailed, MasterKeyFault, MasterKeys};
use m23_pipeline::{Caller, Ids, RequestDatabase, Settings, SettingsFault};
use m23_ports::{Clock, DatabaseError, Digest, DigestFailed, Level, Log, Record};
use m23_rate_limit::{Keys, StoreFailed, WindowStore};
use serde_json::Value;
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;
use worker::{Context, Env, KvStore, ScheduleContext};

const RATE_WINDOWS: &str = "RATE_LIMIT_KV";
const ARCHIVES: &str = "ARCHIVES";

/// The pipeline's own calls are short; one that takes longer is not going to come.
const PIPELINE_CALL: Duration = Duration::from_secs(8);

thread_local! {
    static KEYS: Rc<KeyCache> = Rc::new(KeyCache::new());
}

/// The issuer's keys, kept as long as this isolate lives (and ten minutes at most).
pub(crate) fn shared_keys() -> Rc<KeyCache> {
    KEYS.with(Rc::clone)
}

/// Why an event cannot be served at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsFault),
    /// The master keys cannot be used.
    #[error(transparent)]
    MasterKeys(#[from] MasterKeyFault),
}

/// Who keeps an event alive after its answer.
enum Lifetime {
    Request(Context),
    Schedule(ScheduleContext),
}

struct Shared {
    settings: Settings,
    master_keys: MasterKeys,
    database: PostgRest,
    env: Env,
    lifetime: Lifetime,
    /// The first error that was logged of no single job.
    fault: Cell<Option<&'static str>>,
}

/// Everything that one event may use. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    shared: Rc<Shared>,
}

impl Runtime {
    /// The runtime of a request.
    ///
    /// # Errors
    /// [`NotReady`] when the deployment's settings cannot be used.
    pub(crate) fn for_request(env: Env, context: Context) -> Result<Self, NotReady> {
        Self::new(env, Lifetime::Request(context))
    }

    /// The runtime of a scheduled event.
    ///
    /// # Errors
    /// [`NotReady`] when the deployment's settings cannot be used.
    pub(crate) fn for_schedule(env: Env, context: ScheduleContext) -> Result<Self, NotReady> {
        Self::new(env, Lifetime::Schedule(context))
    }

    fn new(env: Env, lifetime: Lifetime) -> Result<Self, NotReady> {
        let variable = |name: &str| env.var(name).ok().map(|value| value.to_string());
        let settings = Settings::read(variable)?;
        let shared = Shared {
            master_keys: MasterKeys::read(variable)?,
            database: PostgRest::new(&settings),
            settings,
            env,
            lifetime,
            fault: Cell::new(None),
        };
        Ok(Self {
            shared: Rc::new(shared),
        })
    }

    /// The deployment's settings.
    #[must_use]
    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The database's functions, with a timeout for each call.
    #[must_use]
    pub(crate) fn database(&self) -> &PostgRest {
        &self.shared.database
    }

    /// The archive's bucket.
    ///
    /// # Errors
    /// The platform's words when the binding is missing.
    pub(crate) fn archives(&self) -> Result<ArchiveBucket, worker::Error> {
        self.shared.env.bucket(ARCHIVES).map(ArchiveBucket::new)
    }

    /// A variable or secret beyond the [`Settings`].
    #[must_use]
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.shared
            .env
            .var(name)
            .ok()
            .map(|value| value.to_string())
    }

    /// Goes on with `work` after the answer.
    pub fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        match &self.shared.lifetime {
            Lifetime::Request(context) => context.wait_until(work),
            Lifetime::Schedule(context) => context.wait_until(work),
        }
    }

    /// What has gone wrong with the event itself, as its log calls it. A job that fails is no fault of the event that
    /// drove it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.shared.fault.get()
    }

    pub(crate) fn rate_windows(&self) -> Result<KvStore, StoreFailed> {
        let store = self.shared.env.kv(RATE_WINDOWS);
        store.map_err(|error| StoreFailed(error.to_string()))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl RequestDatabase for Runtime {
    async fn call(
        &self,
        caller: Caller<'_>,
        name: &str,
        arguments: &Value,
    ) -> Result<Value, DatabaseError> {
        let database = self.database();
        database.rpc(caller, name, arguments, PIPELINE_CALL).await
    }
}

impl WindowStore for Runtime {
    async fn put_key(&self, name: &str, ttl_seconds: u64) -> Result<(), StoreFailed> {
        rate_windows::put_key(&self.rate_windows()?, name, ttl_seconds).await
    }

    async fn delete_key(&self, name: &str) -> Result<(), StoreFailed> {
        rate_windows::delete_key(&self.rate_windows()?, name).await
    }

    async fn list_keys(&self, prefix: &str, cursor: Option<&str>) -> Result<Keys, StoreFailed> {
        rate_windows::list_keys(&self.rate_windows()?, prefix, cursor).await
    }
}

impl KeySource for Runtime {
    async fn fetch_keys(&self) -> Result<String, KeySourceFailed> {
        issuer::fetch_keys(&self.settings().supabase_url).await
    }
}

impl SignatureCheck for Runtime {
    async fn verify(
        &self,
        key: VerificationKey<'_>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, SignatureCheckFailed> {
        crypto::verify(key, signed, signature).await
    }
}

impl Digest for Runtime {
    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], DigestFailed> {
        crypto::sha256(bytes).await
    }
}

impl Cipher for Runtime {
    fn master_keys(&self) -> &MasterKeys {
        &self.shared.master_keys
    }

    fn randomise(&self, bytes: &mut [u8]) -> Result<(), CipherFailed> {
        getrandom::fill(bytes).map_err(|error| CipherFailed(error.to_string()))
    }

    async fn encrypt(
        &self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        bytes: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, CipherFailed> {
        crypto::encrypt(key, nonce, bytes, context).await
    }

    async fn decrypt(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, CipherFailed> {
        crypto::decrypt(key, sealed, context).await
    }
}

impl Clock for Runtime {
    fn now_ms(&self) -> u64 {
        ambient::now_ms()
    }
}

impl Ids for Runtime {
    fn new_id(&self) -> Uuid {
        ambient::new_id()
    }
}

impl Log for Runtime {
    fn log(&self, record: &Record) {
        if record.level == Level::Error && !names_work(record) && self.fault().is_none() {
            self.shared.fault.set(Some(record.event));
        }
        log::write(record);
    }
}

/// Whether a line is of a single job, restore or test.
fn names_work(record: &Record) -> bool {
    ["job_id", "work_id", "test_id", "request_id"]
        .iter()
        .any(|name| record.fields.get(*name).is_some_and(|id| !id.is_null()))
}

/// What needs no settings: time, ids, the console.
pub(crate) mod ambient {
    use super::{Clock, Ids, Log, Record, Uuid, log};

    pub(crate) fn now_ms() -> u64 {
        worker::Date::now().as_millis()
    }

    pub(crate) fn new_id() -> Uuid {
        Uuid::new_v4()
    }

    /// The platform of a deployment whose settings cannot be used.
    pub(crate) struct Bare;

    impl Clock for Bare {
        fn now_ms(&self) -> u64 {
            now_ms()
        }
    }

    impl Ids for Bare {
        fn new_id(&self) -> Uuid {
            new_id()
        }
    }

    impl Log for Bare {
        fn log(&self, record: &Record) {
            log::write(record);
        }
    }
}
