//! Ledger leaves as rows of the transaction that they report.
//!
//! One lock orders everything that writes the catalogue, because a leaf carries the next number of
//! its tenant's sequence inside its sealed content: the number must be known before sealing and true
//! at commit (the catalogue checks).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crypto::Fields;
use ledger::{Happening, Leaf};
use model::{TenantId, Ticks};
use vault::{KeyTable, Vault};

use crate::Error;
use crate::audit::AuditEntry;
use crate::catalogue::{AuditRow, LeafRow};

/// What the holder of the catalogue's write lock knows.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// Next leaf by tenant; the cell's own under `None`.
    pub(crate) next_leaf: BTreeMap<Option<TenantId>, u64>,
    /// The key table of each tenant, as committed.
    pub(crate) key_tables: BTreeMap<TenantId, KeyTable>,
    /// Files of a transaction that failed in a way that leaves open whether it happened. They stay
    /// until a later transaction has worked.
    pub(crate) doubtful: Vec<PathBuf>,
}

/// A leaf before it has its number.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) at: Ticks,
    pub(crate) actor: String,
    pub(crate) happening: Happening,
    pub(crate) details: Vec<(&'static str, String)>,
    /// For the audit row only: may name what the leaf must not.
    pub(crate) private: Vec<(&'static str, String)>,
}

impl Draft {
    pub(crate) fn new(
        tenant: Option<TenantId>,
        at: Ticks,
        actor: impl ToString,
        happening: Happening,
    ) -> Self {
        Self {
            tenant,
            at,
            actor: actor.to_string(),
            happening,
            details: Vec::new(),
            private: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    pub(crate) fn privately(mut self, name: &'static str, value: impl ToString) -> Self {
        self.private.push((name, value.to_string()));
        self
    }
}

impl Sequences {
    /// Numbers and seals a leaf. The number counts only once [`Self::committed`] is told.
    pub(crate) fn seal(&self, vault: &Vault, draft: Draft) -> Result<LeafRow, Error> {
        let sequence = self.next_leaf.get(&draft.tenant).copied().unwrap_or(0);
        let leaf = Leaf::new(
            sequence,
            draft.tenant,
            draft.at,
            draft.actor,
            draft.happening,
        );
        let leaf = draft
            .details
            .into_iter()
            .fold(leaf, |leaf, (name, value)| leaf.with(name, value));
        let private = draft.private.into_iter();
        let entry = AuditEntry {
            leaf,
            private: private.map(|(name, v)| (name.to_owned(), v)).collect(),
        };
        let seal = |context: &Fields, plain: &[u8]| {
            Ok::<_, Error>(match draft.tenant {
                Some(tenant) => vault.tenant(tenant)?.seal_blob(context, plain),
                None => vault.seal_cell_blob(context, plain),
            })
        };
        Ok(LeafRow {
            tenant: draft.tenant,
            sequence,
            at: draft.at,
            sealed: seal(&context(sequence), &entry.leaf.to_bytes())?,
            audit: seal(&audit_context(sequence), &entry.to_bytes())?,
        })
    }

    /// Numbers and seals several leaves of one transaction.
    pub(crate) fn seal_all(
        &self,
        vault: &Vault,
        drafts: Vec<Draft>,
    ) -> Result<Vec<LeafRow>, Error> {
        let next = |tenant| (tenant, self.next_leaf.get(&tenant).copied().unwrap_or(0));
        let mut ahead = Self {
            next_leaf: drafts.iter().map(|draft| next(draft.tenant)).collect(),
            ..Self::default()
        };
        let mut rows = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let row = ahead.seal(vault, draft)?;
            ahead.committed(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// Notes that the leaf's transaction is durable.
    pub(crate) fn committed(&mut self, leaf: &LeafRow) {
        self.next_leaf.insert(leaf.tenant, leaf.sequence + 1);
    }

    /// The same of several leaves of one transaction.
    pub(crate) fn all_committed(&mut self, leaves: &[LeafRow]) {
        for leaf in leaves {
            self.committed(leaf);
        }
    }
}

/// Opens a leaf's row.
pub(crate) fn open(vault: &Vault, row: &LeafRow) -> Result<Leaf, Error> {
    let context = context(row.sequence);
    let bytes = match row.tenant {
        Some(tenant) => vault.tenant(tenant)?.open_blob(&context, &row.sealed)?,
        None => vault.open_cell_blob(&context, &row.sealed)?,
    };
    Leaf::from_bytes(&bytes).ok_or(Error::Form { what: "leaf" })
}

/// Opens an audit row.
pub(crate) fn open_audit(vault: &Vault, row: &AuditRow) -> Result<AuditEntry, Error> {
    let context = audit_context(row.sequence);
    let bytes = match row.tenant {
        Some(tenant) => vault.tenant(tenant)?.open_blob(&context, &row.sealed)?,
        None => vault.open_cell_blob(&context, &row.sealed)?,
    };
    serde_json::from_slice(&bytes).map_err(|_| Error::Form { what: "audit row" })
}

fn context(sequence: u64) -> Fields {
    Fields::new("leaf").with_u64(sequence)
}

fn audit_context(sequence: u64) -> Fields {
    Fields::new("audit").with_u64(sequence)
}
