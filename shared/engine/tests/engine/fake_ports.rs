//! The ports in memory: a database that behaves like the functions of the migrations, a
//! create-only store that checks SHA-256, a clock that only steps and pauses move, and a log.

use crate::backups::Backups;
use crate::faults::{Break, Broken, Fault, When, give_way, refused};
use crate::recovery_tests::RecoveryTests;
use crate::restores::Restores;
use crate::sealed;
use m23_archive::KEY;
use m23_archive::seal::{NONCE, Sealed};
use m23_contract::{ErrorCode, RecoveryTestResults};
use m23_engine::{
    Cipher, CipherFailed, EngineError, MasterKeys, RestoreOrder, RestoreOutcome, collect,
    do_in_shares, drive_backup, drive_restore, drive_test, erase_keys, resume_restores,
};
use m23_ports::{
    Clock, Database, DatabaseError, Digest, DigestFailed, Log, Objects, Record, StoreFailed,
};
use serde_json::{Value, json};
use sha2::Digest as _;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

/// A lease that nobody renews is free after this.
pub const LEASE_MS: u64 = 60_000;

/// What one step takes.
pub const STEP_MS: u64 = 10;

pub const NEVER: u64 = u64::MAX;

/// A step that was begun.
#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub at: u64,
}

/// The right to drive a job.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub token: Uuid,
    pub until: u64,
}

/// Refuses a driver that does not hold the lease.
pub fn check_lease(held: Option<Lease>, shown: &Value) -> Result<(), DatabaseError> {
    match held {
        Some(lease) if shown == &lease.token.to_string() => Ok(()),
        _ => Err(refused(
            ErrorCode::Unavailable,
            "another worker has taken this job over",
        )),
    }
}

/// The same, and renews it.
pub fn keep_lease(held: &mut Option<Lease>, shown: &Value, now: u64) -> Result<(), DatabaseError> {
    check_lease(*held, shown)?;
    held.as_mut().unwrap().until = now + LEASE_MS;
    Ok(())
}

/// Chunks that are in memory: read, and not yet recorded or sent.
#[derive(Default)]
pub struct InFlight {
    now: Cell<usize>,
    pub most: Cell<usize>,
}

impl InFlight {
    fn begin(&self) {
        self.now.set(self.now.get() + 1);
        self.most.set(self.most.get().max(self.now.get()));
    }

    fn end(&self) {
        self.now.set(self.now.get().saturating_sub(1));
    }
}

/// A chunk whose lines nobody has taken: it is gone with the answer that they would have come in.
struct Untaken(Option<Rc<InFlight>>);

impl Untaken {
    fn begin(in_flight: &Rc<InFlight>) -> Self {
        in_flight.begin();
        Self(Some(Rc::clone(in_flight)))
    }

    fn take(mut self) {
        self.0 = None;
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.0 {
            in_flight.end();
        }
    }
}

type Rest = Pin<Box<dyn Future<Output = Result<Vec<u8>, DatabaseError>>>>;

/// What came of driving a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driven {
    Nothing,
    Completed(Uuid),
    Paused(Uuid),
    Failed(Uuid),
}

pub struct FakePorts {
    pub backups: RefCell<Backups>,
    pub restores: RefCell<Restores>,
    pub recovery_tests: RefCell<RecoveryTests>,
    pub objects: RefCell<BTreeMap<String, Vec<u8>>>,
    /// The names of all objects, in the order in which they were created.
    pub created: RefCell<Vec<String>>,
    pub steps: RefCell<Vec<Step>>,
    pub faults: RefCell<Vec<Fault>>,
    pub pauses: RefCell<Vec<u32>>,
    pub logged: RefCell<Vec<Record>>,
    pub in_flight: Rc<InFlight>,
    /// How many answers break off after their first line.
    pub broken_answers: Cell<usize>,
    /// How often a step of the database, and one of the store, gives way to what runs beside it.
    pub patience: Cell<(usize, usize)>,
    pub no_digest: Cell<bool>,
    /// What a collection leaves, and whether it was said to be done.
    pub keep: RefCell<Vec<String>>,
    pub collected: Cell<bool>,
    /// How many shares of scheduled work are left.
    pub shares: Cell<u64>,
    /// What a step takes beyond the usual, in milliseconds.
    pub slow: Cell<u64>,
    pub no_cipher: Cell<bool>,
    pub master_keys: MasterKeys,
    random: Cell<u64>,
    now: Cell<u64>,
    dead: Cell<bool>,
}

