//! Names of objects. They tell a person what is inside, and never collide.

use m23_tenant::TenantName;
use uuid::Uuid;

/// The manifest's object, below a backup's prefix.
#[must_use]
pub fn manifest_object(prefix: &str) -> String {
    format!("{prefix}/manifest.json")
}

/// The object that authenticates an encrypted backup's manifest, below a backup's prefix.
#[must_use]
pub fn mac_object(prefix: &str) -> String {
    format!("{prefix}/manifest.mac")
}

/// The object of a tenant's wrapped data key.
#[must_use]
pub fn key_object(tenant: &TenantName, key: Uuid) -> String {
    format!("keys/{tenant}/{key}.json")
}

/// What the lines of a chunk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// Rows as of the backup's position.
    Rows,
    /// Entries of the log.
    History,
}

impl Lines {
    /// The word for it in associated data.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::History => "history",
        }
    }
}

/// Where a chunk belongs.
#[derive(Debug, Clone, Copy)]
pub struct ChunkPlace<'a> {
    /// The backup's prefix.
    pub prefix: &'a str,
    /// The table's place among the backup's tables, from 1.
    pub ordinal: u32,
    /// The table's schema.
    pub schema: &'a str,
    /// The table's name.
    pub table: &'a str,
    /// What its lines are.
    pub lines: Lines,
    /// Its place among the table's chunks of its kind, from 1.
    pub seq: u32,
    /// Whether it is encrypted.
    pub sealed: bool,
}

impl ChunkPlace<'_> {
    /// Its object's name. The digest of its bytes is part of it: writing a chunk again writes the
    /// same object, and another content can never take its place.
    #[must_use]
    pub fn object(&self, sha256: &str) -> String {
        let short: String = sha256.chars().take(16).collect();
        format!(
            "{}/{:03}-{}.{}/{}{:06}-{short}.copy.gz{}",
            self.prefix,
            self.ordinal,
            plain(self.schema),
            plain(self.table),
            match self.lines {
                Lines::Rows => "",
                Lines::History => "history-",
            },
            self.seq,
            if self.sealed { SEALED } else { "" },
        )
    }
}

/// How the names of encrypted objects end.
pub(crate) const SEALED: &str = ".enc";

/// The prefix under which a backup's objects lie.
#[must_use]
pub fn backup_prefix(tenant: &TenantName, backup: Uuid) -> String {
    format!("tenants/{tenant}/backups/{backup}")
}

/// Letters, digits, `_` and `-` as they are; anything else as `~xx` of its UTF-8 bytes.
fn plain(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("~{other:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> ChunkPlace<'static> {
        ChunkPlace {
            prefix: "p",
            ordinal: 1,
            schema: "public",
            table: "../a b",
            lines: Lines::Rows,
            seq: 2,
            sealed: false,
        }
    }

    #[test]
    fn a_table_name_cannot_leave_its_folder() {
        assert_eq!(
            place().object(&"f".repeat(64)),
            "p/001-public.~2e~2e~2fa~20b/000002-ffffffffffffffff.copy.gz"
        );
    }

    #[test]
    fn history_and_encryption_are_told_by_the_name() {
        let sealed = ChunkPlace {
            lines: Lines::History,
            sealed: true,
            table: "t",
            ..place()
        };
        assert_eq!(
            sealed.object(&"f".repeat(64)),
            "p/001-public.t/history-000002-ffffffffffffffff.copy.gz.enc"
        );
    }

    #[test]
    fn names_that_differ_give_objects_that_differ() {
        assert_ne!(plain("a.b"), plain("a~2eb"));
    }
}
