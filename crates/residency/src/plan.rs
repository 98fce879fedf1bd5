//! From a tenant's facts to one region per service.
//!
//! The order of the pick, which is the whole of it:
//!
//! 1. The geography is the one chosen, else the one that the registry suggests for the country. It
//!    must have a region of its own.
//! 2. The home region is the first, by code, of the regions of that geography.
//! 3. For each service, the first fitting case of its rule gives an ordered list of wanted places.
//!    A region satisfies a place if the region's *country* is among the place's countries.
//! 4. The first place that any region satisfies wins. Among its regions: the one where the service
//!    is pinned already, then home, then those deployed for exactly that geography, then by code.
//! 5. If no place is satisfied the service is refused. Nothing falls back beyond the list.
//!
//! Promises
//! - The order in which a registry lists its regions, countries, services or rules changes nothing.
//! - A placed service's country is one that its rule wants ([`Pin::wanted`] says which places).

use std::collections::BTreeSet;

use model::{GeographyCode, RegionCode, RuleId, ServiceName};
use serde::{Deserialize, Serialize};

use crate::registry::{Basis, Place, Region, Registry, Rule};
use crate::signed::{Accepted, Digest};
use crate::{CountryCode, Error};

/// What is known of a tenant before it is provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantFacts {
    /// The country it signed up from.
    pub country: CountryCode,
    /// The geography it chose; without one, the registry's suggestion for the country.
    pub geography: Option<GeographyCode>,
}

/// How the geography came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeographyChoice {
    /// The tenant named it.
    Chosen,
    /// The registry suggests it for the country.
    Suggested,
}

/// Where everything of a tenant would rest, to be shown before it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The registry it was made with.
    pub registry: Accepted,
    /// The tenant's country.
    pub country: CountryCode,
    /// The tenant's geography.
    pub geography: GeographyCode,
    /// How the geography came about.
    pub geography_choice: GeographyChoice,
    /// The region that keeps the tenant's own data and its record.
    pub home: RegionCode,
    /// One entry per service, by name.
    pub services: Vec<ServicePlan>,
}

/// The decision about one service, with everything that was weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServicePlan {
    /// The decision as it will be pinned.
    #[serde(flatten)]
    pub pin: Pin,
    /// The month or day whose facts the rule restates.
    pub as_of: String,
    /// The wanted places in order, and what became of each.
    pub candidates: Vec<Candidate>,
}

/// The decision about one service, as it stands in the tenant's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The service.
    pub service: ServiceName,
    /// The rule that decided.
    pub rule: RuleRef,
    /// The places that the rule wants for this tenant, best first.
    pub wanted: Vec<Place>,
    /// Where it goes, or that it goes nowhere.
    pub outcome: Outcome,
}

/// A rule by name, version and basis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRef {
    /// Its name.
    pub id: RuleId,
    /// Its version.
    pub version: u32,
    /// The clause it stands on.
    pub basis: Basis,
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// New records rest here.
    Placed {
        /// The region.
        region: RegionCode,
        /// The geography that the region is a deployment of.
        geography: GeographyCode,
        /// The country that the region is in.
        country: CountryCode,
    },
    /// No deployed region satisfies the rule; records of the service are rejected.
    Refused {
        /// The countries in which a region would satisfy it.
        countries: BTreeSet<CountryCode>,
    },
}

/// One wanted place and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The place.
    pub place: Place,
    /// Why it was taken or passed over.
    pub verdict: Verdict,
    /// The regions that satisfy it, in the order of the pick.
    pub regions: Vec<RegionCode>,
}

/// Why a wanted place was taken or passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its first region is the pick.
    Picked,
    /// No region is deployed in any of its countries.
    NoRegion,
    /// An earlier place was picked.
    NotReached,
}

impl Plan {
    /// A digest of the whole plan: confirming it confirms what was shown, not what another registry
    /// would give a moment later.
    pub fn digest(&self) -> Digest {
        // Serialising cannot fail: string keys only, and no type here refuses.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    pub(crate) fn confirmed(self, digest: Digest) -> Result<Self, Error> {
        if self.digest() == digest {
            Ok(self)
        } else {
            Err(Error::PlanChanged)
        }
    }
}

/// Plans a tenant that does not exist yet.
pub fn plan(registry: &Registry, facts: &TenantFacts) -> Result<Plan, Error> {
    plan_keeping(registry, facts, None)
}

/// Where an existing tenant's data goes now: its home stays, and so does a pinned region as long as
/// it satisfies the place that wins.
pub(crate) struct Keep<'a> {
    pub(crate) home: &'a RegionCode,
    pub(crate) pins: &'a [Pin],
}

