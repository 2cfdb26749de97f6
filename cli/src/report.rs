//! What is printed on standard output.

use crate::error::CliError;
use crate::terminal::escaped_json;
use serde::Serialize;
use std::io::{Write, stdout};

/// Prints JSON, or else text.
pub fn print<T: Serialize>(
    json: bool,
    report: &T,
    text: impl Fn(&T) -> String,
) -> Result<(), CliError> {
    let text = if json {
        let written = serde_json::to_string_pretty(report);
        escaped_json(&written.map_err(|error| CliError::Output(error.to_string()))?) + "\n"
    } else {
        text(report)
    };
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Rows of text in columns: numbers to the right, the last column as it is.
pub fn columns(rows: &[Vec<String>]) -> String {
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(place, cell)| {
            let is_number =
                cell.starts_with(|first: char| first.is_ascii_digit()) && !cell.contains('-');
            match (place + 1 == row.len(), is_number) {
                (true, _) => cell.clone(),
                (false, true) => format!("{cell:>width$}", width = width(place)),
                (false, false) => format!("{cell:<width$}", width = width(place)),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Bytes, for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
