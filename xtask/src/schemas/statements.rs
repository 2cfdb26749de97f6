//! Cuts SQL into its statements.

use anyhow::{Result, bail};

/// The statements of a text, each with the comments above it, without the blank lines around it.
pub fn statements(sql: &str) -> Result<Vec<&str>> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < sql.len() {
        at += match token(&sql[at..])? {
            1 if sql[at..].starts_with(';') => {
                let length = 1 + remark(&sql[at + 1..]);
                found.push(sql[start..at + length].trim());
                start = at + length;
                length
            }
            length => length,
        };
    }
    let rest = without_comments(&sql[start..]);
    if !rest.is_empty() {
        bail!(
            "a statement does not end with a semicolon: {}",
            first_line(rest)
        );
    }
    found.retain(|statement| !without_comments(statement).is_empty());
    Ok(found)
}

/// How long the comment is that stands behind a statement, in its line.
fn remark(sql: &str) -> usize {
    let line = sql.split('\n').next().unwrap_or_default();
    if line.trim_start().starts_with("--") {
        line.len()
    } else {
        0
    }
}

/// A statement without the comments above it.
pub fn without_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    while rest.starts_with("--") {
        rest = rest.find('\n').map_or("", |end| rest[end..].trim_start());
    }
    rest
}

/// How long the comment or the quoted text is that a text begins with; else its first character.
pub fn token(sql: &str) -> Result<usize> {
    if sql.starts_with("--") {
        return Ok(sql.find('\n').map_or(sql.len(), |at| at + 1));
    }
    if sql.starts_with("/*") {
        bail!(
            "comments begin with --, and not as here: {}",
            first_line(sql)
        );
    }
    let quote = match sql.chars().next() {
        Some('\'') => "'", // '' is two texts side by side
        Some('"') => "\"",
        Some('$') => dollar_quote(sql).unwrap_or_default(),
        _ => "",
    };
    if quote.is_empty() {
        return Ok(sql.chars().next().map_or(0, char::len_utf8));
    }
    match sql[quote.len()..].find(quote) {
        Some(at) => Ok(at + 2 * quote.len()),
        None => bail!("a quotation has no end: {}", first_line(sql)),
    }
}

/// The mark that a text begins with, `$$` or `$name$`.
pub fn dollar_quote(sql: &str) -> Option<&str> {
    let name = sql.strip_prefix('$')?;
    let length = name.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let is_parameter = name.starts_with(|c: char| c.is_ascii_digit());
    (!is_parameter && name[length..].starts_with('$')).then(|| &sql[..length + 2])
}

pub fn first_line(code: &str) -> &str {
    code.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_semicolon_in_a_text_a_name_a_comment_or_a_body_ends_nothing() {
        let sql = "-- one; and\nselect ';', 'it''s;';\ncreate function f() as $x1$ a; $$;$$ b; $x1$;\nselect \"a;b\"; -- end;\n";
        assert_eq!(
            statements(sql).unwrap(),
            [
                "-- one; and\nselect ';', 'it''s;';",
                "create function f() as $x1$ a; $$;$$ b; $x1$;",
                "select \"a;b\"; -- end;"
            ]
        );
    }

    #[test]
    fn parameters_are_no_quotations() {
        let sql = "select $1, $2; select $3;";
        assert_eq!(statements(sql).unwrap(), ["select $1, $2;", "select $3;"]);
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert!(statements("-- nothing\n\n-- more").unwrap().is_empty());
    }

    #[test]
    fn what_would_run_into_the_next_statement_is_refused() {
        for sql in [
            "select 1; select 2",
            "select 'a;",
            "do $$ begin;",
            "select 1 /* ; */;",
        ] {
            assert!(statements(sql).is_err(), "{sql}");
        }
    }
}
