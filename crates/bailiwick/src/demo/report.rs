//! The demo's story, told from what this run measured.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use generate::{AttackOptions, Options, Truth, World};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Clock as _, Span100ns};
use serde_json::{Value, json};

use super::ship::{self, Shipped};
use super::tenants::{self, Company};
use super::{Stage, centre, detection, planted};
use crate::bench::directory_bytes;
use crate::cli::Demo;
use crate::client::Ask;
use crate::commands::table_text;
use crate::machine::MachineClock;
use crate::print::{self, bytes, number};

/// Companies that ship at once.
const SHIPPERS: usize = 4;
/// Longest wait for a record to become huntable before the demo gives up.
const FRESHNESS_GIVE_UP: Duration = Duration::from_secs(30);

/// The hunts of the report: what they ask, and of which company.
const HUNTS: [(&str, usize, &str); 3] = [
    (
        "Which programs start most often, on how many devices?",
        0,
        "DeviceProcessEvents\n| summarize Starts = count(), Devices = dcount(DeviceId) by FileName\n| top 5 by Starts",
    ),
    (
        "Which senders' links were clicked?",
        9,
        "UrlClickEvents\n| where ActionType startswith \"Click\"\n| join kind=inner (EmailEvents | project NetworkMessageId, SenderFromDomain) on NetworkMessageId\n| summarize Clicks = count() by SenderFromDomain\n| top 5 by Clicks",
    ),
    (
        "Sign-ins in every six hours, last three days",
        1,
        "EntraIdSignInEvents\n| summarize SignIns = count(), People = dcount(AccountUpn) by From = bin(Timestamp, 6h)\n| order by From asc\n| take 6",
    ),
];

/// How long a directory must stay the same to be at rest, and how often it is looked at for that.
const SETTLING: Duration = Duration::from_millis(300);
const SETTLING_LOOKS_MAX: usize = 100;

/// The report, what to try next, and whether everything was as it must be.
pub(crate) struct Story {
    pub(crate) text: String,
    pub(crate) invitation: String,
    pub(crate) is_clean: bool,
}

pub(crate) fn tell(stage: &Stage, options: &Demo) -> anyhow::Result<Story> {
    let companies = tenants::provision(stage)?;
    print::note(&format!("provisioned {} tenants", companies.len()));
    let world = world(
        options.seed,
        options.events,
        options.attack.of_demo(),
        Vec::new(),
    )?;
    let own_seed = detection::own_seed();
    let share = options.events / u64::try_from(companies.len())?;
    let victims = vec![tenants::SECOND_VICTIM];
    let own = world_of_own(own_seed, share, options, victims)?;
    let (shipped, took, truth) = feed(&companies, &world, &own, options.events)?;
    // Before anything is planted: what people read here is background.
    let mut hunted = String::new();
    hunts(&companies, &mut hunted)?;
    let found = detection::tell(stage, &companies, &truth, &shipped, own_seed)?;
    let wrong = wrong_region(stage, &companies, &world, options.seed)?;
    let freshness = freshness(&companies, &world, options.seed)?;
    let plants = planted::plant(&companies, &world, options.seed)?;
    // Half of the tenants: the search finds markers in logs and in segments.
    flush(stage, companies.iter().step_by(2))?;
    let search = planted::search(stage, &companies, &plants)?;
    flush(stage, companies.iter())?;
    let told = centre::tell(stage, &companies, &truth, &plants)?;
    let mut text = String::from("\n");
    placement(&companies, &mut text)?;
    writeln!(text, "\n{}", wrong.text)?;
    ingest(&shipped, took, &mut text)?;
    writeln!(
        text,
        "Freshness, acknowledgement to huntable: {freshness}\n"
    )?;
    text.push_str(&hunted);
    text.push_str(&found);
    text.push_str(&told.text);
    residency(stage, &companies, &mut text)?;
    text.push_str(&search.text);
    let invitation = invitation(stage, &companies)?;
    Ok(Story {
        text,
        invitation,
        is_clean: search.is_clean && told.is_clean && wrong.is_clean,
    })
}

/// Three days that end now.
fn world(
    seed: u64,
    events: u64,
    attack: AttackOptions,
    victims: Vec<usize>,
) -> anyhow::Result<World> {
    let start = MachineClock.now().saturating_add(Span100ns::days(-3));
    Ok(World::new(&Options {
        attack: AttackOptions { victims, ..attack },
        // The vendor's informational alerts have nothing to do with any attack.
        vendor_alerts_per_100k: 0,
        ..Options::new(seed, events, tenants::specs(), start)
    })?)
}

