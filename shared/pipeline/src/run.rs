//! The pipeline itself.

use crate::admission::{
    AdmitReply, AuthorizeReply, Counted, Outcome, StoredAnswer, abandon, audit, finish, give_back,
};
use crate::admitted::{Admitted, Identity};
use crate::audit::{AuditEntry, Event, Origin};
use crate::body::{BodySource, drain, read_bounded};
use crate::edge::{Envelope, Kind, kind};
use crate::failure::Failure;
use crate::function::{Answer, Function};
use crate::idempotency::idempotency_key;
use crate::service::{ServiceCall, TENANT};
use crate::services::{Ids, Platform};
use crate::settings::Settings;
use futures_util::future::join;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use m23_auth::{BearerToken, KeyCache, Refusal, authenticate, bearer_token};
use m23_contract::{ErrorBody, ErrorCode, FunctionName, Probe, Reading, Role, read_request};
use m23_ports::{Clock, Level, Log, Record};
use m23_rate_limit::{Window, WindowLog};
use m23_tenant::TenantId;
use uuid::Uuid;

/// Runs requests: one pipeline for all five functions.
#[derive(Debug)]
pub struct Pipeline<'a, P> {
    /// The platform.
    pub platform: &'a P,
    /// The deployment's settings.
    pub settings: &'a Settings,
    /// The isolate's cache of the issuer's keys.
    pub keys: &'a KeyCache,
}

/// A request that is answered, and what the audit has to say of it afterwards.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub response: Response<Vec<u8>>,
    /// For [`Pipeline::conclude`]; none where the tenant is not known.
    pub entry: Option<AuditEntry>,
}

/// What is known of a request so far: for its headers, its line in the log and the audit.
struct Trace {
    function: FunctionName,
    request_id: Uuid,
    started_ms: u64,
    user_id: Option<Uuid>,
    tenant_id: Option<TenantId>,
    window: Option<Window>,
    origin: Origin,
    admitted: bool,
}

/// A request whose caller, form, tenant and role are good: it may be counted.
struct Authorized<'a, R> {
    request: R,
    identity: Identity,
    tenant_id: TenantId,
    role: Role,
    key: Option<String>,
    body: &'a [u8],
}

