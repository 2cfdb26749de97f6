//! `supabase/releases`: the versions of M23, their migrations, and which of them are frozen.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::upgrade::{ByHand, Installed, upgrade};
use super::{Tree, entries};

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
    for (path, sql) in generated(supabase)? {
        fs::write(&path, sql).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// The files that are written from a folder's schemas, and what stands in them.
fn generated(supabase: &Path) -> Result<Vec<(PathBuf, String)>> {
    let tree = Tree::read(&supabase.join("schemas"))?;
    let folder = supabase.join("migrations");
    let releases = read(&supabase.join("releases"))?;
    let (newest, older) = releases
        .split_last()
        .context("supabase/releases names no version")?;
    refuse_strangers(supabase, &releases)?;
    refuse_another_version(&tree, newest)?;
    let install = format!("begin;\n\n{}\ncommit;\n", tree.install(&newest.version));
    let mut files = vec![(supabase.join("install.sql"), install)];
    let installed: Vec<String> = older
        .iter()
        .chain(newest.frozen.as_ref().map(|_| newest))
        .map(|release| frozen(&folder, release))
        .collect::<Result<_>>()?;
    let installed = installed.concat();
    if newest.frozen.is_some() {
        let installed = Installed::read(&newest.version, &installed)?;
        if upgrade(&installed, &tree, &ByHand::default(), &newest.version)?.is_some() {
            bail!(
                "supabase/schemas differs from {}, which is frozen: begin a new version in supabase/releases",
                newest.version
            );
        }
        return Ok(files);
    }
    let sql = match older.last() {
        None => tree.install(&newest.version),
        Some(last) => {
            let by_hand = by_hand(&supabase.join("upgrades"), newest)?;
            let installed = Installed::read(&last.version, &installed)?;
            upgrade(&installed, &tree, &by_hand, &newest.version)?
                .context("the new version changes nothing")?
        }
    };
    files.push((folder.join(newest.file()), sql));
    Ok(files)
}

/// The part by hand, where there is one.
fn by_hand(folder: &Path, release: &Release) -> Result<ByHand> {
    let path = folder.join(format!("{}.sql", release.version));
    if !path.exists() {
        return Ok(ByHand::default());
    }
    ByHand::read(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())
}

/// A file that belongs to no release was forgotten, or has a mistake in its name.
fn refuse_strangers(supabase: &Path, releases: &[Release]) -> Result<()> {
    let migrations: Vec<String> = releases.iter().map(Release::file).collect();
    let upgrades: Vec<String> = releases
        .iter()
        .map(|release| format!("{}.sql", release.version))
        .collect();
    for (folder, known) in [("migrations", migrations), ("upgrades", upgrades)] {
        let folder = supabase.join(folder);
        if !folder.exists() {
            continue;
        }
        for path in entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_none_or(|name| !known.iter().any(|one| one == name)) {
                bail!(
                    "{} belongs to no version of supabase/releases",
                    path.display()
                );
            }
        }
    }
    Ok(())
}

/// The database says which version it is: that of the tree has to be the newest.
fn refuse_another_version(tree: &Tree, newest: &Release) -> Result<()> {
    let none = std::collections::BTreeMap::new();
    let functions = tree.functions(&none);
    for (function, said) in [
        ("m23.version()", &newest.version),
        ("m23.newest_migration()", &newest.migration),
    ] {
        if let Some(sql) = functions.get(function)
            && !sql.contains(&format!("'{said}'"))
        {
            bail!("{function} does not give {said}, the newest of supabase/releases");
        }
    }
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
    if hash_of(&sql)? != wanted {
        bail!(
            "the migration {file} was released and has been changed since: put it back; changes belong to a new version"
        );
    }
    Ok(sql)
}

