//! Whose the rows of a chunk are.

use crate::{ArchiveError, Column, Entry, Lines, Table, Version, lines, value};
use m23_tenant::TenantId;

/// Checks that every row of a chunk, and every old row in its log, is the tenant's. The lines have
/// been checked by [`crate::check_lines`]. Where a path leads to the tenant, a row does not say whose it is.
///
/// # Errors
/// [`ArchiveError::Damaged`] or [`ArchiveError::ForeignRows`].
pub fn check_tenant(
    bytes: &[u8],
    table: &Table,
    kind: Lines,
    version: Version,
    tenant: &TenantId,
) -> Result<(), ArchiveError> {
    let is_column =
        |(_, column): &(usize, &Column)| Some(&column.name) == table.tenant_column.as_ref();
    let Some((place, column)) = table.columns.iter().enumerate().find(is_column) else {
        return Ok(());
    };
    let alike = Alike::of(column);
    let of_another = |row: &str| {
        let field = row.split('\t').nth(place).map(value);
        !matches!(field, Some(Ok(Some(key))) if alike.are(&key, tenant.as_str()))
    };
    let is_foreign = |line: &str| match kind {
        Lines::Rows => of_another(line),
        Lines::History => Entry::parse(line, version)
            .is_ok_and(|entry| entry.op.has_image() && of_another(entry.row)),
    };
    match lines(bytes)?.filter(|(_, line)| is_foreign(line)).count() {
        0 => Ok(()),
        rows => Err(ArchiveError::ForeignRows(rows)),
    }
}

/// Which texts are the same key to PostgreSQL.
#[derive(Clone, Copy)]
enum Alike {
    /// Those that are equal.
    Equal,
    /// Those that differ in blanks at their end: `character`.
    Padded,
    /// Those that differ in that or in case. A type of an extension or of the application may be citext, or a
    /// domain over it, which a manifest does not say.
    AnyCase,
}

impl Alike {
    fn of(column: &Column) -> Self {
        match column.type_name.as_str() {
            "character" | "bpchar" => Self::Padded,
            other if other.contains('.') => Self::AnyCase,
            _ => Self::Equal,
        }
    }

    fn are(self, one: &str, other: &str) -> bool {
        let bare = |text: &str| text.trim_end_matches(' ').to_owned();
        one == other
            || match self {
                Self::Equal => false,
                Self::Padded => bare(one) == bare(other),
                Self::AnyCase => bare(one).to_lowercase() == bare(other).to_lowercase(),
            }
    }
}
