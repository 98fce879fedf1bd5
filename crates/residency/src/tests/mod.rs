//! Tests of placement. Everything goes through the same doors as in the program: documents are
//! signed with a test key, verified, and only then used.

mod egress;
mod golden;
mod place;
mod plan;
mod profile;
mod provisioning;
mod registry;
mod signed;

use crypto::{PublicKey, Signature, Signer};
use ed25519_dalek::{Signer as _, SigningKey};
use model::{GeographyCode, RegionCode, ServiceName, TableName, TenantId, Ticks};

use crate::{
    CountryCode, DEFAULT_REGISTRY, Document, Draft, Error, Geography, Plan, Provisioning, Region,
    Registry, Settings, TenantFacts, Verified,
};

/// A key of the tests' own.
#[derive(Debug)]
struct TestKey(SigningKey);

impl TestKey {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for TestKey {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(message).to_bytes())
    }

    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }
}

/// Signs registries.
fn operator() -> TestKey {
    TestKey::new(1)
}

/// Signs records and profiles of the home cell.
fn home_cell() -> TestKey {
    TestKey::new(2)
}

fn default_document() -> Document {
    Draft::parse(DEFAULT_REGISTRY.as_bytes())
        .unwrap()
        .document()
        .clone()
}

fn accept(document: Document) -> Registry {
    let bytes = Draft::of(document).unwrap().sign(&operator());
    Registry::accept(&bytes, &operator().public_key(), 1, None).unwrap()
}

fn default_registry() -> Registry {
    accept(default_document())
}

/// The default registry with a change, as the next version.
fn changed(change: impl FnOnce(&mut Document)) -> Registry {
    let mut document = default_document();
    document.version += 1;
    change(&mut document);
    accept(document)
}

/// What an operator writes into the registry to deploy a region in France.
fn deploy_in_france(document: &mut Document) {
    document.geographies.push(Geography {
        code: geography("FR"),
        name: "France".to_owned(),
        countries: vec![country("FR")],
        contains: Vec::new(),
    });
    document.regions.push(region_in("fr", "FR", "FR"));
}

fn region_in(code: &str, of: &str, in_country: &str) -> Region {
    Region {
        code: region(code),
        geography: geography(of),
        country: country(in_country),
        url: None,
        cell_key: None,
    }
}

fn country(code: &str) -> CountryCode {
    CountryCode::new(code).unwrap()
}

fn geography(code: &str) -> GeographyCode {
    GeographyCode::new(code).unwrap()
}

fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn table(name: &str) -> TableName {
    TableName::new(name).unwrap()
}

fn from(code: &str) -> TenantFacts {
    TenantFacts {
        country: country(code),
        geography: None,
    }
}

fn tenant() -> TenantId {
    TenantId::from_bytes([7; 16])
}

fn at(day: i64) -> Ticks {
    Ticks::parse("2026-01-01")
        .unwrap()
        .saturating_add(model::Span100ns::days(day))
}

fn settings() -> Settings {
    Settings::closed(90)
}

fn provision(registry: &Registry, facts: &TenantFacts) -> Provisioning {
    let shown = crate::plan(registry, facts).unwrap().digest();
    Provisioning::new(tenant(), registry, facts, shown, settings(), at(0)).unwrap()
}

fn verified(record: &Provisioning) -> Verified<Provisioning> {
    let bytes = record.sign(&home_cell()).unwrap();
    Provisioning::open(&bytes, &home_cell().public_key(), None).unwrap()
}

/// `service=region` or `service=-`, in order.
fn summary(plan: &Plan) -> String {
    let pins = plan.services.iter().map(|s| &s.pin);
    pins.map(pin_summary).collect::<Vec<_>>().join(" ")
}

fn pin_summary(pin: &crate::Pin) -> String {
    match &pin.outcome {
        crate::Outcome::Placed { region, .. } => format!("{}={region}", pin.service),
        crate::Outcome::Refused { .. } => format!("{}=-", pin.service),
    }
}

/// The code and words of an error, for expectations.
fn told(error: &Error) -> String {
    format!("{}: {error}", error.code())
}

/// The countries in which a service's data may be, worked out from the document alone, without the
/// index and the order that the crate uses.
fn wanted_countries(
    document: &Document,
    service: &ServiceName,
    country: CountryCode,
    geography: &GeographyCode,
) -> Vec<CountryCode> {
    fn expand(document: &Document, code: &GeographyCode, out: &mut Vec<CountryCode>) {
        let found = document
            .geographies
            .iter()
            .find(|g| g.code == *code)
            .unwrap();
        out.extend(&found.countries);
        found
            .contains
            .iter()
            .for_each(|part| expand(document, part, out));
    }
    let rule = document
        .rules
        .iter()
        .find(|r| r.service == *service)
        .unwrap();
    let case = rule.cases.iter().find(|case| {
        case.countries
            .as_ref()
            .is_none_or(|set| set.contains(&country))
            && case
                .geographies
                .as_ref()
                .is_none_or(|set| set.contains(geography))
    });
    let mut out = Vec::new();
    for want in &case.unwrap().want {
        match want {
            crate::Want::TenantGeography => expand(document, geography, &mut out),
            crate::Want::Geography(code) => expand(document, code, &mut out),
            crate::Want::Country(code) => out.push(*code),
        }
    }
    out
}
