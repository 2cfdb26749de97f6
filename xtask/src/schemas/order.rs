//! The order in which the pieces are made: as the folders have them, and what a piece needs before it.

use std::collections::{BTreeMap, BTreeSet};

use super::piece::{Kind, Piece};

/// The places of the pieces, each after all that it needs. Of each folder statements come before functions.
pub fn order(folders: &[Vec<Vec<Piece>>]) -> Vec<&Piece> {
    let mut pieces: Vec<&Piece> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::new();
    for folder in folders {
        let mut functions = Vec::new();
        for file in folder {
            let mut last = None;
            for piece in file {
                if piece.signature().is_some() {
                    functions.push(piece);
                } else {
                    before.push(last); // statements of a file keep their order
                    last = Some(pieces.len());
                    pieces.push(piece);
                }
            }
        }
        before.resize(pieces.len() + functions.len(), None);
        pieces.extend(functions);
    }
    let mut walk = Walk {
        definers: definers(&pieces),
        pieces: &pieces,
        before: &before,
        met: BTreeSet::new(),
        made: Vec::new(),
    };
    for at in 0..pieces.len() {
        walk.make(at);
    }
    walk.made
        .into_iter()
        .filter_map(|at| pieces.get(at).copied())
        .collect()
}

fn definers<'a>(pieces: &[&'a Piece]) -> BTreeMap<&'a str, Vec<usize>> {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, piece) in pieces.iter().enumerate() {
        if let Some(name) = &piece.defines {
            found.entry(name).or_default().push(at);
        }
    }
    found
}

struct Walk<'a> {
    pieces: &'a [&'a Piece],
    definers: BTreeMap<&'a str, Vec<usize>>,
    before: &'a [Option<usize>],
    met: BTreeSet<usize>,
    made: Vec<usize>,
}

impl Walk<'_> {
    fn make(&mut self, at: usize) {
        if !self.met.insert(at) {
            return;
        }
        if let Some(Some(before)) = self.before.get(at) {
            self.make(*before);
        }
        for needed in self.needed(at) {
            self.make(needed);
        }
        self.made.push(at);
    }

    /// The pieces that one needs; what runs needs all that it reaches.
    fn needed(&self, at: usize) -> Vec<usize> {
        let Some(piece) = self.pieces.get(at) else {
            return Vec::new();
        };
        let mut found = self.defined(&piece.needs);
        if piece.kind != Kind::Execution {
            return found;
        }
        let mut looked_at = BTreeSet::new();
        let mut next = 0;
        while let Some(reached) = found.get(next).copied() {
            next += 1;
            if let Some(piece) = self
                .pieces
                .get(reached)
                .filter(|_| looked_at.insert(reached))
            {
                found.extend(self.defined(&piece.uses));
            }
        }
        found
    }

    fn defined(&self, names: &BTreeSet<String>) -> Vec<usize> {
        names
            .iter()
            .filter_map(|name| self.definers.get(name.as_str()))
            .flatten()
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::piece::pieces;
    use super::order;

    /// The first lines of what is made, in its order. Each text is a file; each list a folder.
    fn made(folders: &[&[&str]]) -> Vec<String> {
        let folders: Vec<Vec<_>> = folders
            .iter()
            .map(|files| files.iter().map(|sql| pieces(sql).unwrap()).collect())
            .collect();
        let first_line = |sql: &str| sql.lines().next().unwrap_or_default().to_owned();
        order(&folders)
            .iter()
            .map(|piece| first_line(&piece.sql))
            .collect()
    }

    const F: &str = "create function m23.f() returns int\nlanguage sql as $$ select m23.g() $$;";
    const G: &str = "create function m23.g() returns int\nlanguage sql as $$ select 1 $$;";

    #[test]
    fn folders_come_in_their_order_and_of_each_the_functions_last() {
        let found = made(&[
            &[G, "create table m23.a (a int);"],
            &["create table m23.b (b int);"],
        ]);
        assert_eq!(
            found,
            [
                "create table m23.a (a int);",
                "create or replace function m23.g() returns int",
                "create table m23.b (b int);"
            ]
        );
    }

    #[test]
    fn what_a_table_refers_to_is_made_before_it() {
        let refers = "create table m23.a (b int references m23.b);";
        assert_eq!(
            made(&[&[refers, "create table m23.b (b int);"]]),
            ["create table m23.b (b int);", refers]
        );
    }

    #[test]
    fn what_runs_at_once_has_all_that_it_reaches() {
        let found = made(&[
            &["select m23.f();"],
            &[F, "create table m23.t (a int);"],
            &[G],
        ]);
        assert_eq!(found[2], "select m23.f();");
    }

    #[test]
    fn statements_of_a_file_keep_their_order() {
        let file = "create table m23.a (a int);\ncreate index a on m23.a (a);\ninsert into m23.a values (1);";
        let found = made(&[&["select 1 from m23.a where false;", file]]);
        assert_eq!(found[0], "create table m23.a (a int);");
        assert_eq!(
            found[2..],
            [
                "create index a on m23.a (a);",
                "insert into m23.a values (1);"
            ]
        );
    }

    #[test]
    fn functions_that_call_each_other_are_made_once() {
        let back = "create function m23.g() returns int\nlanguage sql as $$ select m23.f() $$;";
        assert_eq!(made(&[&[F, back, "select m23.f();"]]).len(), 3);
    }
}
