//! Rows as a script for psql, in the manner of pg_dump.

use super::{Extracted, Source, output};
use crate::arguments::Extract;
use crate::error::CliError;
use crate::layers::Sink;
use indicatif::ProgressBar;
use m23_archive::definition::{Stage, check_definitions, check_statement, for_psql};
use m23_archive::{Column, Table};
use std::io::Write;

/// How the archive's values are written, and nothing that a search path could change.
///
/// Where a COPY fails, psql would go on with the rows, and take what is in them for commands: so it has
/// to stop. What it did before about errors holds again from the commit on.
const SETTINGS: &str = "\
\\set m23_on_error_stop :ON_ERROR_STOP
\\set ON_ERROR_STOP on
set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = off;
set client_min_messages = warning;
set datestyle = 'ISO, YMD';
set intervalstyle = 'postgres';
set timezone = 'UTC';
set lc_monetary = 'C';
select pg_catalog.set_config('search_path', '', false);
";

struct Rows(Box<dyn Write>);

impl Sink for Rows {
    fn row(&mut self, line: &str) -> Result<(), CliError> {
        self.0.write_all(line.as_bytes())?;
        Ok(self.0.write_all(b"\n")?)
    }
}

/// Types, tables and rows are one transaction. What follows is not: a policy may name a role
/// that only Supabase has, and the rows are worth having without it.
pub async fn write(
    source: &Source<'_>,
    order: &Extract,
    bar: &ProgressBar,
) -> Result<Vec<Extracted>, CliError> {
    let with_definitions = !order.data_only;
    if with_definitions {
        check(source)?;
    }
    let mut rows = Rows(output(order.output.as_deref())?);
    writeln!(rows.0, "{SETTINGS}begin;")?;
    if with_definitions {
        statements(&mut rows.0, &beginning(source))?;
    } else {
        // Tables come in no order that foreign keys would ask for.
        writeln!(rows.0, "set constraints all deferred;")?;
    }
    let mut written = Vec::new();
    for table in &source.tables {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quoted(&column.name))
            .collect();
        writeln!(
            rows.0,
            "\ncopy {} ({}) from stdin;",
            name(table),
            columns.join(", ")
        )?;
        written.push(source.rows(table, &mut rows, bar).await?);
        writeln!(rows.0, "\\.")?;
        statements(&mut rows.0, &sequences(table))?;
    }
    writeln!(rows.0, "commit;\n\\set ON_ERROR_STOP :m23_on_error_stop\n")?;
    if with_definitions {
        statements(&mut rows.0, &end(source, order.tables.is_empty()))?;
    }
    rows.0.flush()?;
    Ok(written)
}

fn statements(output: &mut impl Write, statements: &[String]) -> Result<(), CliError> {
    for statement in statements {
        writeln!(output, "{};", for_psql(statement))?;
    }
    Ok(())
}

/// Whoever reads the script executes the definitions: there is none that nobody should.
fn check(source: &Source<'_>) -> Result<(), CliError> {
    let Some(tip) = source.chain.first() else {
        return Ok(());
    };
    let fault = |what: String| CliError::damaged(&tip.object, format!("{what}; {WITHOUT}"));
    check_definitions(&tip.manifest).map_err(|error| fault(error.to_string()))?;
    let plain = source
        .tables
        .iter()
        .filter(|table| table.definition.create.is_empty());
    for table in plain {
        let checked = check_statement(&plain_table(table), Stage::Create, Some(table));
        checked.map_err(|what| fault(format!("a table made of its columns {what}")))?;
    }
    Ok(())
}

const WITHOUT: &str = "--data-only and CSV do without definitions";

/// Schemas, types, tables.
fn beginning(source: &Source<'_>) -> Vec<String> {
    let mut schemas: Vec<&String> = source.tables.iter().map(|table| &table.schema).collect();
    schemas.sort();
    schemas.dedup();
    let schemas = schemas
        .iter()
        .map(|schema| format!("create schema if not exists {}", quoted(schema)));
    let types = source
        .chain
        .iter()
        .take(1)
        .flat_map(|tip| tip.manifest.facts.definitions.clone());
    let tables = source
        .tables
        .iter()
        .flat_map(|table| match table.definition.create.as_slice() {
            [] => vec![plain_table(table)],
            defined => defined.to_vec(),
        });
    schemas.chain(types).chain(tables).collect()
}

/// Keys, indexes, policies; then foreign keys, where every table is there that they may name.
fn end(source: &Source<'_>, is_whole: bool) -> Vec<String> {
    let finish = source
        .tables
        .iter()
        .flat_map(|table| table.definition.finish.clone());
    let references = source
        .tables
        .iter()
        .flat_map(|table| table.definition.references.clone());
    finish.chain(references.filter(|_| is_whole)).collect()
}

/// A table whose definition is not in the archive: its columns and its key.
fn plain_table(table: &Table) -> String {
    let key: Vec<String> = table.key.iter().map(|column| quoted(column)).collect();
    let lines: Vec<String> = table
        .columns
        .iter()
        .map(plain_column)
        .chain([format!("primary key ({})", key.join(", "))])
        .collect();
    format!(
        "create table {} (\n  {}\n)",
        name(table),
        lines.join(",\n  ")
    )
}

fn plain_column(column: &Column) -> String {
    let not_null = if column.not_null { " not null" } else { "" };
    let identity = match column.identity.as_deref() {
        Some("a") => " generated always as identity",
        Some(_) => " generated by default as identity",
        None => "",
    };
    format!(
        "{} {}{not_null}{identity}",
        quoted(&column.name),
        column.type_name
    )
}

/// Identity columns go on after the greatest value that was written.
fn sequences(table: &Table) -> Vec<String> {
    let next = |column: &Column| {
        format!(
            "select pg_catalog.setval(pg_catalog.pg_get_serial_sequence({}, {}), m) from (select pg_catalog.max({}) as m from {}) t where m > 0",
            literal(&name(table)),
            literal(&column.name),
            quoted(&column.name),
            name(table)
        )
    };
    table
        .columns
        .iter()
        .filter(|column| column.identity.is_some())
        .map(next)
        .collect()
}

fn name(table: &Table) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
