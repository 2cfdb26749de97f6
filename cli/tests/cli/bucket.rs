//! A copy of the vectors' bucket, and the tool run on it.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub const PLAIN: &str = "00000000-0000-0000-0000-00000000000a";
/// Its backups are of version 2 alone.
pub const SECOND: &str = "00000000-0000-0000-0000-00000000000b";
pub const SEALED: &str = "00000000-0000-0000-0000-00000000000e";

/// The backups of a tenant are numbered from 1.
pub fn backup(tenant: &str, number: u32) -> String {
    format!(
        "00000000-0000-0000-0000-0000000000{}{number}",
        &tenant[35..]
    )
}

pub struct Bucket {
    pub folder: PathBuf,
    pub key: Option<String>,
    previous: Option<String>,
}

/// What a run came to.
pub struct Ran {
    pub code: i32,
    pub output: String,
    pub error: String,
}

impl Bucket {
    /// A copy of its own, named after the test.
    pub fn copy(name: &str) -> Self {
        Self::copy_of("bucket", name)
    }

    /// The one with a tenant whose key is a text.
    pub fn of_text(name: &str) -> Self {
        Self::copy_of("texts/bucket", name)
    }

    fn copy_of(vectors_folder: &str, name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::remove_dir_all(&folder).ok();
        copy(&vectors().join(vectors_folder), &folder.join("bucket"));
        Self {
            folder,
            key: None,
            previous: None,
        }
    }

    pub fn with_key(mut self) -> Self {
        let keys: Value =
            serde_json::from_slice(&fs::read(vectors().join("keys.json")).unwrap()).unwrap();
        self.key = Some(keys["ARCHIVE_KEY"].as_str().unwrap().to_owned());
        self
    }

    /// Another master key; the one before becomes the previous one.
    pub fn with_new_key(mut self, key: &str) -> Self {
        self.previous = self.key.replace(key.to_owned());
        self
    }

    pub fn without_previous(mut self) -> Self {
        self.previous = None;
        self
    }

    /// Runs the tool; `BUCKET` stands for the copy.
    pub fn m23(&self, arguments: &str) -> Ran {
        let bucket = self.folder.join("bucket");
        let arguments = arguments.split_whitespace().map(|one| match one {
            "BUCKET" => bucket.to_string_lossy().into_owned(),
            other => other.replace("FOLDER", &self.folder.to_string_lossy()),
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_m23"));
        command
            .args(arguments)
            .env_remove("ARCHIVE_KEY")
            .env_remove("ARCHIVE_KEY_PREVIOUS");
        command.stdin(Stdio::null());
        for (name, value) in [
            ("ARCHIVE_KEY", &self.key),
            ("ARCHIVE_KEY_PREVIOUS", &self.previous),
        ] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Ran::from(command.output().unwrap())
    }

    pub fn json(&self, arguments: &str) -> Value {
        let ran = self.m23(arguments);
        assert_eq!(ran.error, "");
        serde_json::from_str(&ran.output).unwrap()
    }

    /// The files of a backup whose names contain a text.
    pub fn objects(&self, backup: &str, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files(&self.folder.join("bucket"), &mut found);
        found.retain(|path| {
            path.to_string_lossy().contains(backup) && path.to_string_lossy().contains(text)
        });
        found.sort();
        found
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/archive/vectors")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
