//! Which segments wait for the export to the centre, and what became of them.
//!
//! A level-0 segment is a batch of the export, and its id the batch's: asked again, the same batch. It is
//! not merged while it waits. Nothing waits if the tenant's export is off; what waited too long is
//! dropped and counted, so that no merge (and later no retention and no erasure) ever waits for an
//! export.
//!
//! What leaves is a parcel, kept here sealed from before it is sent until its acknowledgement is noted:
//! a retry after a crash or a lost answer sends the same bytes. Its leaf ([`Happening::FactsPacked`]) is
//! durable before the first of them, so that nothing leaves that is not on record; the leaf that says it
//! arrived has the same digests.
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
use crate::catalogue::{EgressOutcome, EgressRow, KeptKind, KeptRow, ParcelRow};
use crate::flush::detached;
use crate::leaves::Draft;
use crate::memory::TenantRows;
use crate::open::{Store, TenantState};
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

/// A parcel for the centre, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The segment, and the batch.
    pub segment: SegmentId,
    /// Its facts.
    pub facts: u64,
    /// The gate's receipt, as it is encoded.
    pub receipt: Vec<u8>,
    /// What goes over the wire.
    pub parcel: Vec<u8>,
}

/// What became of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportCommit {
    /// The segment, and the batch.
    pub segment: SegmentId,
    /// What the centre signed when it had the segment's parcel; empty if there was nothing that may leave,
    /// and so no parcel.
    pub acknowledgement: Vec<u8>,
    /// What belongs to the tenant, as the caller encodes it, if that has changed.
    pub own: Option<Vec<u8>>,
}

/// Parcels that wait for the centre's acknowledgement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParcelCounts {
    /// How many.
    pub waiting: u64,
    /// Their facts.
    pub facts: u64,
    /// Their bytes.
    pub bytes: u64,
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
    /// What the centre signed; empty if it signed nothing.
    pub acknowledgement: Vec<u8>,
}

impl Store {
    /// Switches the tenant's export to the centre on or off. Switched on, it begins with what is flushed
    /// from now on; what waits when it is switched off is not sent any more. No change is no leaf.
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
            let mut drafts = vec![draft.with("on", on)];
            let parcels = inner.catalogue.parcels(state.tenant).await?;
            let rows = inner.memory.of(state.tenant);
            let rows_of = |segment| {
                let mut files = rows.partitions.values().flat_map(|p| &p.segments);
                let file = files.find(|file| file.row.segment == segment);
                file.map_or(0, |file| file.row.rows)
            };
            let given_up: Vec<GivenUp<'_>> = parcels
                .iter()
                .map(|parcel| GivenUp {
                    segment: parcel.segment,
                    rows: rows_of(parcel.segment),
                    parcel: Some(parcel),
                })
                .collect();
            for each in &given_up {
                drafts.push(each.draft(&state, at, actor)?);
            }
            let leaves = writer.seal_all(&inner.vault, drafts)?;
            let given_up: Vec<EgressRow> = given_up
                .iter()
                .zip(leaves.iter().skip(1))
                .map(|(each, leaf)| each.row(&state, leaf.sequence, at))
                .collect::<Result<_, Error>>()?;
            let set = inner
                .catalogue
                .set_export(state.tenant, since, &given_up, &leaves);
            set.await?;
            writer.all_committed(&leaves);
            state.change_export(|export| {
                export.since = since;
                export.done.extend(given_up.iter().map(|row| row.segment));
            });
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

