//! Which segments wait for the export to the centre, and what became of them.
//!
//! A level-0 segment is a batch of the export, and its id the batch's: asked again, the same batch. It is
//! not merged while it waits. Nothing waits if the tenant's export is off; what waited too long is
//! dropped and counted, so that no merge (and later no retention and no erasure) ever waits for an
//! export.
//!
//! Does not read what may leave: that is the gate's, and its receipt is stored here as it was given.

use std::collections::BTreeSet;
use std::sync::Arc;

use access::{Granted, Maintain, ReadEgress};
use crypto::Fields;
use ledger::Happening;
use model::{SegmentId, ServiceName, Span100ns, TableName, TenantId, Ticks, limits};
use rows::RecordBatch;

use crate::Error;
use crate::catalogue::{EgressOutcome, EgressRow};
use crate::flush::detached;
use crate::leaves::Draft;
use crate::memory::TenantRows;
use crate::open::Store;
use crate::segment::SegmentFile;

/// A tenant's export, in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Export {
    /// Segments made from this instant on wait; `None`: off.
    pub(crate) since: Option<Ticks>,
    /// Segments that do not wait any more.
    pub(crate) done: BTreeSet<SegmentId>,
}

impl Export {
    /// Whether the segment waits.
    pub(crate) fn wants(&self, file: &SegmentFile) -> bool {
        let since = self.since.is_some_and(|since| file.row.created_at >= since);
        since && file.row.level == 0 && !self.done.contains(&file.row.segment)
    }
}

/// A segment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingExport {
    /// The segment; the batch that is made of it has the same id.
    pub segment: SegmentId,
    /// Its table.
    pub table: TableName,
    /// Its service.
    pub service: ServiceName,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// When it was made.
    pub created_at: Ticks,
    /// When the export was switched on: rows that came before stay.
    pub since: Ticks,
}

/// What left of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportCommit {
    /// The segment, and the batch.
    pub segment: SegmentId,
    /// Facts that left; 0 if there was nothing that may leave.
    pub facts: u64,
    /// Bytes that left.
    pub bytes: u64,
    /// The gate's receipt, as it is encoded.
    pub receipt: Vec<u8>,
}

/// What became of a segment that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressEntry {
    /// Number of its leaf; the list goes by it.
    pub sequence: u64,
    /// The segment, and the batch.
    pub segment: SegmentId,
    /// When.
    pub at: Ticks,
    /// What became of it.
    pub outcome: EgressOutcome,
    /// Rows of the segment.
    pub rows: u64,
    /// Facts that left.
    pub facts: u64,
    /// Bytes that left.
    pub bytes: u64,
    /// The gate's receipt; empty if nothing left.
    pub receipt: Vec<u8>,
}

