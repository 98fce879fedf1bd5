//! What detection made of the attack: incidents as paths, against the ground truth.
//!
//! All of it is asked over HTTP, as an analyst would. Only for the end of detection does the demo ask
//! the cells themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use generate::{IntrusionTruth, Truth};
use model::{Random as _, Ticks};
use serde_json::Value;

use super::Stage;
use super::ship::Shipped;
use super::tenants::Company;
use crate::client::Ask;
use crate::machine::MachineRandom;
use crate::print::number;

/// Longest wait for detection to be done.
const GIVE_UP: Duration = Duration::from_mins(1);

/// A seed that nobody chose.
pub(crate) fn own_seed() -> u64 {
    let mut bytes = [0; 4];
    MachineRandom.fill(&mut bytes);
    u64::from(u32::from_le_bytes(bytes))
}

/// An alert as the API shows it.
struct Seen {
    id: String,
    vendor_id: Option<String>,
    title: String,
    severity: String,
    created_at: Ticks,
    incident: Option<u64>,
    records: BTreeSet<(String, Ticks)>,
}

pub(crate) fn tell(
    stage: &Stage,
    companies: &[Company],
    truth: &[Truth; 2],
    shipped: &Shipped,
    own_seed: u64,
) -> anyhow::Result<String> {
    wait(stage)?;
    let mut text = String::from("Detection\n\n");
    let mut alerts = BTreeMap::new();
    for (at, company) in companies.iter().enumerate() {
        alerts.insert(at, seen(company)?);
    }
    let total: usize = alerts.values().map(Vec::len).sum();
    let incidents: BTreeSet<_> = alerts
        .iter()
        .flat_map(|(at, seen)| seen.iter().filter_map(move |a| Some((*at, a.incident?))))
        .collect();
    writeln!(
        text,
        "  {total} alerts in {} incidents over {} tenants; {}",
        incidents.len(),
        companies.len(),
        freshness(&alerts, shipped)
    )?;
    let mut attacked = BTreeSet::new();
    for (truth, which) in truth.iter().zip(["the seed given", "a seed drawn now"]) {
        for intrusion in &truth.intrusions {
            let company = companies.get(intrusion.tenant).context("a company")?;
            let seen = alerts.get(&intrusion.tenant).context("its alerts")?;
            let which = if which == "a seed drawn now" {
                format!("{which}, {own_seed}")
            } else {
                which.to_owned()
            };
            let main = one(company, intrusion, seen, &which, &mut text)?;
            attacked.extend(main.map(|n| (intrusion.tenant, n)));
        }
    }
    let others = incidents.difference(&attacked).count();
    writeln!(
        text,
        "\n  Other incidents: {others} (harmless look-alikes on which a rule is meant to alert)\n"
    )?;
    Ok(text)
}

/// Until every durable row was examined and no alert is on its way home.
fn wait(stage: &Stage) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < 3 {
        let behind = stage
            .embedded
            .cells
            .values()
            .any(|cell| !cell.store().tenants_behind().is_empty());
        quiet = if behind { 0 } else { quiet + 1 };
        if began.elapsed() >= GIVE_UP {
            anyhow::bail!("detection does not end: {}", complaints(stage));
        }
        std::thread::sleep(Duration::from_millis(if behind { 100 } else { 800 }));
    }
    Ok(())
}

/// Who is behind, and the last thing that the log says of it. The log itself goes with the demo.
fn complaints(stage: &Stage) -> String {
    let behind: Vec<String> = stage
        .embedded
        .cells
        .iter()
        .flat_map(|(region, cell)| {
            let tenants = cell.store().tenants_behind().into_iter();
            tenants.map(move |tenant| format!("{region} {tenant}"))
        })
        .collect();
    let log = std::fs::read_to_string(&stage.log).unwrap_or_default();
    let is_error = |line: &&str| line.contains("\"level\":\"error\"");
    let last = log.lines().rev().find(is_error);
    format!(
        "rows of {} wait; last error: {}",
        behind.join(", "),
        last.unwrap_or("none")
    )
}

fn ask(company: &Company, path: &str) -> anyhow::Result<Value> {
    let path = format!("/api/v1/tenants/{}/{path}", company.tenant);
    company.hunter.call(&Ask::get(path))?.json()
}

