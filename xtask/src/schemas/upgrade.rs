//! The migration from what older migrations have installed to a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use anyhow::{Result, bail};
use regex::Regex;

use super::function::CLOSED;
use super::piece::{names, pattern};
use super::statements::{statements, without_comments};
use super::taken::Names;
use super::{Tree, heading};

pattern!(
    DROPPED_TYPE,
    r"^drop (?:type|domain|table|view)(?: if exists)? ([\w.]+)"
);
pattern!(
    DEPENDANT,
    r"^create (?:policy|view|trigger|table|index|event trigger)\b"
);
pattern!(MADE_FUNCTION, r"^create or replace function\b");
pattern!(CLAUSES, r"\slanguage\s");

/// What older migrations have installed.
pub struct Installed<'a> {
    pub version: &'a str,
    statements: Vec<&'a str>,
    /// The functions by their signatures, with all that is said of each.
    functions: BTreeMap<String, String>,
}

impl<'a> Installed<'a> {
    pub fn read(version: &'a str, migrations: &'a str) -> Result<Self> {
        let statements = statements(migrations)?;
        Ok(Self {
            version,
            functions: functions(&statements),
            statements,
        })
    }
}

/// The part of an upgrade that is written by hand: what changes tables and what stands in them.
#[derive(Default)]
pub struct ByHand {
    before: String,
    between: String,
    after: String,
}

const PARTS: [&str; 3] = [
    "-- Part: with the functions of before.",
    "-- Part: between.",
    "-- Part: with the functions of now.",
];

impl ByHand {
    /// Cuts a file at the lines that begin its parts.
    pub fn read(text: &str) -> Result<Self> {
        let mut parts = [String::new(), String::new(), String::new()];
        let mut part = None;
        for line in text.lines() {
            if let Some(begun) = PARTS.iter().position(|start| *start == line) {
                part = Some(begun);
            } else if line.starts_with("-- Part") {
                bail!("{line:?} is none of: {}", PARTS.join(" "));
            }
            match part.and_then(|part| parts.get_mut(part)) {
                Some(part) => *part += &format!("{line}\n"),
                None if line.is_empty() || line.starts_with("--") => {}
                None => bail!("stands above the first part: {line}"),
            }
        }
        let [before, between, after] = parts.map(|part| part.trim().to_owned());
        Ok(Self {
            before,
            between,
            after,
        })
    }

    fn is_empty(&self) -> bool {
        [&self.before, &self.between, &self.after]
            .iter()
            .all(|part| part.is_empty())
    }

    /// The types that are made anew, by which their functions have to be made anew.
    fn dropped_types(&self) -> Result<BTreeSet<String>> {
        let dropped = statements(&self.between)?
            .into_iter()
            .filter_map(|statement| DROPPED_TYPE.captures(without_comments(statement)))
            .map(|found| found[1].to_owned())
            .collect();
        Ok(dropped)
    }
}

