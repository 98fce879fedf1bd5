//! The record of what happened: one row beside each ledger leaf, with its number, in its transaction.
//!
//! The leaf is made to be published and names nothing; the row stays in the tenant's region, sealed, and
//! may say more (`private`: a typed reason, the name of a rule). Nothing here changes or removes a row.
//!
//! Accesses come at a high rate: [`Store::append_audit`] puts everything that waits for the catalogue's
//! writer into one transaction, so that a crowd of hunts shares one sync.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use access::{Granted, GrantedCell, ReadAudit};
use ledger::{Happening, Leaf};
use model::{TenantId, Ticks, limits};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::Error;
use crate::catalogue::AuditRange;
use crate::flush::detached;
use crate::leaves::{self, Draft};
use crate::open::{Inner, Store};

/// A row of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Who did what, when, to which ids: the leaf of the same number.
    #[serde(flatten)]
    pub leaf: Leaf,
    /// What the leaf must not say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub private: BTreeMap<String, String>,
}

impl AuditEntry {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and string maps always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Something that happened, for the record. The actor and the tenant are those of the grant.
#[derive(Debug, Clone)]
pub struct AuditDraft(pub(crate) Draft);

impl AuditDraft {
    /// Something that happened to the tenant of the grant.
    pub fn of<A>(grant: &Granted<A>, happening: Happening) -> Self {
        Self(Draft::new(
            Some(grant.tenant()),
            Ticks::MIN,
            grant.actor(),
            happening,
        ))
    }

    /// Something that happened to the cell.
    pub fn of_cell<A>(grant: &GrantedCell<A>, happening: Happening) -> Self {
        Self(Draft::new(None, Ticks::MIN, grant.actor(), happening))
    }

    /// The same with one detail more: an opaque id, a version, a count, a digest.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl ToString) -> Self {
        Self(self.0.with(name, value))
    }

    /// The same with a detail that must not be published.
    #[must_use]
    pub fn with_private(self, name: &'static str, value: impl ToString) -> Self {
        Self(self.0.privately(name, value))
    }
}

/// Drafts of one caller, who waits for them.
type Waiting = (Vec<Draft>, oneshot::Sender<Result<(), Arc<Error>>>);

/// What waits for the catalogue's writer.
#[derive(Debug, Default)]
pub(crate) struct AuditQueue(std::sync::Mutex<Vec<Waiting>>);

impl AuditQueue {
    fn push(&self, waiting: Waiting) -> Result<(), Error> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::AUDIT_WAITING_MAX {
            return Err(Error::Busy);
        }
        all.push(waiting);
        Ok(())
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    /// Dates drafts, and refuses those that are too long.
    pub(crate) fn dated(&self, drafts: Vec<AuditDraft>) -> Result<Vec<Draft>, Error> {
        let at = self.cx.now();
        let mut dated = Vec::with_capacity(drafts.len());
        for AuditDraft(draft) in drafts {
            let details = draft.details.iter().chain(&draft.private);
            let bytes: usize = details.map(|(name, value)| name.len() + value.len()).sum();
            if bytes > limits::AUDIT_DETAILS_BYTES_MAX {
                return Err(Error::TooLarge { what: "audit row" });
            }
            dated.push(Draft { at, ..draft });
        }
        Ok(dated)
    }

    /// Writes everything that waits in one transaction and answers everyone.
    async fn write_audit(&self) {
        let mut writer = self.writer.lock().await;
        let waiting = self.audit.take();
        let (drafts, replies): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let drafts: Vec<Draft> = drafts.into_iter().flatten().collect();
        if drafts.is_empty() {
            return;
        }
        let write = async {
            let rows = writer.seal_all(&self.vault, drafts)?;
            self.catalogue.put_leaves(&rows).await?;
            writer.all_committed(&rows);
            Ok::<_, Error>(())
        };
        let written = write.await;
        let written = written.map_err(Arc::new);
        for reply in replies {
            // A caller that gave up has its rows all the same.
            let _ = reply.send(written.clone());
        }
    }
}

impl Store {
    /// Adds rows to the record, all or none; on return they are durable, with their leaves.
    pub async fn append_audit(&self, drafts: Vec<AuditDraft>) -> Result<(), Arc<Error>> {
        for AuditDraft(draft) in &drafts {
            if let Some(tenant) = draft.tenant {
                self.inner.tenant(tenant)?;
            }
        }
        if drafts.is_empty() {
            return Ok(());
        }
        let drafts = self.inner.dated(drafts)?;
        let (reply, answer) = oneshot::channel();
        self.inner.audit.push((drafts, reply))?;
        let inner = self.inner.clone();
        detached(async move {
            inner.write_audit().await;
            Ok::<_, Error>(())
        })
        .await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// A part of the tenant's record, the oldest first.
    pub async fn audit(
        &self,
        grant: &Granted<ReadAudit>,
        range: AuditRange,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.inner.live(grant)?;
        self.audit_of(Some(grant.tenant()), range, limit).await
    }

    /// A part of the cell's own record.
    pub async fn cell_audit(
        &self,
        grant: &GrantedCell<ReadAudit>,
        range: AuditRange,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Error> {
        grant
            .check(self.inner.cx.now())
            .map_err(|_| Error::NotGranted)?;
        self.audit_of(None, range, limit).await
    }

    async fn audit_of(
        &self,
        tenant: Option<TenantId>,
        range: AuditRange,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, Error> {
        // One more than a page tells that there is another.
        let limit = limit.min(limits::PAGE_ITEMS_MAX + 1);
        let rows = self.inner.catalogue.audit(tenant, range, limit).await?;
        rows.iter()
            .map(|row| leaves::open_audit(&self.inner.vault, row))
            .collect()
    }
}
