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
                if piece.kind == Kind::Function {
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
