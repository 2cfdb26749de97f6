//! One piece of the schemas: a function with what is said of it, or another statement.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::Regex;

use super::statements::{dollar_quote, statements, without_comments};

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

#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum Kind {
    /// Is made, and runs nothing.
    Definition,
    /// Runs while M23 is installed.
    Execution,
    Function,
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("the pattern is one"));
    };
}
pattern!(NAME, r#"\b(m23|m23_log|m23_staging|public)\.("[^"]+"|\w+)"#);
pattern!(
    DEFINED,
    r#"^create (?:or replace )?(?:unlogged )?(?:table|type|domain|view|function) ([\w.]+(?:"[^"]+")?)"#
);
pattern!(SCHEMA, r"^create (schema \w+);");
pattern!(FUNCTION, r"^create function ([\w.]+)\s*\(");
pattern!(COMMENTED, r"^comment on function ([\w.]+)\s*\(");
pattern!(EXECUTION, r"^(select|do|insert)\b");
pattern!(SETTING, r"(?m)\s(set \w+)");

/// The pieces of a file, in its order.
pub fn pieces(sql: &str) -> Result<Vec<Piece>> {
    let mut found: Vec<Piece> = Vec::new();
    for statement in statements(sql) {
        let code = without_comments(statement);
        if let Some(name) = COMMENTED.captures(code) {
            match found.last_mut() {
                Some(function) if function.defines.as_deref() == Some(&name[1]) => {
                    let mark = function
                        .sql
                        .find("\nrevoke all")
                        .context("a function is closed")?;
                    function.sql.insert_str(mark, &format!("\n{code}"));
                }
                _ => bail!("a comment on {} does not stand below it", &name[1]),
            }
        } else if FUNCTION.is_match(code) {
            found.push(function(statement)?);
        } else {
            found.push(other(statement));
        }
    }
    Ok(found)
}

fn other(statement: &str) -> Piece {
    let code = without_comments(statement);
    let defines = DEFINED
        .captures(code)
        .or_else(|| SCHEMA.captures(code))
        .map(|found| found[1].to_owned());
    let execution = EXECUTION.is_match(code);
    let mut needs = names(code);
    if let Some(own) = &defines {
        needs.remove(own);
    }
    Piece {
        sql: statement.to_owned(),
        defines,
        uses: if execution {
            needs.clone()
        } else {
            BTreeSet::new()
        },
        needs,
        kind: if execution {
            Kind::Execution
        } else {
            Kind::Definition
        },
    }
}

/// A function gets what every function needs: a search path of its own, and nobody's right to execute it but of the
/// roles that a line above it names.
fn function(statement: &str) -> Result<Piece> {
    let code = without_comments(statement);
    let (comments, directives) = comments_of(&statement[..statement.len() - code.len()]);
    let mark = (0..code.len())
        .find(|at| code.is_char_boundary(*at) && dollar_quote(&code[*at..]).is_some())
        .with_context(|| format!("no body in dollar quotes: {}", first_line(code)))?;
    let (head, body) = code.split_at(mark);
    let signature = signature(head)?;
    let name = signature.split('(').next().unwrap_or_default().to_owned();
    let mut sql = format!(
        "{comments}{}{body}",
        header(head, directives.keeps_search_path)
    );
    sql += &format!(
        "\nrevoke all on function {signature} from public, anon, authenticated, service_role;"
    );
    if let Some(roles) = &directives.open_to {
        sql += &format!("\ngrant execute on function {signature} to {roles};");
    }
    if directives.pins_text || (directives.open_to.is_some() && name.starts_with("public.")) {
        sql += &format!("\nselect m23.pin_text('{signature}');");
    }
    let mut needs = names(head);
    needs.remove(&name);
    let mut uses = names(code);
    uses.remove(&name);
    if sql.contains("m23.pin_text(") {
        needs.insert("m23.pin_text".to_owned());
    }
    needs.remove(&name);
    Ok(Piece {
        sql,
        defines: Some(name),
        needs,
        uses,
        kind: Kind::Function,
    })
}

#[derive(Default)]
struct Directives {
    open_to: Option<String>,
    pins_text: bool,
    keeps_search_path: bool,
}

/// The comments above a function, and what some of them ask for.
fn comments_of(text: &str) -> (String, Directives) {
    let mut directives = Directives::default();
    let mut comments = String::new();
    for line in text.lines() {
        if let Some(roles) = line.strip_prefix("-- open to: ") {
            directives.open_to = Some(roles.trim().to_owned());
        } else if line == "-- runs under: text settings" {
            directives.pins_text = true;
        } else if line == "-- search path: the caller's" {
            directives.keeps_search_path = true;
        } else {
            comments += line;
            comments.push('\n');
        }
    }
    (comments, directives)
}

/// The part before a function's body, with a search path among its settings.
fn header(head: &str, keeps_search_path: bool) -> String {
    let head = head.replacen("create function", "create or replace function", 1);
    if keeps_search_path {
        return head;
    }
    let clauses = head.rfind(')').unwrap_or(0);
    let clauses = head[clauses..]
        .find('\n')
        .map_or(clauses, |line| clauses + line);
    let body = head.trim_end().len() - "as".len();
    let at = SETTING.captures(&head[clauses..]).map_or(body, |set| {
        clauses + set.get(1).map_or(0, |set| set.start())
    });
    format!("{}set search_path = '' {}", &head[..at], &head[at..])
}

/// A function's name and the types of its arguments: `m23.tick(bigint, text)`.
fn signature(head: &str) -> Result<String> {
    let open = head.find('(').context("a function has arguments")?;
    let mut depth = 0;
    let mut arguments = vec![String::new()];
    for c in head[open..].chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        match c {
            _ if depth == 0 => break,
            ',' if depth == 1 => arguments.push(String::new()),
            '(' if depth == 1 && arguments == [""] => {}
            _ => arguments.last_mut().context("one is there")?.push(c),
        }
    }
    let types: Vec<String> = arguments
        .iter()
        .filter_map(|argument| type_of(argument))
        .collect();
    let name = head[..open].trim_start_matches("create function").trim();
    Ok(format!("{name}({})", types.join(", ")))
}

/// The type of an argument, without its name, mode and default.
fn type_of(argument: &str) -> Option<String> {
    let argument = argument.split(" default ").next().unwrap_or_default();
    let mut words: Vec<&str> = argument.split_whitespace().collect();
    if matches!(words.first(), Some(&"variadic" | &"inout" | &"in")) {
        words.remove(0);
    }
    match words.first() {
        None | Some(&"out") => return None,
        Some(name) if words.len() > 1 && name.starts_with("p_") => {
            words.remove(0);
        }
        Some(_) => {}
    }
    Some(words.join(" "))
}

/// The names of M23's own schemas and of `public` in a statement, comments excepted.
fn names(code: &str) -> BTreeSet<String> {
    let code: Vec<&str> = code
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for name in NAME.captures_iter(&code) {
        found.insert(name[0].to_owned());
        found.insert(format!("schema {}", &name[1]));
    }
    found
}

fn first_line(code: &str) -> &str {
    code.lines().next().unwrap_or_default()
}