impl FakePorts {
    /// A ports with a job that waits for a driver.
    pub fn new() -> Self {
        Self {
            backups: RefCell::new(Backups::new()),
            restores: RefCell::default(),
            recovery_tests: RefCell::default(),
            objects: RefCell::default(),
            created: RefCell::default(),
            steps: RefCell::default(),
            faults: RefCell::default(),
            pauses: RefCell::default(),
            logged: RefCell::default(),
            in_flight: Rc::default(),
            broken_answers: Cell::new(0),
            patience: Cell::new((1, 1)),
            no_digest: Cell::new(false),
            keep: RefCell::default(),
            collected: Cell::new(false),
            shares: Cell::new(0),
            slow: Cell::new(0),
            no_cipher: Cell::new(false),
            master_keys: MasterKeys::default(),
            random: Cell::new(1),
            now: Cell::new(1_800_000_000_000),
            dead: Cell::new(false),
        }
    }

    /// The same, where the database says how far the next chunk will go.
    pub fn looking_ahead(count: usize) -> Self {
        let ports = Self::new();
        ports.backups.borrow_mut().looks_ahead = Some(count);
        ports
    }

    pub fn breaking(fault: Fault) -> Self {
        let ports = Self::new();
        ports.faults.borrow_mut().push(fault);
        ports
    }

    /// Drives the job; `None` when the driver was killed.
    pub fn back_up(&self, deadline: u64) -> Option<Driven> {
        let driven = self.live(drive_backup(self, None, deadline))?;
        Some(match driven {
            m23_engine::Driven::Nothing => Driven::Nothing,
            m23_engine::Driven::Completed(job, ()) => Driven::Completed(job),
            m23_engine::Driven::Paused(job) => Driven::Paused(job),
            m23_engine::Driven::Failed(job, _) => Driven::Failed(job),
        })
    }

    /// Drives the restore; `None` when the driver was killed.
    pub fn restore(&self, order: &RestoreOrder) -> Option<Result<RestoreOutcome, EngineError>> {
        self.live(drive_restore(self, order))
    }

    /// Takes up what its callers do not wait for; `None` when the driver was killed.
    pub fn resume(&self) -> Option<()> {
        self.live(resume_restores(self, NEVER))
    }

    /// Collects objects; `None` when the driver was killed.
    pub fn collect(&self) -> Option<usize> {
        self.live(collect(self, NEVER))
    }

    /// Does scheduled work in shares; `None` when the driver was killed.
    pub fn do_in_shares(&self, deadline: u64) -> Option<()> {
        self.live(do_in_shares(self, "m23_go_rounds", deadline))
    }

    /// Drives the recovery test; `None` when the driver was killed.
    pub fn run_test(&self, deadline: u64) -> Option<m23_engine::Driven<Box<RecoveryTestResults>>> {
        self.live(drive_test(self, None, deadline))
    }

    /// Erases the keys that are to be erased.
    pub fn erase(&self) {
        self.live(erase_keys(self));
    }

    fn live<F: Future>(&self, driver: F) -> Option<F::Output> {
        let mut driver = pin!(driver);
        let mut context = Context::from_waker(Waker::noop());
        while !self.dead.get() {
            if let Poll::Ready(output) = driver.as_mut().poll(&mut context) {
                return Some(output);
            }
        }
        self.dead.set(false);
        None
    }

    /// Nothing breaks any more, and every lease has run out.
    pub fn mend(&self) {
        self.faults.borrow_mut().clear();
        self.in_flight.now.set(0);
        self.wait(LEASE_MS + 1);
    }

    pub fn wait(&self, milliseconds: u64) {
        self.now.set(self.now.get() + milliseconds);
    }

    /// How often a step was begun.
    pub fn begun(&self, name: &str) -> usize {
        let steps = self.steps.borrow();
        steps.iter().filter(|step| step.name == name).count()
    }

    /// Where a step is for the first time.
    pub fn first(&self, name: &str) -> usize {
        let steps = self.steps.borrow();
        steps.iter().position(|step| step.name == name).unwrap()
    }

