//! The rows of a table as of a backup, or of a moment since its parent, from its whole chain.
//!
//! Backwards: the newest member decides for the keys that changed since its parent, its parent
//! for those that changed before, and so on down to the member that holds the table whole. In memory
//! are the keys of changed rows, and images that leave something out while the rest is looked for.

mod images;
pub mod key;

use self::images::images;
use self::key::KeyReader;
use crate::archive::{Archive, Backup};
use crate::error::CliError;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use m23_archive::reader::Stored;
use m23_archive::{CommitTimes, Entry, Lines, Position, Table, lines};
use std::collections::{HashMap, HashSet};

/// Chunks that are in memory at most.
const AHEAD: usize = 4;

/// Takes a row: its line.
pub trait Sink {
    fn row(&mut self, line: &str) -> Result<(), CliError>;
}

/// A moment between a member and its parent.
pub enum Moment {
    /// Whatever was committed at or before it.
    Time(DateTime<Utc>),
    /// Whatever it sees.
    Position(Position),
}

impl Moment {
    fn is_before(&self, entry: &Entry<'_>) -> Result<bool, String> {
        match self {
            Self::Position(position) => Ok(!position.sees(entry.xid)),
            Self::Time(time) => match entry.committed_at {
                Some(committed) => Ok(committed > *time),
                None => Err("has no commit time".to_owned()),
            },
        }
    }
}

/// What a time comes to inside a chain: the member whose log leads back to it, and the moment
/// if it is not that member's own.
pub struct Reached {
    /// The member's place in the chain, which begins with the newest.
    pub member: usize,
    pub moment: Option<Moment>,
    /// The time of the state that is given.
    pub taken: DateTime<Utc>,
}

/// Finds the member of a chain (newest first) that reaches a time.
pub fn reach(chain: &[Backup], at: DateTime<Utc>) -> Result<Reached, CliError> {
    let outside = || {
        CliError::Usage(format!(
            "{at} is not between the chain's full backup and this one; see m23 archive inspect"
        ))
    };
    let (member, backup) = chain
        .iter()
        .enumerate()
        .rev()
        .find(|(_, backup)| backup.manifest.facts.position_at >= at)
        .ok_or_else(outside)?;
    let facts = &backup.manifest.facts;
    if facts.position_at == at {
        return Ok(Reached {
            member,
            moment: None,
            taken: at,
        });
    }
    let parent = facts.parent.as_ref().ok_or_else(outside)?;
    if facts.commit_times == CommitTimes::Native {
        return Ok(Reached {
            member,
            moment: Some(Moment::Time(at)),
            taken: at,
        });
    }
    let tick = facts.ticks.iter().rev().find(|tick| tick.at <= at);
    let (taken, position) = tick.map_or((parent.position_at, &parent.position), |tick| {
        (tick.at, &tick.position)
    });
    Ok(Reached {
        member,
        moment: Some(Moment::Position(position.clone())),
        taken,
    })
}

/// A table in one member of a chain.
struct Layer<'a> {
    backup: &'a Backup,
    ordinal: u32,
    table: &'a Table,
}

/// What has become of a key since a moment.
#[derive(Default)]
struct Change {
    /// Arrivals less departures.
    balance: i64,
    /// The image of its row as it was.
    first_image: Option<Image>,
    /// Whether the member has a row of it.
    is_there: bool,
}

/// An old row in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Image {
    /// Tells it from the key's other images, and says which is the next.
    change_id: u64,
    /// The groups of columns that it leaves out.
    unchanged: u32,
}

impl Image {
    fn of(entry: &Entry<'_>) -> Option<Self> {
        entry.op.has_image().then_some(Self {
            change_id: entry.change_id,
            unchanged: entry.unchanged,
        })
    }
}

impl Change {
    /// Takes an entry that lies after the moment.
    fn add(&mut self, entry: &Entry<'_>) {
        self.balance += entry.op.balance();
        let is_first = |first: Image| entry.change_id < first.change_id;
        if let Some(image) = Image::of(entry)
            && self.first_image.is_none_or(is_first)
        {
            self.first_image = Some(image);
        }
    }

    /// The image that carries its row as it was, if it was there.
    fn wanted_image(&self) -> Option<Image> {
        self.first_image.filter(|_| self.was_there() == Some(true))
    }

    /// Whether the key was there at the moment; none when the log contradicts itself.
    fn was_there(&self) -> Option<bool> {
        match i64::from(self.is_there) - self.balance {
            0 => Some(false),
            1 if self.is_there || self.first_image.is_some() => Some(true),
            _ => None,
        }
    }
}

/// Gives every row of a table to a sink, as of the first member of `chain` or a moment before it.
pub async fn rows(
    archive: &Archive,
    chain: &[Backup],
    table: &Table,
    moment: Option<&Moment>,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    let mut seen = HashSet::new();
    for (place, layer) in layers(chain, table)?.iter().enumerate() {
        match moment.filter(|_| place == 0) {
            Some(moment) => rows_at(archive, layer, moment, sink).await?,
            None => rows_of(archive, layer, &seen, sink).await?,
        }
        note_keys(archive, layer, &mut seen).await?;
    }
    Ok(())
}

