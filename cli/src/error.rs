//! What can go wrong, and the exit code that says so.

use crate::terminal::plain;
use m23_archive::ArchiveError;
use m23_archive::reader::{Fault, KeyFault};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The store or the database does not answer, or refuses us.
    #[error("{what} cannot be reached: {cause}")]
    Unreachable {
        /// Which.
        what: String,
        /// Why.
        cause: String,
    },
    /// The key that would open an archive is not here.
    #[error("{0}")]
    Key(String),
    /// There is no such backup or tenant.
    #[error("{0}")]
    NotFound(String),
    /// An object is missing, altered, or not what the format has.
    #[error("{object}: {fault}")]
    Damaged {
        /// Which.
        object: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The database refuses a backup.
    #[error("the database refuses: {0}")]
    Refused(String),
    /// The API refuses a call.
    #[error("{0}")]
    RefusedByApi(Box<Refusal>),
    /// The tenant's quota of a function is used up.
    #[error("{0}")]
    OverTheLimit(Box<Refusal>),
    /// The API says that it cannot be used just now.
    #[error("{0}")]
    Away(Box<Refusal>),
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(String),
}

impl CliError {
    /// Something is wrong with an object.
    pub fn damaged(object: &str, fault: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.to_owned(),
            fault: fault.into(),
        }
    }

    /// Its text for a terminal. What the API says has several lines; in all else a new line would be
    /// what a name holds.
    pub fn shown(&self) -> String {
        let text = self.to_string();
        match self {
            Self::RefusedByApi(_) | Self::OverTheLimit(_) | Self::Away(_) => {
                let lines: Vec<_> = text.lines().map(plain).collect();
                lines.join("\n")
            }
            _ => plain(&text).into_owned(),
        }
    }

    /// An object breaks the format.
    pub fn in_object(object: &str, error: &ArchiveError) -> Self {
        Self::damaged(object, error.to_string())
    }

    /// The same, with what else is to be known of a damaged object.
    pub fn with(self, more: &str) -> Self {
        match self {
            Self::Damaged { object, fault } => {
                Self::damaged(&object, format!("{fault}, and {more}"))
            }
            other => other,
        }
    }

    /// What the API said, where it refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::RefusedByApi(refusal) | Self::OverTheLimit(refusal) | Self::Away(refusal) => {
                Some(refusal)
            }
            _ => None,
        }
    }

    /// 1: something is damaged or refused; 2: usage; 3: out of reach; 4: no key; 5: no such
    /// backup; 6: no output; 7: refused by the API; 8: over its limit.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Damaged { .. } | Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } | Self::Away(_) => 3,
            Self::Key(_) => 4,
            Self::NotFound(_) => 5,
            Self::Output(_) => 6,
            Self::RefusedByApi(_) => 7,
            Self::OverTheLimit(_) => 8,
        })
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Missing(object) => Self::damaged(&object, "it is missing"),
            Fault::Altered(object) => Self::damaged(&object, "it was altered"),
            Fault::Exchanged(object) => Self::damaged(&object, "it is another backup's"),
            Fault::Damaged { object, error } => Self::in_object(&object, &error),
            Fault::Key(fault) => fault.into(),
        }
    }
}

impl From<KeyFault> for CliError {
    fn from(fault: KeyFault) -> Self {
        Self::Key(match fault {
            KeyFault::NoMaster => {
                "the backup is encrypted: set ARCHIVE_KEY to its master key".to_owned()
            }
            KeyFault::OtherMaster { object, master } => format!(
                "{object} is wrapped with the master key {master}; ARCHIVE_KEY is another one"
            ),
            KeyFault::Missing(object) => {
                format!("{object} is not in the store: the key was erased, or never copied")
            }
            KeyFault::Exchanged(object) => return Self::damaged(&object, "it is another key's"),
            KeyFault::Altered(object) => {
                return Self::damaged(&object, "it was altered, or is another key's");
            }
        })
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error.to_string())
    }
}

/// An answer of the API that is no success.
#[derive(Debug)]
pub struct Refusal {
    code: String,
    sentence: String,
    details: Vec<String>,
    request_id: Option<String>,
}

impl Refusal {
    /// Reads the body of such an answer, a function's or the database's.
    pub fn of(body: &Value, status: u16, request_id: Option<String>) -> Self {
        let text = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .map(ToOwned::to_owned)
        };
        // The database gives them as JSON text.
        let details = match body.get("details") {
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            details => details.cloned(),
        };
        let details = details.as_ref().and_then(Value::as_array);
        Self {
            code: text("code").unwrap_or_else(|| format!("status {status}")),
            sentence: text("error")
                .or_else(|| text("message"))
                .unwrap_or_else(|| "this is no answer of M23; is --url its address?".to_owned()),
            details: details
                .into_iter()
                .flatten()
                .filter_map(|line| line.as_str().map(ToOwned::to_owned))
                .collect(),
            request_id,
        }
    }

    /// The same as JSON.
    pub fn body(&self) -> Value {
        json!({
            "success": false, "code": self.code, "error": self.sentence, "details": self.details,
            "requestId": self.request_id,
        })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.code, self.sentence)?;
        for detail in &self.details {
            write!(formatter, "\n  {detail}")?;
        }
        match &self.request_id {
            Some(id) => write!(formatter, "\n  request {id}"),
            None => Ok(()),
        }
    }
}
