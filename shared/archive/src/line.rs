//! Lines: COPY's text format. A row is one line; so is an entry of the log.

use crate::position::number;
use crate::{ArchiveError, Lines, Table};
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
    if !field.contains(['\\', '\r']) {
        return Ok(Some(field.into()));
    }
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\r' => return Err("has a carriage return that is not escaped".to_owned()),
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
    /// Its place in the order of changes.
    pub change_id: u64,
    /// The transaction that did it.
    pub xid: u64,
    /// When that was committed, where commit times are native.
    pub committed_at: Option<DateTime<Utc>>,
    /// The fields of the table's columns: the old row, or the key alone and nulls.
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
    pub fn parse(line: &'a str) -> Result<Self, String> {
        let mut fields = line.splitn(5, '\t');
        let mut next = || fields.next().ok_or("has too few fields");
        let op = Op::parse(next()?).ok_or("has an unknown operation")?;
        let change_id = number(next()?).ok_or("has no change id")?;
        let xid = number(next()?).ok_or("has no transaction id")?;
        let committed_at = match next()? {
            "\\N" => None,
            text => Some(time(text).ok_or("has a commit time that is none")?),
        };
        Ok(Self {
            op,
            change_id,
            xid,
            committed_at,
            row: next()?,
        })
    }
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
/// that take no null a null (but for the log's, which may carry the key alone).
///
/// # Errors
/// [`ArchiveError::Damaged`] or [`ArchiveError::WrongLine`].
pub fn check_lines(bytes: &[u8], table: &Table, kind: Lines) -> Result<(), ArchiveError> {
    for (line, text) in lines(bytes)? {
        check_line(text, table, kind).map_err(|fault| ArchiveError::WrongLine { line, fault })?;
    }
    Ok(())
}

fn check_line(text: &str, table: &Table, kind: Lines) -> Result<(), String> {
    let (row, is_whole) = match kind {
        Lines::Rows => (text, true),
        Lines::History => {
            let entry = Entry::parse(text)?;
            (entry.row, entry.op.has_image())
        }
    };
    let mut fields = row.split('\t');
    for column in &table.columns {
        let field = fields.next().ok_or("has fewer fields than columns")?;
        let needs_value = table.key.contains(&column.name) || (is_whole && column.not_null);
        if value(field)?.is_none() && needs_value {
            return Err(format!("has no value for {}", column.name));
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
        for field in ["\\", "a\\", "\\x", "\\Na", "\r"] {
            assert!(value(field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn an_entry_is_its_head_and_a_row() {
        let entry = Entry::parse("U\t7\t100\t2026-01-02 03:04:05.678901+00\t1\tone").unwrap();
        assert_eq!(
            (entry.op, entry.change_id, entry.xid),
            (Op::Updated, 7, 100)
        );
        assert_eq!(entry.row, "1\tone");
        let at = entry.committed_at.unwrap();
        assert_eq!(at.timestamp_micros(), 1_767_323_045_678_901);
    }

    #[test]
    fn commit_times_are_read_in_both_iso_styles_with_their_zone() {
        let at = |text: &str| {
            Entry::parse(&format!("D\t1\t1\t{text}\tx")).map(|entry| entry.committed_at)
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
            assert!(Entry::parse(line).is_err(), "{line:?}");
        }
    }
}
