//! The migration from what older migrations have installed to a tree.

use std::collections::BTreeMap;

use super::piece::Kind;
use super::statements::{statements, without_comments};
use super::{ENDING, Tree, heading, taken};

/// What changes older migrations into the tree: the part that was written by hand, functions that have gone or give
/// another type, and functions that are new or changed. Nothing where nothing has changed.
pub fn upgrade(installed: &str, tree: &Tree, by_hand: &str, version: &str) -> Option<String> {
    let before = functions(installed);
    let pieces = tree.pieces();
    let now: BTreeMap<String, &str> = pieces
        .iter()
        .filter(|piece| piece.kind == Kind::Function)
        .map(|piece| (signature(&piece.sql), piece.sql.as_str()))
        .collect();
    let mut sql = String::new();
    for (signature, text) in &before {
        if now
            .get(signature)
            .is_none_or(|new| shape(new) != shape(text))
        {
            sql += &format!("drop function if exists {signature};\n");
        }
    }
    let new: Vec<_> = pieces
        .iter()
        .filter(|piece| piece.kind == Kind::Function)
        .filter(|piece| {
            before
                .get(&signature(&piece.sql))
                .is_none_or(|text| *text != piece.sql)
        })
        .copied()
        .collect();
    let by_hand = by_hand.trim();
    if sql.is_empty() && new.is_empty() && by_hand.is_empty() {
        return None;
    }
    let added: Vec<_> = new
        .iter()
        .filter(|piece| !before.contains_key(&signature(&piece.sql)))
        .copied()
        .collect();
    let mut text = heading(version) + &taken::refusal(&added);
    text += &sql;
    if !by_hand.is_empty() {
        text += &format!("\n-- By hand: tables, and what stands in them.\n\n{by_hand}\n");
    }
    text.push('\n');
    for piece in new {
        text += &piece.sql;
        text += "\n\n";
    }
    Some(text + ENDING)
}

/// What stands below a function, and belongs to it.
const SAID_OF_FUNCTIONS: [&str; 4] = [
    "comment on function",
    "revoke all on function",
    "grant execute on function",
    "select m23.pin_text",
];

/// The functions that migrations have made, with all that is said of each.
fn functions(migrations: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut last = None;
    for statement in statements(migrations) {
        let code = without_comments(statement);
        if code.starts_with("create or replace function") {
            let block = statement.to_owned();
            last = Some(block);
        } else if let Some(gone) = code.strip_prefix("drop function if exists ") {
            found.remove(gone.trim_end_matches(';'));
        } else if let Some(block) = &mut last
            && SAID_OF_FUNCTIONS
                .iter()
                .any(|start| code.starts_with(start))
        {
            *block += &format!("\n{statement}");
        }
        if let Some(block) = &last
            && block.contains("\nrevoke all on function ")
        {
            found.insert(signature(block), block.clone());
        }
    }
    found
}

/// The signature in a function's block, where it is closed.
fn signature(block: &str) -> String {
    let start = block
        .find("\nrevoke all on function ")
        .map_or(0, |at| at + "\nrevoke all on function ".len());
    block[start..]
        .split(" from public, anon")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// What `create or replace` cannot change: the names of arguments and what is given.
fn shape(block: &str) -> &str {
    let code = without_comments(block);
    code.split("\nlanguage ")
        .next()
        .unwrap_or_default()
        .split(" language ")
        .next()
        .unwrap_or_default()
}
