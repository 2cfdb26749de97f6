//! `supabase/schemas`, the database half as it is read and edited, and the migrations that are written from it.

mod order;
mod piece;
mod releases;
mod statements;
mod taken;
mod upgrade;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use piece::Piece;

pub use releases::write_migrations;
pub use upgrade::upgrade;

/// The folders of a tree, each with its files, each with its pieces.
pub struct Tree {
    folders: Vec<Vec<Vec<Piece>>>,
}

impl Tree {
    /// Reads a tree `NN_topic/*.sql`.
    pub fn read(root: &Path) -> Result<Tree> {
        let read = |path: &PathBuf| {
            let sql = fs::read_to_string(path)?;
            piece::pieces(&sql).with_context(|| path.display().to_string())
        };
        let folders = entries(root)?
            .iter()
            .map(|folder| entries(folder)?.iter().map(read).collect())
            .collect::<Result<_>>()?;
        Ok(Tree { folders })
    }

    /// The pieces in the order in which they can be made.
    fn pieces(&self) -> Vec<&Piece> {
        order::order(&self.folders)
    }

    /// All of M23, for a database that does not have it.
    pub fn install(&self, version: &str) -> String {
        let pieces = self.pieces();
        let mut sql = heading(version);
        sql += &taken::refusal(&pieces);
        for piece in pieces {
            sql += &piece.sql;
            sql += "\n\n";
        }
        sql += ENDING;
        sql
    }
}

fn heading(version: &str) -> String {
    format!(
        "-- M23 {version}. Written by `cargo xtask generate` from supabase/schemas: edit that, and never this.\n\n\
         set check_function_bodies = off;  -- functions may name what comes after them\n\n"
    )
}

const ENDING: &str = "reset check_function_bodies;\nnotify pgrst, 'reload schema';\n";

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.sort();
    Ok(found)
}
