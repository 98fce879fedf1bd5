//! A shipper, as an operator would run one: batches to the tenant's home, and what comes back as
//! misdirected to the region that it was told.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use generate::Woven;
use indicatif::ProgressBar;
use model::{Clock as _, RegionCode, Ticks};
use serde_json::Value;

use super::tenants::Company;
use crate::client::{Ask, Http};
use crate::machine::MachineClock;

/// Records of one request.
const BATCH_RECORDS: usize = 500;

/// What became of the records, summed over regions.
#[derive(Debug, Default, Clone)]
pub(crate) struct Shipped {
    pub(crate) sent: u64,
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: BTreeMap<String, u64>,
    pub(crate) redirected: u64,
    /// Rows stored by region.
    pub(crate) by_region: BTreeMap<RegionCode, u64>,
    /// When records of an intrusion were acknowledged, by table and their own time.
    pub(crate) acknowledged: BTreeMap<(String, Ticks), Ticks>,
}

impl Shipped {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.redirected += other.redirected;
        for (code, n) in &other.rejected {
            *self.rejected.entry(code.clone()).or_default() += n;
        }
        for (region, n) in &other.by_region {
            *self.by_region.entry(region.clone()).or_default() += n;
        }
        self.acknowledged.extend(other.acknowledged.clone());
    }
}

/// Ships all records of a company.
pub(crate) fn ship(
    company: &Company,
    records: &mut generate::Records<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<Shipped> {
    let mut shipped = Shipped::default();
    let (mut batch, mut woven) = (Vec::with_capacity(BATCH_RECORDS), Vec::new());
    loop {
        let record = records.next();
        let is_last = record.is_none();
        if let Some(record) = record {
            if matches!(record.woven, Some(Woven::Stage(_))) {
                woven.push((record.table.to_owned(), record.time));
            }
            batch.push(record.json);
        }
        if batch.len() == BATCH_RECORDS || is_last {
            send(company, &batch, &mut shipped)?;
            let now = MachineClock.now();
            let acknowledged = woven.drain(..).map(|key| (key, now));
            shipped.acknowledged.extend(acknowledged);
            bar.inc(u64::try_from(batch.len())?);
            batch.clear();
        }
        if is_last {
            return Ok(shipped);
        }
    }
}

/// Sends lines to the home, and those of other regions on to these.
pub(crate) fn send(
    company: &Company,
    lines: &[String],
    shipped: &mut Shipped,
) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    shipped.sent += u64::try_from(lines.len())?;
    let home = company
        .shippers
        .get(&company.home)
        .context("a token of the home")?;
    let answer = post(home, &company.source, lines)?;
    add(&company.home, &answer, shipped);
    let mut elsewhere: BTreeMap<RegionCode, BTreeSet<usize>> = BTreeMap::new();
    let misdirected = answer.get("wrong_region").and_then(Value::as_array);
    for item in misdirected.into_iter().flatten() {
        let region = item
            .get("region")
            .and_then(Value::as_str)
            .context("a region")?;
        let record = item
            .get("record")
            .and_then(Value::as_u64)
            .context("a record")?;
        elsewhere
            .entry(RegionCode::new(region)?)
            .or_default()
            .insert(usize::try_from(record)?);
    }
    for (region, records) in elsewhere {
        let shipper = company
            .shippers
            .get(&region)
            .context("a token of the other region")?;
        let lines: Vec<String> = records
            .iter()
            .filter_map(|at| lines.get(*at).cloned())
            .collect();
        shipped.redirected += u64::try_from(lines.len())?;
        add(&region, &post(shipper, &company.source, &lines)?, shipped);
    }
    Ok(())
}

fn post(client: &Http, source: &str, lines: &[String]) -> anyhow::Result<Value> {
    let ask = Ask {
        method: "POST",
        path: format!("/api/v1/ingest?source={source}&format=defender"),
        headers: vec![("content-type", "application/x-ndjson".to_owned())],
        body: lines.join("\n").into_bytes(),
        tenant: None,
    };
    let reply = client.call(&ask)?;
    if reply.status == 421 {
        // Nothing of the batch belongs there: the body still says where each record does.
        let body: Value = serde_json::from_slice(&reply.body)?;
        if let Some(details) = body
            .get("details")
            .filter(|d| d.get("wrong_region").is_some())
        {
            return Ok(details.clone());
        }
    }
    reply.json()
}

fn add(region: &RegionCode, answer: &Value, shipped: &mut Shipped) {
    let n = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    shipped.stored += n("stored");
    shipped.duplicates += n("duplicates");
    *shipped.by_region.entry(region.clone()).or_default() += n("stored");
    let rejected = answer.get("rejected").and_then(Value::as_array);
    for item in rejected.into_iter().flatten() {
        let code = item
            .get("code")
            .and_then(Value::as_str)
            .unwrap_or("unknown");
        *shipped.rejected.entry(code.to_owned()).or_default() += 1;
    }
}
