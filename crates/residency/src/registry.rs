//! The registry: regions, geographies, countries, services and their storage rules.
//!
//! One JSON document (`docs/formats/registry.md`), versioned, signed by the operator. A [`Draft`] is
//! a document that was checked but not signed; a [`Registry`] was signed by the pinned key, and only
//! that can place anything.
//!
//! Promises
//! - Codes are unique, every code that is named exists, containment has no cycle, every region's
//!   country lies in its geography, and every rule has a case for every tenant that can exist.
//! - A version is accepted once: not an older one afterwards, nor other bytes under the same number.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crypto::{PublicKey, Signer};
use model::{GeographyCode, RegionCode, RuleId, ServiceName, TableName};
use serde::{Deserialize, Serialize};

use crate::signed::{self, Accepted, Digest, Kind, Payload};
use crate::{CountryCode, Error, TenantPlacement};

/// The document as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `bailiwick-registry`.
    pub magic: String,
    /// Number of the format: 1.
    pub format: u16,
    /// Grows with every change.
    pub version: u64,
    /// Named sets of countries, for tenants and for rules.
    pub geographies: Vec<Geography>,
    /// The deployments.
    pub regions: Vec<Region>,
    /// The countries a tenant may be of.
    pub countries: Vec<Country>,
    /// The services with their tables.
    pub services: Vec<Service>,
    /// One storage rule per service.
    pub rules: Vec<Rule>,
}

/// A named set of countries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geography {
    /// Its code.
    pub code: GeographyCode,
    /// In English.
    pub name: String,
    /// The countries named here.
    pub countries: Vec<CountryCode>,
    /// Geographies whose countries are in this one too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<GeographyCode>,
}

/// A deployment in one country, of one geography.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its code.
    pub code: RegionCode,
    /// The geography it is a deployment of.
    pub geography: GeographyCode,
    /// The country its disks are in.
    pub country: CountryCode,
    /// Where clients reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The key its cell signs with, if cells of other regions are to trust it by this registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell_key: Option<PublicKey>,
}

/// A country that a tenant may be of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Country {
    /// Two letters.
    pub code: CountryCode,
    /// In English.
    pub name: String,
    /// Other names that people write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The geography that is suggested to a tenant of this country which did not choose.
    pub suggests: GeographyCode,
}

/// A service and the tables whose rows are its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Its tables.
    pub tables: Vec<TableName>,
}

/// Which of the two clauses of the residency promise a rule stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// (a) The tenant's own geography.
    A,
    /// (b) The storage rule of the service that processed the data.
    B,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// The storage rule of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Whose.
    pub service: ServiceName,
    /// Its name.
    pub id: RuleId,
    /// Grows when its text changes.
    pub version: u32,
    /// The month or day whose facts it restates: `2020-05` or `2020-05-31`.
    pub as_of: String,
    /// The clause it stands on.
    pub basis: Basis,
    /// The first case that fits the tenant decides.
    pub cases: Vec<Case>,
}

/// Where a rule wants the data of the tenants that it fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Fits tenants of these geographies; absent, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geographies: Option<BTreeSet<GeographyCode>>,
    /// Fits tenants of these countries; absent, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countries: Option<BTreeSet<CountryCode>>,
    /// The places, best first. None: the service is refused.
    pub want: Vec<Want>,
}

/// A place as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// The tenant's own geography.
    TenantGeography,
    /// Any country of this geography.
    Geography(GeographyCode),
    /// This country.
    Country(CountryCode),
}

/// A place that a rule wants for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Any country of this geography.
    Geography(GeographyCode),
    /// This country.
    Country(CountryCode),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geography(code) => write!(f, "geography {code}"),
            Self::Country(code) => write!(f, "country {code}"),
        }
    }
}

/// A checked document that nobody signed yet. It can be shown and signed, nothing else.
#[derive(Debug, Clone)]
pub struct Draft {
    document: Document,
    payload: Vec<u8>,
}

impl Draft {
    /// Parses and checks a payload; its bytes are kept as they are.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            document: signed::parse(payload)?,
            payload: payload.to_vec(),
        })
    }

    /// A payload for `document`, checked.
    pub fn of(document: Document) -> Result<Self, Error> {
        let payload = signed::payload(&document)?;
        Ok(Self { document, payload })
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The digest that [`Registry::accepted`] will show.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// The signed document.
    pub fn sign(&self, signer: &dyn Signer) -> Vec<u8> {
        signed::sign(Kind::Registry, &self.payload, signer)
    }
}

/// A registry that the pinned key signed.
#[derive(Debug)]
pub struct Registry {
    document: Document,
    accepted: Accepted,
    countries_of: BTreeMap<GeographyCode, BTreeSet<CountryCode>>,
    service_of: BTreeMap<TableName, ServiceName>,
}

