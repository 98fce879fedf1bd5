//! The egress gate: what of a tenant's rows leaves for the centre, and what the centre says back.
//!
//! ```text
//! level-0 segments ─► pseudonym::Gatherer ─► tokens ─► Pseudonymised<Batch> ─► parcel, kept sealed
//!   with its leaf ─► CentrePort::submit ─► acknowledgement, kept with receipt and leaf; parcel gone
//! ```
//!
//! Promises
//! - Nothing is handed to the port but what `pseudonym` made under the allow-list that the operator
//!   signed. A tenant whose mode is `off` hands over nothing, and rows from before it was switched on
//!   stay.
//! - A parcel is durable, and on record, before its first byte is sent. A retry after a crash or a lost
//!   answer sends the same bytes. A segment is done only when the centre has signed for its parcel, or after
//!   it waited [`limits::EXPORT_WAIT_DAYS_MAX`] days, which is counted.
//! - A parcel that the centre refuses holds up no other.
//! - What comes back is looked up here: the centre is never asked about one indicator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use access::{Credential, Granted, Hunt, Maintain, ReadEgress, ReadIncidents};
use model::{
    Code, Epoch, Indicator, IndicatorClass, IndicatorTokens as _, Purpose, RowId, SegmentId,
    Technique, TenantId, Ticks, TokensError, limits,
};
use pseudonym::{Gatherer, Group, Own};
use residency::egress::{Acknowledgement, AllowList, Prevalence, Receipt, Snapshot};
use residency::{CentreMode, Verified};
use rows::arrow::array::{BooleanArray, FixedSizeBinaryArray, Int64Array};
use rows::arrow::compute::filter_record_batch;
use rows::{RecordBatch, hidden};
use store::{AlertFilter, EgressEntry, ExportCommit, Packed, PendingExport};
use vault::Vault;

use crate::cell::{Cell, Standing, Tenant};
use crate::stored::StoredAlert;
use crate::{Error, PeerError};

/// What the gate keeps in memory.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// What the centre said last.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// What belongs to each tenant, learnt from the rows that were looked at; read from the store the
    /// first time.
    own: Mutex<BTreeMap<TenantId, Learnt>>,
}

/// What belongs to a tenant, and as what the store has it.
#[derive(Debug, Clone, Default)]
struct Learnt {
    own: Own,
    stored: Vec<u8>,
}

/// What is missing before anything can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportWaits {
    /// A list, signed by the operator, of what may leave.
    AllowList,
    /// The linkage secret of the running epoch, imported by two people.
    Linkage,
}

/// How the export of one segment went.
enum Exported {
    /// So many facts left; possibly none.
    Facts(u64),
    /// The centre has it not, and refuses it.
    Refused(Code),
    /// The centre cannot be reached.
    Away,
}

/// Epochs whose secrets are kept, the running one included: as long as the centre keeps their facts.
const EPOCHS_KEPT: u32 = limits::CENTRE_EPOCHS_KEPT;

/// What left of one segment, or that nothing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressView {
    /// The entry as it is stored.
    pub entry: EgressEntry,
    /// The receipt, if anything left.
    pub receipt: Option<Receipt>,
    /// When the centre had it, as it signed; nothing if it did not say so.
    pub acknowledged_at: Option<Ticks>,
}

/// What is known of a file beyond this tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProfile {
    /// Told by the centre; nothing below the threshold of owner groups.
    pub prevalence: Option<Prevalence>,
    /// Number of the snapshot that says so, and when it was made; nothing before the first.
    pub snapshot: Option<(u64, Ticks)>,
}

/// What one snapshot of the centre says of files. It is looked up here, with the cell's own keys: nobody
/// outside learns which file was asked about.
#[derive(Debug, Clone)]
pub struct KnownFiles {
    vault: Arc<Vault>,
    snapshot: Option<Arc<Snapshot>>,
}

impl KnownFiles {
    /// Number of the snapshot and when it was made; nothing before the first.
    pub fn snapshot(&self) -> Option<(u64, Ticks)> {
        let snapshot = self.snapshot.as_ref()?;
        Some((snapshot.number(), snapshot.published_at()))
    }

