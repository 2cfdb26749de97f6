//! What a restore may take back instead of going to a moment: the changes of some transactions.

use crate::fields::{Fields, parse_moment};
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The most transactions that a request may name.
const MOST_TRANSACTIONS: usize = 1_000;

/// The digits of a transaction id, at most.
const LONGEST_ID: usize = 18;

/// What is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Undo {
    /// Whole transactions.
    Transactions {
        /// Their ids, as `transaction_logs.transaction_id` has them.
        transactions: Vec<String>,
    },
    /// What one user has changed.
    Actor {
        /// The user.
        actor: Uuid,
        /// From when on.
        since: DateTime<FixedOffset>,
        /// Before when; now, when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<FixedOffset>>,
    },
    /// What one source has changed.
    Source {
        /// The source.
        source: String,
        /// From when on.
        since: DateTime<FixedOffset>,
        /// Before when; now, when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<FixedOffset>>,
    },
}

/// What becomes of values that others have set since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// They stay.
    Skip,
    /// The changes are taken back wholly, what others have built on them too.
    Overwrite,
    /// Nothing is done.
    Refuse,
}

impl Undo {
    /// Takes it out of a body, and notes its first fault.
    pub(crate) fn take(fields: &mut Fields) -> Option<Self> {
        let object = fields.object("undo")?;
        read(&object)
            .inspect_err(|what| fields.fault("undo", what))
            .ok()
    }
}

impl OnConflict {
    /// Takes it out of a body, and notes every fault.
    pub(crate) fn take(fields: &mut Fields) -> Option<Self> {
        if !fields.has("onConflict") {
            return None;
        }
        if !fields.has("undo") {
            fields.fault("onConflict", "is for undo");
        }
        let choices = [
            ("skip", Self::Skip),
            ("overwrite", Self::Overwrite),
            ("refuse", Self::Refuse),
        ];
        fields.choice("onConflict", &choices)
    }
}

/// The id of a transaction out of a body.
pub(crate) fn transaction(fields: &mut Fields, field: &str) -> Option<String> {
    let id = fields.text(field, LONGEST_ID)?;
    if !is_transaction(&id) {
        fields.fault(field, "must be the transaction_id of a change");
        return None;
    }
    Some(id)
}

fn is_transaction(id: &str) -> bool {
    id.len() <= LONGEST_ID
        && !id.starts_with('0')
        && !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_digit())
}

fn read(object: &Map<String, Value>) -> Result<Undo, String> {
    let known = ["transactions", "actor", "source", "since", "until"];
    if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("{name} is an unknown field"));
    }
    let given = |name: &str| object.get(name).filter(|value| !value.is_null());
    match (given("transactions"), given("actor"), given("source")) {
        (Some(list), None, None) => {
            if given("since").or(given("until")).is_some() {
                return Err("since and until are for an actor or a source".to_owned());
            }
            let transactions = transactions(list)?;
            Ok(Undo::Transactions { transactions })
        }
        (None, Some(actor), None) => {
            let (since, until) = (since(object)?, moment(object, "until")?);
            let actor = actor
                .as_str()
                .filter(|text| text.len() == 36)
                .and_then(|text| Uuid::try_parse(text).ok())
                .ok_or("actor must be a UUID")?;
            Ok(Undo::Actor {
                actor,
                since,
                until,
            })
        }
        (None, None, Some(source)) => {
            let (since, until) = (since(object)?, moment(object, "until")?);
            let source = source.as_str().ok_or("source must be a string")?.to_owned();
            Ok(Undo::Source {
                source,
                since,
                until,
            })
        }
        _ => Err("must have one of transactions, actor and source".to_owned()),
    }
}

fn transactions(list: &Value) -> Result<Vec<String>, String> {
    let list = list
        .as_array()
        .ok_or("transactions must be a list of transaction ids")?;
    if list.is_empty() {
        return Err("transactions must name at least one transaction".to_owned());
    }
    if list.len() > MOST_TRANSACTIONS {
        return Err(format!("transactions may name at most {MOST_TRANSACTIONS}"));
    }
    let read = |(n, value): (usize, &Value)| match value.as_str() {
        None => Err(format!("transactions[{n}] must be a string")),
        Some(id) if is_transaction(id) => Ok(id.to_owned()),
        Some(_) => Err(format!(
            "transactions[{n}] must be the transaction_id of a change"
        )),
    };
    list.iter().enumerate().map(read).collect()
}

fn since(object: &Map<String, Value>) -> Result<DateTime<FixedOffset>, String> {
    moment(object, "since")?.ok_or_else(|| "since is required".to_owned())
}

fn moment(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<DateTime<FixedOffset>>, String> {
    let Some(value) = object.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    value
        .as_str()
        .and_then(parse_moment)
        .map(Some)
        .ok_or_else(|| {
            format!("{name} must be an ISO 8601 timestamp with a time zone, such as 2026-01-31T10:31:00Z")
        })
}