/// The days of the second victim, under a seed that the program drew.
fn world_of_own(
    seed: u64,
    share: u64,
    options: &Demo,
    victims: Vec<usize>,
) -> anyhow::Result<World> {
    let events = share * u64::try_from(tenants::specs().len())?;
    world(seed, events, options.attack.of_demo(), victims)
}

/// What was shipped, how long it took, and what is true of it: of the seed given, then of the drawn one.
type Fed = (Shipped, Duration, [Truth; 2]);

fn feed(companies: &[Company], world: &World, own: &World, events: u64) -> anyhow::Result<Fed> {
    let style = ProgressStyle::with_template("sending {bar:40} {pos} records")?;
    // Repeated deliveries come on top of the distinct rows: the bar is full a little early.
    let bar = ProgressBar::new(events).with_style(style);
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let total = Mutex::new((Shipped::default(), [Truth::default(), Truth::default()]));
    let work = || -> anyhow::Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(company) = companies.get(at) else {
                return Ok(());
            };
            let of_own = at == tenants::SECOND_VICTIM;
            let mut records = if of_own { own } else { world }.records(at);
            let shipped = ship::ship(company, &mut records, &bar)
                .with_context(|| format!("shipping for {}", company.name))?;
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.0.merge(&shipped);
            let [given, drawn] = &mut total.1;
            if of_own { drawn } else { given }.merge(records.truth());
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SHIPPERS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a shipper stopped unexpectedly"))?
        })
    })?;
    bar.finish_and_clear();
    let (shipped, truth) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((shipped, began.elapsed(), truth))
}

fn placement(companies: &[Company], text: &mut String) -> anyhow::Result<()> {
    writeln!(
        text,
        "Placement (a: the tenant's geography, b: the service's own storage rule)\n"
    )?;
    let services = [
        "endpoint",
        "identity",
        "identity_protection",
        "email",
        "cloud_apps",
        "xdr",
    ];
    let mut header = vec!["tenant", "country", "home"];
    header.extend(services);
    let mut rows = Vec::new();
    let mut rules: BTreeSet<(String, String, u64)> = BTreeSet::new();
    for company in companies {
        let mut row = vec![
            company.name.clone(),
            company.country.clone(),
            company.home.to_string(),
        ];
        for service in services {
            let placed = company.placed.iter().find(|p| p.service == service);
            row.push(match placed {
                None => String::new(),
                Some(p) => {
                    rules.insert((p.service.clone(), p.rule.clone(), p.rule_version));
                    match &p.geography {
                        Some(geography) => format!("{geography} ({})", p.basis),
                        None => format!("refused ({})", p.basis),
                    }
                }
            });
        }
        rows.push(row);
    }
    text.push_str(&print::table(&header, &rows));
    text.push_str("\nRules: ");
    let rules: Vec<String> = rules
        .iter()
        .map(|(service, rule, version)| format!("{service} by {rule} v{version}"))
        .collect();
    writeln!(text, "{}", rules.join(", "))?;
    for company in companies {
        for p in company.placed.iter().filter(|p| p.region.is_none()) {
            writeln!(
                text,
                "Refused: {} of {} by {} v{}, which wants {}; no region is there. Its other services work.",
                p.service, company.name, p.rule, p.rule_version, p.wanted
            )?;
        }
    }
    Ok(())
}

/// What became of records that were sent to the wrong region.
struct Misdirected {
    text: String,
    is_clean: bool,
}

