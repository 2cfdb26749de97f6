//! The state folder of `cargo xtask dev`: whose it is, and who holds it.
//!
//! A folder is ours when its file `format` says so in a version that we know. One instance at a
//! time holds it, by a lock that the operating system gives back when its holder dies. An
//! ephemeral run on a folder that holds a kept state sets that state aside and puts it back.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const FORMAT: &str = "m23-state 1";
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
/// Where a kept state waits while an ephemeral run has the folder.
const ASIDE: &str = "kept";
/// Marks that what lies in the folder belongs to an ephemeral run.
const EPHEMERAL_FILE: &str = "ephemeral";

/// A state folder that this process holds until it is closed.
pub struct State {
    folder: PathBuf,
    ephemeral: bool,
    _lock: File,
}

impl State {
    /// Takes the folder, creating it when absent.
    pub fn open(folder: &Path, ephemeral: bool) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("the state folder {} cannot be made", folder.display()))?;
        let folder = folder
            .canonicalize()
            .context("the state folder cannot be resolved")?;
        check_ours(&folder)?;
        let lock = take_lock(&folder)?;
        let state = Self {
            folder,
            ephemeral,
            _lock: lock,
        };
        // An ephemeral run that was killed could not clean up behind itself.
        if state.path(EPHEMERAL_FILE).exists() {
            state.drop_ephemeral()?;
        }
        write(&state.path(FORMAT_FILE), FORMAT)?;
        if ephemeral {
            state.set_aside()?;
        }
        Ok(state)
    }

    /// The folder, absolute.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the folder back; after an ephemeral run nothing of that run is left in it.
    pub fn close(self) -> Result<()> {
        if !self.ephemeral {
            return Ok(());
        }
        self.drop_ephemeral()?;
        if self.entries()?.is_empty() {
            remove(&self.path(FORMAT_FILE))?;
            remove(&self.path(LOCK_FILE))?;
        }
        Ok(())
    }

    fn set_aside(&self) -> Result<()> {
        let kept = self.entries()?;
        if !kept.is_empty() {
            move_all(&kept, &self.path(ASIDE))?;
        }
        write(&self.path(EPHEMERAL_FILE), "")
    }

    fn drop_ephemeral(&self) -> Result<()> {
        let aside = self.path(ASIDE);
        for entry in self.entries()? {
            if entry != aside {
                remove(&entry)?;
            }
        }
        if aside.exists() {
            move_all(&list(&aside)?, &self.folder)?;
            remove(&aside)?;
        }
        Ok(())
    }

    /// Everything in the folder but its own two files.
    fn entries(&self) -> Result<Vec<PathBuf>> {
        let mut entries = list(&self.folder)?;
        entries.retain(|e| !e.ends_with(FORMAT_FILE) && !e.ends_with(LOCK_FILE));
        Ok(entries)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Refuses a folder with other people's files, or in a format that we do not know.
fn check_ours(folder: &Path) -> Result<()> {
    let shown = folder.display();
    match fs::read_to_string(folder.join(FORMAT_FILE)) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => bail!(
            "the state folder {shown} has the format \"{}\", and this version reads \"{FORMAT}\": \
             choose another with --state-dir, or remove it",
            found.lines().next().unwrap_or_default()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A lock file alone is what a start leaves that was interrupted here.
            if list(folder)?.iter().all(|entry| entry.ends_with(LOCK_FILE)) {
                return Ok(());
            }
            bail!(
                "{shown} is not a state folder of M23 (it has files but no \"{FORMAT_FILE}\"): \
                 choose another with --state-dir"
            )
        }
        Err(error) => {
            Err(error).with_context(|| format!("the state folder {shown} cannot be read"))
        }
    }
}

fn take_lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    // A holder that ends may remove the file: a lock on a file that is gone protects nothing.
    let still_there = || -> bool {
        let inode = |metadata: fs::Metadata| metadata.ino();
        fs::metadata(&path).map(inode).ok() == file.metadata().map(inode).ok()
    };
    if file.try_lock().is_err() || !still_there() {
        bail!(
            "another `cargo xtask dev` is running on the state folder {}: stop it, or choose \
             another with --state-dir",
            folder.display()
        );
    }
    Ok(file)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .with_context(|| format!("{} cannot be read", folder.display()))
}

fn move_all(entries: &[PathBuf], target: &Path) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("{} cannot be made", target.display()))?;
    for entry in entries {
        let name = entry.file_name().unwrap_or_default();
        fs::rename(entry, target.join(name))
            .with_context(|| format!("{} cannot be moved", entry.display()))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for each test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("m23-xtask-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let folder = Folder::new("foreign");
        fs::write(folder.0.join("thesis.txt"), "mine").unwrap();
        assert!(State::open(&folder.0, true).is_err());
        assert_eq!(folder.names(), ["thesis.txt"]);
    }

    #[test]
    fn another_format_is_refused_by_name() {
        let folder = Folder::new("format");
        fs::write(folder.0.join(FORMAT_FILE), "m23-state 99").unwrap();
        let error = State::open(&folder.0, false).err().unwrap().to_string();
        assert!(error.contains("m23-state 99"), "{error}");
    }

    #[test]
    fn one_instance_at_a_time_has_the_folder() {
        let folder = Folder::new("lock");
        let first = State::open(&folder.0, false).unwrap();
        assert!(State::open(&folder.0, false).is_err());
        first.close().unwrap();
        assert!(State::open(&folder.0, false).is_ok());
    }

    #[test]
    fn an_ephemeral_run_leaves_nothing_in_an_empty_folder() {
        let folder = Folder::new("empty");
        let state = State::open(&folder.0, true).unwrap();
        fs::create_dir(folder.0.join("pg")).unwrap();
        state.close().unwrap();
        assert!(folder.names().is_empty());
    }

    #[test]
    fn an_ephemeral_run_that_was_killed_does_not_cost_the_kept_state() {
        let folder = Folder::new("kept");
        let kept = State::open(&folder.0, false).unwrap();
        fs::write(folder.0.join("pg"), "kept").unwrap();
        kept.close().unwrap();

        let killed = State::open(&folder.0, true).unwrap();
        assert!(!folder.0.join("pg").exists());
        fs::write(folder.0.join("pg"), "ephemeral").unwrap();
        drop(killed);

        State::open(&folder.0, false).unwrap().close().unwrap();
        assert_eq!(fs::read_to_string(folder.0.join("pg")).unwrap(), "kept");
        assert_eq!(folder.names(), [FORMAT_FILE, LOCK_FILE, "pg"]);
    }
}