    /// What may be told of each file, by its SHA-256, in the order given. Of several epochs that know
    /// one, the larger figure and the earlier day.
    pub async fn look_up(&self, sha256: &[String]) -> Result<Vec<Option<Prevalence>>, Error> {
        let class = IndicatorClass::FileSha256;
        let indicators = sha256.iter().map(|text| {
            let indicator = pseudonym::canonical::indicator(class, text);
            indicator.ok_or_else(|| Error::Bad("not a SHA-256".to_owned()))
        });
        let indicators: Vec<Indicator> = indicators.collect::<Result<_, _>>()?;
        let mut best: Vec<Option<Prevalence>> = vec![None; indicators.len()];
        let Some(snapshot) = &self.snapshot else {
            return Ok(best);
        };
        for (epoch, _) in snapshot.epochs() {
            let purpose = Purpose::Prevalence;
            let tokens = match self.vault.tokens(purpose, epoch, &indicators).await {
                Ok(tokens) => tokens,
                // An epoch whose secret is not in this ring has nothing to say here.
                Err(TokensError::NoSecret { .. }) => continue,
                Err(error) => {
                    return Err(Error::Hunt {
                        code: error.code(),
                        message: error.to_string(),
                    });
                }
            };
            for (best, token) in best.iter_mut().zip(tokens) {
                *best = match (best.take(), snapshot.lookup(epoch, &token)) {
                    (Some(a), Some(b)) => Some(Prevalence {
                        first_day: a.first_day.min(b.first_day),
                        ..if b.groups > a.groups { b } else { a }
                    }),
                    (a, b) => a.or(b),
                };
            }
        }
        Ok(best)
    }
}

impl Tenant {
    /// What the centre may be told, and whom the tenant counts with.
    fn centre(&self) -> (CentreMode, Group) {
        match &self.standing {
            Standing::Home(record) => {
                let settings = record.settings();
                (settings.centre, Group::of(self.id, settings.owner_group))
            }
            Standing::Second(profile) => {
                (profile.centre(), Group::of(self.id, profile.owner_group()))
            }
        }
    }
}

impl Cell {
    /// One round: what may leave of each tenant leaves, and the newest snapshot is pulled.
    pub async fn export_step(&self) -> crate::StepReport {
        let mut report = crate::StepReport::default();
        for tenant in self.all_tenants() {
            match self.export_tenant(&tenant).await {
                Ok(facts) => report.facts += facts,
                Err(error) => {
                    report.failures += 1;
                    let fields = [("tenant", tenant.id.into()), ("step", "export".into())];
                    self.inner.cx.error("step_failed", error.code(), &fields);
                }
            }
        }
        if let Err(error) = self.pull_snapshot().await {
            self.inner.cx.warn("snapshot_refused", error.code(), &[]);
        }
        let running = Epoch::at(self.inner.cx.now());
        let oldest = Epoch(running.0.saturating_sub(EPOCHS_KEPT - 1));
        let vault = self.store().vault();
        if let Err(error) = vault.destroy_epochs_before(oldest) {
            self.inner
                .cx
                .error("epochs_not_destroyed", error.code(), &[]);
        }
        report
    }

    async fn export_tenant(&self, tenant: &Arc<Tenant>) -> Result<u64, Error> {
        let (_, group) = tenant.centre();
        let system = Credential::system("export");
        let grant = self.inner.cx.decide::<Maintain>(&system, tenant.id)?;
        let (Some(list), true) = (
            &self.inner.options.allow_list,
            self.switch_export(tenant).await?,
        ) else {
            return Ok(0);
        };
        self.store()
            .drop_late_exports(&grant, self.inner.cx.now())
            .await?;
        let (mut facts, mut refused) = (0, None);
        for pending in self.store().pending_export(&grant)? {
            let exported = self.export_segment(tenant, &grant, list, group, &pending);
            match exported.await? {
                Exported::Facts(sent) => facts += sent,
                Exported::Refused(code) => refused = Some(code),
                // It waits, and so do those behind it.
                Exported::Away => break,
            }
        }
        if let Some(code) = refused {
            let fields = [("tenant", tenant.id.into())];
            self.inner.cx.warn("parcel_refused", code, &fields);
        }
        Ok(facts)
    }

    /// Switches the tenant's export on or off, as its mode says: what comes from then on may leave, and
    /// what waits when it is off never does. Whether it is on.
    pub(crate) async fn switch_export(&self, tenant: &Tenant) -> Result<bool, Error> {
        let (mode, _) = tenant.centre();
        let on = self.inner.options.allow_list.is_some() && mode == CentreMode::Facts;
        let system = Credential::system("export");
        let grant = self.inner.cx.decide::<Maintain>(&system, tenant.id)?;
        self.store().set_export(&grant, on).await?;
        Ok(on)
    }

