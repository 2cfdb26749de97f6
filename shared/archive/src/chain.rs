//! Chains: a full backup and the incrementals that build upon it.

use crate::{ArchiveError, JobType, Manifest};

/// Checks that `parent`, whose manifest's bytes have this SHA-256, is what `child` builds upon.
///
/// # Errors
/// [`ArchiveError::BrokenChain`], with what differs.
pub fn check_link(
    child: &Manifest,
    parent: &Manifest,
    parent_sha256: &str,
) -> Result<(), ArchiveError> {
    let (facts, before) = (&child.facts, &parent.facts);
    let Some(named) = &facts.parent else {
        return broken(child, "is a full backup, and builds upon nothing");
    };
    let base = match before.job_type {
        JobType::Full => Some(before.backup_id),
        JobType::Incremental => before.base_backup_id,
    };
    if (named.backup_id, &facts.tenant_id) != (before.backup_id, &before.tenant_id) {
        broken(child, "has another parent")
    } else if named.sha256 != parent_sha256 {
        broken(child, "was made when its parent's manifest was another")
    } else if facts.base_backup_id != base {
        broken(child, "names another full backup than its parent")
    } else if facts.incarnation != before.incarnation {
        broken(
            child,
            "belongs to another life of the database than its parent",
        )
    } else if (&named.position, named.position_at) != (&before.position, before.position_at) {
        broken(child, "begins at another position than that of its parent")
    } else {
        check_tables(child, parent)
    }
}

/// What is not whole continues a table of the parent that has the same columns and key.
fn check_tables(child: &Manifest, parent: &Manifest) -> Result<(), ArchiveError> {
    for table in child.facts.tables.iter().filter(|table| !table.whole) {
        let name = (&table.schema, &table.name);
        let is_continued = parent.facts.tables.iter().any(|before| {
            (&before.schema, &before.name) == name
                && (&before.columns, &before.key) == (&table.columns, &table.key)
                && (&before.tenant_column, &before.path) == (&table.tenant_column, &table.path)
        });
        if !is_continued {
            let what = format!(
                "continues {}.{}, which its parent has not in this shape",
                table.schema, table.name
            );
            return broken(child, &what);
        }
    }
    Ok(())
}

fn broken(child: &Manifest, what: &str) -> Result<(), ArchiveError> {
    let id = child.facts.backup_id;
    Err(ArchiveError::BrokenChain(format!("the backup {id} {what}")))
}
