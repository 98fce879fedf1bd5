//! The cell: what one region consists of, and how it opens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use access::{Cx, GrantedCell, Operate};
use crypto::PublicKey;
use ingest::RawSchema;
use model::{GeographyCode, RegionCode, SourceId, TenantId};
use residency::egress::AllowList;
use residency::{Accepted, CellProfile, Provisioning, Registry, TenantPlacement, Verified};
use store::{SourceCounts, SourceEntry, Store};

use crate::detection::{Detection, InForce};
use crate::export::Gate;
use crate::reads::Accesses;
use crate::tenants::TenantDocument;
use crate::{CentrePort, Error, Hunting, PeerPort};

/// What a cell is made of.
#[derive(Debug, Clone)]
pub struct CellOptions {
    /// The opened store of the region.
    pub store: Store,
    /// The public half of the operator's key; only registries signed by it are accepted.
    pub registry_key: PublicKey,
    /// Least registry version that is accepted.
    pub registry_least_version: u64,
    /// The query engine.
    pub hunting: Arc<dyn Hunting>,
    /// The other cells.
    pub peers: Arc<dyn PeerPort>,
    /// The centre.
    pub centre: Arc<dyn CentrePort>,
    /// What may leave, signed by the operator; without one nothing leaves.
    pub allow_list: Option<Arc<Verified<AllowList>>>,
    /// Alerts of one tenant that may wait in the outbox for one other region, at most
    /// `LINK_OUTBOX_ENTRIES_MAX`.
    pub link_waiting_max: u64,
}

/// One region's service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cell {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) cx: Cx,
    pub(crate) options: CellOptions,
    /// Registries that are in use: the newest accepted one and those that tenants still follow.
    pub(crate) registries: RwLock<BTreeMap<u64, Arc<Registry>>>,
    pub(crate) tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
    pub(crate) sources: RwLock<BTreeMap<SourceId, Arc<Source>>>,
    /// Tenants whose documents did not verify at the start, and why.
    refused: RwLock<BTreeMap<TenantId, model::Code>>,
    /// One change of tenants or sources at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) hunts: AtomicUsize,
    /// Rules in force.
    pub(crate) rules: InForce,
    /// What detection is in the middle of.
    pub(crate) detection: Detection,
    /// What the gate to the centre keeps in memory.
    pub(crate) gate: Gate,
    /// Who looked at what lately.
    pub(crate) accesses: Accesses,
}

/// What this cell knows of a tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// Version of the document in the store: the first record must be placed by the newest.
    pub(crate) document_version: u64,
    pub(crate) document: TenantDocument,
    pub(crate) standing: Standing,
    pub(crate) placement: TenantPlacement,
    /// The registry that the tenant accepted.
    pub(crate) registry: Arc<Registry>,
    /// Tables and columns outside the schema; shared by the versions of this value.
    pub(crate) raw: Arc<RwLock<RawSchema>>,
    pub(crate) hunts: Arc<AtomicUsize>,
}

/// Home or second cell, with the verified document.
#[derive(Debug)]
pub(crate) enum Standing {
    Home(Box<Verified<Provisioning>>),
    Second(Box<Verified<CellProfile>>),
}

/// A source with what it delivered since the last time counts were written.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) entry: SourceEntry,
    /// As written in the catalogue.
    pub(crate) base: Mutex<(SourceCounts, Option<model::Ticks>)>,
    /// Not yet written.
    pub(crate) fresh: Mutex<(SourceCounts, Option<model::Ticks>)>,
    /// Domain controllers that were recognised by what they wrote.
    pub(crate) learnt_controllers: RwLock<BTreeSet<String>>,
}

impl Source {
    pub(crate) fn new(entry: SourceEntry) -> Self {
        Self {
            entry,
            base: Mutex::default(),
            fresh: Mutex::default(),
            learnt_controllers: RwLock::default(),
        }
    }

    /// Everything it delivered.
    pub(crate) fn counts(&self) -> (SourceCounts, Option<model::Ticks>) {
        let (base, at) = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let (fresh, newer) = *self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        (sum(base, fresh), newer.or(at))
    }
}

pub(crate) fn sum(a: SourceCounts, b: SourceCounts) -> SourceCounts {
    SourceCounts {
        stored: a.stored + b.stored,
        raw: a.raw + b.raw,
        duplicate: a.duplicate + b.duplicate,
        rejected: a.rejected + b.rejected,
        wrong_region: a.wrong_region + b.wrong_region,
    }
}