    /// Keeps a parcel, sealed, before it is sent, with a leaf that says so. `own`: what belongs to the
    /// tenant, as the caller encodes it, if that has changed. A segment that has a parcel, or does not wait
    /// any more, is refused.
    pub async fn pack_export(
        &self,
        grant: &Granted<Maintain>,
        packed: Packed,
        own: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        self.inner.live(grant)?;
        if packed.parcel.len() > limits::EGRESS_BATCH_BYTES_MAX + limits::DOCUMENT_BYTES_MAX {
            return Err(Error::TooLarge { what: "parcel" });
        }
        if packed.receipt.len() > limits::DETECTION_ITEM_BYTES_MAX {
            return Err(Error::TooLarge { what: "receipt" });
        }
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let state = store.inner.tenant(tenant)?;
            let mut writer = store.inner.writer.lock().await;
            store.waiting_file(tenant, packed.segment)?;
            let at = store.inner.cx.now();
            let mut row = ParcelRow {
                tenant,
                segment: packed.segment,
                at,
                facts: packed.facts,
                bytes: u64::try_from(packed.parcel.len()).unwrap_or(u64::MAX),
                receipt: Vec::new(),
                sealed: Vec::new(),
            };
            let seal =
                |what, bytes: &[u8]| state.vault.seal_blob(&parcel_context(what, &row), bytes);
            let (receipt, sealed) = (
                seal("parcel-receipt", &packed.receipt),
                seal("parcel", &packed.parcel),
            );
            (row.receipt, row.sealed) = (receipt, sealed);
            let draft = Draft::new(Some(tenant), at, actor, Happening::FactsPacked);
            let draft = with_figures(draft, &row, &packed.receipt);
            let draft = draft.with("parcel_sha256", digest(&packed.parcel));
            let leaves = [writer.seal(&store.inner.vault, draft)?];
            let kept = store.seal_own(&state, own).await?;
            let put = store
                .inner
                .catalogue
                .put_parcel(&row, kept.as_ref(), &leaves);
            put.await?;
            writer.all_committed(&leaves);
            Ok(())
        })
        .await
    }

    /// The parcel of a segment that waits; nothing if none was packed.
    pub async fn packed_export(
        &self,
        grant: &Granted<Maintain>,
        segment: SegmentId,
    ) -> Result<Option<Packed>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let row = self.inner.catalogue.parcel(state.tenant, segment).await?;
        row.map(|row| open_parcel(&state, &row)).transpose()
    }

    /// The parcels of the tenant that wait for their acknowledgement.
    pub async fn parcel_counts(&self, grant: &Granted<ReadEgress>) -> Result<ParcelCounts, Error> {
        self.inner.live(grant)?;
        let mut counts = ParcelCounts::default();
        for row in self.inner.catalogue.parcels(grant.tenant()).await? {
            counts.waiting += 1;
            counts.facts += row.facts;
            counts.bytes += row.bytes;
        }
        Ok(counts)
    }

    /// Notes what became of a segment, with a leaf. If it has a parcel, that is what left: figures and
    /// digests are the parcel's, and the centre's acknowledgement is wanted. A segment that does not wait
    /// (any more) is `not_found`: the caller's earlier try succeeded, or the export was switched off.
    pub async fn commit_export(
        &self,
        grant: &Granted<Maintain>,
        commit: ExportCommit,
    ) -> Result<(), Error> {
        self.inner.live(grant)?;
        if commit.acknowledgement.len() > limits::DETECTION_ITEM_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "acknowledgement",
            });
        }
        let (store, tenant, actor) = (self.clone(), grant.tenant(), *grant.actor());
        detached(async move {
            let state = store.inner.tenant(tenant)?;
            let mut writer = store.inner.writer.lock().await;
            let file = store.waiting_file(tenant, commit.segment)?;
            let parcel = store.inner.catalogue.parcel(tenant, commit.segment).await?;
            if parcel.is_some() == commit.acknowledgement.is_empty() {
                return Err(Error::Form {
                    what: "acknowledgement",
                });
            }
            let packed = parcel.as_ref().map(|row| open_parcel(&state, row));
            let packed = packed.transpose()?;
            let at = store.inner.cx.now();
            let mut draft = Draft::new(Some(tenant), at, actor, Happening::FactsSent);
            draft = match (&parcel, &packed) {
                (Some(row), Some(packed)) => with_figures(draft, row, &packed.receipt)
                    .with("parcel_sha256", digest(&packed.parcel))
                    .with("acknowledgement_sha256", digest(&commit.acknowledgement)),
                _ => draft
                    .with("batch", commit.segment)
                    .with("facts", 0)
                    .with("bytes", 0),
            };
            let leaves = [writer.seal(&store.inner.vault, draft)?];
            let mut row = EgressRow {
                tenant,
                segment: commit.segment,
                sequence: leaves.first().map_or(0, |leaf| leaf.sequence),
                at,
                outcome: EgressOutcome::Sent,
                rows: file.row.rows,
                facts: parcel.as_ref().map_or(0, |p| p.facts),
                bytes: parcel.as_ref().map_or(0, |p| p.bytes),
                sealed: Vec::new(),
                acknowledged: Vec::new(),
            };
            let receipt = packed.map(|p| p.receipt).unwrap_or_default();
            row.sealed = state.vault.seal_blob(&egress_context(&row), &receipt);
            if !commit.acknowledgement.is_empty() {
                let context = acknowledged_context(commit.segment);
                row.acknowledged = state.vault.seal_blob(&context, &commit.acknowledgement);
            }
            let kept = store.seal_own(&state, commit.own).await?;
            let rows = [row];
            let noted = store
                .inner
                .catalogue
                .commit_egress(&rows, kept.as_ref(), &leaves);
            noted.await?;
            writer.all_committed(&leaves);
            state.change_export(|export| export.done.extend([commit.segment]));
            Ok(())
        })
        .await
    }

    async fn seal_own(
        &self,
        state: &TenantState,
        own: Option<Vec<u8>>,
    ) -> Result<Option<KeptRow>, Error> {
        let Some(own) = own else { return Ok(None) };
        let kind = KeptKind::Own;
        let former = self.inner.catalogue.kept(Some(state.tenant), kind).await?;
        let version = former.map_or(0, |row| row.version) + 1;
        Ok(Some(KeptRow {
            tenant: Some(state.tenant),
            kind,
            version,
            sealed: state.vault.seal_blob(&kept_context(kind, version), &own),
        }))
    }

    /// What belongs to the tenant, as the last export's commit had it.
    pub async fn own_values(&self, grant: &Granted<Maintain>) -> Result<Option<Vec<u8>>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        let kind = KeptKind::Own;
        let row = self.inner.catalogue.kept(Some(state.tenant), kind).await?;
        let open = |row: KeptRow| {
            let context = kept_context(kind, row.version);
            Ok(state.vault.open_blob(&context, &row.sealed)?)
        };
        row.map(open).transpose()
    }

    /// Keeps the centre's newest snapshot over a restart. What it says is the caller's to verify, again
    /// when it is read back.
    pub async fn put_snapshot(&self, snapshot: Vec<u8>) -> Result<(), Error> {
        if snapshot.len() > limits::SNAPSHOT_BYTES_MAX {
            return Err(Error::TooLarge { what: "snapshot" });
        }
        let inner = self.inner.clone();
        detached(async move {
            let _writer = inner.writer.lock().await;
            let kind = KeptKind::Snapshot;
            let former = inner.catalogue.kept(None, kind).await?;
            let version = former.map_or(0, |row| row.version) + 1;
            let context = kept_context(kind, version);
            let row = KeptRow {
                tenant: None,
                kind,
                version,
                sealed: inner.vault.seal_cell_blob(&context, &snapshot),
            };
            Ok(inner.catalogue.put_kept(&row).await?)
        })
        .await
    }

    /// The snapshot that was kept last.
    pub async fn kept_snapshot(&self) -> Result<Option<Vec<u8>>, Error> {
        let kind = KeptKind::Snapshot;
        let row = self.inner.catalogue.kept(None, kind).await?;
        let open = |row: KeptRow| {
            let context = kept_context(kind, row.version);
            Ok(self.inner.vault.open_cell_blob(&context, &row.sealed)?)
        };
        row.map(open).transpose()
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
        let parcels = self.inner.catalogue.parcels(tenant).await?;
        let given_up: Vec<GivenUp<'_>> = late
            .iter()
            .map(|file| GivenUp {
                segment: file.row.segment,
                rows: file.row.rows,
                parcel: parcels.iter().find(|p| p.segment == file.row.segment),
            })
            .collect();
        let drafts = given_up.iter().map(|each| each.draft(&state, now, &actor));
        let drafts = drafts.collect::<Result<_, Error>>()?;
        let leaves = writer.seal_all(&self.inner.vault, drafts)?;
        let dropped: Vec<EgressRow> = given_up
            .iter()
            .zip(&leaves)
            .map(|(each, leaf)| each.row(&state, leaf.sequence, now))
            .collect::<Result<_, Error>>()?;
        self.inner
            .catalogue
            .commit_egress(&dropped, None, &leaves)
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
        let context = acknowledged_context(row.segment);
        let acknowledged = Some(&row.acknowledged).filter(|sealed| !sealed.is_empty());
        let acknowledgement = acknowledged.map(|sealed| vault.open_blob(&context, sealed));
        Ok(EgressEntry {
            acknowledgement: acknowledgement.transpose()?.unwrap_or_default(),
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

/// A segment that is not waited for any more. If it has a parcel, that may have arrived: nobody said so.
struct GivenUp<'a> {
    segment: SegmentId,
    rows: u64,
    parcel: Option<&'a ParcelRow>,
}

impl GivenUp<'_> {
    fn draft(&self, state: &TenantState, at: Ticks, actor: impl ToString) -> Result<Draft, Error> {
        let draft = Draft::new(Some(state.tenant), at, actor, Happening::ExportDropped);
        let draft = draft.with("rows", self.rows);
        Ok(match self.parcel {
            Some(parcel) => with_figures(draft, parcel, &open_receipt(state, parcel)?),
            None => draft.with("batch", self.segment),
        })
    }

    fn row(&self, state: &TenantState, sequence: u64, at: Ticks) -> Result<EgressRow, Error> {
        let receipt = self.parcel.map(|parcel| open_receipt(state, parcel));
        let mut row = EgressRow {
            tenant: state.tenant,
            segment: self.segment,
            sequence,
            at,
            outcome: EgressOutcome::Dropped,
            rows: self.rows,
            facts: self.parcel.map_or(0, |p| p.facts),
            bytes: self.parcel.map_or(0, |p| p.bytes),
            sealed: Vec::new(),
            acknowledged: Vec::new(),
        };
        let receipt = receipt.transpose()?.unwrap_or_default();
        row.sealed = state.vault.seal_blob(&egress_context(&row), &receipt);
        Ok(row)
    }
}

fn with_figures(draft: Draft, row: &ParcelRow, receipt: &[u8]) -> Draft {
    draft
        .with("batch", row.segment)
        .with("facts", row.facts)
        .with("bytes", row.bytes)
        .with("receipt_sha256", digest(receipt))
}

fn digest(bytes: &[u8]) -> String {
    crypto::hex(&crypto::sha256(bytes))
}

fn open_receipt(state: &TenantState, row: &ParcelRow) -> Result<Vec<u8>, Error> {
    let context = parcel_context("parcel-receipt", row);
    Ok(state.vault.open_blob(&context, &row.receipt)?)
}

fn open_parcel(state: &TenantState, row: &ParcelRow) -> Result<Packed, Error> {
    let context = parcel_context("parcel", row);
    Ok(Packed {
        segment: row.segment,
        facts: row.facts,
        receipt: open_receipt(state, row)?,
        parcel: state.vault.open_blob(&context, &row.sealed)?,
    })
}

/// What a parcel and its receipt are sealed for: which of the two, and all of their row.
fn parcel_context(what: &'static str, row: &ParcelRow) -> Fields {
    Fields::new(what)
        .with(row.segment.as_bytes())
        .with(&row.at.0.to_le_bytes())
        .with_u64(row.facts)
        .with_u64(row.bytes)
}

fn acknowledged_context(segment: SegmentId) -> Fields {
    Fields::new("egress-acknowledged").with(segment.as_bytes())
}

fn kept_context(kind: KeptKind, version: u64) -> Fields {
    let kind = match kind {
        KeptKind::Own => 1,
        KeptKind::Snapshot => 2,
    };
    Fields::new("kept").with(&[kind]).with_u64(version)
}
