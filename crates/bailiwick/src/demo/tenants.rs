//! Twelve invented companies: planned, confirmed and provisioned over HTTP, with a source and tokens.

use std::collections::BTreeMap;

use anyhow::Context as _;
use model::{RegionCode, TenantId};
use serde_json::{Value, json};

use super::Stage;
use crate::client::{Ask, Http};

/// Name and country. One is an ordinary UK tenant whose identity rests in the EU, one a Norwegian
/// tenant whose mail no deployed region may hold.
const COMPANIES: [(&str, &str); 12] = [
    ("Alder Mutual", "IE"),
    ("Birch Freight", "NL"),
    ("Cedar Clinics", "ES"),
    ("Dune Robotics", "PL"),
    ("Elm Shipping", "NO"),
    ("Fir Stores", "GB"),
    ("Gorse Press", "GB"),
    ("Hazel Rail", "GB"),
    ("Iris Labs", "GB"),
    ("Juniper Bank", "US"),
    ("Kelp Foods", "US"),
    ("Larch Media", "US"),
];

/// One service of a tenant as pinned.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) service: String,
    pub(crate) rule: String,
    pub(crate) rule_version: u64,
    pub(crate) basis: String,
    /// Nothing if the service is refused.
    pub(crate) region: Option<RegionCode>,
    pub(crate) geography: Option<String>,
    /// For a refused service, the countries its rule wants.
    pub(crate) wanted: String,
}

/// A provisioned tenant with what is needed to send and to hunt.
pub(crate) struct Company {
    pub(crate) name: String,
    pub(crate) country: String,
    pub(crate) tenant: TenantId,
    pub(crate) envelope: String,
    pub(crate) home: RegionCode,
    pub(crate) placed: Vec<Placed>,
    /// Clients that may ingest, by region that holds any of its services.
    pub(crate) shippers: BTreeMap<RegionCode, Http>,
    pub(crate) source: String,
    /// Text of the ingest token of its home, to be printed.
    pub(crate) ingest_token: String,
    pub(crate) hunt_token: String,
    pub(crate) hunter: Http,
    /// Clients that may read what left, by region that holds any of its services.
    pub(crate) readers: BTreeMap<RegionCode, Http>,
}

impl Company {
    /// Where rows of a service rest; nothing if it is refused.
    pub(crate) fn region_of(&self, service: &str) -> Option<&RegionCode> {
        self.placed
            .iter()
            .find(|p| p.service == service)?
            .region
            .as_ref()
    }
}

/// The company that tells the centre nothing.
pub(crate) const SILENT: usize = 3;
/// The company into whose days the program's own attack is woven.
pub(crate) const SECOND_VICTIM: usize = 7;

/// The envelope tenant id of the n-th company.
fn envelope(at: usize) -> String {
    format!("5eed0000-0000-4000-8000-{:012x}", at + 1)
}

/// What the generator is told of the companies.
pub(crate) fn specs() -> Vec<generate::TenantSpec> {
    COMPANIES
        .iter()
        .enumerate()
        .map(|(at, (name, country))| generate::TenantSpec {
            name: (*name).to_owned(),
            country: (*country).to_owned(),
            envelope_tenant_id: envelope(at),
            mail_domain: format!("{}.example", name.to_lowercase().replace(' ', "-")),
            weight: 1,
        })
        .collect()
}

/// Provisions them all.
pub(crate) fn provision(stage: &Stage) -> anyhow::Result<Vec<Company>> {
    let each = COMPANIES.iter().enumerate();
    each.map(|(at, (name, country))| one(stage, at, name, country))
        .collect()
}

fn one(stage: &Stage, at: usize, name: &str, country: &str) -> anyhow::Result<Company> {
    let envelope = envelope(at);
    let centre = if at == SILENT { "off" } else { "facts" };
    let any = stage.operators.values().next().context("a region")?;
    let facts = json!({ "country": country });
    let plan = any
        .call(&Ask::post("/api/v1/tenants/plan", &facts))?
        .json()?;
    let home = RegionCode::new(text(&plan, "/home")?)?;
    let operator = stage.operators.get(&home).context("the home's operator")?;
    let body = json!({
        "name": name,
        "country": country,
        "confirmed": text(&plan, "/digest")?,
        "settings": { "retention_days": 180, "sharing": "all", "centre": centre },
    });
    let tenant = operator
        .call(&Ask::post("/api/v1/tenants", &body))?
        .json()?;
    let id: TenantId = text(&tenant, "/tenant")?.parse()?;
    let pins = tenant
        .pointer("/services")
        .and_then(Value::as_array)
        .context("services")?;
    let placed = pins
        .iter()
        .map(placed)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let services: Vec<&str> = placed.iter().map(|p| p.service.as_str()).collect();
    let body = json!({
        "name": "Defender streaming export",
        "services": services,
        "envelope_tenant": &envelope,
    });
    let path = format!("/api/v1/tenants/{id}/sources");
    let source = operator.call(&Ask::post(path, &body))?.json()?;
    let source = text(&source, "/source")?.to_owned();
    let mut shippers = BTreeMap::new();
    let (mut readers, mut ingest_token) = (BTreeMap::new(), String::new());
    let regions: std::collections::BTreeSet<_> =
        placed.iter().filter_map(|p| p.region.clone()).collect();
    for region in regions {
        let secret = mint(stage, &region, id, "shipper", &["ingest"])?;
        if region == home {
            ingest_token.clone_from(&secret);
        }
        shippers.insert(region.clone(), stage.client(&region, &secret)?);
        let secret = mint(stage, &region, id, "reader", &["residency"])?;
        readers.insert(region.clone(), stage.client(&region, &secret)?);
    }
    let hunt_token = mint(
        stage,
        &home,
        id,
        "analyst",
        &["hunt", "read", "residency", "incidents", "rules"],
    )?;
    Ok(Company {
        name: name.to_owned(),
        country: country.to_owned(),
        tenant: id,
        envelope,
        hunter: stage.client(&home, &hunt_token)?,
        home,
        placed,
        shippers,
        readers,
        source,
        ingest_token,
        hunt_token,
    })
}

fn placed(pin: &Value) -> anyhow::Result<Placed> {
    let outcome = pin.get("outcome").context("an outcome")?;
    let place = outcome.get("placed");
    let field = |name: &str| place.and_then(|p| p.get(name)).and_then(Value::as_str);
    let wanted = outcome
        .pointer("/refused/countries")
        .and_then(Value::as_array);
    let wanted: Vec<&str> = wanted
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Ok(Placed {
        service: text(pin, "/service")?.to_owned(),
        rule: text(pin, "/rule")?.to_owned(),
        rule_version: pin.get("rule_version").and_then(Value::as_u64).unwrap_or(0),
        basis: text(pin, "/basis")?.to_owned(),
        region: field("region").map(RegionCode::new).transpose()?,
        geography: field("geography").map(str::to_owned),
        wanted: wanted.join(" "),
    })
}

/// Mints a token in the cell that accepts it.
pub(crate) fn mint(
    stage: &Stage,
    region: &RegionCode,
    tenant: TenantId,
    name: &str,
    permissions: &[&str],
) -> anyhow::Result<String> {
    let operator = stage
        .operators
        .get(region)
        .context("the region's operator")?;
    let body = json!({ "name": name, "permissions": permissions, "days": 7 });
    let path = format!("/api/v1/tenants/{tenant}/tokens");
    let minted = operator.call(&Ask::post(path, &body))?.json()?;
    Ok(text(&minted, "/secret")?.to_owned())
}

/// A text field of an answer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no `{pointer}` in the answer"))
}