fn text_of(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

fn time_of(value: &Value, pointer: &str) -> Ticks {
    Ticks::parse(&text_of(value, pointer)).unwrap_or_default()
}

/// Every alert of a company with the rows behind it.
fn seen(company: &Company) -> anyhow::Result<Vec<Seen>> {
    let page = ask(company, "alerts?limit=1000")?;
    let listed = page.pointer("/alerts").and_then(Value::as_array);
    let mut out = Vec::new();
    for alert in listed.into_iter().flatten() {
        let id = text_of(alert, "/id");
        let detail = ask(company, &format!("alerts/{id}"))?;
        let records = detail.pointer("/records").and_then(Value::as_array);
        let record = |r: &Value| (text_of(r, "/table"), time_of(r, "/at"));
        out.push(Seen {
            vendor_id: alert
                .pointer("/vendor_id")
                .and_then(Value::as_str)
                .map(str::to_owned),
            title: text_of(&detail, "/title"),
            severity: text_of(alert, "/severity"),
            created_at: time_of(alert, "/created_at"),
            incident: alert.pointer("/incident").and_then(Value::as_u64),
            records: records.into_iter().flatten().map(record).collect(),
            id,
        });
    }
    Ok(out)
}

/// From a record's acknowledgement to the alert that names it.
fn freshness(alerts: &BTreeMap<usize, Vec<Seen>>, shipped: &Shipped) -> String {
    let mut waits: Vec<i64> = Vec::new();
    for alert in alerts.values().flatten() {
        let records = alert.records.iter();
        let acknowledged = records.filter_map(|key| shipped.acknowledged.get(key));
        if let Some(last) = acknowledged.max() {
            waits.push(alert.created_at.since(*last).0.max(0));
        }
    }
    waits.sort_unstable();
    let at = (waits.len().saturating_sub(1) * 95).div_ceil(100);
    let p95 = waits.get(at).copied().unwrap_or_default();
    let p95 = model::Span100ns(p95).as_seconds_f64();
    format!(
        "acknowledgement to alert: p95 {p95:.2} s over {} alerts",
        waits.len()
    )
}

/// One intrusion and the incident that holds most of it; its number.
fn one(
    company: &Company,
    intrusion: &IntrusionTruth,
    seen: &[Seen],
    which: &str,
    text: &mut String,
) -> anyhow::Result<Option<u64>> {
    let key = |r: &generate::RecordKey| (r.table.to_owned(), r.time);
    let rows: BTreeSet<(String, Ticks)> = intrusion
        .stages
        .iter()
        .flat_map(|stage| stage.records.iter().map(key))
        .collect();
    let is_of = |alert: &Seen| {
        let vendor = alert.vendor_id.as_ref();
        vendor.is_some_and(|id| intrusion.alerts.iter().any(|a| a.id == *id))
            || alert.records.iter().any(|record| rows.contains(record))
    };
    let (own, others): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|a| is_of(a));
    let mut by_incident: BTreeMap<u64, usize> = BTreeMap::new();
    for incident in own.iter().filter_map(|a| a.incident) {
        *by_incident.entry(incident).or_default() += 1;
    }
    writeln!(text, "\n  Intrusion at {} ({which})", company.name)?;
    let main = by_incident
        .iter()
        .max_by_key(|(number, n)| (**n, u64::MAX - **number));
    let Some((main, inside)) = main.map(|(a, b)| (*a, *b)) else {
        writeln!(text, "    not found: no alert names any of its records")?;
        return Ok(None);
    };
    let strangers = others.iter().filter(|a| a.incident == Some(main)).count();
    let caught: BTreeSet<&(String, Ticks)> = own.iter().flat_map(|a| &a.records).collect();
    let stages = intrusion.stages.iter();
    let stages = stages.filter(|s| s.records.iter().any(|r| caught.contains(&key(r))));
    let detail = ask(company, &format!("incidents/{main}"))?;
    let list = |pointer: &str| {
        let items = detail.pointer(pointer).and_then(Value::as_array);
        let items: Vec<&str> = items
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        items.join(", ")
    };
    writeln!(
        text,
        "    incident {main} \"{}\": {}, score {}",
        text_of(&detail, "/name"),
        text_of(&detail, "/severity"),
        detail.pointer("/score").unwrap_or(&Value::Null)
    )?;
    writeln!(text, "    {}", text_of(&detail, "/path"))?;
    writeln!(
        text,
        "    over {}; content rests in {}",
        list("/services"),
        list("/origins")
    )?;
    writeln!(
        text,
        "    truth: {inside} of {} alerts of the intrusion in this incident, {} of {} stages seen, strangers {strangers}",
        own.len(),
        stages.count(),
        intrusion.stages.len(),
    )?;
    steps(&detail, seen, text)?;
    vendor(intrusion, &own, main, text)?;
    Ok(Some(main))
}

/// The path, step by step.
fn steps(detail: &Value, seen: &[Seen], text: &mut String) -> anyhow::Result<()> {
    let steps = detail.pointer("/steps").and_then(Value::as_array);
    for step in steps.into_iter().flatten() {
        let ids = step.pointer("/alerts").and_then(Value::as_array);
        let ids: BTreeSet<&str> = ids
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let titles: BTreeSet<&str> = seen
            .iter()
            .filter(|a| ids.contains(a.id.as_str()))
            .map(|a| a.title.as_str())
            .collect();
        let titles: Vec<&str> = titles.into_iter().collect();
        let at = text_of(step, "/first_at");
        writeln!(
            text,
            "      {}  {:<9} {}",
            at.get(..19).unwrap_or(&at).replace('T', " "),
            text_of(step, "/stage"),
            titles.join("; ")
        )?;
    }
    Ok(())
}

/// The vendor's alerts about the intrusion: where they are, and whether they kept what they said.
fn vendor(
    intrusion: &IntrusionTruth,
    own: &[&Seen],
    main: u64,
    text: &mut String,
) -> anyhow::Result<()> {
    let (mut inside, mut kept) = (0_u64, 0_u64);
    for said in &intrusion.alerts {
        let found = own
            .iter()
            .find(|a| a.vendor_id.as_deref() == Some(&said.id));
        let Some(found) = found else { continue };
        inside += u64::from(found.incident == Some(main));
        kept += u64::from(found.title == said.title && found.severity == said.severity);
    }
    writeln!(
        text,
        "    the vendor's alerts: {} came in, {} in the same incident, {} with id, title and severity kept",
        number(u64::try_from(intrusion.alerts.len())?),
        number(inside),
        number(kept)
    )?;
    Ok(())
}
