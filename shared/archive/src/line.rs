//! Lines: COPY's text format. A row is one line; so is an entry of the log.

use crate::position::number;
use crate::{ArchiveError, Lines, Table, Version};
use chrono::{DateTime, Utc};
use std::borrow::Cow;

/// The value of a field; none for a null.
///
/// # Errors
/// What is wrong with it, for a sentence about its line.
pub fn value(field: &str) -> Result<Option<Cow<'_, str>>, String> {
    if field == "\\N" {
        return Ok(None);
    }
    if !field.contains(['\\', '\r', '\0']) {
        return Ok(Some(field.into()));
    }
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\r' => return Err("has a carriage return that is not escaped".to_owned()),
            '\0' => return Err("has a NUL, which no value holds".to_owned()),
            '\\' => unescaped(characters.next()).ok_or("has an unknown escape")?,
            other => other,
        });
    }
    Ok(Some(text.into()))
}

fn unescaped(character: Option<char>) -> Option<char> {
    match character? {
        '\\' => Some('\\'),
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    }
}

/// An entry of the log: what one statement did to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What was done.
    pub op: Op,
    /// Its place in the order of its key's changes. Another key's entry may have the same; only with
    /// the transaction's id it names one entry.
    pub change_id: u64,
    /// The transaction that did it.
    pub xid: u64,
    /// When that was committed, where commit times are native.
    pub committed_at: Option<DateTime<Utc>>,
    /// The groups of columns that the old row does not carry, as bits: the update did not change them.
    pub unchanged: u32,
    /// The fields of the table's columns: the old row (nulls for what it does not carry), or the key
    /// alone and nulls.
    pub row: &'a str,
}

/// What was done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `I`: its row was inserted.
    Inserted,
    /// `D`: its row was deleted.
    Deleted,
    /// `U`: its row was updated.
    Updated,
    /// `o`: an update gave its row another key.
    Renamed,
    /// `n`: an update gave a row this key.
    Named,
    /// `l`: its row left for another tenant.
    Left,
    /// `a`: its row arrived from another tenant.
    Arrived,
}

impl Op {
    fn parse(letter: &str) -> Option<Self> {
        Some(match letter {
            "I" => Self::Inserted,
            "D" => Self::Deleted,
            "U" => Self::Updated,
            "o" => Self::Renamed,
            "n" => Self::Named,
            "l" => Self::Left,
            "a" => Self::Arrived,
            _ => return None,
        })
    }

    /// One for an arrival, minus one for a departure, zero for neither.
    #[must_use]
    pub const fn balance(self) -> i64 {
        match self {
            Self::Inserted | Self::Named | Self::Arrived => 1,
            Self::Deleted | Self::Renamed | Self::Left => -1,
            Self::Updated => 0,
        }
    }

    /// Whether its entry carries the old row.
    #[must_use]
    pub const fn has_image(self) -> bool {
        matches!(self, Self::Deleted | Self::Updated)
    }
}

impl<'a> Entry<'a> {
    /// Reads a line of a history chunk.
    ///
    /// # Errors
    /// What is wrong with it, for a sentence about the line.
    pub fn parse(line: &'a str, version: Version) -> Result<Self, String> {
        let mut fields = line.splitn(version.head_fields() + 1, '\t');
        let mut next = || fields.next().ok_or("has too few fields");
        let op = Op::parse(next()?).ok_or("has an unknown operation")?;
        let change_id = number(next()?).ok_or("has no change id")?;
        let xid = number(next()?).ok_or("has no transaction id")?;
        let committed_at = match next()? {
            "\\N" => None,
            text => Some(time(text).ok_or("has a commit time that is none")?),
        };
        let unchanged = match version {
            Version::One => 0,
            Version::Two | Version::Three => {
                groups(next()?).ok_or("has no number of unchanged groups")?
            }
        };
        if unchanged != 0 && op != Op::Updated {
            return Err("leaves columns out, and is no update".to_owned());
        }
        Ok(Self {
            op,
            change_id,
            xid,
            committed_at,
            unchanged,
            row: next()?,
        })
    }
}

/// As many bits as there can be groups.
fn groups(text: &str) -> Option<u32> {
    let bits = u32::try_from(number(text)?).ok()?;
    (bits >> Table::MOST_GROUPS == 0).then_some(bits)
}

/// A time with its zone, as ISO 8601 or PostgreSQL's ISO style has it.
fn time(text: &str) -> Option<DateTime<Utc>> {
    ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"]
        .iter()
        .find_map(|form| DateTime::parse_from_str(text, form).ok())
        .map(|time| time.to_utc())
}