impl<P: Platform> Pipeline<'_, P> {
    /// Answers one request. Whatever happens, it is answered in the contract's form, with CORS
    /// headers and a request id, and logged once.
    pub async fn run<F: Function, B: BodySource>(
        &self,
        function: &F,
        request: Request<B>,
    ) -> Answered {
        let (parts, mut body) = request.into_parts();
        let mut trace = Trace::begin(self.platform, F::NAME, Origin::of(&parts.headers));
        let outcome = match kind(&parts.method, &parts.uri, F::NAME) {
            Ok(Kind::Preflight) => {
                return Answered {
                    response: Envelope::new(trace.request_id).preflight(),
                    entry: None,
                };
            }
            Ok(Kind::Call) => self.call(function, &parts, &mut body, &mut trace).await,
            Err(failure) => {
                drain(&mut body).await;
                Err(self
                    .refuse_unread(failure, &parts.headers, &mut trace)
                    .await)
            }
        };
        trace.end(self.platform, outcome)
    }

    /// Writes into the audit how a call ended; its caller has the answer already. A beginning
    /// whose end cannot be written says by itself that its outcome is not known. Gives whether it
    /// is worth another attempt: writing it twice is writing it once.
    pub async fn conclude(&self, entry: Option<&AuditEntry>) -> bool {
        let Some(entry) = entry else { return false };
        let Err(error) = audit(self.platform, entry).await else {
            return false;
        };
        let record = Record::new(Level::Error, "outcome not audited")
            .with("request_id", entry.request_id.to_string());
        self.platform.log(&record.with_cause(&error));
        error.code() == ErrorCode::Unavailable
    }

    /// Refuses a request whose body was not read. The answer is certain, but a caller with a good
    /// token is told their window even so.
    async fn refuse_unread(
        &self,
        failure: Failure,
        headers: &HeaderMap,
        trace: &mut Trace,
    ) -> Failure {
        if let Ok((identity, service)) = self.identify(headers, trace).await {
            // Whether it can be known or not: the answer is this failure.
            let _reply = self
                .ask_authorization(&identity, service.as_ref(), &Probe::default(), trace)
                .await;
        }
        failure
    }

    async fn call<F: Function, B: BodySource>(
        &self,
        function: &F,
        parts: &Parts,
        body: &mut B,
        trace: &mut Trace,
    ) -> Result<Answer, Failure> {
        let body = match read_bounded(&parts.headers, body).await {
            Ok(body) => body,
            Err(failure) => {
                return Err(self.refuse_unread(failure, &parts.headers, trace).await);
            }
        };
        let authorized = self.authorize::<F>(&parts.headers, &body, trace).await?;
        let log = self.log_of(F::NAME, &authorized, trace);
        if let (Some(log), None) = (&log, &authorized.key) {
            self.refuse_early(log, authorized.role, trace).await?;
        }
        let counted = self.count(&authorized, trace).await?;
        match counted.outcome {
            Outcome::Admitted => {
                let counted_at = counted.counted_at.unwrap_or_else(|| self.platform.now_ms());
                let noted = self.note(log.as_ref(), counted_at, trace);
                let (_, outcome) = join(noted, self.work(function, authorized, trace)).await;
                if let (Some(log), true) = (&log, outcome.as_ref().is_err_and(is_our_fault)) {
                    self.give_back(log, counted_at, trace).await;
                }
                outcome
            }
            Outcome::Replay => replay(counted.response),
            Outcome::Limited => Err(self.limited(authorized.role, trace)),
            Outcome::Running => Err(Failure::StillRunning),
            Outcome::KeyReused => Err(Failure::Invalid(vec![
                "Idempotency-Key: was used with another body".to_owned(),
            ])),
        }
    }

    /// Token, validation, tenant and role. Nothing here uses up quota.
    async fn authorize<'a, F: Function>(
        &self,
        headers: &HeaderMap,
        body: &'a [u8],
        trace: &mut Trace,
    ) -> Result<Authorized<'a, F::Request>, Failure> {
        let (identity, service) = self.identify(headers, trace).await?;
        let reading: Reading<F::Request> = read_request(body);
        let dry_run = reading.probe.dry_run;
        let reply = self
            .ask_authorization(&identity, service.as_ref(), &reading.probe, trace)
            .await?;
        if service.is_none() && headers.contains_key(TENANT) {
            return Err(Failure::TenantNamed);
        }
        let of_headers = service.map_or_else(Vec::new, |call| call.faults(F::NAME, dry_run));
        let key = idempotency_key(headers);
        let (request, key) = without_faults(reading.request, key, of_headers, &reply)?;
        let role = reply.permitted(F::NAME, dry_run);
        let tenant_id = reply.tenant_id.ok_or(match identity {
            Identity::User(..) => Failure::NoTenant,
            Identity::Service => Failure::UnknownTenant,
        })?;
        let role = role.ok_or(Failure::NotPermitted(F::NAME))?;
        Ok(Authorized {
            request,
            identity,
            tenant_id,
            role,
            key,
            body,
        })
    }

    /// Who calls, and what the service says of its call.
    async fn identify(
        &self,
        headers: &HeaderMap,
        trace: &mut Trace,
    ) -> Result<(Identity, Option<ServiceCall>), Failure> {
        let token = bearer_token(header(headers, AUTHORIZATION.as_str()))?;
        if self.settings.service_role_key.is(token.reveal()) {
            let call = ServiceCall::read(headers)?;
            trace.origin.purpose = Some(call.purpose());
            self.known(trace);
            return Ok((Identity::Service, Some(call)));
        }
        if self.settings.anon_key.is(token.reveal()) {
            return Err(Refusal::AnonKey.into());
        }
        let id = self.sign_in(&token, trace).await?;
        Ok((Identity::User(id, token), None))
    }

    /// Asks who the caller is in their tenant, or in the one that the service names.
    async fn ask_authorization(
        &self,
        identity: &Identity,
        service: Option<&ServiceCall>,
        probe: &Probe,
        trace: &mut Trace,
    ) -> Result<AuthorizeReply, Failure> {
        let named = match service {
            Some(call) => Some(call.tenant_id.as_ref().ok_or(Failure::UnknownTenant)?),
            None => None,
        };
        let caller = identity.caller();
        let reply =
            AuthorizeReply::ask(self.platform, caller, named, trace.function, probe).await?;
        trace.note_caller(&reply, self.limit(trace.function));
        Ok(reply)
    }

    async fn sign_in(&self, token: &BearerToken, trace: &mut Trace) -> Result<Uuid, Failure> {
        let now_ms = self.platform.now_ms();
        let user = authenticate(
            self.platform,
            self.keys,
            &self.settings.expectations,
            self.settings.shared_secret.as_ref(),
            token,
            now_ms,
        )
        .await?;
        trace.user_id = Some(user.id);
        self.known(trace);
        Ok(user.id)
    }

    /// A caller who is known is told a window, be it an untouched one.
    fn known(&self, trace: &mut Trace) {
        let now = self.platform.now_ms() / 1000;
        trace.window = Some(Window::untouched(self.limit(trace.function), now));
    }

    /// The edge's log of the window in which a request is counted; the service's are in none.
    fn log_of<R>(
        &self,
        function: FunctionName,
        authorized: &Authorized<'_, R>,
        trace: &Trace,
    ) -> Option<WindowLog> {
        authorized.identity.user_id()?;
        let limit = trace
            .window
            .map_or_else(|| self.limit(function), |window| window.limit);
        let tenant = authorized.tenant_id.name();
        Some(WindowLog::new(function, &tenant, limit))
    }

    /// Refuses at the edge what the database would refuse anyway. A request with an
    /// Idempotency-Key goes on: its answer may be there already. The log alone does not know what
    /// was given back or raised, so it is only asked where the database has just said the same.
    async fn refuse_early(
        &self,
        log: &WindowLog,
        role: Role,
        trace: &Trace,
    ) -> Result<(), Failure> {
        if trace.window.is_none_or(|window| window.remaining() > 0) {
            return Ok(());
        }
        match log.refuses(self.platform, self.platform.now_ms()).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(self.limited(role, trace)),
            Err(error) => {
                trace.warn(self.platform, "rate window not read", &error);
                Ok(())
            }
        }
    }

    async fn count<R>(
        &self,
        authorized: &Authorized<'_, R>,
        trace: &mut Trace,
    ) -> Result<AdmitReply, Failure> {
        let limit = self.limit(trace.function);
        let counted = Counted {
            id: trace.request_id,
            function: trace.function,
            tenant_id: &authorized.tenant_id,
            user_id: authorized.identity.user_id(),
            limit,
            key: authorized.key.as_deref(),
            body_sha256: self.platform.sha256(authorized.body).await?,
            origin: &trace.origin,
        }
        .admit(self.platform)
        .await?;
        trace.window = Some(Window {
            limit: counted.limit,
            used: counted.used,
            reset: counted.reset,
        });
        trace.admitted = counted.outcome == Outcome::Admitted;
        Ok(counted)
    }

    async fn note(&self, log: Option<&WindowLog>, counted_at: u64, trace: &Trace) {
        let Some(log) = log else { return };
        let noted = log.note(self.platform, counted_at, trace.request_id).await;
        if let Err(error) = noted {
            trace.warn(self.platform, "rate window not noted", &error);
        }
    }

    /// What failed by our own fault is not counted, in the log either. The caller gets the outcome
    /// whatever becomes of this; the audit's end gives back what this could not.
    async fn give_back(&self, log: &WindowLog, counted_at: u64, trace: &mut Trace) {
        let given = match give_back(self.platform, trace.request_id).await {
            Ok(given) => given,
            Err(error) => return trace.warn(self.platform, "request not given back", &error),
        };
        if let Some(window) = &mut trace.window {
            (window.used, window.reset) = (given.used, given.reset);
        }
        if !given.given_back {
            return;
        }
        let forgotten = log.forget(self.platform, counted_at, trace.request_id);
        if let Err(error) = forgotten.await {
            trace.warn(self.platform, "rate window not corrected", &error);
        }
    }

    async fn work<F: Function>(
        &self,
        function: &F,
        authorized: Authorized<'_, F::Request>,
        trace: &Trace,
    ) -> Result<Answer, Failure> {
        let caller = Admitted::new(
            trace.request_id,
            authorized.tenant_id,
            authorized.identity,
            authorized.role,
        );
        let outcome = function.handle(&caller, authorized.request).await;
        if authorized.key.is_some() {
            self.keep(&outcome, trace).await;
        }
        outcome
    }

    /// Keeps a final outcome under its Idempotency-Key; frees the key of one that may go better
    /// next time. If that fails the caller gets the outcome all the same.
    async fn keep(&self, outcome: &Result<Answer, Failure>, trace: &Trace) {
        let kept = match outcome {
            Ok(answer) => {
                finish(self.platform, trace.request_id, answer.status, &answer.body).await
            }
            Err(failure) => self.keep_refusal(failure, trace).await,
        };
        if let Err(error) = kept {
            trace.warn(self.platform, "answer not kept for its key", &error);
        }
    }

    async fn keep_refusal(&self, failure: &Failure, trace: &Trace) -> Result<(), Failure> {
        let report = failure.report();
        let status = report.code.status();
        if is_our_fault(failure) {
            return abandon(self.platform, trace.request_id).await;
        }
        let body = ErrorBody::new(report.code, report.sentence, report.details);
        let body = serde_json::to_value(&body).map_err(Failure::internal)?;
        finish(self.platform, trace.request_id, status, &body).await
    }

    fn limit(&self, function: FunctionName) -> u32 {
        self.settings.limits.of(function)
    }

    fn limited(&self, role: Role, trace: &Trace) -> Failure {
        let now = self.platform.now_ms() / 1000;
        Failure::RateLimited {
            retry_after: trace.window.map_or(1, |window| window.retry_after(now)),
            is_owner: role == Role::Owner,
        }
    }
}

