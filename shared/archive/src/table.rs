//! The tables of a backup: their shape, and the chunks that hold their rows.

use crate::names::{Lines, SEALED};
use crate::seal;
use serde::{Deserialize, Serialize};

/// One table's columns and chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema, unquoted.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// The column that holds the tenant; absent where a path leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_column: Option<String>,
    /// Instead of a tenant column: where the tenant of a row is found. Version 3 knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<TenantPath>,
    /// The primary key's columns, in order.
    pub key: Vec<String>,
    /// The columns in the order of a line's fields. Generated ones are not stored.
    pub columns: Vec<Column>,
    /// Whether `chunks` hold every row of the tenant. If not, they hold the rows, as of this
    /// backup's position, of the keys that have changed since the parent's.
    #[serde(default = "yes")]
    pub whole: bool,
    /// Where it is not whole: the groups of columns that an image of the log may leave out. Its place
    /// is a group's bit in [`crate::Entry::unchanged`], for good: a group whose columns are gone stays
    /// there empty, and a column may stand in several. Version 1 does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Vec<String>>>,
    /// Its rows, in key order.
    pub chunks: Vec<Chunk>,
    /// The log since the parent's position, where the table is not whole. A key that stands here
    /// and not in `chunks` is gone at this backup's position.
    #[serde(default)]
    pub history: Vec<Chunk>,
    /// SQL that makes the table again.
    #[serde(default)]
    pub definition: Definition,
}

/// A row is the tenant's whose parent's row is: the one whose `parent_columns` are equal to the row's `columns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPath {
    /// Columns of the table.
    pub columns: Vec<String>,
    /// The other table.
    pub parent: TableName,
    /// Its columns, in the same order.
    pub parent_columns: Vec<String>,
}

/// A table's name, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

fn yes() -> bool {
    true
}

impl Table {
    /// More groups there cannot be.
    pub const MOST_GROUPS: usize = 31;

    /// Its groups; none where the field is absent.
    #[must_use]
    pub fn groups(&self) -> &[Vec<String>] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// For each column, in their order, the groups that it stands in, as bits.
    #[must_use]
    pub fn group_bits(&self) -> Vec<u32> {
        let bits = |column: &Column| {
            let groups = (0..).zip(self.groups());
            let has_it = groups.filter(|(_, group)| group.contains(&column.name));
            has_it.fold(0, |bits, (place, _)| {
                bits | 1_u32.checked_shl(place).unwrap_or_default()
            })
        };
        self.columns.iter().map(bits).collect()
    }

    /// The columns that say whose a row is.
    #[must_use]
    pub fn tenancy_columns(&self) -> &[String] {
        match (&self.tenant_column, &self.path) {
            (Some(column), _) => std::slice::from_ref(column),
            (None, Some(path)) => &path.columns,
            (None, None) => &[],
        }
    }

    /// Rows in all its chunks; the log is not counted.
    #[must_use]
    pub fn rows(&self) -> u64 {
        sum(self.chunks.iter().map(|chunk| chunk.rows))
    }

    /// Every object that belongs to it, with its place: rows first, then history.
    pub fn objects(&self) -> impl Iterator<Item = (Lines, u32, &Chunk)> {
        let placed = |lines, chunks| {
            (1_u32..)
                .zip(chunks)
                .map(move |(seq, chunk)| (lines, seq, chunk))
        };
        placed(Lines::Rows, &self.chunks).chain(placed(Lines::History, &self.history))
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its PostgreSQL type, without length or precision.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it takes no null.
    #[serde(default)]
    pub not_null: bool,
    /// `a` (always) or `d` (by default) for an identity column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// SQL statements that make a table again, in this order, each for all tables before the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The table and its columns.
    pub create: Vec<String>,
    /// Keys, indexes, row-level security and its policies.
    pub finish: Vec<String>,
    /// Foreign keys.
    pub references: Vec<String>,
}

/// A chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The object's name in the store.
    pub object: String,
    /// Its lines.
    pub rows: u64,
    /// Bytes of its lines.
    pub bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// SHA-256 of the stored bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// A sum over its lines as the database read them: in decimal, or sealed in base64 where the
    /// chunk is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Chunk {
    /// More bytes of lines no chunk has: twice the memory of a Worker, which makes them.
    pub const MOST_BYTES: u64 = 256 << 20;

    /// More bytes it cannot have as stored: what gzip adds to what it cannot compress, and a seal.
    #[must_use]
    pub const fn most_stored_bytes(&self) -> u64 {
        let bytes = self.bytes;
        bytes.saturating_add(bytes / 1000).saturating_add(1024)
    }

    /// Bytes of its gzip: as stored, without what encryption adds.
    #[must_use]
    pub fn packed_bytes(&self) -> u64 {
        if self.is_sealed() {
            self.stored_bytes.saturating_sub(seal::OVERHEAD as u64)
        } else {
            self.stored_bytes
        }
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.object.ends_with(SEALED)
    }
}

/// Adds without overflow: the numbers come from outside.
pub(crate) fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