/// The rows or entries of a chunk, each with its number from 1.
///
/// # Errors
/// [`ArchiveError::Damaged`] when they are no UTF-8.
pub fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (u64, &str)>, ArchiveError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ArchiveError::Damaged(format!("it is no UTF-8: {error}")))?;
    Ok((1..).zip(text.split_terminator('\n')))
}

/// Checks every line of a chunk: the fields of its table's columns, each a value, none of those
/// that take no null a null (but for the log's, which may carry the key alone, or leave columns out
/// that its table's groups name).
///
/// # Errors
/// [`ArchiveError::Damaged`] or [`ArchiveError::WrongLine`].
pub fn check_lines(
    bytes: &[u8],
    table: &Table,
    kind: Lines,
    version: Version,
) -> Result<(), ArchiveError> {
    let columns = Field::all_of(table);
    let groups = table.groups().len();
    for (line, text) in lines(bytes)? {
        let checked = match kind {
            Lines::Rows => check_row(text, &columns, true, 0),
            Lines::History => check_entry(text, &columns, groups, version),
        };
        checked.map_err(|fault| ArchiveError::WrongLine { line, fault })?;
    }
    Ok(())
}

/// What a column asks of its field.
struct Field<'a> {
    name: &'a str,
    is_key: bool,
    not_null: bool,
    /// The groups that the column stands in, as bits.
    groups: u32,
}

impl<'a> Field<'a> {
    fn all_of(table: &'a Table) -> Vec<Self> {
        let columns = table.columns.iter().zip(table.group_bits());
        columns
            .map(|(column, groups)| Self {
                name: &column.name,
                is_key: table.key.contains(&column.name),
                not_null: column.not_null,
                groups,
            })
            .collect()
    }
}