/// A UK tenant's records knock at the US region with their UK token: one for every table, full of
/// markers. What the region's log, segments and temporary files grew by is measured when no row is on
/// its way there; the catalogue changes by itself. The search for planted identities looks for the
/// markers everywhere afterwards (the same rows are then sent to the right region, and a marker may lie
/// nowhere else).
fn wrong_region(
    stage: &Stage,
    companies: &[Company],
    world: &World,
    seed: u64,
) -> anyhow::Result<Misdirected> {
    let (at, company) = companies
        .iter()
        .enumerate()
        .find(|(_, c)| c.home.as_str() == "uk")
        .context("a UK tenant")?;
    let us = model::RegionCode::new("us")?;
    let records = world.plant(at, seed).records;
    let lines: Vec<&str> = records.iter().map(|r| r.json.as_str()).collect();
    let before = settled_bytes(&stage.data(&us))?;
    let ask = Ask {
        method: "POST",
        path: "/api/v1/ingest?format=defender".to_owned(),
        headers: Vec::new(),
        body: lines.join("\n").into_bytes(),
        tenant: None,
    };
    let client = stage.client(&us, &company.ingest_token)?;
    let reply = client.call(&ask)?;
    let after = settled_bytes(&stage.data(&us))?;
    let body: Value = serde_json::from_slice(&reply.body)?;
    let told = body
        .pointer("/details/region")
        .and_then(Value::as_str)
        .unwrap_or("?");
    let left = after.saturating_sub(before);
    Ok(Misdirected {
        text: format!(
            "Wrong region: {} records of {} sent to {us}: {} {}, told `{told}`; bytes left there in log, segments and temporary files: {left}",
            lines.len(),
            company.name,
            reply.status,
            body.get("code").and_then(Value::as_str).unwrap_or("?"),
        ),
        is_clean: reply.status == 421 && told == "uk" && left == 0,
    })
}

/// Bytes of a cell's log, segments and temporary files: all that rows are written to.
fn row_bytes(data: &std::path::Path) -> anyhow::Result<u64> {
    let mut total = 0;
    for part in ["log", "segments", "tmp"] {
        let part = data.join(part);
        if part.is_dir() {
            total += directory_bytes(&part)?;
        }
    }
    Ok(total)
}

