//! Names of objects. They tell a person what is inside, and never collide.

use uuid::Uuid;

/// The manifest's object, below a backup's prefix.
#[must_use]
pub fn manifest_object(prefix: &str) -> String {
    format!("{prefix}/manifest.json")
}

/// A chunk's object. The digest of its bytes is part of the name: writing a chunk again
/// writes the same object, and another content can never take its place.
#[must_use]
pub fn chunk_object(
    prefix: &str,
    ordinal: u32,
    schema: &str,
    table: &str,
    seq: u32,
    sha256: &str,
) -> String {
    let short: String = sha256.chars().take(16).collect();
    format!(
        "{prefix}/{ordinal:03}-{}.{}/{seq:06}-{short}.copy.gz",
        plain(schema),
        plain(table)
    )
}

/// The prefix under which a backup's objects lie.
#[must_use]
pub(crate) fn prefix(tenant: Uuid, backup: Uuid) -> String {
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

    #[test]
    fn a_table_name_cannot_leave_its_folder() {
        let object = chunk_object("p", 1, "public", "../a b", 2, &"f".repeat(64));
        assert_eq!(
            object,
            "p/001-public.~2e~2e~2fa~20b/000002-ffffffffffffffff.copy.gz"
        );
    }

    #[test]
    fn names_that_differ_give_objects_that_differ() {
        assert_ne!(plain("a.b"), plain("a~2eb"));
    }
}
