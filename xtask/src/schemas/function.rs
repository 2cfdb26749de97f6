//! A function of the schemas, with what the generator adds to it: a search path of its own, and nobody's right to
//! execute it but of the roles that a line above it names.

use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::Regex;

use super::lines::{WIDTH, folded};
use super::piece::pattern;
use super::statements::{dollar_quote, first_line, token, without_comments};

pattern!(SETTING, r"\s(set \w+)");

/// A function as a migration has it.
pub struct Function {
    pub sql: String,
    /// Its name and the types of its arguments: `m23.tick(bigint, text)`.
    pub signature: String,
    /// What stands before its body.
    pub head: String,
    /// What stands below its body.
    pub grants: String,
    pub replaceable: bool,
}

impl Function {
    pub fn name(&self) -> &str {
        self.signature.split('(').next().unwrap_or_default()
    }
}

/// Reads `create function …`, with the lines above it that ask for something.
pub fn read(statement: &str) -> Result<Function> {
    let code = without_comments(statement);
    let (comments, asked) = directives(&statement[..statement.len() - code.len()])?;
    let mark = (0..code.len())
        .find(|at| code.is_char_boundary(*at) && dollar_quote(&code[*at..]).is_some())
        .with_context(|| format!("no body in dollar quotes: {}", first_line(code)))?;
    let (head, body) = code.split_at(mark);
    let signature = signature(head)?;
    let mut grants = format!("{CLOSED}{signature} from public, anon, authenticated, service_role;");
    if let Some(roles) = &asked.open_to {
        grants += &format!("\ngrant execute on function {signature} to {roles};");
    }
    let is_called = asked.open_to.is_some() && signature.starts_with("public.");
    if asked.pins_text || is_called {
        grants += &format!("\nselect m23.pin_text('{signature}');");
    }
    let grants = folded(&grants);
    let header = before_body(&header(head, asked.keeps_search_path)?, first_line(body));
    Ok(Function {
        sql: format!("{comments}{header}{body}{grants}"),
        signature,
        head: head.to_owned(),
        grants,
        replaceable: asked.replaceable,
    })
}

/// How the statement begins that closes a function.
pub const CLOSED: &str = "\nrevoke all on function ";

/// Puts a comment on a function below its body.
pub fn add_comment(sql: &mut String, comment: &str) {
    if let Some(at) = sql.rfind(CLOSED) {
        sql.insert_str(at, &format!("\n{comment}"));
    }
}

#[derive(Default)]
struct Directives {
    open_to: Option<String>,
    pins_text: bool,
    keeps_search_path: bool,
    replaceable: bool,
}

const DIRECTIVES: [&str; 4] = ["open to", "runs under", "search path", "replaceable"];
const ROLES: [&str; 3] = ["anon", "authenticated", "service_role"];

/// The comments above a function, and what some of them ask for.
fn directives(text: &str) -> Result<(String, Directives)> {
    let mut asked = Directives::default();
    let mut comments = String::new();
    for line in text.lines() {
        match line {
            "-- runs under: text settings" => asked.pins_text = true,
            "-- search path: the caller's" => asked.keeps_search_path = true,
            "-- replaceable: the application may have its own" => asked.replaceable = true,
            _ => {
                if let Some(roles) = line.strip_prefix("-- open to: ") {
                    asked.open_to = Some(known_roles(roles)?.to_owned());
                } else if is_directive(line) {
                    bail!("nothing is known that is asked for like this: {line}");
                } else {
                    comments += line;
                    comments.push('\n');
                }
            }
        }
    }
    Ok((comments, asked))
}

fn known_roles(roles: &str) -> Result<&str> {
    match roles.split(", ").find(|role| !ROLES.contains(role)) {
        Some(unknown) => bail!(
            "functions are opened to {}, and not to {unknown:?}",
            ROLES.join(", ")
        ),
        None => Ok(roles),
    }
}

/// Whether a line asks for something, or was meant to: it begins with nearly such words.
pub fn is_directive(line: &str) -> bool {
    let Some((words, _)) = line
        .strip_prefix("--")
        .and_then(|comment| comment.split_once(':'))
    else {
        return false;
    };
    let words = words.trim().to_lowercase();
    DIRECTIVES
        .iter()
        .any(|known| strsim::levenshtein(known, &words) <= 3)
}

/// The part before a function's body, with a search path among its settings.
fn header(head: &str, keeps_search_path: bool) -> Result<String> {
    let Some(before_body) = head.trim_end().strip_suffix("as") else {
        bail!("`as` does not stand before the body: {}", first_line(head));
    };
    let new = head.replacen("create function", "create or replace function", 1);
    if keeps_search_path {
        return Ok(new);
    }
    if head.contains("search_path") {
        bail!("the search path is added here: {}", first_line(head));
    }
    let clauses = head.rfind(')').unwrap_or(0);
    let at = SETTING
        .captures(&before_body[clauses..])
        .and_then(|set| set.get(1))
        .map_or(before_body.len(), |set| clauses + set.start());
    let at = at + (new.len() - head.len());
    Ok(format!("{}set search_path = '' {}", &new[..at], &new[at..]))
}

/// A function's head in lines of at most 120 columns, the last of which ends where the body begins.
fn before_body(head: &str, body: &str) -> String {
    let head = folded(head);
    let last = head.rsplit('\n').next().unwrap_or_default();
    if last.len() + body.len() > WIDTH {
        return format!("{}\n", head.trim_end());
    }
    head
}

/// A function's name and the types of its arguments.
fn signature(head: &str) -> Result<String> {
    let open = head.find('(').context("a function has arguments")?;
    let name = head[..open].trim_start_matches("create function").trim();
    let types: Vec<String> = arguments(&head[open + 1..])?
        .iter()
        .filter_map(|argument| type_of(argument))
        .collect();
    Ok(format!("{name}({})", types.join(", ")))
}

