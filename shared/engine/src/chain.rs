//! Chains: which manifests belong to a restore, and in which order their chunks are staged.

use crate::bucket::Bucket;
use crate::error::EngineError;
use crate::job_ports::JobPorts;
use crate::order::RestoreOrder;
use m23_archive::reader::{Archive, Fault, Stored};
use m23_archive::{Lines, Table};

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
    ports: &impl JobPorts,
    order: &RestoreOrder,
    object: &str,
    sha256: &str,
) -> Result<Vec<Archive>, EngineError> {
    let bucket = Bucket(ports);
    let (mut tip, bytes) = Archive::read(&bucket, object, sha256).await?;
    let facts = &tip.manifest.facts;
    if (&facts.tenant_id, Some(facts.backup_id)) != (&order.tenant_id, order.backup_id) {
        return Err(Fault::Exchanged(object.to_owned()).into());
    }
    tip.unlock(&bucket, &bytes, None).await?;
    let mut chain = vec![tip];
    while let Some(child) = chain.last()
        && let Some((mut parent, bytes)) = child.read_parent(&bucket).await?
    {
        parent.unlock(&bucket, &bytes, Some(child)).await?;
        chain.push(parent);
    }
    Ok(chain)
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
