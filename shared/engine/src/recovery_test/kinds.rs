//! The kinds of findings, each a word for a program.

use super::tally::Tally;
use crate::error::EngineError;
use m23_archive::ArchiveError;
use m23_archive::reader::Fault;

/// What is wrong with the archive is a finding; anything else ends the drive.
pub(super) fn note(
    tally: &mut Tally,
    object: &str,
    error: EngineError,
    kind: fn(&Fault) -> &'static str,
) -> Result<(), EngineError> {
    match error {
        EngineError::Archive(fault) => {
            tally.find(kind(&fault), object, &fault.to_string());
            Ok(())
        }
        error => Err(error),
    }
}

pub(super) fn manifest_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Missing(_) => "manifest_missing",
        Fault::Altered(_) => "manifest_altered",
        Fault::Exchanged(_) => "exchanged",
        Fault::Damaged { .. } | Fault::Key(_) => "manifest_invalid",
    }
}

/// Of a key object, and of `manifest.mac`.
pub(super) const fn key_kind(_: &Fault) -> &'static str {
    "undecryptable"
}

pub(super) fn chunk_kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Missing(_) => "object_missing",
        Fault::Altered(_) => "object_altered",
        Fault::Damaged { error, .. } => match error {
            ArchiveError::WrongLine { .. } => "line_malformed",
            ArchiveError::ForeignRows(_) => "foreign_row",
            ArchiveError::Sealed(_) => "undecryptable",
            _ => "object_damaged",
        },
        Fault::Exchanged(_) | Fault::Key(_) => "undecryptable",
    }
}
