//! What ends a step, whether trying again can help, and what a caller may be told.

use crate::cipher::CipherFailed;
use m23_archive::ArchiveError;
use m23_archive::reader::{Fault, KeyFault};
use m23_contract::ErrorCode;
use m23_ports::{DatabaseError, DigestFailed, StoreFailed};

/// Why a backup or a restore could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database refused, was away, or failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The object store failed.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] Fault),
    /// No master key for a tenant whose backups have one.
    #[error(
        "the backups of this tenant are encrypted and no ARCHIVE_KEY is configured; it would be plain"
    )]
    Unsealed,
    /// The key that was to seal something new is wrapped by another master key.
    #[error("{0} is wrapped by another master key than the ARCHIVE_KEY that is configured")]
    UnusableKey(String),
    /// Nothing could be encrypted or decrypted.
    #[error(transparent)]
    Cipher(#[from] CipherFailed),
    /// No digest could be computed.
    #[error(transparent)]
    Digest(#[from] DigestFailed),
    /// The database answered in a form that this version does not know.
    #[error("the database answered {call} in an unknown form: {cause}")]
    UnknownReply {
        /// Which call.
        call: &'static str,
        /// What the parser said.
        cause: String,
    },
}

impl EngineError {
    /// A part of the archive is wrong.
    pub(crate) fn in_part(part: &str, error: ArchiveError) -> Self {
        Fault::damaged(part, error).into()
    }

    /// May the same step succeed a little later?
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(DatabaseError::Unavailable(_)) | Self::Store(_) => true,
            Self::Database(DatabaseError::Refused { code, .. }) => *code == ErrorCode::Unavailable,
            Self::Database(DatabaseError::TokenRefused(_) | DatabaseError::Failed(_))
            | Self::Archive(_)
            | Self::Unsealed
            | Self::UnusableKey(_)
            | Self::Cipher(_)
            | Self::Digest(_)
            | Self::UnknownReply { .. } => false,
        }
    }

    /// Are the present rules of a table the matter, and not the archive?
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::Refused { code, .. }) if *code == ErrorCode::Conflict)
    }

    /// What is wrong with the archive, where that is the matter.
    fn archive_fault(&self) -> Option<String> {
        match self {
            Self::Archive(_) | Self::Unsealed | Self::UnusableKey(_) => Some(self.to_string()),
            Self::Database(_)
            | Self::Store(_)
            | Self::Cipher(_)
            | Self::Digest(_)
            | Self::UnknownReply { .. } => None,
        }
    }

    /// Whose matter it is.
    #[must_use]
    pub fn classify(self) -> ErrorClass {
        if let Some(fault) = self.archive_fault() {
            return ErrorClass::Archive(fault);
        }
        match self {
            Self::Database(error) => ErrorClass::Database(error),
            Self::Store(_) => ErrorClass::Store(self),
            _ => ErrorClass::Internal(self),
        }
    }

    /// A sentence for the job's row, which the tenant's members read: nothing internal.
    #[must_use]
    pub fn sentence(&self) -> String {
        match (self, self.archive_fault()) {
            (_, Some(fault)) => fault,
            (
                Self::Database(DatabaseError::Refused {
                    sentence, details, ..
                }),
                None,
            ) => match details.as_slice() {
                [] => sentence.clone(),
                _ => format!("{sentence}: {}", details.join("; ")),
            },
            (_, None) if self.is_passing() => {
                "the database or the object store did not answer".to_owned()
            }
            (_, None) => "an internal fault; the log tells which".to_owned(),
        }
    }
}

impl From<KeyFault> for EngineError {
    fn from(fault: KeyFault) -> Self {
        Fault::from(fault).into()
    }
}

/// Whose matter an error is: that decides what a caller is told.
#[derive(Debug)]
pub enum ErrorClass {
    /// The archive cannot be used; what is wrong with it.
    Archive(String),
    /// The database has said what there is to say.
    Database(DatabaseError),
    /// The object store is away.
    Store(EngineError),
    /// A fault of ours.
    Internal(EngineError),
}
