//! The egress gate: what of a tenant's rows leaves for the centre, and what the centre says back.
//!
//! ```text
//! level-0 segments ─► pseudonym::Gatherer ─► tokens ─► Pseudonymised<Batch> ─► CentrePort::submit
//!                                                             └► receipt, kept with the leaf
//! ```
//!
//! Promises
//! - Nothing is handed to the port but what `pseudonym` made under the allow-list that the operator
//!   signed. A tenant whose mode is `off` hands over nothing, and rows from before it was switched on
//!   stay.
//! - The batch's id is the segment's: a retry is the same batch. A segment is done only when the centre
//!   has taken its batch, or after it waited [`limits::EXPORT_WAIT_DAYS_MAX`] days, which is counted.
//! - What comes back is looked up here: the centre is never asked about one indicator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use access::{Credential, Granted, Hunt, Maintain, ReadEgress, ReadIncidents};
use model::{
    Code, Epoch, Indicator, IndicatorClass, IndicatorTokens as _, Purpose, RowId, SegmentId,
    Technique, TenantId, Ticks, limits,
};
use pseudonym::{Gatherer, Group, Own};
use residency::egress::{AllowList, Prevalence, Receipt, Snapshot};
use residency::{CentreMode, Verified};
use rows::arrow::array::{BooleanArray, Int64Array};
use rows::arrow::compute::filter_record_batch;
use rows::{RecordBatch, hidden};
use store::{AlertFilter, EgressEntry, ExportCommit, PendingExport};

use crate::cell::{Cell, Standing, Tenant};
use crate::stored::StoredAlert;
use crate::{Error, PeerError};

/// Alerts that are looked through for the techniques of a segment's rows.
const ALERTS_MAX: usize = 10_000;

/// What the gate keeps in memory.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// What the centre said last.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// What belongs to each tenant, learnt from the rows that were looked at since the cell opened.
    own: Mutex<BTreeMap<TenantId, Own>>,
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
}