/// Answers for a function whose settings cannot be used: preflights as always, everything else
/// `INTERNAL`, with the fault in the log.
pub async fn refuse_unconfigured<P: Clock + Ids + Log, B: BodySource>(
    platform: &P,
    function: FunctionName,
    mut request: Request<B>,
    fault: impl std::error::Error + 'static,
) -> Response<Vec<u8>> {
    let trace = Trace::begin(platform, function, Origin::default());
    drain(request.body_mut()).await;
    let failure = match kind(request.method(), request.uri(), function) {
        Ok(Kind::Preflight) => return Envelope::new(trace.request_id).preflight(),
        Ok(Kind::Call) => Failure::internal(fault),
        Err(failure) => failure,
    };
    trace.end(platform, Err(failure)).response
}

impl Trace {
    fn begin<P: Clock + Ids>(platform: &P, function: FunctionName, origin: Origin) -> Self {
        Self {
            function,
            request_id: platform.new_id(),
            started_ms: platform.now_ms(),
            user_id: None,
            tenant_id: None,
            window: None,
            origin,
            admitted: false,
        }
    }

    /// Takes over who the caller is; a caller without a tenant has no window but an
    /// untouched one.
    fn note_caller(&mut self, reply: &AuthorizeReply, limit: u32) {
        if reply.tenant_id.is_some() {
            self.tenant_id.clone_from(&reply.tenant_id);
            self.window = Some(Window {
                limit: reply.raised.map_or(limit, |raised| raised.max(limit)),
                used: reply.used,
                reset: reply.reset,
            });
        }
    }