    /// What the line of an event says, by the names of its fields.
    pub fn line<const N: usize>(&self, event: &str, names: [&str; N]) -> [Value; N] {
        let logged = serde_json::to_value(&*self.logged.borrow()).unwrap();
        let lines = logged.as_array().unwrap();
        let line = lines.iter().find(|line| line["event"] == event).unwrap();
        names.map(|name| line[name].clone())
    }

    pub fn log_text(&self) -> String {
        serde_json::to_string(&*self.logged.borrow()).unwrap()
    }

    fn rival(&self) {
        if self.restores.borrow_mut().lease.take().is_some() {
            return; // swept: a restore is not taken over, it ends
        }
        let faults = self.faults.take();
        self.wait(LEASE_MS + 1);
        self.back_up(NEVER);
        assert_eq!(self.backups.borrow().status, "completed");
        self.faults.replace(faults);
    }

    /// One step: it may break before its effect, or after it.
    async fn step<T, E: Broken>(
        &self,
        name: &str,
        patience: usize,
        effect: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.dead.get() {
            return pending().await;
        }
        let number = self.steps.borrow().len();
        self.steps.borrow_mut().push(Step {
            name: name.to_owned(),
            at: self.now.get(),
        });
        assert!(number < 2_000, "a driver goes round in circles");
        self.wait(STEP_MS + self.slow.get());
        for _ in 0..patience {
            give_way().await;
        }
        self.fault(number, name, When::Before).await?;
        let done = effect()?;
        self.fault(number, name, When::After).await?;
        Ok(done)
    }

    async fn fault<E: Broken>(&self, number: usize, name: &str, when: When) -> Result<(), E> {
        let hit = {
            let faults = self.faults.borrow();
            faults
                .iter()
                .find(|fault| fault.hits(number, name, when))
                .map(|fault| fault.how)
        };
        match hit {
            None => Ok(()),
            Some(Break::Rival) => {
                self.rival();
                Ok(())
            }
            Some(Break::Death) => {
                self.dead.set(true);
                pending().await
            }
            Some(how) => Err(E::broken(how)),
        }
    }