    /// What has to be done before anything of the tenant can leave for the centre, though the tenant
    /// wants it; nothing if it does not, or if nothing is missing.
    pub(crate) fn export_waits_for(&self, tenant: &Tenant) -> Option<ExportWaits> {
        if tenant.centre().0 == CentreMode::Off {
            return None;
        }
        if self.inner.options.allow_list.is_none() {
            return Some(ExportWaits::AllowList);
        }
        let running = Epoch::at(self.inner.cx.now());
        let known = self.store().vault().linkage_epochs().contains(&running);
        (!known).then_some(ExportWaits::Linkage)
    }

    async fn export_segment(
        &self,
        tenant: &Arc<Tenant>,
        grant: &Granted<Maintain>,
        list: &Arc<Verified<AllowList>>,
        group: Group,
        pending: &PendingExport,
    ) -> Result<Exported, Error> {
        let mut packed = self.store().packed_export(grant, pending.segment).await?;
        let mut own = None;
        if packed.is_none() && Gatherer::wants(list, &pending.table) {
            let batches = self.store().read_export(grant, pending.segment).await?;
            let wanted = row_ids(&batches)?;
            let techniques = self.techniques_of(tenant, &wanted, pending.created_at);
            let techniques = techniques.await?;
            let learnt = self.own_of(grant, pending, &batches).await?;
            own = learnt.changed();
            let parcel = self
                .parcel(list, group, pending, &learnt.own, &batches, &techniques)
                .await?;
            if let Some(parcel) = parcel {
                let made = Packed {
                    segment: pending.segment,
                    facts: parcel.receipt.facts,
                    receipt: parcel.signed_receipt,
                    parcel: parcel.bytes,
                };
                let pack = self.store().pack_export(grant, made.clone(), own.clone());
                pack.await?;
                self.note_stored(tenant.id, own.take());
                packed = Some(made);
            }
        }
        let acknowledgement = match &packed {
            None => Vec::new(),
            Some(packed) => match self.hand_over(packed).await {
                Ok(signed) => signed,
                Err(PeerError::Unreachable) => return Ok(Exported::Away),
                Err(PeerError::Refused(code)) => return Ok(Exported::Refused(code)),
            },
        };
        let commit = ExportCommit {
            segment: pending.segment,
            acknowledgement,
            own: own.clone(),
        };
        self.store().commit_export(grant, commit).await?;
        self.note_stored(tenant.id, own);
        Ok(Exported::Facts(packed.map_or(0, |packed| packed.facts)))
    }

    /// Hands a parcel over; what the centre signed for this very parcel.
    async fn hand_over(&self, packed: &Packed) -> Result<Vec<u8>, PeerError> {
        let port = &self.inner.options.centre;
        let signed = port.submit(&packed.parcel).await?;
        let damaged = |_| PeerError::Refused(Code::BadDocument);
        let receipt = Receipt::open(&packed.receipt, &self.public_key()).map_err(damaged)?;
        // Whoever cannot show that the centre has it is asked again.
        let key = port.key().ok_or(PeerError::Unreachable)?;
        Acknowledgement::open(&signed, &key, &receipt).map_err(damaged)?;
        Ok(signed)
    }

    /// What belongs to the tenant, with what these rows teach.
    async fn own_of(
        &self,
        grant: &Granted<Maintain>,
        pending: &PendingExport,
        batches: &[RecordBatch],
    ) -> Result<Learnt, Error> {
        let tenant = grant.tenant();
        let known = self.learnt().contains_key(&tenant);
        if !known {
            let stored = self.store().own_values(grant).await?;
            let stored = stored.unwrap_or_default();
            // What is of another form is learnt anew.
            let own = Own::from_bytes(&stored).unwrap_or_default();
            self.learnt()
                .entry(tenant)
                .or_insert(Learnt { own, stored });
        }
        let mut all = self.learnt();
        let learnt = all.entry(tenant).or_default();
        for batch in batches {
            learnt.own.learn(&pending.table, batch);
        }
        Ok(learnt.clone())
    }