/// The members that have a say in a table, newest first, down to one that holds it whole.
fn layers<'a>(chain: &'a [Backup], table: &Table) -> Result<Vec<Layer<'a>>, CliError> {
    let mut layers = Vec::new();
    for backup in chain {
        let found = backup
            .tables()
            .find(|(_, one)| (&one.schema, &one.name) == (&table.schema, &table.name));
        let Some((ordinal, table)) = found else { break };
        layers.push(Layer {
            backup,
            ordinal,
            table,
        });
        if table.whole {
            return Ok(layers);
        }
    }
    let object = chain.first().map_or("", |tip| &tip.object);
    Err(CliError::damaged(
        object,
        format!(
            "no member of its chain holds {}.{} whole",
            table.schema, table.name
        ),
    ))
}

impl Layer<'_> {
    /// Reads a line of the log, as the member's version has it.
    fn entry<'a>(&self, line: &'a str) -> Result<Entry<'a>, String> {
        Entry::parse(line, self.backup.manifest.version)
    }

    /// What is wrong with the member, in a sentence about the table.
    fn damaged(&self, what: &str) -> CliError {
        let Table { schema, name, .. } = self.table;
        CliError::damaged(
            &self.backup.object,
            format!("the log of {schema}.{name} {what}"),
        )
    }

    fn chunks(&self, lines: Lines) -> impl Iterator<Item = Stored<'_>> {
        self.backup.chunks((self.ordinal, self.table), lines)
    }
}

/// Gives every line of a kind, in order; the next chunks are fetched meanwhile.
async fn each_line(
    archive: &Archive,
    layer: &Layer<'_>,
    kind: Lines,
    mut take: impl FnMut(&str, Stored<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let fetch = |stored| async move { (stored, archive.lines(stored).await) };
    let mut fetched = stream::iter(layer.chunks(kind)).map(fetch).buffered(AHEAD);
    while let Some((stored, bytes)) = fetched.next().await {
        let bytes = bytes?;
        let found =
            lines(&bytes).map_err(|error| CliError::in_object(&stored.chunk.object, &error))?;
        for (_, line) in found {
            take(line, stored)?;
        }
    }
    Ok(())
}

/// Gives every entry of a member's log.
async fn each_entry(
    archive: &Archive,
    layer: &Layer<'_>,
    mut take: impl FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<(), CliError> {
    each_line(archive, layer, Lines::History, |line, stored| {
        let taken = layer.entry(line).and_then(&mut take);
        taken.map_err(|fault| CliError::damaged(&stored.chunk.object, format!("a line {fault}")))
    })
    .await
}

/// The member's rows, without those of keys that a newer member decides.
async fn rows_of(
    archive: &Archive,
    layer: &Layer<'_>,
    seen: &HashSet<String>,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    let keys = KeyReader::new(layer.table);
    each_line(archive, layer, Lines::Rows, |line, _| {
        if !seen.is_empty() && seen.contains(&keys.read(line)) {
            return Ok(());
        }
        sink.row(line)
    })
    .await
}

async fn note_keys(
    archive: &Archive,
    layer: &Layer<'_>,
    seen: &mut HashSet<String>,
) -> Result<(), CliError> {
    let keys = KeyReader::new(layer.table);
    each_entry(archive, layer, |entry| {
        seen.insert(keys.read(entry.row));
        Ok(())
    })
    .await
}

/// The rows of the keys that the member decides, as they were at a moment before it: a row that
/// has changed since as its first old image, any other as the member has it.
async fn rows_at(
    archive: &Archive,
    layer: &Layer<'_>,
    moment: &Moment,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    let keys = KeyReader::new(layer.table);
    let mut changes = changes_since(archive, layer, moment).await?;
    each_line(archive, layer, Lines::Rows, |line, _| {
        let Some(change) = changes.get_mut(&keys.read(line)) else {
            return sink.row(line);
        };
        change.is_there = true;
        if change.first_image.is_none() && change.was_there() == Some(true) {
            sink.row(line)?;
        }
        Ok(())
    })
    .await?;
    if changes.values().any(|change| change.was_there().is_none()) {
        return Err(layer.damaged("contradicts its rows"));
    }
    images(archive, layer, &changes, sink).await
}

async fn changes_since(
    archive: &Archive,
    layer: &Layer<'_>,
    moment: &Moment,
) -> Result<HashMap<String, Change>, CliError> {
    let keys = KeyReader::new(layer.table);
    let mut changes: HashMap<String, Change> = HashMap::new();
    each_entry(archive, layer, |entry| {
        if moment.is_before(&entry)? {
            let change = changes.entry(keys.read(entry.row)).or_default();
            change.add(&entry);
        }
        Ok(())
    })
    .await?;
    Ok(changes)
}
