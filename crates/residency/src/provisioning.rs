//! The provisioning record: what was confirmed when a tenant came, signed.
//!
//! `docs/formats/provisioning.md`. Each change makes a new version of the record; the caller signs
//! and keeps it.
//!
//! Promises
//! - Country and geography can be corrected until the first record arrived, never after.
//! - A new registry changes nothing until [`Provisioning::accept_registry`]; then it changes where new
//!   records go. Home stays, and old segments keep the rule and version they carry.
//! - Nothing is shared between services, and nothing goes to the centre, unless the record says so.
//!
//! Does not hold the tenant's name: records pass through places where only opaque ids may.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{PublicKey, Signer};
use model::{GeographyCode, OwnerGroupId, RegionCode, ServiceName, TenantId, Ticks, limits};
use serde::{Deserialize, Serialize};

use crate::plan::{GeographyChoice, Keep, Outcome, Pin, Plan, TenantFacts, plan, plan_keeping};
use crate::registry::Registry;
use crate::signed::{self, Accepted, Digest, Kind, Payload, Verified};
use crate::{CountryCode, Error};

/// What the tenant's cells may tell the centre.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CentreMode {
    /// Nothing.
    #[default]
    Off,
    /// Pseudonymised facts.
    Facts,
    /// Pseudonymised rows.
    Rows,
}

/// Which services may see each other's data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// None with any other.
    #[default]
    None,
    /// All with all.
    All,
    /// These pairs; which of a pair stands first means nothing.
    Pairs(BTreeSet<(ServiceName, ServiceName)>),
}

impl Sharing {
    /// Consent for these pairs, the names of each in order.
    pub fn pairs(pairs: impl IntoIterator<Item = (ServiceName, ServiceName)>) -> Self {
        let ordered = pairs
            .into_iter()
            .map(|(a, b)| if a <= b { (a, b) } else { (b, a) });
        Self::Pairs(ordered.collect())
    }

    /// Whether `a` and `b` may see each other's data. A service sees its own.
    pub fn allows(&self, a: &ServiceName, b: &ServiceName) -> bool {
        let pair = if a <= b {
            (a.clone(), b.clone())
        } else {
            (b.clone(), a.clone())
        };
        a == b
            || match self {
                Self::None => false,
                Self::All => true,
                Self::Pairs(pairs) => pairs.contains(&pair),
            }
    }
}

/// What a tenant chooses beside its place, and may change later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Days that records are kept after their ingestion.
    pub retention_days: i64,
    /// Which services may see each other's data.
    pub sharing: Sharing,
    /// What the centre may be told.
    pub centre: CentreMode,
    /// Whether hunts may read rows from the tenant's other cells.
    pub federated_reads: bool,
    /// The provider or parent it counts with; without one it counts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group: Option<OwnerGroupId>,
}

/// A region where older data of a service may still rest, since a registry moved the new data away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// The service.
    pub service: ServiceName,
    /// The region that held its new data before.
    pub region: RegionCode,
    /// When it last ceased to.
    pub until: Ticks,
}

/// One version of a tenant's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioning {
    magic: String,
    format: u16,
    version: u64,
    tenant: TenantId,
    provisioned_at: Ticks,
    changed_at: Ticks,
    registry: Accepted,
    country: CountryCode,
    geography: GeographyCode,
    geography_choice: GeographyChoice,
    home: RegionCode,
    services: Vec<Pin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
    settings: Settings,
}

impl Provisioning {
    /// The first version of the record. `confirmed` is the digest of the [`Plan`] that was shown:
    /// if the registry gives another plan now, nothing is provisioned.
    pub fn new(
        tenant: TenantId,
        registry: &Registry,
        facts: &TenantFacts,
        confirmed: Digest,
        settings: Settings,
        now: Ticks,
    ) -> Result<Self, Error> {
        let plan = plan(registry, facts)?.confirmed(confirmed)?;
        Self {
            magic: signed::magic(Kind::Provisioning),
            format: Self::FORMAT,
            version: 1,
            tenant,
            provisioned_at: now,
            changed_at: now,
            registry: plan.registry,
            country: plan.country,
            geography_choice: plan.geography_choice,
            services: pins(&plan),
            geography: plan.geography,
            home: plan.home,
            earlier: Vec::new(),
            settings,
        }
        .checked()
    }