impl Store {
    /// Switches the tenant's export to the centre on or off. Switched on, it begins with what is flushed
    /// from now on; what waits when it is switched off never leaves. No change is no leaf.
    pub async fn set_export(&self, grant: &Granted<Maintain>, on: bool) -> Result<(), Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let (inner, actor) = (self.inner.clone(), *grant.actor());
        detached(async move {
            let mut writer = inner.writer.lock().await;
            if state.export().since.is_some() == on {
                return Ok(());
            }
            let at = inner.cx.now();
            let since = on.then_some(at);
            let draft = Draft::new(Some(state.tenant), at, actor, Happening::ExportSwitched);
            let leaves = [writer.seal(&inner.vault, draft.with("on", on))?];
            let set = inner.catalogue.set_export(state.tenant, since, &leaves);
            set.await?;
            writer.all_committed(&leaves);
            state.change_export(|export| export.since = since);
            Ok(())
        })
        .await
    }

    /// When the tenant's export was switched on; nothing if it is off.
    pub fn export_since(&self, grant: &Granted<Maintain>) -> Result<Option<Ticks>, Error> {
        self.inner.live(grant)?;
        Ok(self.inner.tenant(grant.tenant())?.export().since)
    }

    /// The tenant's segments that wait for the export, the oldest first.
    pub fn pending_export(&self, grant: &Granted<Maintain>) -> Result<Vec<PendingExport>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let export = state.export();
        let Some(since) = export.since else {
            return Ok(Vec::new());
        };
        let rows = self.inner.memory.of(state.tenant);
        let mut pending: Vec<_> = waiting(&rows, &export)
            .into_iter()
            .map(|file| PendingExport {
                segment: file.row.segment,
                table: file.manifest.table().clone(),
                service: file.manifest.service().clone(),
                rows: file.row.rows,
                bytes: file.row.bytes,
                created_at: file.row.created_at,
                since,
            })
            .collect();
        pending.sort_by_key(|p| (p.created_at, p.segment));
        Ok(pending)
    }

    /// The rows of a segment that waits. Nobody else gets at rows by this way.
    pub async fn read_export(
        &self,
        grant: &Granted<Maintain>,
        segment: SegmentId,
    ) -> Result<Vec<RecordBatch>, Error> {
        self.inner.live(grant)?;
        let file = self.waiting_file(grant.tenant(), segment)?;
        tokio::task::spawn_blocking(move || file.read(None))
            .await
            .map_err(|_| Error::Closed)?
    }

    fn waiting_file(
        &self,
        tenant: TenantId,
        segment: SegmentId,
    ) -> Result<Arc<SegmentFile>, Error> {
        let state = self.inner.tenant(tenant)?;
        let rows = self.inner.memory.of(tenant);
        let mut files = waiting(&rows, &state.export()).into_iter();
        let found = files.find(|file| file.row.segment == segment);
        found.ok_or(Error::Catalogue(crate::catalogue::Error::Missing {
            what: "waiting segment",
        }))
    }

    /// Notes what left of a segment, with a leaf. A segment that does not wait (any more) is `not_found`:
    /// the caller's earlier try succeeded, or the export was switched off.
    pub async fn commit_export(
        &self,
        grant: &Granted<Maintain>,
        commit: ExportCommit,
    ) -> Result<(), Error> {
        self.inner.live(grant)?;
        if commit.receipt.len() > limits::DETECTION_ITEM_BYTES_MAX {
            return Err(Error::TooLarge { what: "receipt" });
        }
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let state = store.inner.tenant(tenant)?;
            let mut writer = store.inner.writer.lock().await;
            let file = store.waiting_file(tenant, commit.segment)?;
            let at = store.inner.cx.now();
            let draft = Draft::new(Some(tenant), at, actor, Happening::FactsSent)
                .with("batch", commit.segment)
                .with("facts", commit.facts)
                .with("bytes", commit.bytes)
                .with(
                    "receipt_sha256",
                    crypto::hex(&crypto::sha256(&commit.receipt)),
                );
            let leaves = [writer.seal(&store.inner.vault, draft)?];
            let mut row = EgressRow {
                tenant,
                segment: commit.segment,
                sequence: leaves.first().map_or(0, |leaf| leaf.sequence),
                at,
                outcome: EgressOutcome::Sent,
                rows: file.row.rows,
                facts: commit.facts,
                bytes: commit.bytes,
                sealed: Vec::new(),
            };
            row.sealed = state
                .vault
                .seal_blob(&egress_context(&row), &commit.receipt);
            let rows = [row];
            let noted = store.inner.catalogue.commit_egress(&rows, &leaves);
            noted.await?;
            writer.all_committed(&leaves);
            state.change_export(|export| export.done.extend([commit.segment]));
            Ok(())
        })
        .await
    }

    /// Drops from the export what has waited too long at `now`; how many segments that were.
    /// [`Store::compact_step`] does the same before it looks for what to merge.
    pub async fn drop_late_exports(
        &self,
        grant: &Granted<Maintain>,
        now: Ticks,
    ) -> Result<u64, Error> {
        self.inner.live(grant)?;
        let (store, tenant, actor) = (self.clone(), grant.tenant(), grant.actor().to_string());
        detached(async move { store.drop_late(tenant, actor, now).await }).await
    }

    pub(crate) async fn drop_late(
        &self,
        tenant: TenantId,
        actor: String,
        now: Ticks,
    ) -> Result<u64, Error> {
        let state = self.inner.tenant(tenant)?;
        let patience = Span100ns::days(limits::EXPORT_WAIT_DAYS_MAX);
        let late = || {
            let rows = self.inner.memory.of(tenant);
            let mut late = waiting(&rows, &state.export());
            late.retain(|file| now.since(file.row.created_at) > patience);
            late
        };
        if late().is_empty() {
            return Ok(0);
        }
        let mut writer = self.inner.writer.lock().await;
        let late = late();
        let draft = |file: &Arc<SegmentFile>| {
            Draft::new(Some(tenant), now, actor.clone(), Happening::ExportDropped)
                .with("batch", file.row.segment)
                .with("rows", file.row.rows)
        };
        let drafts = late.iter().map(draft).collect();
        let leaves = writer.seal_all(&self.inner.vault, drafts)?;
        let mut dropped = Vec::with_capacity(late.len());
        for (file, leaf) in late.iter().zip(&leaves) {
            let mut row = EgressRow {
                tenant,
                segment: file.row.segment,
                sequence: leaf.sequence,
                at: now,
                outcome: EgressOutcome::Dropped,
                rows: file.row.rows,
                facts: 0,
                bytes: 0,
                sealed: Vec::new(),
            };
            row.sealed = state.vault.seal_blob(&egress_context(&row), &[]);
            dropped.push(row);
        }
        self.inner
            .catalogue
            .commit_egress(&dropped, &leaves)
            .await?;
        writer.all_committed(&leaves);
        state.change_export(|export| {
            export.done.extend(late.iter().map(|file| file.row.segment));
        });
        Ok(u64::try_from(late.len()).unwrap_or(u64::MAX))
    }

    /// What left of the tenant's segments, the newest first, below number `before`.
    pub async fn egress(
        &self,
        grant: &Granted<ReadEgress>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EgressEntry>, Error> {
        self.inner.live(grant)?;
        let tenant = grant.tenant();
        // One more than a page tells that there is another.
        let limit = limit.min(limits::PAGE_ITEMS_MAX + 1);
        let rows = self.inner.catalogue.egress(tenant, before, limit).await?;
        rows.into_iter().map(|row| self.open_egress(row)).collect()
    }

    /// What left of one segment.
    pub async fn egress_of(
        &self,
        grant: &Granted<ReadEgress>,
        segment: SegmentId,
    ) -> Result<Option<EgressEntry>, Error> {
        self.inner.live(grant)?;
        let row = self.inner.catalogue.egress_of(grant.tenant(), segment);
        row.await?.map(|row| self.open_egress(row)).transpose()
    }

    fn open_egress(&self, row: EgressRow) -> Result<EgressEntry, Error> {
        let vault = &self.inner.tenant(row.tenant)?.vault;
        Ok(EgressEntry {
            receipt: vault.open_blob(&egress_context(&row), &row.sealed)?,
            sequence: row.sequence,
            segment: row.segment,
            at: row.at,
            outcome: row.outcome,
            rows: row.rows,
            facts: row.facts,
            bytes: row.bytes,
        })
    }
}

fn waiting(rows: &TenantRows, export: &Export) -> Vec<Arc<SegmentFile>> {
    let files = rows.partitions.values().flat_map(|p| &p.segments);
    files.filter(|file| export.wants(file)).cloned().collect()
}

/// What a receipt is sealed for: all of its row.
fn egress_context(row: &EgressRow) -> Fields {
    let outcome = match row.outcome {
        EgressOutcome::Sent => 0,
        EgressOutcome::Dropped => 1,
    };
    Fields::new("egress")
        .with(row.segment.as_bytes())
        .with_u64(row.sequence)
        .with(&row.at.0.to_le_bytes())
        .with(&[outcome])
        .with_u64(row.rows)
        .with_u64(row.facts)
        .with_u64(row.bytes)
}
