//! Chains: which manifests belong to a restore, and in which order their chunks are staged.

use crate::archive::{Archive, Stored, read_manifest};
use crate::error::EngineError;
use crate::order::RestoreOrder;
use crate::world::World;
use m23_archive::{Lines, Parent, Table, check_link};

/// What a staged chunk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its rows are added.
    Rows,
    /// The rows that its keys have so far are taken away.
    History,
    /// The same, and its entries are kept to go back by.
    Rewind,
}

impl Kind {
    /// The database's word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::History => "history",
            Self::Rewind => "rewind",
        }
    }
}

/// A chunk in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) kind: Kind,
    pub(crate) stored: Stored<'a>,
}

/// Reads the manifest of the backup that was asked for, and back from there to the full one. Each
/// is what its child says it was, speaks of this tenant, and is unlocked where it is encrypted.
pub(crate) async fn read_chain(
    world: &impl World,
    order: &RestoreOrder,
    object: &str,
    sha256: &str,
) -> Result<Vec<Archive>, EngineError> {
    let (tip, bytes) = read_manifest(world, object, sha256).await?;
    if (tip.facts.tenant_id, Some(tip.facts.backup_id)) != (order.tenant_id, order.backup_id) {
        return Err(EngineError::Exchanged(object.to_owned()));
    }
    let mut tip = Archive::locked(tip);
    tip.unlock(world, &bytes, None).await?;
    let mut chain = vec![tip];
    while let Some((child, named)) = unfinished(&chain) {
        let (parent, bytes) = read_manifest(world, &named.manifest, &named.sha256).await?;
        check_link(&child.manifest, &parent, &named.sha256)
            .map_err(|error| EngineError::in_part(&named.manifest, error))?;
        let mut parent = Archive::locked(parent);
        parent.unlock(world, &bytes, Some(child)).await?;
        chain.push(parent);
    }
    Ok(chain)
}

fn unfinished(chain: &[Archive]) -> Option<(&Archive, &Parent)> {
    let child = chain.last()?;
    Some((child, child.manifest.facts.parent.as_ref()?))
}

/// The chunks that make a table of the chain's first manifest: from the last member that has it
/// whole on, each member's history before its rows.
pub(crate) fn pieces<'a>(chain: &'a [Archive], table: &Table, rewind: bool) -> Vec<Piece<'a>> {
    let is_it = |one: &Table| (&one.schema, &one.name) == (&table.schema, &table.name);
    let mut members = Vec::new();
    for (back, archive) in chain.iter().enumerate() {
        if let Some(placed) = archive.tables().find(|(_, one)| is_it(one)) {
            members.push((back, archive, placed));
            if placed.1.whole {
                break;
            }
        }
    }
    members
        .into_iter()
        .rev()
        .flat_map(|(back, archive, placed)| {
            let kind = if rewind && back == 0 {
                Kind::Rewind
            } else {
                Kind::History
            };
            let as_kind = |kind| move |stored| Piece { kind, stored };
            archive
                .chunks(placed, Lines::History)
                .map(as_kind(kind))
                .chain(archive.chunks(placed, Lines::Rows).map(as_kind(Kind::Rows)))
        })
        .collect()
}