    /// Verifies and reads a signed record; refuses one older than `highest`.
    pub fn open(
        bytes: &[u8],
        pinned: &PublicKey,
        highest: Option<Accepted>,
    ) -> Result<Verified<Self>, Error> {
        signed::open(bytes, pinned, highest)
    }

    /// The record as a signed document.
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, Error> {
        Ok(signed::sign(
            Kind::Provisioning,
            &signed::payload(self)?,
            signer,
        ))
    }

    /// The next version with other facts, planned afresh and confirmed. `first_record` says that a
    /// record has arrived: then the placement is fixed.
    pub fn correct(
        &self,
        registry: &Registry,
        facts: &TenantFacts,
        confirmed: Digest,
        first_record: bool,
        now: Ticks,
    ) -> Result<Self, Error> {
        if first_record {
            return Err(Error::PlacementFixed);
        }
        self.registry.admits(Kind::Registry, registry.accepted())?;
        // Nothing rests anywhere yet, so nothing is left behind.
        self.replanned(
            plan(registry, facts)?.confirmed(confirmed)?,
            Vec::new(),
            now,
        )
    }

    /// What [`Self::accept_registry`] would do, to be shown first.
    pub fn plan_with(&self, registry: &Registry) -> Result<Plan, Error> {
        self.registry.admits(Kind::Registry, registry.accepted())?;
        self.same_regions(registry)?;
        let geography = Some(self.geography.clone());
        let facts = TenantFacts {
            country: self.country,
            geography,
        };
        let keep = Keep {
            home: &self.home,
            pins: &self.services,
        };
        let mut plan = plan_keeping(registry, &facts, Some(&keep))?;
        plan.geography_choice = self.geography_choice;
        Ok(plan)
    }

    /// The next version under a newer registry, as confirmed. Only new records follow it.
    pub fn accept_registry(
        &self,
        registry: &Registry,
        confirmed: Digest,
        now: Ticks,
    ) -> Result<Self, Error> {
        let plan = self.plan_with(registry)?.confirmed(confirmed)?;
        let earlier = self.left_behind(&plan, now);
        self.replanned(plan, earlier, now)
    }

    /// The next version with other settings.
    pub fn with_settings(&self, settings: Settings, now: Ticks) -> Result<Self, Error> {
        Self {
            version: self.version + 1,
            changed_at: now,
            settings,
            ..self.clone()
        }
        .checked()
    }

    /// A region does not move by being declared elsewhere: its disks, and the geography bound into
    /// what is sealed on them, stay what they were. A region that is gone is not one that moved.
    fn same_regions(&self, registry: &Registry) -> Result<(), Error> {
        for pin in &self.services {
            if let Outcome::Placed {
                region,
                geography,
                country,
            } = &pin.outcome
                && let Some(now) = registry.region(region)
                && (now.geography != *geography || now.country != *country)
            {
                return Err(Error::RegionChanged {
                    region: region.clone(),
                });
            }
        }
        Ok(())
    }

    /// Where older data rests once new data follows `plan`, in order of service and region.
    fn left_behind(&self, plan: &Plan, now: Ticks) -> Vec<Earlier> {
        let mut until: BTreeMap<_, Ticks> = self
            .earlier
            .iter()
            .map(|e| ((e.service.clone(), e.region.clone()), e.until))
            .collect();
        for pin in &self.services {
            let next = plan.services.iter().find(|s| s.pin.service == pin.service);
            let next = next.and_then(|s| s.pin.region());
            match pin.region() {
                Some(region) if next != Some(region) => {
                    until.insert((pin.service.clone(), region.clone()), now);
                }
                _ => {}
            }
        }
        let earlier = until.into_iter();
        earlier
            .map(|((service, region), until)| Earlier {
                service,
                region,
                until,
            })
            .collect()
    }

