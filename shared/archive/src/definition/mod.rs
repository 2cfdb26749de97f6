//! Definitions: the SQL in a manifest that makes its tables again. It comes from the store, so it is
//! held to what a manifest may say before anybody executes it: one statement, of a known kind, about
//! the table that it belongs to. Nothing of it is needed to restore rows.
//!
//! It stays SQL all the same: a default or a check may call any function that is there.

mod grammar;
mod lexeme;
#[cfg(test)]
mod tests;

use self::lexeme::{Token, lexemes};
use crate::{ArchiveError, Manifest, Table};

/// A name with its schema, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The schema.
    pub schema: String,
    /// The name in it.
    pub name: String,
}

/// What a definition makes or changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A schema.
    Schema(String),
    /// An extension that types come from.
    Extension(String),
    /// A type or a domain.
    Type(Name),
    /// A sequence.
    Sequence(Name),
    /// A collation.
    Collation(Name),
    /// A table.
    Table(Name),
    /// A partition of a table, or of another partition.
    Partition {
        /// Its name.
        name: Name,
        /// What it is a part of.
        of: Name,
    },
    /// A default, a constraint, an index, a policy or a grant of this table.
    PartOf(Name),
    /// A foreign key of this table.
    Reference(Name),
}

/// Which of a manifest's lists a definition stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What tables need first: schemas, types, sequences, collations.
    Types,
    /// The table itself.
    Create,
    /// Its keys, indexes, policies.
    Finish,
    /// Its foreign keys.
    References,
}

/// One definition of a manifest.
#[derive(Debug, Clone)]
pub struct Statement<'a> {
    /// In which list it stands.
    pub stage: Stage,
    /// The table that it belongs to; none for what types need.
    pub table: Option<&'a Table>,
    /// The statement.
    pub sql: &'a str,
    /// What it is about, or why nobody should execute it.
    pub subject: Result<Subject, String>,
}

/// Every definition of a manifest, in the order in which they are to be executed.
#[must_use]
pub fn statements(manifest: &Manifest) -> Vec<Statement<'_>> {
    let facts = &manifest.facts;
    let types = facts.definitions.iter().map(|sql| Statement {
        stage: Stage::Types,
        table: None,
        sql,
        subject: check(sql, Stage::Types, None, &mut Vec::new()),
    });
    let mut all: Vec<Statement<'_>> = types.collect();
    for stage in [Stage::Create, Stage::Finish, Stage::References] {
        all.extend(facts.tables.iter().flat_map(|table| of_table(table, stage)));
    }
    all
}

/// Refuses a manifest with a definition that nobody should execute.
///
/// # Errors
/// [`ArchiveError::Definition`], of the first.
pub fn check_definitions(manifest: &Manifest) -> Result<(), ArchiveError> {
    match statements(manifest)
        .into_iter()
        .find_map(|one| Some((one.sql, one.subject.err()?)))
    {
        None => Ok(()),
        Some((sql, fault)) => Err(ArchiveError::Definition {
            sql: sql.chars().take(80).collect(),
            fault,
        }),
    }
}

/// Checks a statement by itself, as one that stands in a list of `table`: what a reader puts together
/// from a manifest, for instance.
///
/// # Errors
/// Why nobody should execute it.
pub fn check_statement(sql: &str, stage: Stage, table: Option<&Table>) -> Result<Subject, String> {
    check(sql, stage, table, &mut Vec::new())
}

/// A definition as psql takes it: without what psql would take for one of its variables.
#[must_use]
pub fn for_psql(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut from = 0;
    for lexeme in lexemes(sql).unwrap_or_default() {
        if lexeme.token == Token::Sign(':') {
            let after = lexeme.at + 1;
            text.push_str(sql.get(from..after).unwrap_or_default());
            text.push(' ');
            from = after;
        }
    }
    text + sql.get(from..).unwrap_or_default()
}

fn of_table(table: &Table, stage: Stage) -> Vec<Statement<'_>> {
    let listed = match stage {
        Stage::Types => &[],
        Stage::Create => table.definition.create.as_slice(),
        Stage::Finish => table.definition.finish.as_slice(),
        Stage::References => table.definition.references.as_slice(),
    };
    let mut partitions = Vec::new();
    let checked = listed.iter().map(|sql| Statement {
        stage,
        table: Some(table),
        sql,
        subject: check(sql, stage, Some(table), &mut partitions),
    });
    checked.collect()
}

/// `partitions` are those that the table has so far.
fn check(
    sql: &str,
    stage: Stage,
    table: Option<&Table>,
    partitions: &mut Vec<Name>,
) -> Result<Subject, String> {
    if sql.contains('\0') {
        return Err("has a NUL".to_owned());
    }
    let subject = grammar::read(sql)?
        .ok_or("is of no kind that a manifest may hold, or is about more than one thing")?;
    if is_reserved(&subject) {
        return Err("is about what belongs to the server or to M23".to_owned());
    }
    let is_it = |name: &Name| {
        table.is_some_and(|table| (&table.schema, &table.name) == (&name.schema, &name.name))
    };
    let belongs = match (&subject, stage) {
        (Subject::Schema(_) | Subject::Sequence(_), Stage::Types | Stage::Create) => true,
        (Subject::Extension(_) | Subject::Type(_) | Subject::Collation(_), Stage::Types) => true,
        (Subject::Table(name), Stage::Create) => is_it(name),
        (Subject::Partition { of, .. }, Stage::Create) => is_it(of) || partitions.contains(of),
        (Subject::PartOf(name), Stage::Finish) => is_it(name),
        (Subject::Reference(name), Stage::References) => is_it(name),
        _ => false,
    };
    if !belongs {
        return Err("does not belong where it stands".to_owned());
    }
    if let Subject::Partition { name, .. } = &subject {
        partitions.push(name.clone());
    }
    Ok(subject)
}

fn is_reserved(subject: &Subject) -> bool {
    let schema = match subject {
        Subject::Extension(_) => return false, // many stand in pg_catalog
        Subject::Schema(schema) => schema,
        Subject::Type(name)
        | Subject::Sequence(name)
        | Subject::Collation(name)
        | Subject::Table(name)
        | Subject::Partition { name, .. }
        | Subject::PartOf(name)
        | Subject::Reference(name) => &name.schema,
    };
    schema == "information_schema"
        || schema == "m23"
        || schema.starts_with("m23_")
        || schema.starts_with("pg_")
}
