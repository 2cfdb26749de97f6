//! The kinds of findings, each a word for a program.

use super::tally::Tally;
use crate::error::EngineError;
use m23_archive::ArchiveError;

/// What is wrong with the archive is a finding; anything else ends the drive.
pub(super) fn note(
    tally: &mut Tally,
    object: &str,
    error: EngineError,
    kind: fn(&EngineError) -> Option<&'static str>,
) -> Result<(), EngineError> {
    match kind(&error) {
        Some(kind) => {
            tally.find(kind, object, &error.to_string());
            Ok(())
        }
        None => Err(error),
    }
}

pub(super) fn manifest_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Missing(_) => Some("manifest_missing"),
        EngineError::Altered(_) => Some("manifest_altered"),
        EngineError::Exchanged(_) => Some("exchanged"),
        EngineError::Archive { .. } => Some("manifest_invalid"),
        _ => None,
    }
}

/// Of a key object, and of `manifest.mac`.
pub(super) fn key_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Key(_) | EngineError::Missing(_) | EngineError::Archive { .. } => {
            Some("undecryptable")
        }
        _ => None,
    }
}

pub(super) fn chunk_kind(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::Missing(_) => Some("object_missing"),
        EngineError::Altered(_) => Some("object_altered"),
        EngineError::Archive { error, .. } => Some(match error {
            ArchiveError::WrongLine { .. } => "line_malformed",
            ArchiveError::ForeignRows(_) => "foreign_row",
            ArchiveError::Sealed(_) => "undecryptable",
            _ => "object_damaged",
        }),
        _ => None,
    }
}
