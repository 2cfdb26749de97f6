//! The rules of a manifest that it can be held to by itself.

use super::{Facts, JobType, Manifest, Parent};
use crate::{ArchiveError, Chunk, ChunkPlace, Table, Version, names, seal};
use std::collections::BTreeSet;

type Checked = Result<(), ArchiveError>;

pub(crate) fn manifest(manifest: &Manifest) -> Checked {
    let facts = &manifest.facts;
    check_tenant(manifest)?;
    check_chain(facts)?;
    check_ticks(facts)?;
    let mut tables = BTreeSet::new();
    for (ordinal, table) in (1_u32..).zip(&facts.tables) {
        if !tables.insert((&table.schema, &table.name)) {
            return wrong_table(table, "stands there twice");
        }
        check_columns(table)?;
        check_tenancy(manifest.version, table)?;
        check_wholeness(facts, table)?;
        check_groups(manifest.version, table)?;
        check_chunks(manifest, ordinal, table)?;
    }
    if manifest.sums() == [manifest.rows, manifest.bytes, manifest.stored_bytes] {
        Ok(())
    } else {
        wrong("its sums are not those of its chunks")
    }
}

fn check_tenant(manifest: &Manifest) -> Checked {
    if manifest.version.has_tenants_of_any_key() || manifest.facts.tenant_id.is_uuid() {
        Ok(())
    } else {
        wrong("its tenant is no UUID, which those of its version are")
    }
}

fn check_chain(facts: &Facts) -> Checked {
    match (facts.job_type, facts.base_backup_id, &facts.parent) {
        (JobType::Full, None, None) => Ok(()),
        (JobType::Full, ..) => wrong("a full backup has no parent and no base"),
        (JobType::Incremental, Some(base), Some(parent)) => {
            if base == facts.backup_id || parent.backup_id == facts.backup_id {
                wrong("a backup cannot be its own parent")
            } else {
                check_parent(facts, parent)
            }
        }
        (JobType::Incremental, ..) => wrong("an incremental backup has a parent and a base"),
    }
}

fn check_parent(facts: &Facts, parent: &Parent) -> Checked {
    let prefix = names::backup_prefix(&facts.tenant_id.name(), parent.backup_id);
    if parent.manifest != names::manifest_object(&prefix) {
        wrong("its parent's manifest is not an object of its parent")
    } else if !is_digest(&parent.sha256) {
        wrong("its parent's manifest has no SHA-256")
    } else if parent.position_at > facts.position_at || !facts.position.contains(&parent.position) {
        wrong("its parent's position lies after its own")
    } else {
        Ok(())
    }
}

fn check_ticks(facts: &Facts) -> Checked {
    let is_in_order = facts.ticks.is_sorted_by(|one, next| one.at <= next.at);
    if facts.ticks.is_empty() || (facts.parent.is_some() && is_in_order) {
        Ok(())
    } else {
        wrong("its ticks are not moments since a parent, in order")
    }
}

fn check_columns(table: &Table) -> Checked {
    let names: BTreeSet<&String> = table.columns.iter().map(|column| &column.name).collect();
    let key: BTreeSet<&String> = table.key.iter().collect();
    if names.len() != table.columns.len() {
        return wrong_table(table, "has a column twice");
    }
    if key.is_empty() || key.len() != table.key.len() || !key.is_subset(&names) {
        return wrong_table(table, "has no key among its columns");
    }
    Ok(())
}

fn check_tenancy(version: Version, table: &Table) -> Checked {
    let is_column = |name: &String| table.columns.iter().any(|column| column.name == *name);
    match (&table.tenant_column, &table.path) {
        (Some(column), None) if is_column(column) => Ok(()),
        (None, Some(_)) if version < Version::Three => {
            wrong_table(table, "has a path, which its version does not know")
        }
        (None, Some(path)) => {
            let [mine, theirs] = [path.columns.len(), path.parent_columns.len()];
            if mine == 0 || mine != theirs || !path.columns.iter().all(is_column) {
                wrong_table(table, "has a path that is not of its columns")
            } else {
                Ok(())
            }
        }
        _ => wrong_table(table, "has no tenant column among its columns"),
    }
}