impl Registry {
    /// Accepts a signed document: `pinned` signed exactly these bytes, the version is at least
    /// `least_version`, not below the `highest` accepted so far, and not other bytes under its number.
    pub fn accept(
        bytes: &[u8],
        pinned: &PublicKey,
        least_version: u64,
        highest: Option<Accepted>,
    ) -> Result<Self, Error> {
        let payload = signed::verify(bytes, Kind::Registry, pinned)?;
        let document: Document = signed::parse(payload)?;
        let accepted = Accepted {
            version: document.version,
            digest: Digest::of(payload),
        };
        if accepted.version < least_version {
            return Err(Error::Old {
                kind: Kind::Registry,
                found: accepted.version,
                least: least_version,
            });
        }
        if let Some(highest) = highest {
            highest.admits(Kind::Registry, accepted)?;
        }
        Ok(Self::index(document, accepted))
    }

    /// The registry that a tenant accepted, from the bytes kept since then: the tenant's verified
    /// record names its digest, so it is used even if the operator's key or least version changed.
    pub fn recall(bytes: &[u8], tenant: &TenantPlacement) -> Result<Self, Error> {
        let kind = Kind::Registry;
        let payload = signed::unverified_payload(bytes).ok_or(Error::NotSigned { kind })?;
        let wanted = tenant.registry();
        if Digest::of(payload) != wanted.digest {
            let document: Document = signed::parse(payload)?;
            return Err(Error::OtherRegistry {
                wanted: wanted.version,
                found: document.version,
            });
        }
        Ok(Self::index(signed::parse(payload)?, wanted))
    }

    fn index(document: Document, accepted: Accepted) -> Self {
        let service_of = document
            .services
            .iter()
            .flat_map(|s| s.tables.iter().map(|table| (table.clone(), s.name.clone())))
            .collect();
        let countries_of = check::countries_of(&document);
        Self {
            document,
            accepted,
            countries_of,
            service_of,
        }
    }

    /// Version and digest, to be remembered by the caller.
    pub fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.accepted.version
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The region of this code.
    pub fn region(&self, code: &RegionCode) -> Option<&Region> {
        self.document.regions.iter().find(|r| r.code == *code)
    }

    /// The country of this code.
    pub fn country(&self, code: CountryCode) -> Option<&Country> {
        self.document.countries.iter().find(|c| c.code == code)
    }

    /// The country that a person means by a code or a name, in any case.
    pub fn find_country(&self, text: &str) -> Option<&Country> {
        let wanted = text.trim().to_lowercase();
        self.document.countries.iter().find(|c| {
            let mut names = c
                .also
                .iter()
                .map(String::as_str)
                .chain([c.code.as_str(), &c.name]);
            names.any(|name| name.to_lowercase() == wanted)
        })
    }

    /// All countries of a geography, those of contained ones included.
    pub fn countries_of(&self, geography: &GeographyCode) -> Option<&BTreeSet<CountryCode>> {
        self.countries_of.get(geography)
    }

    /// The countries that satisfy a wanted place.
    pub fn countries_of_place(&self, place: &Place) -> BTreeSet<CountryCode> {
        match place {
            Place::Geography(code) => self.countries_of(code).cloned().unwrap_or_default(),
            Place::Country(code) => BTreeSet::from([*code]),
        }
    }

    /// The rule of a service.
    pub fn rule(&self, service: &ServiceName) -> Option<&Rule> {
        self.document.rules.iter().find(|r| r.service == *service)
    }

    /// The service that a table's rows belong to; `None` for a table that the registry does not know.
    pub fn service_of_table(&self, table: &TableName) -> Option<&ServiceName> {
        self.service_of.get(table)
    }
}

impl Rule {
    /// The places that this rule wants for a tenant of `country` in `geography`, best first.
    pub(crate) fn wanted(&self, country: CountryCode, geography: &GeographyCode) -> Vec<Place> {
        let case = self.cases.iter().find(|case| case.fits(country, geography));
        let wants = case.map(|case| case.want.as_slice()).unwrap_or_default();
        wants
            .iter()
            .map(|want| match want {
                Want::TenantGeography => Place::Geography(geography.clone()),
                Want::Geography(code) => Place::Geography(code.clone()),
                Want::Country(code) => Place::Country(*code),
            })
            .collect()
    }
}

impl Case {
    fn fits(&self, country: CountryCode, geography: &GeographyCode) -> bool {
        self.countries
            .as_ref()
            .is_none_or(|set| set.contains(&country))
            && self
                .geographies
                .as_ref()
                .is_none_or(|set| set.contains(geography))
    }
}

impl Payload for Document {
    const KIND: Kind = Kind::Registry;
    const FORMAT: u16 = 1;

    fn version(&self) -> u64 {
        self.version
    }

    fn check(&self) -> Result<(), Error> {
        check::check(self).map_err(|what| Error::Contradiction {
            kind: Kind::Registry,
            what,
        })
    }
}
