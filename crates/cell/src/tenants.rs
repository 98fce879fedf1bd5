//! Provisioning: plan, confirm, pin, correct, and tell the second cells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, RwLock};

use access::{AdministerTenant, Credential, Granted, GrantedCell, Operate, ReadTenant};
use crypto::{Fields, hex, unhex};
use ingest::RawSchema;
use model::{GeographyCode, RegionCode, TenantId, Ticks};
use residency::{
    Accepted, CellProfile, CentreMode, CountryCode, Digest, Opaque, Pin, Plan, ProfileInput,
    ProfileSource, Provisioning, Settings, Sharing, TenantFacts, TenantPlacement,
};
use serde::{Deserialize, Serialize};
use store::{AuditDraft, SourceEntry};

use crate::cell::{Cell, Standing, Tenant};
use crate::export::ExportWaits;
use crate::{Error, PeerError};

/// Bytes of a tenant's name.
const NAME_BYTES_MAX: usize = model::limits::NAME_BYTES_MAX;

/// Version of a tenant's document when it is new here.
const FIRST_DOCUMENT: u64 = 1;

/// A record that replaces another.
struct Changed {
    record: Provisioning,
    /// What goes on record with it, in one transaction.
    happened: Vec<AuditDraft>,
    /// It may place rows elsewhere: refused once the first has arrived.
    before_first_record: bool,
}

/// A tenant to be provisioned, with what was shown and confirmed.
#[derive(Debug, Clone)]
pub struct ProvisionRequest {
    /// What the operator calls it; sealed, known at home only.
    pub name: String,
    /// Where the tenant is, and its geography if it was chosen.
    pub facts: TenantFacts,
    /// Digest of the plan that was shown.
    pub confirmed: Digest,
    /// Retention, consent, centre.
    pub settings: Settings,
    /// An id of the caller's, so that a retry is the same request.
    pub tenant: Option<TenantId>,
}

/// A tenant, for people.
#[derive(Debug, Clone)]
pub struct TenantView {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name; nothing in a second cell.
    pub name: Option<String>,
    /// Its home region.
    pub home: RegionCode,
    /// Its country; nothing in a second cell.
    pub country: Option<CountryCode>,
    /// Its geography; nothing in a second cell.
    pub geography: Option<GeographyCode>,
    /// Version of the record or profile.
    pub version: u64,
    /// The registry it accepted.
    pub registry: Accepted,
    /// Where each service rests; in a second cell, only those held there.
    pub services: Vec<Pin>,
    /// Retention, consent, centre; nothing in a second cell.
    pub settings: Option<Settings>,
    /// When its first record arrived here; placement is fixed from then on.
    pub first_record_at: Option<Ticks>,
    /// Second cells that have not taken the newest profile yet.
    pub pending: Vec<RegionCode>,
    /// What is missing here before anything can leave for the centre, though the tenant wants it.
    pub export_waits_for: Option<ExportWaits>,
}

/// What the store keeps, sealed, of a tenant: the signed document and what stands beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TenantDocument {
    /// The signed provisioning record or cell profile, as text.
    pub(crate) signed: String,
    /// At home: what the operator calls the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// At home: the link secret, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link_secret: Option<String>,
    /// At home: by region, the version of the profile that it took last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) delivered: BTreeMap<RegionCode, u64>,
    /// At home: version of the profiles to be delivered; grows with every change of record or sources.
    #[serde(default)]
    pub(crate) profile_version: u64,
}

impl TenantDocument {
    fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|_| Error::Internal)
    }
}

impl Cell {
    /// Where each service of a tenant with these facts would rest, without changing anything.
    pub fn plan(&self, _grant: &GrantedCell<Operate>, facts: &TenantFacts) -> Result<Plan, Error> {
        let registry = self.current_registry()?;
        Ok(residency::plan(&registry, facts)?)
    }

