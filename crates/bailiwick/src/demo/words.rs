//! Words of a tenant's own in a region that is not its home: a rule's id and a raw table's name.
//!
//! The planted rows carry markers in values alone. Here a rule is named after one and a table after
//! another, in a region from which alerts go home; the search of what crossed looks for both.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use model::{Random as _, RegionCode};
use serde_json::{Value, json};

use super::Stage;
use super::tenants::{Company, mint, text};
use crate::client::{Ask, Http, query};
use crate::machine::MachineRandom;

/// The service whose rows rest elsewhere.
const SERVICE: &str = "identity";
const GIVE_UP: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);

/// Makes an alert of such words cross; the words.
pub(crate) fn cross(stage: &Stage, companies: &[Company]) -> anyhow::Result<Vec<inspect::Marker>> {
    let away = |company: &Company| {
        let region = company.region_of(SERVICE)?;
        (*region != company.home).then(|| region.clone())
    };
    let found = companies.iter().find_map(|c| Some((c, away(c)?)));
    let (company, region) = found.context("a company with rows of two regions")?;
    let permissions = ["ingest", "rules", "incidents"];
    let secret = mint(stage, &region, company.tenant, "words", &permissions)?;
    let there = stage.client(&region, &secret)?;
    let (rule, table) = (word(), word());
    let name = format!("Planted{table}_CL");
    let rule_text = format!(
        "title: A word of somebody's\nid: watch-{rule}\nstatus: test\nlogsource:\n  product: bailiwick\n  service: {}\ndetection:\n  s:\n    Planted: 'yes'\n  condition: s\nlevel: low\n",
        name.to_lowercase()
    );
    let body = json!({ "text": rule_text, "enabled": true });
    let path = format!("/api/v1/tenants/{}/rules", company.tenant);
    there.call(&Ask::post(path, &body))?.good()?;
    ship(stage, company, &there, &name)?;
    arrive(company, &region)?;
    Ok([rule, table].map(inspect::Marker::Text).to_vec())
}

/// Letters and digits that nobody has, and that both names may have.
fn word() -> String {
    let mut bytes = [0; 12];
    MachineRandom.fill(&mut bytes);
    format!("zq{}", crypto::hex(&bytes))
}

/// One row of a raw table, by a source of that service alone: its only service is the table's.
fn ship(stage: &Stage, company: &Company, there: &Http, table: &str) -> anyhow::Result<()> {
    let operator = stage.operators.get(&company.home);
    let body = json!({ "name": "Raw records", "services": [SERVICE] });
    let path = format!("/api/v1/tenants/{}/sources", company.tenant);
    let source = operator.context("the home's operator")?;
    let source = source.call(&Ask::post(path, &body))?.json()?;
    let source = text(&source, "/source")?.to_owned();
    let parameters = [
        ("source", Some(source.as_str())),
        ("format", Some("json")),
        ("table", Some(table)),
    ];
    let row = json!({ "Timestamp": "2026-01-01T00:00:00Z", "Planted": "yes" });
    let ask = Ask::post(query("/api/v1/ingest", &parameters), &row);
    let began = Instant::now();
    // The other region learns of the source within a moment.
    loop {
        let reply = there.call(&ask)?;
        if reply.status == 200 {
            let stored = reply.json()?;
            let stored = stored.pointer("/stored").and_then(Value::as_u64);
            anyhow::ensure!(stored == Some(1), "the planted row was not stored");
            return Ok(());
        }
        if began.elapsed() > GIVE_UP {
            return Err(reply.refusal().into());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Until the alert is known at home, by a rule that home does not know.
fn arrive(company: &Company, from: &RegionCode) -> anyhow::Result<()> {
    let began = Instant::now();
    let path = format!("/api/v1/tenants/{}/alerts?limit=100", company.tenant);
    loop {
        let page = company.hunter.call(&Ask::get(&path))?.json()?;
        let alerts = page.pointer("/alerts").and_then(Value::as_array);
        let is_it = |alert: &Value| {
            let id = alert.pointer("/rule/id").and_then(Value::as_str);
            let origin = alert.pointer("/origin").and_then(Value::as_str);
            origin == Some(from.as_str()) && id.is_some_and(|id| id.starts_with("own-"))
        };
        if alerts.into_iter().flatten().any(is_it) {
            return Ok(());
        }
        anyhow::ensure!(
            began.elapsed() < GIVE_UP,
            "the planted alert does not come home"
        );
        std::thread::sleep(PAUSE);
    }
}