/// Cuts what stands between brackets at its commas, up to the closing one.
fn arguments(text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut argument = String::new();
    let (mut depth, mut at) = (0, 0);
    loop {
        let part = &text[at..at + token(&text[at..])?];
        match part {
            "" => bail!("arguments without an end: {}", first_line(text)),
            "(" | "[" => depth += 1,
            ")" if depth == 0 => break,
            ")" | "]" => depth -= 1,
            _ => {}
        }
        if part == "," && depth == 0 {
            found.push(std::mem::take(&mut argument));
        } else if !part.starts_with("--") {
            argument += part;
        }
        at += part.len();
    }
    found.push(argument);
    Ok(found)
}

/// What the names of types begin with that are several words.
const BEGINS_A_TYPE: [&str; 6] = [
    "double",
    "timestamp",
    "time",
    "character",
    "bit",
    "interval",
];

/// The type of an argument, without its name, mode and default; none of what is given back.
fn type_of(argument: &str) -> Option<String> {
    let argument = argument.split(" default ").next().unwrap_or_default();
    let mut words: Vec<&str> = argument.split_whitespace().collect();
    if matches!(words.first(), Some(&"variadic" | &"inout" | &"in")) {
        words.remove(0);
    }
    match words.first() {
        None | Some(&"out") => return None,
        Some(name) if words.len() > 1 && !BEGINS_A_TYPE.contains(name) => {
            words.remove(0);
        }
        Some(_) => {}
    }
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{read, signature};

    fn sql(statement: &str) -> String {
        read(statement).unwrap().sql
    }

    const CLOSED: &str =
        "revoke all on function m23.f(int) from public, anon, authenticated, service_role;";

    #[test]
    fn a_function_gets_a_search_path_and_is_closed() {
        let said = "create function m23.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;";
        let made = "create or replace function m23.f(p_a int) returns int\nlanguage sql set search_path = '' as $$ select 1 $$;";
        assert_eq!(sql(said), format!("{made}\n{CLOSED}"));
    }

    #[test]
    fn the_search_path_stands_before_other_settings() {
        let said = "create function m23.f(p_a int) returns table (a int)\nlanguage sql security definer set row_security = off\nset jit = off as\n$x$ select ')' $x$;";
        let made = "create or replace function m23.f(p_a int) returns table (a int)\nlanguage sql security definer set search_path = '' set row_security = off\nset jit = off as\n$x$ select ')' $x$;";
        assert_eq!(sql(said), format!("{made}\n{CLOSED}"));
    }

    #[test]
    fn lines_above_it_open_it_and_leave_the_others() {
        let said = "-- What it does.\n-- open to: authenticated, service_role\n-- search path: the caller's\n-- runs under: text settings\ncreate function m23.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;";
        let made = "-- What it does.\ncreate or replace function m23.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;";
        let grants = "grant execute on function m23.f(int) to authenticated, service_role;\nselect m23.pin_text('m23.f(int)');";
        assert_eq!(sql(said), format!("{made}\n{CLOSED}\n{grants}"));
    }

    #[test]
    fn what_callers_reach_runs_under_text_settings() {
        let said = "-- open to: service_role\ncreate function public.f() returns int\nlanguage sql as $$ select 1 $$;";
        assert!(sql(said).ends_with("\nselect m23.pin_text('public.f()');"));
    }

    #[test]
    fn an_unknown_role_or_a_misspelt_line_is_refused() {
        for line in [
            "-- open to: authenticated, services",
            "-- open to: public",
            "-- open to:",
            "-- open to : anon",
            "-- opens to: anon",
            "-- Open to: anon",
            "--open to: anon",
            "-- runs under: texts settings",
            "-- run under: text settings",
            "-- serach path: the caller's",
            "-- replacable: the application may have its own",
        ] {
            let said = format!(
                "{line}\ncreate function m23.f() returns int\nlanguage sql as $$ select 1 $$;"
            );
            assert!(read(&said).is_err(), "{line}");
        }
    }

    #[test]
    fn a_comment_with_a_colon_is_a_comment() {
        let said = "-- moment: those are as the log has them\ncreate function m23.f() returns int\nlanguage sql as $$ select 1 $$;";
        assert!(sql(said).starts_with("-- moment: those"));
    }

    #[test]
    fn a_search_path_of_its_own_is_refused() {
        let said = "create function m23.f() returns int\nlanguage sql set search_path = public as $$ select 1 $$;";
        assert!(read(said).is_err());
    }

    #[test]
    fn a_signature_has_types_alone() {
        for (head, wanted) in [
            ("create function m23.f() returns int", "m23.f()"),
            (
                "create function m23.f(p_a text[], p_b double precision) returns int",
                "m23.f(text[], double precision)",
            ),
            (
                "create function m23.f(p_a text[] default array['a', 'b'], p_b text default ',)', p_c numeric(3, 1) default round(1, 2)) as",
                "m23.f(text[], text, numeric(3, 1))",
            ),
            (
                "create function m23.f(p_a int,\n  -- one, more\n  variadic p_b text[]) as",
                "m23.f(int, text[])",
            ),
            (
                "create function m23.f(p_a int, out bytes bigint, inout p_b int) as",
                "m23.f(int, int)",
            ),
            ("create function m23.f(int, m23.t) as", "m23.f(int, m23.t)"),
            (
                "create function m23.f(root regclass default null, via timestamp with time zone) as",
                "m23.f(regclass, timestamp with time zone)",
            ),
        ] {
            assert_eq!(signature(head).unwrap(), wanted);
        }
    }
}