    fn replanned(&self, plan: Plan, earlier: Vec<Earlier>, now: Ticks) -> Result<Self, Error> {
        Self {
            version: self.version + 1,
            changed_at: now,
            registry: plan.registry,
            country: plan.country,
            geography_choice: plan.geography_choice,
            services: pins(&plan),
            geography: plan.geography,
            home: plan.home,
            earlier,
            ..self.clone()
        }
        .checked()
    }

    fn checked(self) -> Result<Self, Error> {
        self.check()?;
        Ok(self)
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the tenant came.
    pub fn provisioned_at(&self) -> Ticks {
        self.provisioned_at
    }

    /// When this version was made.
    pub fn changed_at(&self) -> Ticks {
        self.changed_at
    }

    /// The registry that the pins are of.
    pub fn registry(&self) -> Accepted {
        self.registry
    }

    /// The tenant's country.
    pub fn country(&self) -> CountryCode {
        self.country
    }

    /// The tenant's geography.
    pub fn geography(&self) -> &GeographyCode {
        &self.geography
    }

    /// How the geography came about.
    pub fn geography_choice(&self) -> GeographyChoice {
        self.geography_choice
    }

    /// The home region.
    pub fn home(&self) -> &RegionCode {
        &self.home
    }

    /// The decisions, one per service, by name.
    pub fn services(&self) -> &[Pin] {
        &self.services
    }

    /// Where older data may still rest.
    pub fn earlier(&self) -> &[Earlier] {
        &self.earlier
    }

    /// All regions where data of a service may rest: a read that leaves one out is partial.
    pub fn regions_of(&self, service: &ServiceName) -> BTreeSet<&RegionCode> {
        let pinned = self.services.iter().filter(|pin| pin.service == *service);
        let earlier = self.earlier.iter().filter(|e| e.service == *service);
        pinned
            .filter_map(Pin::region)
            .chain(earlier.map(|e| &e.region))
            .collect()
    }

    /// What the tenant chose beside its place.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn pins(plan: &Plan) -> Vec<Pin> {
    plan.services
        .iter()
        .map(|service| service.pin.clone())
        .collect()
}

impl Settings {
    /// The safe defaults: nothing is shared between services and nothing goes to the centre.
    pub fn closed(retention_days: i64) -> Self {
        Self {
            retention_days,
            sharing: Sharing::None,
            centre: CentreMode::Off,
            federated_reads: true,
            owner_group: None,
        }
    }
}

impl Payload for Provisioning {
    const KIND: Kind = Kind::Provisioning;
    const FORMAT: u16 = 1;

    fn version(&self) -> u64 {
        self.version
    }

    fn check(&self) -> Result<(), Error> {
        let bounds = limits::RETENTION_DAYS_MIN..=limits::RETENTION_DAYS_MAX;
        let days = self.settings.retention_days;
        if !bounds.contains(&days) {
            return Err(Error::Retention { days });
        }
        // Sorted and without doubles, so that a record has one form.
        if !self.services.is_sorted_by(|a, b| a.service < b.service) {
            let what = "the services are not in order of their names, each once".to_owned();
            return Err(Error::Contradiction {
                kind: Self::KIND,
                what,
            });
        }
        let by_place = |e: &Earlier| (e.service.clone(), e.region.clone());
        if !self.earlier.is_sorted_by(|a, b| by_place(a) < by_place(b)) {
            let what = "the earlier places are not in order, each once".to_owned();
            return Err(Error::Contradiction {
                kind: Self::KIND,
                what,
            });
        }
        if let Sharing::Pairs(pairs) = &self.settings.sharing {
            let planned = |name: &ServiceName| self.services.iter().any(|pin| pin.service == *name);
            if let Some((a, b)) = pairs
                .iter()
                .find(|(a, b)| a >= b || !planned(a) || !planned(b))
            {
                return Err(Error::Sharing {
                    a: a.clone(),
                    b: b.clone(),
                });
            }
        }
        Ok(())
    }
}