    fn learnt(&self) -> MutexGuard<'_, BTreeMap<TenantId, Learnt>> {
        let own = &self.inner.gate.own;
        own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_stored(&self, tenant: TenantId, stored: Option<Vec<u8>>) {
        if let Some(stored) = stored {
            self.learnt().entry(tenant).or_default().stored = stored;
        }
    }

    async fn parcel(
        &self,
        list: &Verified<AllowList>,
        group: Group,
        pending: &PendingExport,
        own: &Own,
        batches: &[RecordBatch],
        techniques: &BTreeMap<RowId, BTreeSet<Technique>>,
    ) -> Result<Option<residency::egress::parcel::Parcel>, Error> {
        let refused = |e: pseudonym::Error| Error::Hunt {
            code: e.code(),
            message: "the egress gate refused".to_owned(),
        };
        let mut gatherer = Gatherer::new(list, own);
        for batch in batches {
            let batch = since(batch, pending.since)?;
            gatherer
                .add(&pending.table, &batch, techniques)
                .map_err(refused)?;
        }
        let Some(epoch) = gatherer.epoch() else {
            return Ok(None);
        };
        let wanted = gatherer.wanted();
        let vault = self.store().vault();
        let tokens = vault.tokens(Purpose::Prevalence, epoch, &wanted).await;
        let tokens = tokens.map_err(|e| Error::Hunt {
            code: e.code(),
            message: e.to_string(),
        })?;
        let tokens = wanted.into_iter().zip(tokens).collect();
        let linkage = vault.linkage(epoch)?;
        let contributors = linkage.contributors(Purpose::Prevalence);
        let contributor = pseudonym::contributor(&contributors, group, Purpose::Prevalence, epoch);
        let facts = gatherer
            .finish(pending.segment, contributor, &tokens)
            .map_err(refused)?;
        let pack = |facts: pseudonym::Pseudonymised<_>| {
            facts.pack(self.region(), self.inner.cx.now(), &**vault)
        };
        Ok(facts.map(pack).transpose()?)
    }

    /// The techniques of all alerts that name one of these rows, however many alerts there are.
    async fn techniques_of(
        &self,
        tenant: &Tenant,
        wanted: &BTreeSet<RowId>,
        at: Ticks,
    ) -> Result<BTreeMap<RowId, BTreeSet<Technique>>, Error> {
        let system = Credential::system("detect");
        let grant = self.inner.cx.decide::<ReadIncidents>(&system, tenant.id)?;
        // A row waits in memory at most this long before it is in a segment.
        let from = at.saturating_add(model::Span100ns::seconds(-limits::MEMTABLE_AGE_SECONDS_MAX));
        let mut filter = AlertFilter {
            from: Some(from),
            ..AlertFilter::default()
        };
        let mut out: BTreeMap<RowId, BTreeSet<Technique>> = BTreeMap::new();
        loop {
            let page = self.store().alerts(&grant, &filter, limits::PAGE_ITEMS_MAX);
            let page = page.await?;
            // The newest come first: this one is where the next page begins.
            let Some(last) = page.last() else {
                return Ok(out);
            };
            filter.after = Some((last.created_at, last.id));
            for record in &page {
                let Ok(StoredAlert::Whole(alert)) = serde_json::from_slice(&record.body) else {
                    continue;
                };
                let techniques = alert.techniques.iter().filter_map(|t| t.parse().ok());
                let techniques: Vec<Technique> = techniques.collect();
                for record in alert.records.iter().filter(|r| wanted.contains(&r.row)) {
                    out.entry(record.row).or_default().extend(&techniques);
                }
            }
        }
    }

