//! A call with the service key: for which tenant it is, why it is made, and who is behind it.

use http::{HeaderMap, HeaderValue, header::ORIGIN};
use m23_auth::Refusal;
use m23_contract::FunctionName;
use m23_tenant::TenantId;
use percent_encoding::percent_decode;
use serde::Serialize;

pub(crate) const TENANT: &str = "x-m23-tenant";
const REASON: &str = "x-m23-reason";
const OPERATOR: &str = "x-m23-operator";

const LONGEST_REASON: usize = 500;
const LONGEST_OPERATOR: usize = 200;

/// What the headers of such a call say.
#[derive(Debug)]
pub(crate) struct ServiceCall {
    /// `None`: what was sent can be no tenant's key.
    pub(crate) tenant_id: Option<TenantId>,
    reason: Result<Option<String>, String>,
    operator: Result<Option<String>, String>,
}

/// What the audit keeps of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Purpose {
    caller: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
}

impl ServiceCall {
    /// Reads the headers of a call with the service key.
    ///
    /// # Errors
    /// A call from a browser, or one that names no tenant.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        if headers.contains_key(ORIGIN) {
            return Err(Refusal::ServiceInBrowser);
        }
        let tenant = text(headers, TENANT);
        if let Ok(None) = tenant {
            return Err(Refusal::NoTenantNamed);
        }
        Ok(Self {
            tenant_id: tenant.ok().flatten().and_then(|key| key.try_into().ok()),
            reason: short_text(headers, REASON, LONGEST_REASON),
            operator: short_text(headers, OPERATOR, LONGEST_OPERATOR),
        })
    }

    /// What is wrong with the headers. Whoever changes something must say why; a look and a test
    /// change nothing.
    pub(crate) fn faults(&self, function: FunctionName, dry_run: bool) -> Vec<String> {
        let only_looks = dry_run || function == FunctionName::RecoveryTest;
        let absent = (!only_looks && matches!(self.reason, Ok(None)))
            .then(|| format!("{REASON}: is required with the service key"));
        let faults = [self.reason.as_ref().err(), self.operator.as_ref().err()];
        faults
            .into_iter()
            .flatten()
            .cloned()
            .chain(absent)
            .collect()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        let said = |text: &Result<Option<String>, String>| text.clone().ok().flatten();
        Purpose {
            caller: "service",
            reason: said(&self.reason),
            operator: said(&self.operator),
        }
    }
}

/// A header that is percent-encoded UTF-8; none where it is blank.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(format!("{name}: is given twice"));
    }
    let text = decoded(value).ok_or_else(|| format!("{name}: must be percent-encoded UTF-8"))?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

fn decoded(value: &HeaderValue) -> Option<String> {
    let bytes = value.to_str().ok()?.as_bytes();
    let mut escapes = bytes.split(|byte| *byte == b'%').skip(1);
    let whole = escapes.all(|escape| {
        escape
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let text = percent_decode(bytes).decode_utf8().ok()?;
    whole.then(|| text.into_owned())
}

fn short_text(headers: &HeaderMap, name: &str, longest: usize) -> Result<Option<String>, String> {
    let text = text(headers, name)?.map(|text| text.trim().to_owned());
    if text.iter().any(|text| text.chars().count() > longest) {
        return Err(format!("{name}: must have at most {longest} characters"));
    }
    if text.iter().any(|text| text.contains(char::is_control)) {
        return Err(format!("{name}: must not contain control characters"));
    }
    Ok(text)
}