fn check_wholeness(facts: &Facts, table: &Table) -> Checked {
    if table.whole && !table.history.is_empty() {
        wrong_table(table, "is whole, and has a history")
    } else if !table.whole && facts.parent.is_none() {
        wrong_table(table, "is not whole, and there is no parent")
    } else if !table.whole && table.history.is_empty() && !table.chunks.is_empty() {
        wrong_table(table, "has changed rows without a history")
    } else {
        Ok(())
    }
}

fn check_groups(version: Version, table: &Table) -> Checked {
    if version == Version::One && table.groups.is_some() {
        return wrong_table(table, "has groups, which version 1 does not know");
    }
    if table.whole && !table.groups().is_empty() {
        return wrong_table(table, "is whole, and has groups");
    }
    if table.groups().len() > Table::MOST_GROUPS {
        return wrong_table(table, "has too many groups");
    }
    let is_column = |name: &String| table.columns.iter().any(|column| column.name == *name);
    let is_always_there =
        |name: &String| table.key.contains(name) || table.tenancy_columns().contains(name);
    for group in table.groups() {
        if group.iter().collect::<BTreeSet<_>>().len() != group.len() {
            return wrong_table(table, "has a name twice in a group");
        }
        if !group.iter().all(is_column) {
            return wrong_table(table, "has a name in a group that is no column");
        }
        if group.iter().any(is_always_there) {
            return wrong_table(table, "has its key, tenant column or path in a group");
        }
    }
    Ok(())
}

fn check_chunks(manifest: &Manifest, ordinal: u32, table: &Table) -> Checked {
    let prefix = manifest.prefix();
    for (lines, seq, chunk) in table.objects() {
        let place = ChunkPlace {
            prefix: &prefix,
            ordinal,
            schema: &table.schema,
            table: &table.name,
            lines,
            seq,
            sealed: manifest.encryption.is_some(),
        };
        check_chunk(table, chunk, &place)?;
    }
    Ok(())
}

fn check_chunk(table: &Table, chunk: &Chunk, place: &ChunkPlace<'_>) -> Checked {
    if !is_digest(&chunk.sha256) {
        wrong_table(table, "has a chunk without a SHA-256")
    } else if !chunk.object.starts_with(&format!("{}/", place.prefix)) {
        wrong_table(table, "has a chunk of another backup")
    } else if chunk.object != place.object(&chunk.sha256) {
        wrong_table(
            table,
            "has a chunk whose name is not that of its place and its bytes",
        )
    } else if chunk.rows == 0 || chunk.bytes < chunk.rows {
        wrong_table(table, "has an empty chunk")
    } else if chunk.bytes > Chunk::MOST_BYTES {
        wrong_table(table, "has a chunk that is larger than any can be")
    } else if chunk.stored_bytes > chunk.most_stored_bytes() {
        wrong_table(table, "has a chunk that takes more bytes than its lines")
    } else {
        check_fingerprint(table, chunk)
    }
}

/// Anybody can read a manifest: a sum over few lines would let them try what an encrypted chunk holds.
fn check_fingerprint(table: &Table, chunk: &Chunk) -> Checked {
    match &chunk.fingerprint {
        Some(text) if chunk.is_sealed() => match seal::fingerprint_from_text(text) {
            Ok(_) => Ok(()),
            Err(_) => wrong_table(
                table,
                "has a fingerprint of an encrypted chunk that is not sealed",
            ),
        },
        Some(text) if text.parse::<i128>().map(|sum| sum.to_string()).as_ref() != Ok(text) => {
            wrong_table(table, "has a fingerprint that is no whole number")
        }
        _ => Ok(()),
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn wrong(what: &str) -> Checked {
    Err(ArchiveError::Inconsistent(what.to_owned()))
}

fn wrong_table(table: &Table, what: &str) -> Checked {
    wrong(&format!("{}.{} {what}", table.schema, table.name))
}