impl Cell {
    /// Opens the cell: its registry, tenants and sources are read back and their signatures checked
    /// again. A tenant whose document does not verify is not served, the others are.
    pub async fn open(cx: Cx, options: CellOptions) -> Result<Self, Error> {
        let cell = Self {
            inner: Arc::new(Inner {
                cx,
                options,
                registries: RwLock::default(),
                tenants: RwLock::default(),
                sources: RwLock::default(),
                refused: RwLock::default(),
                changing: tokio::sync::Mutex::new(()),
                hunts: AtomicUsize::new(0),
                rules: InForce::default(),
                detection: Detection::default(),
                gate: Gate::default(),
                accesses: Accesses::default(),
            }),
        };
        if let Some((_, bytes)) = cell.store().registry().await? {
            let registry = cell.check_registry(&bytes, None)?;
            cell.remember_registry(Arc::new(registry));
        }
        cell.load_tenants().await?;
        cell.load_sources().await?;
        cell.load_rules().await?;
        cell.load_snapshot().await?;
        Ok(cell)
    }

    /// The context: clock, log, metrics, policy.
    pub fn cx(&self) -> &Cx {
        &self.inner.cx
    }

    /// The region.
    pub fn region(&self) -> &RegionCode {
        self.store().vault().region()
    }

    /// The region's geography.
    pub fn geography(&self) -> &GeographyCode {
        self.store().vault().geography()
    }

    /// The cell's public key: its profiles and records verify under it.
    pub fn public_key(&self) -> PublicKey {
        crypto::Signer::public_key(&**self.store().vault())
    }

    /// The region's store.
    pub fn store(&self) -> &Store {
        &self.inner.options.store
    }

    /// The registry accepted last.
    pub fn registry(&self) -> Option<Arc<Registry>> {
        let registries = self
            .inner
            .registries
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        registries
            .last_key_value()
            .map(|(_, registry)| registry.clone())
    }

    pub(crate) fn current_registry(&self) -> Result<Arc<Registry>, Error> {
        self.registry().ok_or(Error::NoRegistry)
    }

    /// Accepts a signed registry, durably. The one accepted last may be given again.
    pub async fn accept_registry(
        &self,
        grant: &GrantedCell<Operate>,
        bytes: &[u8],
    ) -> Result<Accepted, Error> {
        let _one = self.inner.changing.lock().await;
        let highest = self.registry().map(|r| r.accepted());
        let registry = self.check_registry(bytes, highest)?;
        self.check_own_region(&registry)?;
        let accepted = registry.accepted();
        if highest != Some(accepted) {
            self.store()
                .put_registry(grant, accepted.version, bytes)
                .await?;
        }
        self.remember_registry(Arc::new(registry));
        Ok(accepted)
    }

    fn check_registry(&self, bytes: &[u8], highest: Option<Accepted>) -> Result<Registry, Error> {
        let options = &self.inner.options;
        let (key, least) = (&options.registry_key, options.registry_least_version);
        Ok(Registry::accept(bytes, key, least, highest)?)
    }

    /// A cell whose own region was declared elsewhere must not go on: what is sealed is bound to the
    /// geography that its keys name.
    fn check_own_region(&self, registry: &Registry) -> Result<(), Error> {
        match registry.region(self.region()) {
            Some(own) if own.geography == *self.geography() => Ok(()),
            Some(own) => Err(Error::Bad(format!(
                "the registry places region `{}` in geography {}, its key ring in {}",
                self.region(),
                own.geography,
                self.geography()
            ))),
            None => Err(Error::Bad(format!(
                "the registry has no region `{}`",
                self.region()
            ))),
        }
    }

    fn remember_registry(&self, registry: Arc<Registry>) {
        let mut all = self
            .inner
            .registries
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(registry.version(), registry);
    }

    /// The registry that a placement follows: in use already, or recalled from the archive.
    pub(crate) async fn registry_of(
        &self,
        placement: &TenantPlacement,
    ) -> Result<Arc<Registry>, Error> {
        let wanted = placement.registry();
        let known = {
            let all = self
                .inner
                .registries
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            all.get(&wanted.version).cloned()
        };
        if let Some(registry) = known
            && registry.accepted() == wanted
        {
            return Ok(registry);
        }
        let archived = self.store().registry_at(wanted.version).await?;
        let bytes = archived.ok_or(Error::NotFound("registry version"))?;
        let registry = Arc::new(Registry::recall(&bytes, placement)?);
        self.remember_registry(registry.clone());
        Ok(registry)
    }