    fn end<P: Clock + Log>(self, platform: &P, outcome: Result<Answer, Failure>) -> Answered {
        let now_ms = platform.now_ms();
        let mut envelope = Envelope::new(self.request_id);
        if let Some(window) = &self.window {
            envelope = envelope.with_window(window, now_ms / 1000);
        }
        let response = match &outcome {
            Ok(answer) if answer.replayed => envelope.marked_as_replay().answer(answer),
            Ok(answer) => envelope.answer(answer),
            Err(failure) => envelope.refusal(failure),
        };
        let status = response.status().as_u16();
        let took_ms = now_ms.saturating_sub(self.started_ms);
        let level = if status >= 500 {
            Level::Error
        } else {
            Level::Info
        };
        let mut record = self
            .record(level, "request")
            .with("status", status)
            .with("ms", took_ms);
        if let Err(failure) = &outcome {
            record = record
                .with("code", failure.code().as_str())
                .with_cause(failure);
        }
        platform.log(&record);
        let entry = self.entry(status, &outcome);
        Answered { response, entry }
    }

    /// A call of nobody's tenant is in nobody's audit.
    fn entry(self, status: u16, outcome: &Result<Answer, Failure>) -> Option<AuditEntry> {
        Some(AuditEntry {
            tenant_id: self.tenant_id?,
            actor: self.user_id,
            action: self.function.as_str(),
            request_id: self.request_id,
            event: match outcome {
                _ if self.admitted => Event::Ended,
                Ok(_) => Event::Replayed,
                Err(_) => Event::Refused,
            },
            status,
            code: outcome.as_ref().err().map(Failure::code),
            origin: self.origin,
        })
    }

    fn warn<P: Log>(
        &self,
        platform: &P,
        event: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) {
        platform.log(&self.record(Level::Warn, event).with_cause(error));
    }

    fn record(&self, level: Level, event: &'static str) -> Record {
        Record::new(level, event)
            .with("request_id", self.request_id.to_string())
            .with("function", self.function.as_str())
            .with(
                "tenant_id",
                self.tenant_id.as_ref().map(TenantId::to_string),
            )
            .with("user_id", self.user_id.map(|id| id.to_string()))
            .with("service", self.origin.purpose.is_some())
    }
}

fn is_our_fault(failure: &Failure) -> bool {
    failure.code().status() >= 500
}

/// The request and its key, or every fault: the body's, the headers' and the database's.
fn without_faults<R>(
    request: Result<R, Vec<String>>,
    key: Result<Option<String>, String>,
    of_headers: Vec<String>,
    reply: &AuthorizeReply,
) -> Result<(R, Option<String>), Failure> {
    let of_the_database = match &reply.tenant_id {
        Some(_) => reply.faults.clone(),
        None => Vec::new(),
    };
    match (request, key) {
        (Ok(request), Ok(key)) if of_headers.is_empty() && of_the_database.is_empty() => {
            Ok((request, key))
        }
        (request, key) => {
            let mut faults = request.err().unwrap_or_default();
            faults.extend(key.err());
            faults.extend(of_headers);
            faults.extend(of_the_database);
            Err(Failure::Invalid(faults))
        }
    }
}

fn replay(stored: Option<StoredAnswer>) -> Result<Answer, Failure> {
    let stored = stored.ok_or_else(|| Failure::internal("a replay without an answer"))?;
    Ok(Answer {
        status: stored.status,
        body: stored.body,
        replayed: true,
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