    /// Takes the newest snapshot from the centre, if there is one.
    pub async fn pull_snapshot(&self) -> Result<(), Error> {
        let port = &self.inner.options.centre;
        let Some(key) = port.key() else {
            return Ok(());
        };
        let bytes = match port.snapshot().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) | Err(PeerError::Unreachable) => return Ok(()),
            Err(refused @ PeerError::Refused(_)) => return Err(refused.of_link()),
        };
        let held = self.snapshot();
        if held.as_deref().is_some_and(|s| s.as_bytes() == bytes) {
            return Ok(());
        }
        let newest = held.map(|s| s.number());
        let snapshot = Snapshot::verify(bytes, &key, newest).map_err(|e| Error::Hunt {
            code: e.code(),
            message: "the centre's snapshot was refused".to_owned(),
        })?;
        // Kept first: after a restart the cell knows no less than before.
        let bytes = snapshot.as_bytes().to_vec();
        self.store().put_snapshot(bytes).await?;
        self.hold(snapshot);
        Ok(())
    }

    fn hold(&self, snapshot: Snapshot) {
        let place = self.inner.gate.snapshot.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
    }

    /// Takes up the snapshot that was pulled last before the cell closed, verified again.
    pub(crate) async fn load_snapshot(&self) -> Result<(), Error> {
        let (kept, key) = (
            self.store().kept_snapshot().await?,
            self.inner.options.centre.key(),
        );
        let (Some(bytes), Some(key)) = (kept, key) else {
            return Ok(());
        };
        match Snapshot::verify(bytes, &key, None) {
            Ok(snapshot) => self.hold(snapshot),
            // Of a centre that is not this cell's any more: the next one is pulled anyway.
            Err(error) => self.inner.cx.warn("snapshot_refused", error.code(), &[]),
        }
        Ok(())
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let held = &self.inner.gate.snapshot;
        held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the snapshot that is held now says of files, and goes on saying when a newer one comes.
    pub(crate) fn known_files(&self) -> KnownFiles {
        KnownFiles {
            vault: self.store().vault().clone(),
            snapshot: self.snapshot(),
        }
    }

    /// What the centre's last snapshot says of a file. Answered here: nobody outside learns which file
    /// was asked about.
    pub async fn file_profile(
        &self,
        _grant: &Granted<Hunt>,
        sha256: &str,
    ) -> Result<FileProfile, Error> {
        let known = self.known_files();
        let answers = known.look_up(&[sha256.to_owned()]).await?;
        Ok(FileProfile {
            prevalence: answers.into_iter().next().flatten(),
            snapshot: known.snapshot(),
        })
    }

    /// What left of the tenant, the newest first.
    pub async fn egress(
        &self,
        grant: &Granted<ReadEgress>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EgressView>, Error> {
        let entries = self.store().egress(grant, before, limit).await?;
        entries.into_iter().map(|e| self.egress_view(e)).collect()
    }

    /// What left of one segment.
    pub async fn egress_of(
        &self,
        grant: &Granted<ReadEgress>,
        batch: SegmentId,
    ) -> Result<EgressView, Error> {
        let entry = self.store().egress_of(grant, batch).await?;
        self.egress_view(entry.ok_or(Error::NotFound("batch"))?)
    }

    fn egress_view(&self, entry: EgressEntry) -> Result<EgressView, Error> {
        let receipt = if entry.receipt.is_empty() {
            None
        } else {
            let opened = Receipt::open(&entry.receipt, &self.public_key())?;
            Some((*opened).clone())
        };
        // It was verified when it came; a centre that was replaced since signs with another key.
        let key = self.inner.options.centre.key();
        let signed = receipt.as_ref().zip(key).and_then(|(receipt, key)| {
            Acknowledgement::open(&entry.acknowledgement, &key, receipt).ok()
        });
        Ok(EgressView {
            acknowledged_at: signed.map(|signed| signed.received_at),
            entry,
            receipt,
        })
    }
}

impl Learnt {
    /// As it is to be stored, if that is another than what is.
    fn changed(&self) -> Option<Vec<u8>> {
        let bytes = self.own.to_bytes();
        (self.own != Own::default() && bytes != self.stored).then_some(bytes)
    }
}

fn row_ids(batches: &[RecordBatch]) -> Result<BTreeSet<RowId>, Error> {
    let mut ids = BTreeSet::new();
    for batch in batches {
        let column = batch.column_by_name(hidden::ROW_ID);
        let column = column.and_then(|c| c.as_any().downcast_ref::<FixedSizeBinaryArray>());
        let column = column.ok_or(Error::Internal)?;
        let id = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(RowId::from_bytes).ok();
        ids.extend(column.iter().flatten().filter_map(id));
    }
    Ok(ids)
}

/// The rows that came when the export was on.
fn since(batch: &RecordBatch, since: Ticks) -> Result<RecordBatch, Error> {
    let column = batch.column_by_name(hidden::INGESTED_AT);
    let column = column.and_then(|c| c.as_any().downcast_ref::<Int64Array>());
    let column = column.ok_or(Error::Internal)?;
    let keep: BooleanArray = column.iter().map(|at| at.map(|at| at >= since.0)).collect();
    filter_record_batch(batch, &keep).map_err(|e| store::Error::Rows(e).into())
}