impl<'a> Keep<'a> {
    fn region_of(&self, service: &ServiceName) -> Option<&'a RegionCode> {
        self.pins
            .iter()
            .find(|pin| pin.service == *service)?
            .region()
    }
}

pub(crate) fn plan_keeping(
    registry: &Registry,
    facts: &TenantFacts,
    keep: Option<&Keep<'_>>,
) -> Result<Plan, Error> {
    let unknown = || Error::UnknownCountry {
        country: facts.country.to_string(),
    };
    let country = registry.country(facts.country).ok_or_else(unknown)?;
    let (geography, geography_choice) = match &facts.geography {
        Some(chosen) => (chosen.clone(), GeographyChoice::Chosen),
        None => (country.suggests.clone(), GeographyChoice::Suggested),
    };
    let home = home(registry, &geography, keep)?;
    let mut rules: Vec<&Rule> = registry.document().rules.iter().collect();
    rules.sort_by(|a, b| a.service.cmp(&b.service));
    let services = rules
        .into_iter()
        .map(|rule| {
            let pinned = keep.and_then(|keep| keep.region_of(&rule.service));
            let wanted = rule.wanted(facts.country, &geography);
            plan_service(registry, rule, wanted, &Preference { pinned, home })
        })
        .collect();
    Ok(Plan {
        registry: registry.accepted(),
        country: facts.country,
        geography,
        geography_choice,
        home: home.clone(),
        services,
    })
}

fn home<'a>(
    registry: &'a Registry,
    geography: &GeographyCode,
    keep: Option<&Keep<'_>>,
) -> Result<&'a RegionCode, Error> {
    let regions = registry
        .document()
        .regions
        .iter()
        .filter(|r| r.geography == *geography);
    let mut codes = regions.map(|r| &r.code);
    match keep {
        Some(keep) => codes
            .find(|code| *code == keep.home)
            .ok_or_else(|| Error::HomeGone {
                region: keep.home.clone(),
                geography: geography.clone(),
            }),
        None => codes.min().ok_or_else(|| Error::UnknownGeography {
            geography: geography.clone(),
        }),
    }
}

/// Which regions come first among those that satisfy a place.
struct Preference<'a> {
    pinned: Option<&'a RegionCode>,
    home: &'a RegionCode,
}

fn plan_service(
    registry: &Registry,
    rule: &Rule,
    wanted: Vec<Place>,
    preference: &Preference<'_>,
) -> ServicePlan {
    let mut picked: Option<&Region> = None;
    let mut candidates = Vec::with_capacity(wanted.len());
    for place in &wanted {
        let regions = regions_of(registry, place, preference);
        let verdict = match (picked, regions.first()) {
            (Some(_), _) => Verdict::NotReached,
            (None, None) => Verdict::NoRegion,
            (None, Some(first)) => {
                picked = Some(first);
                Verdict::Picked
            }
        };
        let regions = regions.into_iter().map(|r| r.code.clone()).collect();
        candidates.push(Candidate {
            place: place.clone(),
            verdict,
            regions,
        });
    }
    let outcome = match picked {
        Some(region) => Outcome::Placed {
            region: region.code.clone(),
            geography: region.geography.clone(),
            country: region.country,
        },
        None => Outcome::Refused {
            countries: wanted
                .iter()
                .flat_map(|p| registry.countries_of_place(p))
                .collect(),
        },
    };
    let pin = Pin {
        service: rule.service.clone(),
        rule: RuleRef::of(rule),
        wanted,
        outcome,
    };
    ServicePlan {
        pin,
        as_of: rule.as_of.clone(),
        candidates,
    }
}

/// The regions that satisfy a place, in the order of the pick.
fn regions_of<'a>(
    registry: &'a Registry,
    place: &Place,
    preference: &Preference<'_>,
) -> Vec<&'a Region> {
    let countries = registry.countries_of_place(place);
    let regions = registry.document().regions.iter();
    let mut regions: Vec<_> = regions.filter(|r| countries.contains(&r.country)).collect();
    // `false` sorts first.
    regions.sort_by_key(|r| {
        let exact = match place {
            Place::Geography(code) => r.geography == *code,
            Place::Country(_) => true,
        };
        (
            Some(&r.code) != preference.pinned,
            r.code != *preference.home,
            !exact,
            &r.code,
        )
    });
    regions
}

impl Pin {
    /// The region that new data goes to; `None` if the service is refused.
    pub fn region(&self) -> Option<&RegionCode> {
        match &self.outcome {
            Outcome::Placed { region, .. } => Some(region),
            Outcome::Refused { .. } => None,
        }
    }
}

impl RuleRef {
    fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id.clone(),
            version: rule.version,
            basis: rule.basis,
        }
    }
}