    async fn query(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        let now = self.now.get();
        let effect = || match name {
            "m23_stage_table" | "m23_note_restore" | "m23_fail_restore" | "m23_execute_restore" => {
                self.restores.borrow_mut().call(name, arguments, now)
            }
            "m23_go_rounds" => {
                let left = self.shares.get();
                self.shares.set(left.saturating_sub(1));
                Ok(json!(left))
            }
            "m23_claim_restore" => Ok(self.restores.borrow_mut().claim(now)),
            "m23_next_collection" | "m23_note_collected" => Ok(self.collecting(name)),
            "m23_claim_test" | "m23_save_test" | "m23_finish_test" | "m23_fail_test" => {
                self.recovery_tests.borrow_mut().call(name, arguments, now)
            }
            "m23_release_work" if self.recovery_tests.borrow_mut().release(arguments) => {
                Ok(Value::Null)
            }
            _ => self.backups.borrow_mut().call(name, arguments, now),
        };
        self.step(name, self.patience.get().0, effect).await
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

impl Database for FakePorts {
    async fn call(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        let reply = self.query(name, arguments).await;
        if name == "m23_record_chunk" && reply.is_ok() {
            self.in_flight.end();
        }
        reply
    }

    async fn execute(&self, name: &str, arguments: &Value) -> Result<Value, DatabaseError> {
        self.query(name, arguments).await
    }

    type Rest = Rest;

    async fn read(&self, name: &str, arguments: &Value) -> Result<(Vec<u8>, Rest), DatabaseError> {
        assert_eq!(name, "m23_read_chunk");
        let effect = || self.backups.borrow().read(arguments);
        let mut line = self.step(name, self.patience.get().0, effect).await?;
        let end = line.iter().position(|byte| *byte == b'\n').unwrap();
        let lines = line.split_off(end + 1);
        line.truncate(end);
        let untaken = Untaken::begin(&self.in_flight);
        let broken = self.broken_answers.get() > 0;
        self.broken_answers
            .set(self.broken_answers.get().saturating_sub(1));
        let rest = async move {
            give_way().await;
            if broken {
                return Err(DatabaseError::Unavailable(
                    "the answer broke off".to_owned(),
                ));
            }
            untaken.take();
            Ok(lines)
        };
        Ok((line, Box::pin(rest)))
    }

    async fn send(&self, name: &str, bytes: &[u8]) -> Result<Value, DatabaseError> {
        assert_eq!(name, "m23_stage_chunk");
        let now = self.now.get();
        let effect = || self.restores.borrow_mut().stage_chunk(bytes, now);
        let sent = self.step(name, self.patience.get().0, effect).await;
        if sent.is_ok() {
            self.in_flight.end();
        }
        sent
    }
}

impl Objects for FakePorts {
    async fn put_new(
        &self,
        object: &str,
        bytes: Vec<u8>,
        digest: [u8; 32],
    ) -> Result<(), StoreFailed> {
        let effect = || {
            let wanted: [u8; 32] = sha2::Sha256::digest(&bytes).into();
            assert_eq!(
                wanted, digest,
                "the store compares the bytes with their SHA-256"
            );
            if !self.objects.borrow().contains_key(object) {
                self.created.borrow_mut().push(object.to_owned());
                self.objects.borrow_mut().insert(object.to_owned(), bytes);
            }
            Ok(())
        };
        self.step("put", self.patience.get().1, effect).await
    }

    async fn get(&self, object: &str) -> Result<Option<Vec<u8>>, StoreFailed> {
        let effect = || Ok(self.objects.borrow().get(object).cloned());
        let got = self.step("get", self.patience.get().1, effect).await;
        if got.is_ok() && object.contains(".copy.gz") {
            self.in_flight.begin();
        }
        got
    }

    async fn sizes(&self, prefix: &str) -> Result<BTreeMap<String, u64>, StoreFailed> {
        let effect = || {
            let objects = self.objects.borrow();
            let sized = objects
                .iter()
                .filter(|(name, _)| name.starts_with(prefix))
                .map(|(name, bytes)| (name.clone(), bytes.len() as u64));
            Ok(sized.collect())
        };
        self.step("list", self.patience.get().1, effect).await
    }

    async fn delete(&self, object: &str) -> Result<(), StoreFailed> {
        let effect = || {
            self.objects.borrow_mut().remove(object);
            Ok(())
        };
        self.step("delete", self.patience.get().1, effect).await
    }
}

impl m23_engine::JobPorts for FakePorts {
    async fn pause(&self, milliseconds: u32) {
        self.pauses.borrow_mut().push(milliseconds);
        self.wait(milliseconds.into());
        give_way().await;
    }

    async fn give_way(&self) {
        give_way().await;
    }
}

impl Digest for FakePorts {
    async fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], DigestFailed> {
        if self.no_digest.get() {
            return Err(DigestFailed(crate::faults::INTERNAL.to_owned()));
        }
        Ok(sha2::Sha256::digest(bytes).into())
    }
}

impl Cipher for FakePorts {
    fn master_keys(&self) -> &MasterKeys {
        &self.master_keys
    }

    fn randomise(&self, bytes: &mut [u8]) -> Result<(), CipherFailed> {
        for piece in bytes.chunks_mut(32) {
            self.random.set(self.random.get() + 1);
            let random = sha2::Sha256::digest(self.random.get().to_be_bytes());
            piece.copy_from_slice(&random[..piece.len()]);
        }
        Ok(())
    }

    async fn encrypt(
        &self,
        key: &[u8; KEY],
        nonce: &[u8; NONCE],
        bytes: &[u8],
        context: &[u8],
    ) -> Result<Vec<u8>, CipherFailed> {
        if self.no_cipher.get() {
            return Err(CipherFailed(crate::faults::INTERNAL.to_owned()));
        }
        Ok(sealed::encrypt(key, nonce, bytes, context))
    }

    async fn decrypt(
        &self,
        key: &[u8; KEY],
        sealed: Sealed<'_>,
        context: &[u8],
    ) -> Result<Option<Vec<u8>>, CipherFailed> {
        Ok(sealed::decrypt(key, sealed, context))
    }
}

impl Clock for FakePorts {
    fn now_ms(&self) -> u64 {
        self.now.get()
    }
}

impl Log for FakePorts {
    fn log(&self, record: &Record) {
        self.logged.borrow_mut().push(record.clone());
    }
}