fn hash_of(sql: &str) -> Result<String> {
    let mut hash = String::new();
    for byte in Sha256::digest(sql.as_bytes()) {
        write!(hash, "{byte:02x}")?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{generated, hash_of, write_migrations};
    use crate::project;

    /// A supabase folder that goes with its test.
    struct Folder(PathBuf);

    impl Folder {
        /// With one version and its only file of SQL.
        fn new(name: &str, sql: &str) -> Self {
            let root = std::env::temp_dir().join(format!("m23-{name}-{}", std::process::id()));
            for folder in ["schemas/10_all", "migrations", "upgrades"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            let folder = Self(root);
            folder.write("releases", "# all\n0.1.0 20260101000000 -\n");
            folder.write("schemas/10_all/all.sql", sql);
            folder
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.0.join(path), text).unwrap();
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap()
        }

        /// Freezes what there is, and begins 0.2.0 with another tree.
        fn next(&self, sql: &str, by_hand: &str) {
            self.freeze();
            let releases = self.read("releases");
            self.write("releases", &format!("{releases}0.2.0 20260202000000 -\n"));
            self.write("schemas/10_all/all.sql", sql);
            if !by_hand.is_empty() {
                self.write("upgrades/0.2.0.sql", by_hand);
            }
        }

        fn freeze(&self) {
            write_migrations(&self.0).unwrap();
            let hash = hash_of(&self.read(FIRST)).unwrap();
            self.write("releases", &format!("0.1.0 20260101000000 {hash}\n"));
        }

        /// The statements of the upgrade that drop and make.
        fn upgrade(&self) -> String {
            write_migrations(&self.0).unwrap();
            self.read(SECOND)
        }

        fn refusal(&self) -> String {
            format!("{:#}", generated(&self.0).unwrap_err())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const FIRST: &str = "migrations/20260101000000_m23_0_1_0.sql";
    const SECOND: &str = "migrations/20260202000000_m23_0_2_0.sql";
    const TABLE: &str = "create schema m23;\ncreate table m23.t (a int);\n";
    const F: &str = "create function m23.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;\n";
    const G: &str = "create function m23.g() returns int\nlanguage sql as $$ select 2 $$;\n";

    fn place(sql: &str, part: &str) -> usize {
        sql.find(part).unwrap_or_else(|| panic!("{part} in {sql}"))
    }

    #[test]
    fn the_generated_migrations_are_current() {
        for (path, sql) in generated(&project::root().join("supabase")).unwrap() {
            let is = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                is == sql,
                "{} was edited, or is out of date: run `cargo xtask generate`",
                path.display()
            );
        }
    }

    #[test]
    fn all_of_a_project_says_the_same_version() {
        let releases = super::read(&project::root().join("supabase/releases")).unwrap();
        let newest = releases.last().unwrap();
        assert_eq!(newest.version, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_frozen_migration_that_was_changed_is_refused() {
        let folder = Folder::new("changed", &format!("{TABLE}{F}"));
        folder.next(&format!("{TABLE}{F}{G}"), "");
        folder.write(FIRST, &folder.read(FIRST).replace("select 1", "select 3"));
        assert!(
            folder
                .refusal()
                .contains("was released and has been changed since")
        );
    }

    #[test]
    fn a_tree_that_differs_from_the_frozen_version_is_refused() {
        let folder = Folder::new("differs", &format!("{TABLE}{F}"));
        folder.freeze();
        generated(&folder.0).unwrap();
        folder.write("schemas/10_all/all.sql", &format!("{TABLE}{F}{G}"));
        assert!(folder.refusal().contains("begin a new version"));
    }

    #[test]
    fn the_tree_frozen_as_it_is_differs_in_nothing() {
        let supabase = project::root().join("supabase");
        let newest = super::read(&supabase.join("releases"))
            .unwrap()
            .pop()
            .unwrap();
        let tree = super::Tree::read(&supabase.join("schemas")).unwrap();
        let installed = tree.install(&newest.version);
        let before = super::Installed::read(&newest.version, &installed).unwrap();
        let none = super::ByHand::default();
        let rest = super::upgrade(&before, &tree, &none, &newest.version).unwrap();
        assert_eq!(rest, None);
    }

    #[test]
    fn files_of_no_version_are_refused() {
        for path in [
            "migrations/20250101000000_m23_0_0_9.sql",
            "upgrades/0.3.0.sql",
        ] {
            let folder = Folder::new("stranger", TABLE);
            folder.write(path, "select 1;");
            assert!(folder.refusal().contains("belongs to no version"), "{path}");
        }
    }

    #[test]
    fn a_database_that_says_another_version_is_refused() {
        let version =
            "create function m23.version() returns text\nlanguage sql as $$ select '0.0.9' $$;";
        let folder = Folder::new("version", &format!("{TABLE}{version}"));
        assert!(
            folder
                .refusal()
                .contains("m23.version() does not give 0.1.0")
        );
    }

    #[test]
    fn an_upgrade_has_what_is_new_or_changed_and_nothing_else() {
        let folder = Folder::new("new", &format!("{TABLE}{F}{G}"));
        let changed = F.replace("select 1", "select 10");
        folder.next(
            &format!("{TABLE}{changed}{G}{}", G.replace("m23.g", "m23.h")),
            "",
        );
        let sql = folder.upgrade();
        assert!(sql.contains("select 10") && sql.contains("m23.h()"));
        assert!(
            !sql.contains("m23.g()")
                && !sql.contains("drop function")
                && !sql.contains("create table")
        );
    }

    #[test]
    fn a_comment_or_a_right_alone_is_a_change() {
        let folder = Folder::new("right", &format!("{TABLE}{F}{G}"));
        folder.next(
            &format!(
                "{TABLE}-- open to: service_role\n{F}{G}comment on function m23.g() is 'two';"
            ),
            "",
        );
        let sql = folder.upgrade();
        assert!(sql.contains("grant execute on function m23.f(int)") && sql.contains("is 'two'"));
    }

    #[test]
    fn a_function_that_has_gone_or_gives_another_type_or_has_other_names_is_dropped_first() {
        let folder = Folder::new("gone", &format!("{TABLE}{F}{G}"));
        folder.next(&format!("{TABLE}{}", F.replace("p_a", "p_b")), "");
        let sql = folder.upgrade();
        assert!(
            place(&sql, "drop function m23.f(int);")
                < place(&sql, "create or replace function m23.f(p_b int)")
        );
        assert!(
            sql.contains("drop function m23.g();") && !sql.contains("function m23.g() returns")
        );
    }

    #[test]
    fn what_was_dropped_stays_dropped_in_later_versions() {
        let folder = Folder::new("dropped", &format!("{TABLE}{F}{G}"));
        folder.next(&format!("{TABLE}{F}"), "");
        let sql = folder.upgrade();
        let line = format!("0.2.0 20260202000000 {}\n", hash_of(&sql).unwrap());
        let releases = folder
            .read("releases")
            .replace("0.2.0 20260202000000 -\n", &line);
        folder.write("releases", &format!("{releases}0.3.0 20260303000000 -\n"));
        folder.write(
            "schemas/10_all/all.sql",
            &format!("{TABLE}{F}{}", G.replace("m23.g", "m23.h")),
        );
        write_migrations(&folder.0).unwrap();
        let third = folder.read("migrations/20260303000000_m23_0_3_0.sql");
        assert!(!third.contains("drop function") && third.contains("m23.h()"));
        assert!(third.contains("from 0.2.0 to 0.3.0"));
    }

    #[test]
    fn the_parts_by_hand_stand_around_the_functions() {
        let by_hand = "-- Part: with the functions of before.\ndrop policy p on m23.t;\n\
                       -- Part: between.\nalter table m23.t add b int;\n\
                       -- Part: with the functions of now.\ncreate policy p on m23.t using (m23.f(1) = 1);\n";
        let folder = Folder::new(
            "parts",
            &format!("{TABLE}{F}create policy p on m23.t using (m23.f(1) = 1);"),
        );
        let changed = F.replace("p_a", "p_b");
        folder.next(
            &format!("{TABLE}{changed}create policy p on m23.t using (m23.f(1) = 1);"),
            by_hand,
        );
        let sql = folder.upgrade();
        let places = [
            "drop policy p",
            "drop function m23.f",
            "add b int",
            "function m23.f(p_b",
            "create policy p",
        ];
        assert!(places.map(|part| place(&sql, part)).is_sorted());
    }

    #[test]
    fn what_hangs_on_a_function_that_is_dropped_has_to_be_dropped_by_hand() {
        for dependant in [
            "create policy p on m23.t using (m23.f(a) = 1);",
            "create view m23.v as select m23.f(1);",
            "create table m23.u (a int default m23.f(1));",
        ] {
            let folder = Folder::new("hangs", &format!("{TABLE}{F}{dependant}"));
            folder.next(
                &format!("{TABLE}{}{dependant}", F.replace("p_a", "p_b")),
                "",
            );
            assert!(
                folder
                    .refusal()
                    .contains("m23.f is dropped, and this hangs on it"),
                "{dependant}"
            );
        }
    }

    #[test]
    fn the_functions_of_a_type_that_is_made_anew_are_made_anew() {
        let of = |attribute: &str| {
            format!(
                "{TABLE}create type m23.kind as ({attribute});\n{F}\
                     create function m23.k(p_a m23.kind) returns int\nlanguage sql as $$ select 1 $$;\n"
            )
        };
        let folder = Folder::new("type", &of("a int"));
        let by_hand = "-- Part: between.\ndrop type m23.kind;\ncreate type m23.kind as (b int);\n";
        folder.next(&of("b int"), by_hand);
        let sql = folder.upgrade();
        let places = [
            "drop function m23.k(m23.kind)",
            "drop type m23.kind",
            "function m23.k(p_a m23.kind)",
        ];
        assert!(places.map(|part| place(&sql, part)).is_sorted());
        assert!(!sql.contains("m23.f(p_a"));
    }

    #[test]
    fn a_function_that_the_application_may_have_replaced_stays_as_it_is() {
        let replaceable = format!("-- replaceable: the application may have its own\n{F}");
        let folder = Folder::new("replaceable", &format!("{TABLE}{replaceable}"));
        folder.next(
            &format!("{TABLE}{}{G}", replaceable.replace("select 1", "select 7")),
            "",
        );
        let sql = folder.upgrade();
        assert!(!sql.contains("m23.f(") && sql.contains("m23.g()"));
    }

    #[test]
    fn only_names_that_are_new_are_asked_for() {
        let public = "create table public.one (a int);\ncreate function public.f() returns int\nlanguage sql as $$ select 1 $$;\n";
        let folder = Folder::new("names", &format!("{TABLE}{public}"));
        let more = "create table public.two (a int);\ncreate function public.f(p_a int) returns int\nlanguage sql as $$ select 1 $$;\n";
        folder.next(
            &format!("{TABLE}{public}{more}"),
            "-- Part: between.\ncreate table public.two (a int);\n",
        );
        let sql = folder.upgrade();
        assert!(sql.contains("v_relations constant text[] := '{two}'"));
        assert!(sql.contains("v_functions constant text[] := '{}'"));
    }

    #[test]
    fn a_part_by_hand_without_a_heading_or_with_a_wrong_one_is_refused() {
        for by_hand in [
            "alter table m23.t add b int;",
            "-- Part: betwen.\nselect 1;\n",
        ] {
            let folder = Folder::new("heading", TABLE);
            folder.next(TABLE, by_hand);
            assert!(folder.refusal().contains("0.2.0.sql"), "{by_hand}");
        }
    }

    #[test]
    fn every_version_but_the_newest_is_frozen() {
        let folder = Folder::new("unfrozen", TABLE);
        write_migrations(&folder.0).unwrap();
        folder.write(
            "releases",
            "0.1.0 20260101000000 -\n0.2.0 20260202000000 -\n",
        );
        assert!(folder.refusal().contains("0.1.0 is not frozen"));
    }

    #[test]
    fn the_version_that_upgrades_are_proven_on_was_never_changed() {
        let versions = project::root().join("tests/fixtures/versions");
        let releases = super::read(&versions.join("releases")).unwrap();
        for release in releases.iter().filter(|release| release.frozen.is_some()) {
            super::frozen(Path::new(&versions), release).unwrap();
        }
    }
}