    pub(crate) fn tenant_of(&self, id: TenantId) -> Result<Arc<Tenant>, Error> {
        let tenants = self
            .inner
            .tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match tenants.get(&id) {
            Some(tenant) => Ok(tenant.clone()),
            None => Err(self.refusal(id).unwrap_or(Error::NotFound("tenant"))),
        }
    }

    /// Fails if the tenant is of this cell and its keys or documents do not open: alike on every way to
    /// it, and never as if there were no such tenant.
    pub fn check_served(&self, id: TenantId) -> Result<(), Error> {
        self.refusal(id).map_or(Ok(()), Err)
    }

    fn refusal(&self, tenant: TenantId) -> Option<Error> {
        if let Some(refused) = self.store().refusal(tenant) {
            return Some(refused.into());
        }
        let refused = &self.inner.refused;
        let refused = refused.read().unwrap_or_else(PoisonError::into_inner);
        let code = *refused.get(&tenant)?;
        Some(store::Error::TenantRefused { tenant, code }.into())
    }

    pub(crate) fn all_tenants(&self) -> Vec<Arc<Tenant>> {
        let tenants = self
            .inner
            .tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    pub(crate) fn put_tenant(&self, tenant: Tenant) {
        let mut tenants = self
            .inner
            .tenants
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant.id, Arc::new(tenant));
    }

    pub(crate) fn source_of(&self, id: SourceId) -> Option<Arc<Source>> {
        let sources = self
            .inner
            .sources
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        sources.get(&id).cloned()
    }

    pub(crate) fn put_source_entry(&self, entry: SourceEntry) {
        let mut sources = self
            .inner
            .sources
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let next = Source::new(entry);
        if let Some(former) = sources.get(&next.entry.source) {
            let copy = |m: &Mutex<_>| *m.lock().unwrap_or_else(PoisonError::into_inner);
            *next.base.lock().unwrap_or_else(PoisonError::into_inner) = copy(&former.base);
            *next.fresh.lock().unwrap_or_else(PoisonError::into_inner) = copy(&former.fresh);
        }
        sources.insert(next.entry.source, Arc::new(next));
    }

    pub(crate) fn sources_of(&self, tenant: TenantId) -> Vec<Arc<Source>> {
        let sources = self
            .inner
            .sources
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        sources
            .values()
            .filter(|s| s.entry.tenant == tenant)
            .cloned()
            .collect()
    }

    async fn load_tenants(&self) -> Result<(), Error> {
        let mut raw = BTreeMap::new();
        for (tenant, bytes) in self.store().raw_schemas().await? {
            raw.insert(tenant, crate::ingestion::raw_schema_from_bytes(&bytes));
        }
        for entry in self.store().tenants() {
            let schema = raw.remove(&entry.tenant).unwrap_or_default();
            match self
                .verify_tenant(
                    &entry.document,
                    entry.document_version,
                    entry.home,
                    entry.tenant,
                )
                .await
            {
                Ok(tenant) => {
                    *tenant.raw.write().unwrap_or_else(PoisonError::into_inner) = schema;
                    self.put_tenant(tenant);
                }
                Err(error) => {
                    let fields = [("tenant", entry.tenant.into())];
                    self.inner
                        .cx
                        .error("tenant_document_refused", error.code(), &fields);
                    let refused = self.inner.refused.write();
                    let mut refused = refused.unwrap_or_else(PoisonError::into_inner);
                    refused.insert(entry.tenant, error.code());
                }
            }
        }
        Ok(())
    }

    async fn load_sources(&self) -> Result<(), Error> {
        for (entry, counts, at) in self.store().sources().await? {
            let source = Source::new(entry);
            *source.base.lock().unwrap_or_else(PoisonError::into_inner) = (counts, at);
            let mut sources = self
                .inner
                .sources
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            sources.insert(source.entry.source, Arc::new(source));
        }
        Ok(())
    }

    /// Ends the cell in order: counts are written, waiting commits finish, the catalogue closes.
    pub async fn close(&self) -> Result<(), Error> {
        if let Err(error) = self.write_counts().await {
            self.inner.cx.error("counts_not_written", error.code(), &[]);
        }
        self.store().close().await?;
        self.inner
            .cx
            .info("cell_closed", &[("region", self.region().into())]);
        Ok(())
    }
}
