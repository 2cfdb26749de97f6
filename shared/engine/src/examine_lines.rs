//! Whose the rows of a chunk are.

use m23_archive::{ArchiveError, Table, lines};
use uuid::Uuid;

/// How many rows are not this tenant's.
pub(crate) fn foreign_rows(
    bytes: &[u8],
    table: &Table,
    tenant: Uuid,
) -> Result<usize, ArchiveError> {
    let tenant = tenant.to_string();
    let column = |name: &str| table.columns.iter().position(|column| column.name == name);
    let Some(place) = column(&table.tenant_column) else {
        return Ok(0); // which its manifest is refused for
    };
    let of_another = |row: &str| row.split('\t').nth(place) != Some(&tenant);
    Ok(lines(bytes)?.filter(|(_, row)| of_another(row)).count())
}
