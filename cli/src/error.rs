//! What can go wrong, and the exit code that says so.

use m23_archive::ArchiveError;
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

    /// An object breaks the format.
    pub fn in_object(object: &str, error: &ArchiveError) -> Self {
        Self::damaged(object, error.to_string())
    }

    /// 1: something is damaged or refused; 2: usage; 3: out of reach; 4: no key; 5: no such
    /// backup; 6: no output.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Damaged { .. } | Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::Key(_) => 4,
            Self::NotFound(_) => 5,
            Self::Output(_) => 6,
        })
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error.to_string())
    }
}
