//! One piece of the schemas: a function with what is said of it, or another statement.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use regex::Regex;

use super::function::{self, Function};
use super::statements::{first_line, statements, without_comments};

/// A function, or a statement that prepares something: a table, an index, a policy, a row of settings.
pub struct Piece {
    /// The text in force, as a migration has it.
    pub sql: String,
    /// What it makes: `m23.tick`, `schema m23`.
    pub defines: Option<String>,
    /// What has to be there before it can be made.
    pub needs: BTreeSet<String>,
    /// What is named in its body: needed when it runs.
    pub uses: BTreeSet<String>,
    pub kind: Kind,
}

#[derive(PartialEq, Eq, Clone, Debug)]
pub enum Kind {
    /// Is made, and runs nothing.
    Definition,
    /// Runs while M23 is installed.
    Execution,
    Function {
        /// Its name and the types of its arguments.
        signature: String,
        /// The application may have put its own in this place.
        replaceable: bool,
    },
}

impl Piece {
    /// A function's name and the types of its arguments.
    pub fn signature(&self) -> Option<&str> {
        match &self.kind {
            Kind::Function { signature, .. } => Some(signature),
            Kind::Definition | Kind::Execution => None,
        }
    }
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("the pattern is one"));
    };
}
pub(super) use pattern;

pattern!(NAME, r#"\b(m23|m23_log|m23_staging|public)\.("[^"]+"|\w+)"#);
pattern!(
    DEFINED,
    r#"^create (?:unlogged )?(?:table|type|domain|view) ([\w.]+(?:"[^"]+")?)"#
);
pattern!(SCHEMA, r"^create (schema \w+);");
pattern!(COMMENTED, r"(?s)^comment on function (.+?\)) is\s");
pattern!(EXECUTION, r"^(select|do|insert)\b");

/// The pieces of a file, in its order.
pub fn pieces(sql: &str) -> Result<Vec<Piece>> {
    let mut found: Vec<Piece> = Vec::new();
    for statement in statements(sql)? {
        let code = without_comments(statement);
        if let Some(comment) = COMMENTED.captures(code) {
            match found.last_mut() {
                Some(piece) if piece.signature() == Some(&comment[1]) => {
                    function::add_comment(&mut piece.sql, code);
                }
                _ => bail!("a comment on {} does not stand below it", &comment[1]),
            }
        } else if code.starts_with("create function ") {
            found.push(of_function(function::read(statement)?));
        } else {
            found.push(other(statement)?);
        }
    }
    Ok(found)
}

fn of_function(function: Function) -> Piece {
    let name = function.name().to_owned();
    let but_itself = |mut names: BTreeSet<String>| {
        names.remove(&name);
        names
    };
    // What stands below its body runs at once.
    let needs = but_itself(
        names(&function.head)
            .into_iter()
            .chain(names(&function.grants))
            .collect(),
    );
    Piece {
        uses: but_itself(names(&function.sql)),
        needs,
        sql: function.sql,
        kind: Kind::Function {
            signature: function.signature,
            replaceable: function.replaceable,
        },
        defines: Some(name),
    }
}

fn other(statement: &str) -> Result<Piece> {
    let code = without_comments(statement);
    if let Some(line) = statement.lines().find(|line| function::is_directive(line)) {
        bail!("{line:?} stands above no function");
    }
    if code.starts_with("create or replace") || code.starts_with("comment on function") {
        bail!("cannot be read: {}", first_line(code));
    }
    let defines = DEFINED
        .captures(code)
        .or_else(|| SCHEMA.captures(code))
        .map(|found| found[1].to_owned());
    let mut needs = names(code);
    if let Some(own) = &defines {
        needs.remove(own);
    }
    let (uses, kind) = if EXECUTION.is_match(code) {
        (needs.clone(), Kind::Execution)
    } else {
        (BTreeSet::new(), Kind::Definition)
    };
    Ok(Piece {
        sql: statement.to_owned(),
        defines,
        needs,
        uses,
        kind,
    })
}

/// The names of M23's own schemas and of `public` in a statement, comments excepted.
pub fn names(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in code.lines() {
        let line = line.split("--").next().unwrap_or_default();
        for name in NAME.captures_iter(line) {
            found.insert(name[0].to_owned());
            found.insert(format!("schema {}", &name[1]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::pieces;

    const OVERLOADS: &str =
        "create function m23.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;
create function m23.f(p_a text) returns int\nlanguage sql as $$ select 2 $$;
";

    #[test]
    fn a_comment_belongs_to_the_overload_above_it() {
        let sql = format!("{OVERLOADS}comment on function m23.f(text) is 'two';");
        let found = pieces(&sql).unwrap();
        assert!(!found[0].sql.contains("comment on"));
        assert!(
            found[1]
                .sql
                .contains("\ncomment on function m23.f(text) is 'two';\nrevoke all")
        );
    }

    #[test]
    fn a_comment_on_another_overload_is_refused() {
        let sql = format!("{OVERLOADS}comment on function m23.f(int) is 'one';");
        assert!(pieces(&sql).is_err());
    }

    #[test]
    fn a_comment_above_its_function_is_refused() {
        assert!(pieces("comment on function m23.f(int) is 'one';").is_err());
    }

    #[test]
    fn a_table_takes_no_directives() {
        assert!(pieces("-- open to: service_role\ncreate table m23.t (a int);").is_err());
        assert!(pieces("-- What it is.\ncreate table m23.t (a int);").is_ok());
    }

    #[test]
    fn a_function_that_replaces_is_refused() {
        let sql = "create or replace function m23.f() returns int\nlanguage sql as $$ select 1 $$;";
        assert!(pieces(sql).is_err());
    }

    #[test]
    fn a_function_needs_what_its_head_names_and_uses_what_its_body_names() {
        let sql = "create function m23.f(p_a m23.t) returns int\nlanguage sql as $$ select m23.g() -- m23.h\n $$;";
        let found = pieces(sql).unwrap();
        assert!(found[0].needs.contains("m23.t") && !found[0].needs.contains("m23.g"));
        assert!(found[0].uses.contains("m23.g") && !found[0].uses.contains("m23.h"));
    }
}