/// What is known of a file beyond this tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProfile {
    /// Told by the centre; nothing below the threshold of owner groups.
    pub prevalence: Option<Prevalence>,
    /// Number of the snapshot that says so, and when it was made; nothing before the first.
    pub snapshot: Option<(u64, Ticks)>,
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
        let mut facts = 0;
        for pending in self.store().pending_export(&grant)? {
            match self
                .export_segment(tenant, &grant, list, group, &pending)
                .await
            {
                Ok(sent) => facts += sent,
                // It waits, and so do those behind it.
                Err(Error::Hunt {
                    code: Code::PeerUnreachable,
                    ..
                }) => break,
                Err(error) => return Err(error),
            }
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

    async fn export_segment(
        &self,
        tenant: &Arc<Tenant>,
        grant: &Granted<Maintain>,
        list: &Arc<Verified<AllowList>>,
        group: Group,
        pending: &PendingExport,
    ) -> Result<u64, Error> {
        let mut commit = ExportCommit {
            segment: pending.segment,
            facts: 0,
            bytes: 0,
            receipt: Vec::new(),
        };
        if Gatherer::wants(list, &pending.table) {
            let batches = self.store().read_export(grant, pending.segment).await?;
            let techniques = self.techniques_since(tenant, pending.created_at).await?;
            let own = self.own_of(tenant.id, pending, &batches);
            let parcel = self
                .parcel(list, group, pending, &own, &batches, &techniques)
                .await?;
            if let Some(parcel) = parcel {
                match self.inner.options.centre.submit(&parcel.bytes).await {
                    // The centre has had a batch of this segment: its answer was lost on the way.
                    Ok(()) | Err(PeerError::Refused(Code::AlreadyReceived)) => {}
                    Err(error) => return Err(error.of_link()),
                }
                commit.facts = parcel.receipt.facts;
                commit.bytes = u64::try_from(parcel.bytes.len()).unwrap_or(u64::MAX);
                commit.receipt = parcel.signed_receipt;
            }
        }
        let facts = commit.facts;
        self.store().commit_export(grant, commit).await?;
        Ok(facts)
    }

    /// What belongs to the tenant, with what these rows teach.
    fn own_of(&self, tenant: TenantId, pending: &PendingExport, batches: &[RecordBatch]) -> Own {
        let mut all = self
            .inner
            .gate
            .own
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(tenant).or_default();
        for batch in batches {
            own.learn(&pending.table, batch);
        }
        own.clone()
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

    /// The techniques of alerts, by the rows that they name.
    async fn techniques_since(
        &self,
        tenant: &Tenant,
        at: Ticks,
    ) -> Result<BTreeMap<RowId, BTreeSet<Technique>>, Error> {
        let system = Credential::system("detect");
        let grant = self.inner.cx.decide::<ReadIncidents>(&system, tenant.id)?;
        // A row waits in memory at most this long before it is in a segment.
        let from = at.saturating_add(model::Span100ns::seconds(-limits::MEMTABLE_AGE_SECONDS_MAX));
        let filter = AlertFilter {
            from: Some(from),
            ..AlertFilter::default()
        };
        let mut out: BTreeMap<RowId, BTreeSet<Technique>> = BTreeMap::new();
        for record in self.store().alerts(&grant, &filter, ALERTS_MAX).await? {
            let Ok(StoredAlert::Whole(alert)) = serde_json::from_slice(&record.body) else {
                continue;
            };
            let techniques: Vec<Technique> = alert
                .techniques
                .iter()
                .filter_map(|t| t.parse().ok())
                .collect();
            for record in &alert.records {
                out.entry(record.row).or_default().extend(&techniques);
            }
        }
        Ok(out)
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
        let place = self.inner.gate.snapshot.write();
        let mut place = place.unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(snapshot));
        Ok(())
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let held = &self.inner.gate.snapshot;
        held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the centre's last snapshot says of a file. Answered here: nobody outside learns which file
    /// was asked about.
    pub async fn file_profile(
        &self,
        _grant: &Granted<Hunt>,
        sha256: &str,
    ) -> Result<FileProfile, Error> {
        let indicator = pseudonym::canonical::indicator(IndicatorClass::FileSha256, sha256);
        let indicator = indicator.ok_or_else(|| Error::Bad("not a SHA-256".to_owned()))?;
        let Some(snapshot) = self.snapshot() else {
            return Ok(FileProfile {
                prevalence: None,
                snapshot: None,
            });
        };
        let mut best: Option<Prevalence> = None;
        let epochs: Vec<Epoch> = snapshot.epochs().map(|(epoch, _)| epoch).collect();
        for epoch in epochs {
            let found = self.lookup(&snapshot, epoch, &indicator).await;
            best = match (best, found) {
                (Some(a), Some(b)) => Some(Prevalence {
                    first_day: a.first_day.min(b.first_day),
                    ..if b.groups > a.groups { b } else { a }
                }),
                (a, b) => a.or(b),
            };
        }
        Ok(FileProfile {
            prevalence: best,
            snapshot: Some((snapshot.number(), snapshot.published_at())),
        })
    }

    async fn lookup(
        &self,
        snapshot: &Snapshot,
        epoch: Epoch,
        indicator: &Indicator,
    ) -> Option<Prevalence> {
        let vault = self.store().vault();
        let wanted = std::slice::from_ref(indicator);
        // An epoch whose secret is not in this ring has nothing to say here.
        let tokens = vault
            .tokens(Purpose::Prevalence, epoch, wanted)
            .await
            .ok()?;
        snapshot.lookup(epoch, tokens.first()?)
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
        Ok(EgressView { entry, receipt })
    }
}

/// The rows that came when the export was on.
fn since(batch: &RecordBatch, since: Ticks) -> Result<RecordBatch, Error> {
    let column = batch.column_by_name(hidden::INGESTED_AT);
    let column = column.and_then(|c| c.as_any().downcast_ref::<Int64Array>());
    let column = column.ok_or(Error::Internal)?;
    let keep: BooleanArray = column.iter().map(|at| at.map(|at| at >= since.0)).collect();
    filter_record_batch(batch, &keep).map_err(|e| store::Error::Rows(e).into())
}
