//! What is asked of every file of the schemas, and of the migration: people read them.

use std::sync::LazyLock;

use regex::Regex;

use super::function::is_directive;
use super::lines::WIDTH;
use super::piece::pattern;
use super::statements::{statements, without_comments};

/// What is wrong in the text of a file, a sentence each.
fn faults(sql: &str) -> Vec<String> {
    let mut found = wide_lines(sql);
    found.extend(functions_without_comment(sql));
    found.extend(replaced_sql(sql));
    found.extend(rows_by_position(sql));
    found
}

fn wide_lines(sql: &str) -> Vec<String> {
    let wide = |(at, line): (usize, &str)| {
        let width = line.chars().count();
        (width > WIDTH).then(|| format!("line {} has {width} columns", at + 1))
    };
    sql.lines().enumerate().filter_map(wide).collect()
}

pattern!(FUNCTION, r"^create function ([\w.]+)");
pattern!(COMMENTED, r"^comment on function ([\w.]+)");

/// The functions that have a comment neither directly above nor below them.
fn functions_without_comment(sql: &str) -> Vec<String> {
    let statements = match statements(sql) {
        Ok(statements) => statements,
        Err(fault) => return vec![fault.to_string()],
    };
    let name_of = |pattern: &Regex, at: usize| {
        let statement = statements.get(at).copied().unwrap_or_default();
        Some(pattern.captures(without_comments(statement))?[1].to_owned())
    };
    let mut found = Vec::new();
    for (at, statement) in statements.iter().enumerate() {
        if let Some(name) = name_of(&FUNCTION, at)
            && !is_explained(statement)
            && name_of(&COMMENTED, at + 1).as_ref() != Some(&name)
        {
            found.push(format!(
                "{name} has no comment: what does it take and give?"
            ));
        }
    }
    found
}

/// Whether comments stand directly above a statement's code: those before a blank line are about the file.
fn is_explained(statement: &str) -> bool {
    let comments = &statement[..statement.len() - without_comments(statement).len()];
    let nearest = comments.rsplit("\n\n").next().unwrap_or_default();
    nearest
        .lines()
        .any(|line| !is_directive(line) && !line.ends_with("---"))
}

pattern!(
    REPLACED,
    r"(?x) \b(?:regexp_)?replace\( (?:\s*replace\()* \s*
      (?: format\b | m23\.fill\b | pg_get_\w+ | execute\b
        | m23\.\w*(?:query|statement|condition|definition|body)\w*\(
        | [vp]_\w*(?:sql|query|statement|condition|definition|template|body)\b )"
);

/// Statements that are changed after they were built: they are filled in once, by m23.fill.
fn replaced_sql(sql: &str) -> Vec<String> {
    let told = |found: regex::Match| {
        let line = line_of(sql, found.start());
        format!("line {line} changes SQL that was built: {}", found.as_str())
    };
    REPLACED.find_iter(sql).map(told).collect()
}

pattern!(ROW, r"\brow\(");
pattern!(OUR_TYPE, r"^\s*::\s*(m23|public)\.\w+");

/// Rows of our own types that are made by the positions of their fields: a type has one constructor, with names.
fn rows_by_position(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    for row in ROW.find_iter(sql) {
        let cast = &sql[row.end() + closed(&sql[row.end()..])..];
        if let Some(cast) = OUR_TYPE.find(cast) {
            let line = line_of(sql, row.start());
            found.push(format!(
                "line {line} makes a row by position, row(…){}",
                cast.as_str()
            ));
        }
    }
    found
}

/// How far it is to the end of a list in brackets, quoted text passed over.
fn closed(sql: &str) -> usize {
    let (mut depth, mut quoted) = (1, false);
    for (at, c) in sql.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    sql.len()
}

fn line_of(sql: &str, at: usize) -> usize {
    sql[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Tree, entries};
    use super::*;
    use crate::project;

    #[test]
    fn lines_have_at_most_120_columns() {
        let line = format!("-- {}", "ä".repeat(117));
        assert!(faults(&line).is_empty());
        assert_eq!(faults(&format!("\n{line}x")), ["line 2 has 121 columns"]);
    }

    #[test]
    fn functions_have_a_comment_directly_above_or_below() {
        let function = "create function m23.f() returns int language sql as $$ select 1 $$;";
        let fault = ["m23.f has no comment: what does it take and give?"];
        assert_eq!(faults(function), fault);
        assert_eq!(faults(&format!("-- Numbers.\n\n{function}")), fault);
        assert_eq!(
            faults(&format!("-- Heading ------\n-- open to: anon\n{function}")),
            fault
        );
        assert!(faults(&format!("-- One.\n-- open to: anon\n{function}")).is_empty());
        assert!(
            faults(&format!(
                "{function}\ncomment on function m23.f() is 'One.';"
            ))
            .is_empty()
        );
    }

    #[test]
    fn sql_is_not_changed_once_it_was_built() {
        for built in [
            "replace(format('%s', a), 'a', 'b')",
            "regexp_replace(\n v_query, 'a', 'b')",
            "replace(replace(pg_get_constraintdef(k.oid), 'a', 'b'), 'c', 'd')",
        ] {
            assert_eq!(faults(&format!("select {built};")).len(), 1, "{built}");
        }
        assert!(faults("select replace(p_id::text, '-', '');").is_empty());
    }

    #[test]
    fn rows_of_own_types_are_not_made_by_position() {
        let by_position = "select row(1, ')',\n  (2))::m23.moment;";
        assert_eq!(
            faults(by_position),
            ["line 1 makes a row by position, row(…)::m23.moment"]
        );
        assert!(faults("select row(1)::pg_catalog.record, p_moment::m23.moment;").is_empty());
    }

    #[test]
    fn the_schemas_keep_the_rules() {
        let root = project::root().join("supabase/schemas");
        let mut told = Vec::new();
        for folder in entries(&root).unwrap() {
            for path in entries(&folder).unwrap() {
                let faults = faults(&fs::read_to_string(&path).unwrap());
                told.extend(
                    faults
                        .iter()
                        .map(|fault| format!("{}: {fault}", path.display())),
                );
            }
        }
        assert!(
            told.is_empty(),
            "{} faults\n{}",
            told.len(),
            told.join("\n")
        );
    }

    #[test]
    fn the_migration_has_no_wide_line() {
        let root = project::root().join("supabase/schemas");
        let sql = Tree::read(&root).unwrap().install("0.1.0");
        assert_eq!(wide_lines(&sql), [""; 0]);
    }
}
