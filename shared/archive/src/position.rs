//! Positions: moments of a database, as PostgreSQL writes a `pg_snapshot`.

use crate::ArchiveError;
use serde::{Deserialize, Serialize};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// A moment: which transactions it sees. `xmin:xmax:xip,xip,…`, good within one incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    xmin: u64,
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Position {
    /// Whether a committed transaction belongs to this moment. One that it does not see lies after.
    #[must_use]
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.in_progress.binary_search(&xid).is_err())
    }

    /// Whether everything that `earlier` sees is seen here too.
    #[must_use]
    pub fn contains(&self, earlier: &Self) -> bool {
        self.xmax >= earlier.xmax && self.in_progress.iter().all(|xid| !earlier.sees(*xid))
    }
}

impl FromStr for Position {
    type Err = ArchiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).ok_or_else(|| ArchiveError::Unreadable(format!("{text:?} is no position")))
    }
}

fn read(text: &str) -> Option<Position> {
    let mut parts = text.split(':');
    let (xmin, xmax, list) = (
        number(parts.next()?)?,
        number(parts.next()?)?,
        parts.next()?,
    );
    let in_progress: Vec<u64> = match list {
        "" => Vec::new(),
        list => list.split(',').map(number).collect::<Option<_>>()?,
    };
    let is_in_order = in_progress.is_sorted_by(|one, next| one < next);
    let is_within = in_progress.iter().all(|xid| (xmin..xmax).contains(xid));
    (parts.next().is_none() && xmin > 0 && xmin <= xmax && is_in_order && is_within).then_some(
        Position {
            xmin,
            xmax,
            in_progress,
        },
    )
}

/// Digits only: no sign, no leading zero, so that one number has one text.
pub(crate) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl Display for Position {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let list: Vec<String> = self.in_progress.iter().map(u64::to_string).collect();
        write!(formatter, "{}:{}:{}", self.xmin, self.xmax, list.join(","))
    }
}

impl TryFrom<String> for Position {
    type Error = ArchiveError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn a_position_sees_what_was_committed() {
        let seen = |xid| position("10:15:10,13").sees(xid);
        assert_eq!(
            [9, 10, 11, 13, 14, 15].map(seen),
            [true, false, true, false, true, false]
        );
    }

    #[test]
    fn a_position_reads_back_as_it_was() {
        for text in ["1:1:", "10:12:11", "10:15:10,13"] {
            assert_eq!(position(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "1",
            "1:1",
            "0:1:",
            "2:1:",
            "1:2:3",
            "1:4:2,2",
            "1:4:3,2",
            "1:2:1,",
            "01:2:",
            "+1:2:",
            "1:2::",
            "1:99999999999999999999:",
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_later_position_contains_an_earlier_one() {
        let contains = |later, earlier| position(later).contains(&position(earlier));
        assert!(contains("12:14:12", "10:13:10,12"));
        assert!(contains("10:13:", "10:13:"));
        assert!(!contains("10:13:10", "11:13:"));
        assert!(!contains("10:12:", "10:13:"));
    }
}
