//! The door to the store: which service a row belongs to, and whether it may rest here.
//!
//! [`place`] is the only maker of a [`Placement`], and a [`TenantPlacement`], which it asks, comes only
//! from a signed record or profile. So whoever holds a placement can store, and nobody else.
//!
//! Promises
//! - A placement is never given for a region that the pinned decision does not name.
//! - A tenant's rows follow the registry that the tenant accepted, even after a newer one came.

use std::collections::BTreeMap;

use model::{Code, GeographyCode, RegionCode, RuleId, ServiceName, TableName, TenantId};

use crate::plan::{Outcome, Pin, RuleRef};
use crate::profile::CellProfile;
use crate::provisioning::Provisioning;
use crate::registry::{Basis, Registry};
use crate::signed::{Accepted, Verified};
use crate::{CountryCode, Error};

/// What one cell knows of where one tenant's data rests.
#[derive(Debug)]
pub struct TenantPlacement {
    tenant: TenantId,
    registry: Accepted,
    home: RegionCode,
    pins: BTreeMap<ServiceName, Pin>,
    /// Whether `pins` are all of the tenant's services, or only those held here.
    whole: bool,
}

impl TenantPlacement {
    /// From the tenant's own record: at home, where all services are known.
    pub fn of_record(record: &Verified<Provisioning>) -> Self {
        Self {
            tenant: record.tenant(),
            registry: record.registry(),
            home: record.home().clone(),
            pins: by_service(record.services()),
            whole: true,
        }
    }

    /// From a cell profile: in a second cell, where only the services held there are known.
    pub fn of_profile(profile: &Verified<CellProfile>) -> Self {
        Self {
            tenant: profile.tenant(),
            registry: profile.registry(),
            home: profile.home().clone(),
            pins: by_service(profile.services()),
            whole: false,
        }
    }

    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The registry that the tenant accepted; [`service_of`] wants the same.
    pub fn registry(&self) -> Accepted {
        self.registry
    }

    /// The tenant's home region.
    pub fn home(&self) -> &RegionCode {
        &self.home
    }

    /// The services that rest in `region`, by name. Empty: nothing of this tenant belongs there.
    pub fn services_in<'a>(
        &'a self,
        region: &'a RegionCode,
    ) -> impl Iterator<Item = &'a ServiceName> {
        self.pins
            .values()
            .filter(|pin| pin.region() == Some(region))
            .map(|pin| &pin.service)
    }

    /// Where a service rests, as far as this cell knows; `None` if it is refused or unknown here.
    pub fn region_of(&self, service: &ServiceName) -> Option<&RegionCode> {
        self.pins.get(service)?.region()
    }
}

/// Proof that rows of one service of one tenant may rest in one region.
///
/// Only [`place`] makes one. It is neither copied nor written down: it is shown to the store by
/// reference, and the store writes its parts into the segment's manifest.
#[derive(Debug)]
pub struct Placement {
    tenant: TenantId,
    region: RegionCode,
    geography: GeographyCode,
    country: CountryCode,
    service: ServiceName,
    rule: RuleRef,
    registry_version: u64,
}

impl Placement {
    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The region, always the one of the cell that asked.
    pub fn region(&self) -> &RegionCode {
        &self.region
    }

    /// The geography that the region is a deployment of; bound into every sealed byte.
    pub fn geography(&self) -> &GeographyCode {
        &self.geography
    }

    /// The country that the region was declared to be in.
    pub fn country(&self) -> CountryCode {
        self.country
    }

    /// The service.
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The rule that decided.
    pub fn rule_id(&self) -> &RuleId {
        &self.rule.id
    }

    /// Its version.
    pub fn rule_version(&self) -> u32 {
        self.rule.version
    }

    /// The clause it stands on.
    pub fn basis(&self) -> Basis {
        self.rule.basis
    }

    /// The registry version that the tenant accepted.
    pub fn registry_version(&self) -> u64 {
        self.registry_version
    }
}

/// Why a row may not rest here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotHere {
    /// It belongs to another region. A second cell that does not hold the service names home, which
    /// knows.
    #[error("data of service `{service}` belongs to region `{region}`")]
    WrongRegion {
        /// The service.
        service: ServiceName,
        /// The region to ask.
        region: RegionCode,
    },
    /// No deployed region satisfies the service's rule for this tenant.
    #[error(
        "no deployed region satisfies rule `{rule}` version {rule_version} of service `{service}`, which wants {}",
        list(.countries)
    )]
    Refused {
        /// The service.
        service: ServiceName,
        /// The rule.
        rule: RuleId,
        /// Its version.
        rule_version: u32,
        /// The countries in which a region would satisfy it.
        countries: Vec<CountryCode>,
    },
    /// The tenant's record has no such service: the registry it accepted does not know it.
    #[error("service `{service}` is not in the registry that the tenant accepted")]
    NotPlanned {
        /// The service.
        service: ServiceName,
    },
}

impl NotHere {
    /// The stable code that clients see.
    pub fn code(&self) -> Code {
        match self {
            Self::WrongRegion { .. } => Code::WrongRegion,
            Self::Refused { .. } | Self::NotPlanned { .. } => Code::ServiceRefused,
        }
    }
}

/// Whether data of `service` may rest in `region`, by the pinned decision.
pub fn place(
    tenant: &TenantPlacement,
    region: &RegionCode,
    service: &ServiceName,
) -> Result<Placement, NotHere> {
    let service = service.clone();
    let Some(pin) = tenant.pins.get(&service) else {
        return Err(if tenant.whole {
            NotHere::NotPlanned { service }
        } else {
            NotHere::WrongRegion {
                service,
                region: tenant.home.clone(),
            }
        });
    };
    match &pin.outcome {
        Outcome::Placed {
            region: pinned,
            geography,
            country,
        } if pinned == region => Ok(Placement {
            tenant: tenant.tenant,
            region: pinned.clone(),
            geography: geography.clone(),
            country: *country,
            service,
            rule: pin.rule.clone(),
            registry_version: tenant.registry.version,
        }),
        Outcome::Placed { region, .. } => Err(NotHere::WrongRegion {
            service,
            region: region.clone(),
        }),
        Outcome::Refused { countries } => Err(NotHere::Refused {
            service,
            rule: pin.rule.id.clone(),
            rule_version: pin.rule.version,
            countries: countries.iter().copied().collect(),
        }),
    }
}

/// The service of a row: what the registry says of its table, if the row's source declares it; for a
/// table that the registry does not know, the source's only service.
///
/// `registry` must be the one that the tenant accepted: a newer one changes nothing before.
pub fn service_of<'a>(
    registry: &'a Registry,
    tenant: &TenantPlacement,
    table: &TableName,
    declared: &'a [ServiceName],
) -> Result<&'a ServiceName, Error> {
    if registry.accepted() != tenant.registry {
        let (wanted, found) = (tenant.registry.version, registry.version());
        return Err(Error::OtherRegistry { wanted, found });
    }
    match (registry.service_of_table(table), declared) {
        (Some(service), _) if declared.contains(service) => Ok(service),
        (Some(service), _) => Err(Error::ServiceNotDeclared {
            table: table.clone(),
            service: service.clone(),
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::ServiceAmbiguous {
            table: table.clone(),
            n_services: declared.len(),
        }),
    }
}

fn by_service(pins: &[Pin]) -> BTreeMap<ServiceName, Pin> {
    pins.iter()
        .map(|pin| (pin.service.clone(), pin.clone()))
        .collect()
}

fn list(countries: &[CountryCode]) -> String {
    if countries.is_empty() {
        return "no country".to_owned();
    }
    countries
        .iter()
        .map(CountryCode::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