    /// Provisions a tenant whose home is this region.
    pub async fn provision(
        &self,
        grant: &GrantedCell<Operate>,
        request: ProvisionRequest,
    ) -> Result<TenantView, Error> {
        check_name(&request.name)?;
        let one = self.inner.changing.lock().await;
        let registry = self.current_registry()?;
        let random = &*self.inner.cx.random;
        let id = request.tenant.unwrap_or_else(|| TenantId::random(random));
        if self.tenant_of(id).is_ok() {
            return Err(Error::Conflict(format!(
                "tenant {id} is provisioned already"
            )));
        }
        if self.all_tenants().len() >= model::limits::TENANTS_MAX {
            return Err(Error::Conflict(
                "the cell has its limit of tenants".to_owned(),
            ));
        }
        let now = self.inner.cx.now();
        let record = Provisioning::new(
            id,
            &registry,
            &request.facts,
            request.confirmed,
            request.settings,
            now,
        )?;
        if record.home() != self.region() {
            let home = record.home();
            return Err(Error::Bad(format!(
                "this tenant's home is region `{home}`: provision it there"
            )));
        }
        let mut secret = [0; 32];
        random.fill(&mut secret);
        let document = TenantDocument {
            signed: text(record.sign(&**self.store().vault())?)?,
            name: Some(request.name),
            link_secret: Some(hex(&secret)),
            delivered: BTreeMap::new(),
            profile_version: 1,
        };
        self.store()
            .put_tenant(grant, id, true, &document.to_bytes()?)
            .await?;
        let tenant = self
            .verify_tenant(&document.to_bytes()?, FIRST_DOCUMENT, true, id)
            .await?;
        self.switch_export(&tenant).await?;
        self.put_tenant(tenant);
        drop(one);
        self.deliver_profiles(id).await;
        self.view_of(id)
    }

    /// Replaces country and geography before the first record, with the plan that was shown.
    pub async fn correct_tenant(
        &self,
        grant: &Granted<AdministerTenant>,
        facts: &TenantFacts,
        confirmed: Digest,
    ) -> Result<TenantView, Error> {
        let registry = self.current_registry()?;
        let next = |record: &Provisioning, first, now| {
            let record = record.correct(&registry, facts, confirmed, first, now)?;
            Ok(Changed {
                record,
                happened: Vec::new(),
                before_first_record: true,
            })
        };
        self.change(grant, next).await
    }

    /// What accepting the newest registry would change.
    pub fn plan_newest(&self, grant: &Granted<ReadTenant>) -> Result<Plan, Error> {
        let registry = self.current_registry()?;
        let tenant = self.tenant_of(grant.tenant())?;
        Ok(home_record(&tenant)?.plan_with(&registry)?)
    }

    /// Lets the tenant's new records follow the newest registry, with the plan that was shown.
    pub async fn accept_newest(
        &self,
        grant: &Granted<AdministerTenant>,
        confirmed: Digest,
    ) -> Result<TenantView, Error> {
        let registry = self.current_registry()?;
        let next = |record: &Provisioning, _, now| {
            let record = record.accept_registry(&registry, confirmed, now)?;
            Ok(Changed {
                record,
                happened: Vec::new(),
                before_first_record: false,
            })
        };
        self.change(grant, next).await
    }

