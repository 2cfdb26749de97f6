//! What can be wrong with an archive.

use crate::version::{FORMAT, Version};

/// Why an archive cannot be read. Each sentence says which part, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The manifest is no JSON, or lacks a field.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(String),
    /// Another format, or a version from the future.
    #[error(
        "the manifest is of format {format:?}, version {version}; this program reads {}, versions 1 to {}",
        FORMAT,
        Version::NEWEST
    )]
    UnknownFormat {
        /// What it calls itself.
        format: String,
        /// Its version.
        version: u32,
    },
    /// The manifest contradicts itself.
    #[error("the manifest is inconsistent: {0}")]
    Inconsistent(String),
    /// A definition that nobody should execute. Rows can be read all the same.
    #[error("the manifest holds a definition that {fault}: {sql}")]
    Definition {
        /// How it begins.
        sql: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A chunk's stored bytes are not as many as the manifest says.
    #[error("the chunk is {found} bytes long, not {expected}")]
    WrongLength {
        /// Bytes that the manifest promises.
        expected: u64,
        /// Bytes that were found.
        found: u64,
    },
    /// A chunk would be larger than any can be.
    #[error("a chunk of {bytes} bytes is larger than any can be, {most}: a row is too large")]
    TooLarge {
        /// Bytes of its lines.
        bytes: u64,
        /// Bytes that there can be.
        most: u64,
    },
    /// A chunk is no gzip, or ends early, or holds more than one member.
    #[error("the chunk cannot be decompressed: {0}")]
    Damaged(String),
    /// A chunk's lines are not as many as the manifest says.
    #[error("the chunk holds {found} lines, not {expected}")]
    WrongRows {
        /// Lines that the manifest promises.
        expected: u64,
        /// Lines that were found.
        found: u64,
    },
    /// A chunk's line has other fields than its table, or one that cannot be read.
    #[error("line {line} of the chunk {fault}")]
    WrongLine {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// A chunk holds rows that are not its backup's tenant's.
    #[error("the chunk holds {0} row(s) of another tenant")]
    ForeignRows(usize),
    /// A backup is not the parent that another one names.
    #[error("the chain is broken: {0}")]
    BrokenChain(String),
    /// What is encrypted, or a key, is not as the format has it.
    #[error("it cannot be decrypted: {0}")]
    Sealed(String),
}
