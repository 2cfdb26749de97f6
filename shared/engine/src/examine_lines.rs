//! The lines of a chunk: whole, and this tenant's.

use m23_archive::{ArchiveError, Lines, Table};
use uuid::Uuid;

/// Fields of an entry of the log before those of its row.
const ENTRY_FIELDS: usize = 4;

/// Checks every line: UTF-8, and as many fields as its table has columns.
pub(crate) fn check_lines(bytes: &[u8], table: &Table, kind: Lines) -> Result<(), ArchiveError> {
    let width = table.columns.len()
        + match kind {
            Lines::Rows => 0,
            Lines::History => ENTRY_FIELDS,
        };
    for (line, fields) in (1..).zip(text(bytes)?.split_terminator('\n')) {
        let found = fields.split('\t').count();
        if found != width {
            let fault = format!("has {found} fields, not {width}");
            return Err(ArchiveError::WrongLine { line, fault });
        }
    }
    Ok(())
}

/// How many rows are not this tenant's.
pub(crate) fn foreign_rows(
    bytes: &[u8],
    table: &Table,
    tenant: Uuid,
) -> Result<usize, ArchiveError> {
    let tenant = tenant.to_string();
    let Some(place) = table
        .columns
        .iter()
        .position(|column| column.name == table.tenant_column)
    else {
        return Ok(0);
    };
    let of_another = |line: &&str| line.split('\t').nth(place) != Some(&tenant);
    Ok(text(bytes)?
        .split_terminator('\n')
        .filter(of_another)
        .count())
}

fn text(bytes: &[u8]) -> Result<&str, ArchiveError> {
    std::str::from_utf8(bytes).map_err(|error| ArchiveError::Damaged(error.to_string()))
}
