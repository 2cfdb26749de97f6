//! Rows as CSV: what PostgreSQL's `\copy … csv header` writes and reads.

use super::{Extracted, Source, create, full_name};
use crate::arguments::Extract;
use crate::error::CliError;
use crate::layers::Sink;
use indicatif::ProgressBar;
use m23_archive::value;
use std::borrow::Cow;
use std::fs::create_dir_all;
use std::io::Write;

struct Rows(Box<dyn Write>);

impl Sink for Rows {
    fn row(&mut self, line: &str) -> Result<(), CliError> {
        for (place, field) in line.split('\t').enumerate() {
            if place > 0 {
                self.0.write_all(b",")?;
            }
            if let Some(value) = value(field).map_err(CliError::Output)? {
                self.0.write_all(quoted(&value).as_bytes())?;
            }
        }
        Ok(self.0.write_all(b"\n")?)
    }
}

pub async fn write(
    source: &Source<'_>,
    order: &Extract,
    bar: &ProgressBar,
) -> Result<Vec<Extracted>, CliError> {
    let folder = order.output.clone().unwrap_or_default();
    create_dir_all(&folder)?;
    let mut written = Vec::new();
    for table in &source.tables {
        // A quoted name may hold what no file's name can.
        let name = full_name(table).replace(['/', '\\', '\0'], "_");
        let mut rows = Rows(create(&folder.join(format!("{name}.csv")))?);
        let header: Vec<Cow<'_, str>> = table
            .columns
            .iter()
            .map(|column| quoted(&column.name))
            .collect();
        writeln!(rows.0, "{}", header.join(","))?;
        written.push(source.rows(table, &mut rows, bar).await?);
        rows.0.flush()?;
    }
    Ok(written)
}

/// An empty text is quoted: a field that is empty and not quoted is a null. So is `\.`, which
/// would end the data for psql.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text == "\\." || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_must_be() {
        for (text, wanted) in [
            ("a b", "a b"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("\n", "\"\n\""),
            ("\\.", "\"\\.\""),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }
}