    /// Changes retention, consent or what the centre may be told. `change` sees the settings as they
    /// are when its turn has come, so that of two changes at once neither is lost. What it changes of the
    /// centre and of consent is on record in the change's own transaction.
    pub async fn change_settings(
        &self,
        grant: &Granted<AdministerTenant>,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Result<TenantView, Error> {
        let next = |record: &Provisioning, _, now| {
            let (old, new) = (record.settings(), change(record.settings().clone()));
            Ok(Changed {
                happened: said_of(grant, old, &new),
                record: record.with_settings(new, now)?,
                before_first_record: false,
            })
        };
        self.change(grant, next).await
    }

    async fn change(
        &self,
        grant: &Granted<AdministerTenant>,
        next: impl FnOnce(&Provisioning, bool, Ticks) -> Result<Changed, Error>,
    ) -> Result<TenantView, Error> {
        let one = self.inner.changing.lock().await;
        let id = grant.tenant();
        let tenant = self.tenant_of(id)?;
        let first = self.first_record_at(id).is_some();
        let changed = next(home_record(&tenant)?, first, self.inner.cx.now())?;
        let Changed {
            record, happened, ..
        } = changed;
        if record.home() != self.region() {
            let home = record.home();
            return Err(Error::Bad(format!(
                "with these facts the tenant's home would be region `{home}`"
            )));
        }
        let document = TenantDocument {
            signed: text(record.sign(&**self.store().vault())?)?,
            profile_version: tenant.document.profile_version + 1,
            ..tenant.document.clone()
        };
        let bytes = document.to_bytes()?;
        // A record may arrive at this moment: then it is the store that says no.
        let version = if changed.before_first_record {
            let update = self.store();
            let update = update.update_tenant_before_first_record(grant, &bytes, happened);
            update.await?
        } else {
            self.store().update_tenant(grant, &bytes, happened).await?
        };
        let next = self.verify_tenant(&bytes, version, true, id).await?;
        self.switch_export(&next).await?;
        self.put_tenant(Tenant {
            raw: tenant.raw.clone(),
            hunts: tenant.hunts.clone(),
            ..next
        });
        drop(one);
        self.deliver_profiles(id).await;
        self.view_of(id)
    }

    /// The tenants of this region, by id.
    pub fn tenants(&self, _grant: &GrantedCell<Operate>) -> Vec<TenantView> {
        self.all_tenants().iter().map(|t| self.view(t)).collect()
    }

    /// One tenant.
    pub fn tenant(&self, grant: &Granted<ReadTenant>) -> Result<TenantView, Error> {
        self.view_of(grant.tenant())
    }

    fn view_of(&self, id: TenantId) -> Result<TenantView, Error> {
        Ok(self.view(&*self.tenant_of(id)?))
    }

    fn first_record_at(&self, id: TenantId) -> Option<Ticks> {
        let found = self.store().tenants().into_iter().find(|t| t.tenant == id);
        found.and_then(|t| t.first_record_at)
    }

    fn view(&self, tenant: &Tenant) -> TenantView {
        let base = TenantView {
            tenant: tenant.id,
            name: tenant.document.name.clone(),
            home: tenant.placement.home().clone(),
            country: None,
            geography: None,
            version: 0,
            registry: tenant.placement.registry(),
            services: Vec::new(),
            settings: None,
            first_record_at: self.first_record_at(tenant.id),
            pending: Vec::new(),
            export_waits_for: self.export_waits_for(tenant),
        };
        match &tenant.standing {
            Standing::Home(record) => TenantView {
                country: Some(record.country()),
                geography: Some(record.geography().clone()),
                version: record.version(),
                services: record.services().to_vec(),
                settings: Some(record.settings().clone()),
                pending: pending(tenant, record).into_iter().collect(),
                ..base
            },
            Standing::Second(profile) => TenantView {
                version: profile.version(),
                services: profile.services().to_vec(),
                ..base
            },
        }
    }

    /// Verifies a stored document and makes of it what the cell works with.
    pub(crate) async fn verify_tenant(
        &self,
        bytes: &[u8],
        version: u64,
        home: bool,
        id: TenantId,
    ) -> Result<Tenant, Error> {
        let document: TenantDocument =
            serde_json::from_slice(bytes).map_err(|_| Error::Internal)?;
        let signed = document.signed.as_bytes();
        let (standing, placement) = if home {
            let record = Provisioning::open(signed, &self.public_key(), None)?;
            let placement = TenantPlacement::of_record(&record);
            (Standing::Home(Box::new(record)), placement)
        } else {
            let profile = self.open_profile(signed)?;
            let placement = TenantPlacement::of_profile(&profile);
            (Standing::Second(Box::new(profile)), placement)
        };
        if placement.tenant() != id {
            return Err(Error::Conflict(
                "a tenant's document names another tenant".to_owned(),
            ));
        }
        let registry = self.registry_of(&placement).await?;
        let (raw, hunts) = (
            Arc::new(RwLock::new(RawSchema::new())),
            Arc::new(AtomicUsize::new(0)),
        );
        Ok(Tenant {
            id,
            document_version: version,
            document,
            standing,
            placement,
            registry,
            raw,
            hunts,
        })
    }

    /// A profile names its home region; the home cell's key is the one configured for that region.
    fn open_profile(&self, signed: &[u8]) -> Result<residency::Verified<CellProfile>, Error> {
        let payload = signed
            .iter()
            .position(|b| *b == b'\n')
            .and_then(|at| signed.get(at + 1..));
        let claimed: Claimed = payload
            .and_then(|payload| serde_json::from_slice(payload).ok())
            .ok_or_else(|| Error::Bad("not a cell profile".to_owned()))?;
        let key = self.inner.options.peers.key_of(&claimed.home);
        let key = key.ok_or_else(|| {
            Error::Bad(format!("no key of region `{}` is configured", claimed.home))
        })?;
        let profile = CellProfile::open(signed, &key, self.region(), None)?;
        if *profile.home() == claimed.home {
            Ok(profile)
        } else {
            Err(Error::Internal)
        }
    }

    /// Takes a profile from the tenant's home cell, durably. An older one than the last is refused,
    /// the same one again is fine.
    pub async fn accept_profile(&self, home: &RegionCode, signed: &[u8]) -> Result<(), Error> {
        let profile = self.open_profile(signed)?;
        if profile.home() != home {
            return Err(Error::Bad(format!("the profile is not of region `{home}`")));
        }
        let id = profile.tenant();
        let context = link_context(id, self.region());
        // Kept sealed under this cell's own key with the rest of the document.
        let secret = self
            .store()
            .vault()
            .open_envelope(&context, profile.link_secret().as_bytes())?;
        let one = self.inner.changing.lock().await;
        let document = TenantDocument {
            signed: text(signed.to_vec())?,
            name: None,
            link_secret: Some(hex(&secret)),
            delivered: BTreeMap::new(),
            profile_version: profile.version(),
        };
        let link = Credential::system("link");
        let (raw, hunts, version) = if let Ok(former) = self.tenant_of(id) {
            let Standing::Second(last) = &former.standing else {
                return Err(Error::Conflict("this cell is the tenant's home".to_owned()));
            };
            // Issued again because the answer was lost: time and envelope differ, what it says does not.
            let same_secret = former.document.link_secret == document.link_secret;
            if last.accepted() == profile.accepted()
                || (same_secret && says_the_same(last, &profile)?)
            {
                return Ok(());
            }
            let key = self
                .inner
                .options
                .peers
                .key_of(home)
                .ok_or(Error::Internal)?;
            CellProfile::open(signed, &key, self.region(), Some(last.accepted()))?;
            let grant = self.inner.cx.decide::<AdministerTenant>(&link, id)?;
            let bytes = document.to_bytes()?;
            let version = self.store().update_tenant(&grant, &bytes, Vec::new());
            (former.raw.clone(), former.hunts.clone(), version.await?)
        } else {
            let grant = self.inner.cx.decide_cell::<Operate>(&link)?;
            self.store()
                .put_tenant(&grant, id, false, &document.to_bytes()?)
                .await?;
            (Arc::default(), Arc::default(), FIRST_DOCUMENT)
        };
        let tenant = self
            .verify_tenant(&document.to_bytes()?, version, false, id)
            .await?;
        self.switch_export(&tenant).await?;
        let sources = profile.sources().to_vec();
        self.put_tenant(Tenant {
            raw,
            hunts,
            ..tenant
        });
        self.take_profile_sources(id, &sources).await?;
        drop(one);
        Ok(())
    }

    async fn take_profile_sources(
        &self,
        id: TenantId,
        sources: &[ProfileSource],
    ) -> Result<(), Error> {
        let link = Credential::system("link");
        let grant = self.inner.cx.decide::<access::ManageSources>(&link, id)?;
        for source in sources {
            let entry = SourceEntry {
                source: source.id,
                tenant: id,
                name: String::new(),
                services: source.services.clone(),
                envelope_tenant: source.envelope_tenant.clone(),
                domain_controllers: Vec::new(),
                created_at: self.inner.cx.now(),
                disabled: !source.enabled,
            };
            if self.source_of(source.id).is_none() {
                self.store().put_source(&grant, &entry).await?;
            }
            let known = self
                .source_of(source.id)
                .is_some_and(|s| s.entry.disabled == entry.disabled);
            if !known {
                self.store()
                    .set_source_disabled(&grant, source.id, entry.disabled)
                    .await?;
            }
            self.put_source_entry(entry);
        }
        Ok(())
    }

    /// Delivers what second cells have not taken yet. A cell that cannot be reached is tried again
    /// by the next step.
    pub(crate) async fn deliver_profiles(&self, id: TenantId) {
        let Ok(tenant) = self.tenant_of(id) else {
            return;
        };
        let Standing::Home(record) = &tenant.standing else {
            return;
        };
        let version = tenant.document.profile_version;
        let mut delivered = Vec::new();
        for region in pending(&tenant, record) {
            match self.deliver_profile(&tenant, &region).await {
                Ok(()) => delivered.push(region),
                Err(error) => {
                    let fields = [("tenant", id.into()), ("region", (&region).into())];
                    self.inner
                        .cx
                        .warn("profile_not_delivered", error.code(), &fields);
                }
            }
        }
        if delivered.is_empty() {
            return;
        }
        if let Err(error) = self.note_delivered(id, version, &delivered).await {
            let fields = [("tenant", id.into())];
            self.inner
                .cx
                .warn("profile_delivery_not_noted", error.code(), &fields);
        }
    }

    async fn deliver_profile(&self, tenant: &Tenant, region: &RegionCode) -> Result<(), Error> {
        let Standing::Home(record) = &tenant.standing else {
            return Ok(());
        };
        let peers = &self.inner.options.peers;
        let unreachable = || Error::Hunt {
            code: model::Code::Internal,
            message: "the tenant's second cell cannot be reached".to_owned(),
        };
        let key = peers.key_of(region).ok_or_else(unreachable)?;
        let secret = tenant
            .document
            .link_secret
            .as_deref()
            .and_then(unhex)
            .ok_or(Error::Internal)?;
        let random = &*self.inner.cx.random;
        let context = link_context(tenant.id, region);
        let sealed = vault::envelope::seal_to(&key, &context, &secret, random)?;
        let source = |s: &Arc<crate::cell::Source>| ProfileSource {
            id: s.entry.source,
            services: s.entry.services.clone(),
            envelope_tenant: s.entry.envelope_tenant.clone(),
            masked: false,
            enabled: !s.entry.disabled,
        };
        let input = ProfileInput {
            sources: self.sources_of(tenant.id).iter().map(source).collect(),
            holds: Vec::new(),
            erasures: Vec::new(),
            link_secret: Opaque::new(sealed).ok_or(Error::Internal)?,
        };
        let version = tenant.document.profile_version;
        let profile = CellProfile::issue(record, region, version, input, self.inner.cx.now())?;
        let signed = profile.sign(&**self.store().vault())?;
        match peers.deliver_profile(region, self.region(), &signed).await {
            Ok(()) => Ok(()),
            Err(PeerError::Unreachable) => Err(unreachable()),
            Err(PeerError::Refused(code)) => Err(Error::Hunt {
                code,
                message: "the tenant's second cell refused".to_owned(),
            }),
        }
    }

    async fn note_delivered(
        &self,
        id: TenantId,
        version: u64,
        regions: &[RegionCode],
    ) -> Result<(), Error> {
        let _one = self.inner.changing.lock().await;
        let tenant = self.tenant_of(id)?;
        let mut document = tenant.document.clone();
        for region in regions {
            document.delivered.insert(region.clone(), version);
        }
        self.rewrite(&tenant, document).await
    }

    /// Sources changed: the profiles of the second cells are out of date.
    pub(crate) async fn renew_profiles(&self, id: TenantId) -> Result<(), Error> {
        {
            let _one = self.inner.changing.lock().await;
            let tenant = self.tenant_of(id)?;
            let mut document = tenant.document.clone();
            document.profile_version += 1;
            self.rewrite(&tenant, document).await?;
        }
        self.deliver_profiles(id).await;
        Ok(())
    }

    async fn rewrite(&self, tenant: &Tenant, document: TenantDocument) -> Result<(), Error> {
        let link = Credential::system("link");
        let grant = self.inner.cx.decide::<AdministerTenant>(&link, tenant.id)?;
        let bytes = document.to_bytes()?;
        let version = self.store().update_tenant(&grant, &bytes, Vec::new());
        let version = version.await?;
        let next = self.verify_tenant(&bytes, version, true, tenant.id).await?;
        self.put_tenant(Tenant {
            raw: tenant.raw.clone(),
            hunts: tenant.hunts.clone(),
            ..next
        });
        Ok(())
    }
}

/// Whether two profiles differ at most in when they were issued and how the link secret is sealed.
fn says_the_same(a: &CellProfile, b: &CellProfile) -> Result<bool, Error> {
    let bare = |profile: &CellProfile| {
        let mut value = serde_json::to_value(profile).map_err(|_| Error::Internal)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("issued_at");
            fields.remove("link_secret");
        }
        Ok::<_, Error>(value)
    };
    Ok(bare(a)? == bare(b)?)
}