fn check_entry(
    text: &str,
    columns: &[Field<'_>],
    groups: usize,
    version: Version,
) -> Result<(), String> {
    let entry = Entry::parse(text, version)?;
    if groups < Table::MOST_GROUPS && entry.unchanged >> groups != 0 {
        return Err("leaves out a group that its table does not have".to_owned());
    }
    check_row(entry.row, columns, entry.op.has_image(), entry.unchanged)
}

fn check_row(
    row: &str,
    columns: &[Field<'_>],
    is_whole: bool,
    unchanged: u32,
) -> Result<(), String> {
    let mut fields = row.split('\t');
    for column in columns {
        let field = fields.next().ok_or("has fewer fields than columns")?;
        let is_left_out = column.groups & unchanged != 0;
        let needs_value = column.is_key || (is_whole && column.not_null && !is_left_out);
        match value(field)? {
            None if needs_value => return Err(format!("has no value for {}", column.name)),
            Some(_) if is_left_out => {
                return Err(format!(
                    "has a value for {}, which it leaves out",
                    column.name
                ));
            }
            _ => {}
        }
    }
    match fields.next() {
        None => Ok(()),
        Some(_) => Err("has more fields than columns".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_copy_wrote() {
        let read = |field| value(field).unwrap().map(Cow::into_owned);
        assert_eq!(read("\\N"), None);
        assert_eq!(read(""), Some(String::new()));
        assert_eq!(read("a\\tb\\\\N\\n\\r"), Some("a\tb\\N\n\r".to_owned()));
        assert_eq!(read("\\\\N"), Some("\\N".to_owned()));
    }

    #[test]
    fn an_escape_that_nobody_writes_is_refused() {
        for field in ["\\", "a\\", "\\x", "\\Na", "\r", "\0", "a\0b"] {
            assert!(value(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn an_entry_is_its_head_and_a_row() {
        let line = "U\t7\t100\t2026-01-02 03:04:05.678901+00\t1\tone";
        let entry = Entry::parse(line, Version::One).unwrap();
        assert_eq!(
            (entry.op, entry.change_id, entry.xid),
            (Op::Updated, 7, 100)
        );
        assert_eq!((entry.unchanged, entry.row), (0, "1\tone"));
        let at = entry.committed_at.unwrap();
        assert_eq!(at.timestamp_micros(), 1_767_323_045_678_901);
    }

    #[test]
    fn commit_times_are_read_in_both_iso_styles_with_their_zone() {
        let at = |text: &str| {
            let line = format!("D\t1\t1\t{text}\tx");
            Entry::parse(&line, Version::One).map(|entry| entry.committed_at)
        };
        let wanted = at("2026-01-02T03:04:05Z").unwrap();
        for same in [
            "2026-01-02 03:04:05+00",
            "2026-01-02 05:34:05+02:30",
            "2026-01-02T03:04:05.000000+00:00",
        ] {
            assert_eq!(at(same).unwrap(), wanted, "{same}");
        }
        assert_eq!(at("\\N").unwrap(), None);
        assert!(at("2026-01-02 03:04:05").is_err());
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for line in [
            "",
            "U",
            "X\t1\t1\t\\N\tx",
            "U\t-1\t1\t\\N\tx",
            "U\t1\tx\t\\N\tx",
            "U\t1\t1\t\\N",
            "U\t+1\t1\t\\N\tx",
            "U\t01\t1\t\\N\tx",
        ] {
            assert!(Entry::parse(line, Version::One).is_err(), "{line:?}");
        }
    }

    #[test]
    fn an_entry_of_version_2_says_which_groups_it_leaves_out() {
        let read = |line: &str| Entry::parse(line, Version::Two).map(|entry| entry.unchanged);
        for (bits, number) in [("0", 0), ("5", 5), ("2147483647", i32::MAX as u32)] {
            assert_eq!(read(&format!("U\t1\t1\t\\N\t{bits}\tx")), Ok(number));
        }
        for wrong in ["", "\\N", "-1", "+1", "01", "1.0", "2147483648", "x"] {
            let line = format!("U\t1\t1\t\\N\t{wrong}\tx");
            assert!(read(&line).is_err(), "{wrong:?}");
        }
        assert!(read("U\t1\t1\t\\N\t0").is_err(), "it has no row");
    }

    #[test]
    fn only_an_update_leaves_columns_out() {
        for op in ["I", "D", "o", "n", "l", "a"] {
            let line = |bits: u32| format!("{op}\t1\t1\t\\N\t{bits}\tx");
            assert!(Entry::parse(&line(0), Version::Two).is_ok(), "{op}");
            let refusal = Entry::parse(&line(1), Version::Two).unwrap_err();
            assert!(refusal.contains("no update"), "{op}: {refusal}");
        }
    }

    /// Key, tenant, and columns of two groups, of one and of none.
    fn table() -> Table {
        let column = |name| serde_json::json!({ "name": name, "type": "text", "not_null": true });
        let columns = ["k", "t", "a", "b", "c"].map(column);
        let table = serde_json::json!({
            "schema": "s", "name": "t", "tenant_column": "t", "key": ["k"], "whole": false, "chunks": [],
            "columns": columns,
            "groups": [["a"], [], ["b", "a"]],
        });
        serde_json::from_value(table).unwrap()
    }

    fn checked(head: &str, row: &str) -> Result<(), String> {
        let line = format!("{head}\t1\t1\t\\N\t{row}\n").replace(' ', "\t");
        let checked = check_lines(line.as_bytes(), &table(), Lines::History, Version::Two);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn the_columns_of_the_groups_that_an_image_leaves_out_are_null() {
        for row in [
            "0 k t a b c",
            "1 k t \\N b c",
            "2 k t a b c",
            "4 k t \\N \\N c",
            "7 k t \\N \\N c",
        ] {
            assert_eq!(checked("U", row), Ok(()), "{row}");
        }
        for (row, what) in [
            ("0 k t \\N b c", "no value for a"),
            ("1 k t a b c", "has a value for a"),
            ("1 k t \\N \\N c", "no value for b"),
            ("4 k t \\N b c", "has a value for b"),
            ("4 k t \\N \\N \\N", "no value for c"),
            ("1 \\N t \\N b c", "no value for k"),
            ("8 k t a b c", "a group that its table does not have"),
            ("1 k t \\N b", "fewer fields"),
        ] {
            let refusal = checked("U", row).unwrap_err();
            assert!(refusal.contains(what), "{row}: {refusal}");
        }
        assert_eq!(checked("D", "0 k t a b c"), Ok(()));
        assert_eq!(checked("I", "0 k \\N \\N \\N \\N"), Ok(()));
    }

    #[test]
    fn a_line_of_one_version_is_none_of_the_other() {
        let check = |line: &str, version| {
            check_lines(line.as_bytes(), &table(), Lines::History, version).is_ok()
        };
        let (one, two) = (
            "U\t1\t1\t\\N\tk\tt\ta\tb\tc\n",
            "U\t1\t1\t\\N\t0\tk\tt\ta\tb\tc\n",
        );
        assert!(check(one, Version::One) && !check(one, Version::Two));
        assert!(check(two, Version::Two) && !check(two, Version::One));
    }
}