/// The same once it stays the same.
fn settled_bytes(dir: &std::path::Path) -> anyhow::Result<u64> {
    let mut last = row_bytes(dir)?;
    for _ in 0..SETTLING_LOOKS_MAX {
        std::thread::sleep(SETTLING);
        let now = row_bytes(dir)?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    anyhow::bail!("{} does not come to rest", dir.display())
}

fn ingest(shipped: &Shipped, took: Duration, text: &mut String) -> anyhow::Result<()> {
    let rejected: Vec<String> = shipped
        .rejected
        .iter()
        .map(|(code, n)| format!("{} {code}", number(*n)))
        .collect();
    writeln!(
        text,
        "Ingest: {} records sent in {:.1} s, {} rows stored, {} repeats dropped, {} sent on to the region they were told, {}",
        number(shipped.sent),
        took.as_secs_f64(),
        number(shipped.stored),
        number(shipped.duplicates),
        number(shipped.redirected),
        if rejected.is_empty() {
            "0 refused".to_owned()
        } else {
            rejected.join(", ")
        },
    )?;
    let regions: Vec<String> = shipped
        .by_region
        .iter()
        .map(|(r, n)| format!("{r} {}", number(*n)))
        .collect();
    writeln!(text, "Rows stored by region: {}", regions.join(", "))?;
    Ok(())
}

/// For each company one more record: from its acknowledgement until a hunt sees it.
fn freshness(companies: &[Company], world: &World, seed: u64) -> anyhow::Result<String> {
    let mut waits = Vec::new();
    for (at, company) in companies.iter().enumerate() {
        let record = world.process_event(at).context("a process event")?;
        let unique = format!("freshness-{seed}-{at}");
        let mut line: Value = serde_json::from_str(&record.json)?;
        if let Some(cell) = line.pointer_mut("/properties/ProcessCommandLine") {
            *cell = json!(unique);
        }
        let mut shipped = Shipped::default();
        ship::send(company, &[line.to_string()], &mut shipped)?;
        let acknowledged = Instant::now();
        let query =
            format!("DeviceProcessEvents | where ProcessCommandLine == \"{unique}\" | count");
        loop {
            let ask = Ask::post("/api/v1/hunt", &json!({ "query": query }));
            let answer = company.hunter.call(&ask)?.json()?;
            if answer.pointer("/rows/0/0").and_then(Value::as_u64) == Some(1) {
                break;
            }
            anyhow::ensure!(
                acknowledged.elapsed() < FRESHNESS_GIVE_UP,
                "a stored record is not huntable"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        waits.push(acknowledged.elapsed());
    }
    waits.sort();
    let at = (waits.len().saturating_sub(1) * 95).div_ceil(100);
    let p95 = waits.get(at).copied().unwrap_or_default();
    Ok(format!(
        "p95 {:.3} s over {} records, the hunt itself included",
        p95.as_secs_f64(),
        waits.len()
    ))
}

/// Moves tenants' rows into segments.
fn flush<'c>(stage: &Stage, companies: impl Iterator<Item = &'c Company>) -> anyhow::Result<()> {
    for company in companies {
        for region in company.shippers.keys() {
            let operator = stage
                .operators
                .get(region)
                .context("the region's operator")?;
            let path = format!("/api/v1/tenants/{}/flush", company.tenant);
            operator.call(&Ask::post(path, &Value::Null))?.json()?;
        }
    }
    Ok(())
}

fn hunts(companies: &[Company], text: &mut String) -> anyhow::Result<()> {
    for (question, at, query) in HUNTS {
        let company = companies.get(at).context("a company")?;
        writeln!(text, "Hunt of {}: {question}\n", company.name)?;
        for line in query.lines() {
            writeln!(text, "    {line}")?;
        }
        let ask = Ask::post("/api/v1/hunt", &json!({ "query": query }));
        let answer = company.hunter.call(&ask)?.json()?;
        text.push('\n');
        for line in table_text(&answer).lines() {
            writeln!(text, "  {line}")?;
        }
        let us = answer
            .pointer("/stats/elapsed_us")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        writeln!(text, "  ({}.{:03} s)\n", us / 1_000_000, us / 1_000 % 1_000)?;
    }
    Ok(())
}

/// What each region says it holds of each tenant.
fn residency(stage: &Stage, companies: &[Company], text: &mut String) -> anyhow::Result<()> {
    writeln!(
        text,
        "Residency by service and region: bytes in segments, rows in segments + rows in the log.\nPlanted rows and those that freshness was measured with are among them.\n"
    )?;
    let mut rows = Vec::new();
    for company in companies {
        for region in company.shippers.keys() {
            let operator = stage
                .operators
                .get(region)
                .context("the region's operator")?;
            let path = format!("/api/v1/tenants/{}/residency", company.tenant);
            let report = operator.call(&Ask::get(path))?.json()?;
            let services = report.get("services").and_then(Value::as_array);
            for service in services.into_iter().flatten() {
                let tables = service.get("tables").and_then(Value::as_array);
                let sum = |field: &str| -> u64 {
                    let tables = tables.into_iter().flatten();
                    tables.filter_map(|t| t.get(field)?.as_u64()).sum()
                };
                let (segments, log) = (sum("segment_rows"), sum("log_rows"));
                if segments + log > 0 {
                    rows.push(vec![
                        company.name.clone(),
                        tenants::text(service, "/service")?.to_owned(),
                        region.to_string(),
                        bytes(sum("segment_bytes")),
                        format!("{} + {}", number(segments), number(log)),
                    ]);
                }
            }
        }
    }
    text.push_str(&print::table(
        &["tenant", "service", "region", "bytes", "rows"],
        &rows,
    ));
    text.push('\n');
    Ok(())
}

fn invitation(stage: &Stage, companies: &[Company]) -> anyhow::Result<String> {
    let mut text = String::from("\nTry it: the service is running.\n\n");
    for (region, address) in &stage.addresses {
        writeln!(text, "  {region}  http://{address}")?;
    }
    text.push('\n');
    for home in ["eu", "uk", "us"] {
        let Some(company) = companies.iter().find(|c| c.home.as_str() == home) else {
            continue;
        };
        let address = stage.addresses.get(&company.home).context("an address")?;
        writeln!(text, "  {} (tenant {})", company.name, company.tenant)?;
        writeln!(
            text,
            "    export BAILIWICK_SERVER=http://{address} BAILIWICK_TOKEN={}",
            company.hunt_token
        )?;
        writeln!(
            text,
            "    {} hunt 'DeviceProcessEvents | summarize count() by FileName | top 5 by count_'",
            print::program()
        )?;
    }
    writeln!(text, "\n  or with curl:")?;
    if let Some(company) = companies.first() {
        let address = stage.addresses.get(&company.home).context("an address")?;
        writeln!(
            text,
            "    curl -s http://{address}/api/v1/hunt -H 'authorization: Bearer {}' -H 'content-type: application/json' -d '{{\"query\":\"EmailEvents | summarize count() by DeliveryAction | top 3 by count_\"}}'",
            company.hunt_token
        )?;
    }
    Ok(text)
}