/// Only the field that says whose key to verify with; nothing else of it is used before that.
#[derive(Deserialize)]
struct Claimed {
    home: RegionCode,
}

pub(crate) fn home_record(tenant: &Tenant) -> Result<&Provisioning, Error> {
    match &tenant.standing {
        Standing::Home(record) => Ok(record),
        Standing::Second(profile) => Err(Error::Conflict(format!(
            "the tenant's home is region `{}`: ask there",
            profile.home()
        ))),
    }
}

/// The second cells that hold or held a service and have not taken the newest profile.
fn pending(tenant: &Tenant, record: &Provisioning) -> BTreeSet<RegionCode> {
    let now = record.services().iter().filter_map(Pin::region);
    let before = record.earlier().iter().map(|e| &e.region);
    let version = tenant.document.profile_version;
    now.chain(before)
        .filter(|r| *r != record.home())
        .filter(|r| {
            tenant
                .document
                .delivered
                .get(*r)
                .is_none_or(|v| *v < version)
        })
        .cloned()
        .collect()
}

fn link_context(tenant: TenantId, region: &RegionCode) -> Fields {
    Fields::new("tenant-link-secret")
        .with(tenant.as_bytes())
        .with(region.as_str().as_bytes())
}

fn check_name(name: &str) -> Result<(), Error> {
    let fine = !name.trim().is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(char::is_control);
    if fine {
        Ok(())
    } else {
        Err(Error::Bad(format!(
            "a name has 1 to {NAME_BYTES_MAX} bytes and no control characters"
        )))
    }
}

