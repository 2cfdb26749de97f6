//! The rows of keys that have changed since a moment: each key's first image after it. What that leaves
//! out is taken from the key's next image that carries it, or else from the member's own row.
//!
//! A row waits in memory only where its image leaves something out, and until the rest has been read.

use super::{Change, Image, Layer, Sink, each_entry, each_line};
use crate::archive::Archive;
use crate::error::CliError;
use crate::layers::key::KeyReader;
use m23_archive::Lines;
use std::collections::HashMap;

type Changes = HashMap<String, Change>;

/// By key, the rows whose first images leave something out.
type Waiting = HashMap<String, Gathered>;

/// Gives the first image of every key that was there at the moment.
pub async fn images(
    archive: &Archive,
    layer: &Layer<'_>,
    changes: &Changes,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    let mut waiting = waiting(layer, changes);
    find_values(archive, layer, &mut waiting).await?;
    take_images(archive, layer, changes, &mut waiting, sink).await?;
    take_rows(archive, layer, &mut waiting, sink).await?;
    if waiting.is_empty() {
        Ok(())
    } else {
        Err(layer.damaged("leaves out values that stand nowhere else"))
    }
}

fn waiting(layer: &Layer<'_>, changes: &Changes) -> Waiting {
    let groups = layer.table.group_bits();
    let marked = changes.iter().filter_map(|(key, change)| {
        let first = change.wanted_image()?;
        (first.unchanged != 0).then(|| (key.clone(), Gathered::new(first, &groups)))
    });
    marked.collect()
}

/// Finds which images carry what is left out. Entries are not relied on to be in order.
async fn find_values(
    archive: &Archive,
    layer: &Layer<'_>,
    waiting: &mut Waiting,
) -> Result<(), CliError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let keys = KeyReader::new(layer.table);
    let groups = layer.table.group_bits();
    each_entry(archive, layer, |entry| {
        if let Some(image) = Image::of(&entry)
            && let Some(row) = waiting.get_mut(&keys.read(entry.row))
        {
            row.look_at(image, &groups);
        }
        Ok(())
    })
    .await
}

async fn take_images(
    archive: &Archive,
    layer: &Layer<'_>,
    changes: &Changes,
    waiting: &mut Waiting,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    let keys = KeyReader::new(layer.table);
    each_line(archive, layer, Lines::History, |line, _| {
        let Ok(entry) = layer.entry(line) else {
            return Ok(()); // which the first look at it has refused
        };
        let Some(image) = Image::of(&entry) else {
            return Ok(());
        };
        let key = keys.read(entry.row);
        let wanted = changes.get(&key).and_then(Change::wanted_image);
        if waiting.contains_key(&key) {
            let place = Field::Image(image.change_id);
            take(waiting, &key, &place, entry.row, sink)
        } else if image.unchanged == 0 && wanted == Some(image) {
            sink.row(entry.row)
        } else {
            Ok(())
        }
    })
    .await
}

async fn take_rows(
    archive: &Archive,
    layer: &Layer<'_>,
    waiting: &mut Waiting,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let keys = KeyReader::new(layer.table);
    each_line(archive, layer, Lines::Rows, |line, _| {
        take(waiting, &keys.read(line), &Field::Row, line, sink)
    })
    .await
}

/// Takes what a key's row waits for in a line, and gives the row when that was the last of it.
fn take(
    waiting: &mut Waiting,
    key: &str,
    place: &Field,
    line: &str,
    sink: &mut impl Sink,
) -> Result<(), CliError> {
    if let Some(row) = waiting.get_mut(key) {
        row.take(place, line);
        if let Some(whole) = row.whole() {
            sink.row(&whole)?;
            waiting.remove(key);
        }
    }
    Ok(())
}

/// Where a field stands.
#[derive(PartialEq, Eq)]
enum Field {
    /// In the key's image with this change id.
    Image(u64),
    /// In the member's row of the key.
    Row,
    /// Here: it has been read.
    Known(String),
}

/// A row that is put together from several lines.
struct Gathered {
    first: Image,
    fields: Vec<Field>,
}

impl Gathered {
    /// `groups` has for each column the groups that it stands in, as bits.
    fn new(first: Image, groups: &[u32]) -> Self {
        let field = |groups: &u32| {
            if groups & first.unchanged == 0 {
                Field::Image(first.change_id)
            } else {
                Field::Row
            }
        };
        let fields = groups.iter().map(field).collect();
        Self { first, fields }
    }

    /// Another image of the key: what it carries stands there, if in none between it and the first.
    fn look_at(&mut self, image: Image, groups: &[u32]) {
        if image.change_id <= self.first.change_id {
            return;
        }
        for (field, groups) in self.fields.iter_mut().zip(groups) {
            let is_next = match field {
                Field::Image(found) => image.change_id < *found,
                Field::Row => true,
                Field::Known(_) => false,
            };
            if is_next && groups & image.unchanged == 0 {
                *field = Field::Image(image.change_id);
            }
        }
    }

    fn take(&mut self, place: &Field, line: &str) {
        for (field, text) in self.fields.iter_mut().zip(line.split('\t')) {
            if field == place {
                *field = Field::Known(text.to_owned());
            }
        }
    }

    /// The row, when nothing is missing any more.
    fn whole(&self) -> Option<String> {
        let known = self.fields.iter().map(|field| match field {
            Field::Known(text) => Some(text.as_str()),
            Field::Image(_) | Field::Row => None,
        });
        Some(known.collect::<Option<Vec<_>>>()?.join("\t"))
    }
}