/// What changes older migrations into the tree. Functions that have gone or that `create or replace` cannot change are
/// dropped, and those that are new or changed are made; the parts by hand stand around that. Nothing where nothing has
/// changed.
pub fn upgrade(
    installed: &Installed<'_>,
    tree: &Tree,
    by_hand: &ByHand,
    version: &str,
) -> Result<Option<String>> {
    let now = tree.functions(&installed.functions);
    let types = by_hand.dropped_types()?;
    let dropped: Vec<&str> = installed
        .functions
        .iter()
        .filter(|(signature, text)| {
            let new = now.get(signature.as_str());
            new.is_none_or(|new| shape(new) != shape(text))
                || !types.is_disjoint(&names(&shape(text)))
        })
        .map(|(signature, _)| signature.as_str())
        .collect();
    if by_hand.before.is_empty() {
        refuse_dependants(installed, &dropped)?;
    }
    let made: Vec<&str> = tree
        .pieces()
        .into_iter()
        .filter_map(|piece| now.get_key_value(piece.signature()?))
        .filter(|(signature, text)| {
            let before = installed.functions.get(**signature).map(String::as_str);
            before != Some(**text) || dropped.contains(signature)
        })
        .map(|(_, text)| *text)
        .collect();
    if dropped.is_empty() && made.is_empty() && by_hand.is_empty() {
        return Ok(None);
    }
    let taken = Names::of(tree.pieces().iter().map(|piece| piece.sql.as_str()))
        .without(&Names::of(installed.statements.iter().copied()));
    let drops: Vec<String> = dropped
        .iter()
        .map(|signature| format!("drop function {signature};"))
        .collect();
    let mut parts = vec![
        heading(version),
        UPGRADES_FROM
            .replace("{from}", installed.version)
            .replace("{to}", version),
        taken.refusal().trim_end().to_owned(),
        by_hand.before.clone(),
        drops.join("\n"),
        by_hand.between.clone(),
    ];
    parts.extend(made.iter().map(|&text| text.to_owned()));
    parts.push(by_hand.after.clone());
    parts.push(ENDING.to_owned());
    parts.retain(|part| !part.is_empty());
    Ok(Some(parts.join("\n\n") + "\n"))
}

/// Where functions are dropped that something else hangs on, somebody has to drop and make that by hand.
fn refuse_dependants(installed: &Installed<'_>, dropped: &[&str]) -> Result<()> {
    let gone: BTreeSet<String> = dropped
        .iter()
        .filter_map(|signature| Some(signature.split_once('(')?.0.to_owned()))
        .collect();
    for statement in &installed.statements {
        let code = without_comments(statement);
        let named = names(code);
        if DEPENDANT.is_match(code)
            && let Some(function) = named.intersection(&gone).next()
        {
            bail!(
                "{function} is dropped, and this hangs on it, so drop it by hand first ({}): {code}",
                PARTS[0]
            );
        }
    }
    Ok(())
}

const UPGRADES_FROM: &str = r"do $$
declare v_is text;
begin
  if to_regprocedure('m23.version()') is null then
    raise exception 'M23 is not installed here' using hint = 'This file upgrades it from {from} to {to}.';
  end if;
  execute 'select m23.version()' into v_is;
  if v_is <> '{from}' then
    raise exception 'M23 is of release % here', v_is using hint = 'This file upgrades it from {from} to {to}.';
  end if;
end $$;";

/// What the functions of now have generated takes the place of what those of before had.
const ENDING: &str =
    "reset check_function_bodies;\nselect m23.write_captures();\nnotify pgrst, 'reload schema';";

/// What stands below a function, and belongs to it.
const SAID_OF_FUNCTIONS: [&str; 4] = [
    "comment on function ",
    "revoke all on function ",
    "grant execute on function ",
    "select m23.pin_text(",
];

/// The functions that migrations have made, with all that is said of each.
fn functions(statements: &[&str]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut block: Option<String> = None;
    for statement in statements {
        let code = without_comments(statement);
        if MADE_FUNCTION.is_match(code) {
            block = Some((*statement).to_owned());
        } else if let Some(text) = &mut block
            && SAID_OF_FUNCTIONS.iter().any(|said| code.starts_with(said))
        {
            *text += &format!("\n{statement}");
        } else {
            block = None;
        }
        if let Some(gone) = code.strip_prefix("drop function ") {
            found.remove(gone.trim_end_matches(';'));
        }
        if let Some(text) = &block
            && let Some(signature) = signature(text)
        {
            found.insert(signature, text.clone());
        }
    }
    found
}

/// The signature in a function's block, where it is closed.
fn signature(block: &str) -> Option<String> {
    let (_, closed) = block.rsplit_once(CLOSED)?;
    Some(in_one_line(closed.split_once("from public,")?.0))
}

/// What `create or replace` cannot change: the names of arguments and what is given.
fn shape(block: &str) -> String {
    let code = without_comments(block);
    let head = CLAUSES.split(code).next().unwrap_or_default();
    in_one_line(head)
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
