//! `supabase/schemas`, the database half as it is read and edited, and the migrations that are written from it.

mod function;
mod lines;
mod order;
mod piece;
mod releases;
#[cfg(test)]
mod rules;
mod statements;
mod taken;
mod upgrade;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use piece::{Kind, Piece};

pub use releases::write_migrations;

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
        let mut parts = vec![heading(version), INSTALLED_ALREADY.to_owned()];
        let pieces = self.pieces();
        let taken = taken::Names::of(pieces.iter().map(|piece| piece.sql.as_str()));
        parts.push(taken.refusal().trim_end().to_owned());
        parts.extend(pieces.iter().map(|piece| piece.sql.clone()));
        parts.push("reset check_function_bodies;\nnotify pgrst, 'reload schema';\n".to_owned());
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    /// The functions by their signatures. One that the application may have put its own in the place of is as it was.
    fn functions<'a>(&'a self, before: &'a BTreeMap<String, String>) -> BTreeMap<&'a str, &'a str> {
        let text = |piece: &'a Piece| match &piece.kind {
            Kind::Function {
                signature,
                replaceable,
            } => {
                let kept = before.get(signature).filter(|_| *replaceable);
                Some((signature.as_str(), kept.unwrap_or(&piece.sql).as_str()))
            }
            Kind::Definition | Kind::Execution => None,
        };
        self.folders
            .iter()
            .flatten()
            .flatten()
            .filter_map(text)
            .collect()
    }
}

fn heading(version: &str) -> String {
    format!(
        "-- M23 {version}. Written by `cargo xtask generate` from supabase/schemas: edit that, and never this.\n\n\
         set check_function_bodies = off;  -- functions may name what comes after them"
    )
}

const INSTALLED_ALREADY: &str = r"do $$
declare v_is text;
begin
  if to_regprocedure('m23.version()') is not null then
    execute 'select m23.version()' into v_is;
    raise exception 'M23 is installed already, release %', v_is
      using errcode = 'duplicate_object', hint = 'To upgrade it: docs/getting-started.md. Nothing was changed.';
  end if;
end $$;";

/// The folders or files of a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    found.sort();
    Ok(found)
}
