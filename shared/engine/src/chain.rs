//! Chains: which manifests belong to a restore, and in which order their chunks are staged.

use crate::error::EngineError;
use crate::objects::fetch;
use crate::restore::RestoreOrder;
use crate::world::World;
use m23_archive::{Chunk, Manifest, Table, check_link};
use uuid::Uuid;

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
    pub(crate) chunk: &'a Chunk,
}

/// Reads the manifest of the backup that was asked for, and back from there to the full one. Each
/// is what its child says it was, and speaks of this tenant.
pub(crate) async fn read_chain(
    world: &impl World,
    order: &RestoreOrder,
    object: &str,
    sha256: &str,
) -> Result<Vec<Manifest>, EngineError> {
    let tip = read_manifest(world, object, sha256).await?;
    if (tip.facts.tenant_id, Some(tip.facts.backup_id)) != (order.tenant_id, order.backup_id) {
        return Err(EngineError::Exchanged(object.to_owned()));
    }
    let mut chain = vec![tip];
    while let Some((child, named)) = unfinished(&chain) {
        let parent = read_manifest(world, &named.manifest, &named.sha256).await?;
        check_link(child, &parent, &named.sha256)
            .map_err(|error| EngineError::in_part(&named.manifest, error))?;
        chain.push(parent);
    }
    Ok(chain)
}

fn unfinished(chain: &[Manifest]) -> Option<(&Manifest, &m23_archive::Parent)> {
    let child = chain.last()?;
    Some((child, child.facts.parent.as_ref()?))
}

async fn read_manifest(
    world: &impl World,
    object: &str,
    sha256: &str,
) -> Result<Manifest, EngineError> {
    let bytes = fetch(world, object, sha256).await?;
    Manifest::parse(&bytes).map_err(|error| EngineError::in_part(object, error))
}

/// The chunks that make a table of the chain's first manifest: from the last member that has it
/// whole on, each member's history before its rows.
pub(crate) fn pieces<'a>(chain: &'a [Manifest], table: &Table, rewind: bool) -> Vec<Piece<'a>> {
    let of = |manifest: &'a Manifest| {
        let tables = &manifest.facts.tables;
        tables
            .iter()
            .find(|one| (&one.schema, &one.name) == (&table.schema, &table.name))
    };
    let tip = chain.first().map(|manifest| manifest.facts.backup_id);
    let mut members: Vec<(Uuid, &Table)> = Vec::new();
    for (id, one) in chain
        .iter()
        .filter_map(|manifest| Some((manifest.facts.backup_id, of(manifest)?)))
    {
        members.push((id, one));
        if one.whole {
            break;
        }
    }
    members
        .into_iter()
        .rev()
        .flat_map(|(id, one)| {
            let kind = if rewind && Some(id) == tip {
                Kind::Rewind
            } else {
                Kind::History
            };
            let history = one.history.iter().map(move |chunk| Piece { kind, chunk });
            let rows = one.chunks.iter().map(|chunk| Piece {
                kind: Kind::Rows,
                chunk,
            });
            history.chain(rows)
        })
        .collect()
}