fn text(signed: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(signed).map_err(|_| Error::Bad("not a signed document".to_owned()))
}

/// What a change of settings is to people who look for who may see what: beside the leaf that a
/// document was replaced, one for the centre and one for consent between services.
fn said_of(grant: &Granted<AdministerTenant>, old: &Settings, new: &Settings) -> Vec<AuditDraft> {
    let mut happened = Vec::new();
    if old.centre != new.centre {
        let draft = AuditDraft::of(grant, ledger::Happening::CentreChanged)
            .with("from", mode(old.centre))
            .with("to", mode(new.centre));
        happened.push(draft);
    }
    if old.sharing != new.sharing {
        let draft = AuditDraft::of(grant, ledger::Happening::ConsentChanged)
            .with("from", consent(&old.sharing))
            .with("to", consent(&new.sharing));
        happened.push(draft);
    }
    happened
}

const fn mode(centre: CentreMode) -> &'static str {
    match centre {
        CentreMode::Off => "off",
        CentreMode::Facts => "facts",
        CentreMode::Rows => "rows",
    }
}

/// As the command line writes it; cut to what a row of the record may hold.
fn consent(sharing: &Sharing) -> String {
    match sharing {
        Sharing::None => "none".to_owned(),
        Sharing::All => "all".to_owned(),
        Sharing::Pairs(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}+{b}")).collect();
            let text = pairs.join(",");
            let end = text.floor_char_boundary(model::limits::AUDIT_DETAILS_BYTES_MAX / 4);
            text.get(..end).unwrap_or_default().to_owned()
        }
    }
}
