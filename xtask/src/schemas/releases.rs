//! `supabase/releases`: the versions of M23, their migrations, and which of them are frozen.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Tree, upgrade};

/// A line of `supabase/releases`: version, migration, and the SHA-256 of a frozen one.
struct Release {
    version: String,
    migration: String,
    frozen: Option<String>,
}

impl Release {
    fn file(&self) -> String {
        format!(
            "{}_m23_{}.sql",
            self.migration,
            self.version.replace('.', "_")
        )
    }
}

/// Writes the migration of the version that is not released yet, and `install.sql`. A frozen migration is never
/// written again: one that was changed is refused.
pub fn write_migrations(supabase: &Path) -> Result<()> {
    let tree = Tree::read(&supabase.join("schemas"))?;
    let folder = supabase.join("migrations");
    let releases = read(&supabase.join("releases"))?;
    let (newest, older) = releases
        .split_last()
        .context("supabase/releases names no version")?;
    let mut installed = Vec::new();
    for release in older {
        installed.push(frozen(&folder, release)?);
    }
    if newest.frozen.is_some() {
        installed.push(frozen(&folder, newest)?);
        let rest = upgrade(&installed.concat(), &tree, "", &newest.version);
        if rest.is_some() {
            bail!(
                "supabase/schemas differs from {}, which is frozen: begin a new version in supabase/releases",
                newest.version
            );
        }
    } else {
        let by_hand = fs::read_to_string(supabase.join(format!("upgrades/{}.sql", newest.version)))
            .unwrap_or_default();
        let sql = if installed.is_empty() {
            tree.install(&newest.version)
        } else {
            upgrade(&installed.concat(), &tree, &by_hand, &newest.version)
                .context("the new version changes nothing")?
        };
        fs::write(folder.join(newest.file()), sql)?;
    }
    fs::write(
        supabase.join("install.sql"),
        format!("begin;\n\n{}\ncommit;\n", tree.install(&newest.version)),
    )?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Release>> {
    let text = fs::read_to_string(path).context("supabase/releases cannot be read")?;
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [version, migration, hash] = words[..] else {
            bail!("supabase/releases: three words a line, not {line:?}");
        };
        let frozen = (hash != "-").then(|| hash.to_owned());
        found.push(Release {
            version: version.to_owned(),
            migration: migration.to_owned(),
            frozen,
        });
    }
    Ok(found)
}

/// The text of a frozen migration, which must be what was released.
fn frozen(folder: &Path, release: &Release) -> Result<String> {
    let file = release.file();
    let sql = fs::read_to_string(folder.join(&file))
        .with_context(|| format!("the migration {file} is missing"))?;
    let wanted = release
        .frozen
        .as_deref()
        .with_context(|| format!("{} is not frozen, and not the newest", release.version))?;
    let mut hash = String::new();
    for byte in Sha256::digest(sql.as_bytes()) {
        write!(hash, "{byte:02x}")?;
    }
    if hash != wanted {
        bail!(
            "the migration {file} was released and has been changed since: put it back; changes belong to a new version"
        );
    }
    Ok(sql)
}
