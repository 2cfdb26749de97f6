//! Cuts SQL into its statements.

/// The statements of a text, each with the comments above it, without the blank lines around it.
pub fn statements(sql: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < sql.len() {
        at += match skipped(&sql[at..]) {
            0 if sql[at..].starts_with(';') => {
                let length = 1 + remark(&sql[at + 1..]);
                found.push(sql[start..at + length].trim());
                start = at + length;
                length
            }
            0 => sql[at..].chars().next().map_or(1, char::len_utf8),
            length => length,
        };
    }
    found.push(sql[start..].trim());
    found.retain(|statement| !without_comments(statement).is_empty());
    found
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

/// How long the comment or the quoted text is that a text begins with; 0 where there is none.
fn skipped(sql: &str) -> usize {
    let end = |from: usize, mark: &str| {
        sql[from..]
            .find(mark)
            .map_or(sql.len(), |at| from + at + mark.len())
    };
    if sql.starts_with("--") {
        return end(2, "\n");
    }
    if sql.starts_with('\'') {
        return end(1, "'"); // '' is two texts side by side
    }
    if sql.starts_with('"') {
        return end(1, "\"");
    }
    dollar_quote(sql).map_or(0, |quote| end(quote.len(), quote))
}

/// The mark that a text begins with, `$$` or `$name$`.
pub fn dollar_quote(sql: &str) -> Option<&str> {
    let name = sql.strip_prefix('$')?;
    let length = name.find(|c: char| !(c.is_ascii_alphabetic() || c == '_'))?;
    name[length..].starts_with('$').then(|| &sql[..length + 2])
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_semicolon_in_a_text_a_name_a_comment_or_a_body_ends_nothing() {
        let sql = "-- one; and\nselect ';', 'it''s;';\ncreate function f() as $x$ a; $$;$$ b; $x$;\nselect \"a;b\"; -- end;\n";
        assert_eq!(
            statements(sql),
            [
                "-- one; and\nselect ';', 'it''s;';",
                "create function f() as $x$ a; $$;$$ b; $x$;",
                "select \"a;b\"; -- end;"
            ]
        );
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert!(statements("-- nothing\n\n-- more").is_empty());
    }
}
