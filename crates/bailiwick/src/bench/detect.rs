//! `bench detect`: how well detection tells an intrusion, over many seeds.
//!
//! Each seed is a deployment of its own: three cells in a temporary directory, tenants of four
//! countries, telemetry at the generator's hardest setting through the same pipeline as over HTTP
//! (placement, log, rules, tenant link, incidents), without the sockets. What came of it is then
//! compared with the ground truth; nothing of the ground truth is known to what is measured.
//!
//! The figures are those of [`generate::Score`].
//!
//! `--setting demo` makes the demo's worlds instead, at the demo's own setting and without the rest of
//! it: for each seed the victim of the seed given and the one of a seed drawn (see [`DRAWN`]).
//! `--keep` writes the alerts with what they are of, so that correlation can be tried on them alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use access::{Credential, Ingest, JsonLines, Level, ManageSources, Operate, ReadIncidents};
use cell::{
    AlertDetail, AlertFilter, AlertView, Cell, IngestRequest, ProvisionRequest, Settings, Sharing,
    SourceRequest, TenantFacts,
};
use crypto::Signer as _;
use generate::{
    Attack, AttackOptions, IntrusionTruth, Options, Score, Seen, TenantSpec, Truth, World, score,
};
use model::{
    Alert, Clock as _, RegionCode, RequestId, ServiceName, SourceId, Span100ns, TenantId, Ticks,
};
use vault::SigningKey;

use crate::cli::{BenchDetect, DetectSetting};
use crate::demo::SECOND_VICTIM;
use crate::embedded::{CellSpec, Deployment, Embedded, RegistrySpec, Ring};
use crate::machine::{MachineClock, MachineRandom};
use crate::print;

/// Names and countries of the tenants. The first is the British one that most intrusions hit: its
/// identity service rests in another geography than the rest.
const TENANTS: [(&str, &str); 4] = [
    ("Fir Stores", "GB"),
    ("Alder Mutual", "IE"),
    ("Juniper Bank", "US"),
    ("Birch Freight", "NL"),
];
/// Added to a seed for the demo's second victim, whose seed the demo draws itself.
const DRAWN: u64 = 1_000_003;
/// Records of one request.
const BATCH_RECORDS: usize = 500;
/// Requests between two rounds of detection, so that alerts come while rows still arrive.
const BATCHES_PER_ROUND: usize = 8;
/// Seeds on which nothing happens, of those asked for.
const QUIET_SEEDS: usize = 3;
/// Alerts of one page.
const PAGE: usize = model::limits::PAGE_ITEMS_MAX;

pub(crate) fn run(options: &BenchDetect) -> anyhow::Result<i32> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(tables(options))?;
    Ok(0)
}

async fn tables(options: &BenchDetect) -> anyhow::Result<()> {
    let seeds = options.first_seed..options.first_seed.saturating_add(options.seeds);
    let (setting, tenants) = match options.setting {
        DetectSetting::Hardest => (format!("{} intrusions, hardest", options.intrusions), 4),
        DetectSetting::Demo => ("the demo's".to_owned(), 12),
    };
    print::out(&format!(
        "seeds {} to {}, {} records of background each over {tenants} tenants, {setting} setting\n\n",
        seeds.start,
        seeds.end.saturating_sub(1),
        print::number(options.events),
    ))?;
    let mut keep = options.keep.as_deref().map(Keep::new).transpose()?;
    let mut scores = Vec::new();
    for seed in seeds.clone() {
        for (name, plan) in plans(options, seed) {
            let run = Run::of(&plan).await?;
            let score = score(&run.truth, &run.seen());
            if options.details {
                print::note(&score.details(&name));
            }
            if let Some(keep) = &mut keep {
                keep.write(&name, &run.truth, &run.alerts)?;
            }
            scores.push((name, score));
        }
    }
    print::out(&score_table(&scores))?;
    if options.setting == DetectSetting::Demo {
        return Ok(());
    }
    for (title, attack) in [
        (
            "Alerts per rule, background alone",
            AttackOptions::default(),
        ),
        (
            "Alerts per rule, look-alikes at the hardest setting and no attack",
            AttackOptions::hardest(Attack::None),
        ),
    ] {
        let mut quiet = Quiet::default();
        for seed in seeds.clone().take(QUIET_SEEDS) {
            let plan = Plan::hardest(seed, options.events, attack.clone());
            quiet.take(&Run::of(&plan).await?.seen());
        }
        print::out(&format!("\n{title}\n\n{}", quiet.table()))?;
    }
    Ok(())
}

/// The worlds of one seed.
fn plans(options: &BenchDetect, seed: u64) -> Vec<(String, Plan)> {
    match options.setting {
        DetectSetting::Hardest => {
            let attack = AttackOptions::hardest(Attack::Many(options.intrusions));
            vec![(
                seed.to_string(),
                Plan::hardest(seed, options.events, attack),
            )]
        }
        DetectSetting::Demo => {
            let back = options.days_back;
            let given = Plan::demo(seed, options.events, None, back);
            let victim = Some(SECOND_VICTIM);
            let drawn = Plan::demo(seed + DRAWN, options.events, victim, back);
            vec![
                (format!("{seed} given"), given),
                (format!("{seed} drawn"), drawn),
            ]
        }
    }
}

/// A world to be made, and which of its tenants' days are looked at.
struct Plan {
    options: Options,
    /// Positions of tenants; those of others send nothing.
    only: Vec<usize>,
}

impl Plan {
    fn hardest(seed: u64, events: u64, attack: AttackOptions) -> Self {
        Self {
            only: (0..TENANTS.len()).collect(),
            options: Options {
                attack,
                vendor_alerts_per_100k: 0,
                ..Options::new(seed, events, specs(), monday())
            },
        }
    }

    /// As `demo` makes it: three days that end now, or that many days ago.
    fn demo(seed: u64, events: u64, victim: Option<usize>, days_back: u32) -> Self {
        let back = Span100ns::days(-3 - i64::from(days_back));
        let start = MachineClock.now().saturating_add(back);
        let attack = AttackOptions {
            victims: victim.into_iter().collect(),
            ..AttackOptions::new(Attack::Story)
        };
        let options = Options {
            attack,
            vendor_alerts_per_100k: 0,
            ..Options::new(seed, events, crate::demo::specs(), start)
        };
        let british = || options.tenants.iter().position(|t| t.country == "GB");
        Self {
            only: victim.or_else(british).into_iter().collect(),
            options,
        }
    }
}

fn score_table(scores: &[(String, Score)]) -> String {
    let header = [
        "seed",
        "found",
        "stages",
        "in main",
        "strangers",
        "mixed",
        "by plan",
        "pieces",
        "others",
        "alerts",
    ];
    let mut sum = Score::default();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (seed, score) in scores {
        rows.push(score_row(seed, score));
        sum.add(score);
    }
    rows.push(score_row("all", &sum));
    print::table(&header, &rows)
}

fn score_row(seed: &str, score: &Score) -> Vec<String> {
    let pair = |(part, whole): (usize, usize)| format!("{part}/{whole}");
    vec![
        seed.to_owned(),
        pair(score.found),
        pair(score.stages),
        pair(score.inside),
        score.strangers.to_string(),
        score.mixed.to_string(),
        score.mixed_by_plan.to_string(),
        score.pieces(),
        score.others.to_string(),
        score.alerts.to_string(),
    ]
}

/// Alerts per rule where nothing happened.
#[derive(Default)]
struct Quiet {
    runs: usize,
    incidents: usize,
    rules: BTreeMap<String, usize>,
}

impl Quiet {
    fn take(&mut self, seen: &[Vec<Seen>]) {
        self.runs += 1;
        for alerts in seen {
            let incidents: BTreeSet<_> = alerts.iter().filter_map(|a| a.incident).collect();
            self.incidents += incidents.len();
            for alert in alerts {
                *self.rules.entry(alert.title.clone()).or_default() += 1;
            }
        }
    }

    fn table(&self) -> String {
        let mut rows: Vec<Vec<String>> = self
            .rules
            .iter()
            .map(|(rule, n)| vec![rule.clone(), n.to_string()])
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.get(1).and_then(|n| n.parse::<u64>().ok())));
        let alerts: usize = self.rules.values().sum();
        let what = format!("all, over {} seeds", self.runs);
        rows.push(vec![what, alerts.to_string()]);
        rows.push(vec!["incidents".to_owned(), self.incidents.to_string()]);
        print::table(&["rule", "alerts"], &rows)
    }
}

/// What one world came to.
struct Run {
    truth: Truth,
    /// Alerts by tenant.
    alerts: Vec<Vec<AlertDetail>>,
}

impl Run {
    async fn of(plan: &Plan) -> anyhow::Result<Self> {
        let root = tempfile::tempdir()?;
        let embedded = open(root.path()).await?;
        let mut tenants = Vec::new();
        for at in &plan.only {
            let spec = plan.options.tenants.get(*at);
            let spec = spec.ok_or_else(|| anyhow::anyhow!("no tenant"))?;
            tenants.push((*at, Tenant::new(&embedded, spec).await?));
        }
        for cell in embedded.cells.values() {
            cell.step().await;
        }
        let world = World::new(&plan.options)?;
        let mut truth = Truth::default();
        for (at, tenant) in &tenants {
            truth.merge(tenant.feed(&embedded, &world, *at).await?);
        }
        detect(&embedded).await?;
        let mut alerts = vec![Vec::new(); plan.options.tenants.len()];
        for (at, tenant) in &tenants {
            if let Some(of_tenant) = alerts.get_mut(*at) {
                *of_tenant = tenant.alerts().await?;
            }
        }
        embedded.close().await?;
        Ok(Self { truth, alerts })
    }

    /// The alerts as the score compares them.
    fn seen(&self) -> Vec<Vec<Seen>> {
        let of_tenant = |alerts: &Vec<AlertDetail>| alerts.iter().filter_map(seen_as).collect();
        self.alerts.iter().map(of_tenant).collect()
    }
}

/// Midnight of a Monday, the last one that is a week ago: the same days of the week in every run.
fn monday() -> Ticks {
    let day = MachineClock.now().saturating_add(Span100ns::days(-7)).day();
    // The calendar's first day was a Monday.
    Ticks::from_day(day - day.rem_euclid(7))
}

fn specs() -> Vec<TenantSpec> {
    let spec = |(at, (name, country)): (usize, &(&str, &str))| TenantSpec {
        name: (*name).to_owned(),
        country: (*country).to_owned(),
        envelope_tenant_id: envelope(at),
        mail_domain: format!("{}.example", name.to_lowercase().replace(' ', "-")),
        weight: 1,
    };
    TENANTS.iter().enumerate().map(spec).collect()
}

fn envelope(at: usize) -> String {
    format!("5eed0000-0000-4000-8000-{:012x}", at + 1)
}

async fn open(root: &std::path::Path) -> anyhow::Result<Embedded> {
    let operator = SigningKey::generate(&MachineRandom);
    let draft = residency::Draft::parse(residency::DEFAULT_REGISTRY.as_bytes())?;
    let registry = RegistrySpec {
        signed: draft.sign(&operator),
        key: operator.public_key(),
        least_version: 1,
    };
    let spec = |code: &RegionCode| CellSpec {
        data: root.join(code.as_str()),
        region: code.clone(),
        ring: Ring::Ephemeral,
        fresh: true,
    };
    let regions = draft.document().regions.iter();
    let cells = regions.map(|region| spec(&region.code)).collect();
    let plan = Deployment::of_cells(cells, registry);
    let log = JsonLines::new(Level::Error, std::io::stderr());
    Embedded::start(plan, None, Arc::new(log)).await?.whole()
}

/// One round of detection in every cell; alerts made or sent home.
async fn round(embedded: &Embedded) -> anyhow::Result<u64> {
    let mut alerts = 0;
    for cell in embedded.cells.values() {
        let report = cell.detect_step().await;
        anyhow::ensure!(report.failures == 0, "a step of detection failed");
        alerts += report.alerts;
    }
    Ok(alerts)
}

/// Until every row was examined and every alert is at home.
async fn detect(embedded: &Embedded) -> anyhow::Result<()> {
    let mut quiet = 0;
    while quiet < 2 {
        let made = round(embedded).await?;
        let behind = |cell: &Cell| !cell.store().tenants_behind().is_empty();
        let busy = made > 0 || embedded.cells.values().any(behind);
        quiet = if busy { 0 } else { quiet + 1 };
    }
    Ok(())
}

/// A provisioned tenant.
struct Tenant {
    id: TenantId,
    source: SourceId,
    home: Cell,
}

impl Tenant {
    async fn new(embedded: &Embedded, spec: &TenantSpec) -> anyhow::Result<Self> {
        let me = Credential::local_operator();
        let any = embedded.cells.values().next();
        let any = any.ok_or_else(|| anyhow::anyhow!("no cell"))?;
        let registry = any.registry();
        let registry = registry.ok_or_else(|| anyhow::anyhow!("no registry"))?;
        let country = registry.find_country(&spec.country).map(|c| c.code);
        let facts = TenantFacts {
            country: country.ok_or_else(|| anyhow::anyhow!("no country"))?,
            geography: None,
        };
        let plan = any.plan(&any.cx().decide_cell::<Operate>(&me)?, &facts)?;
        let home = embedded.cells.get(&plan.home);
        let home = home.ok_or_else(|| anyhow::anyhow!("no home"))?.clone();
        let operate = home.cx().decide_cell::<Operate>(&me)?;
        let request = ProvisionRequest {
            name: spec.name.clone(),
            facts,
            confirmed: plan.digest(),
            settings: Settings {
                sharing: Sharing::All,
                ..Settings::closed(180)
            },
            tenant: None,
        };
        let id = home.provision(&operate, request).await?.tenant;
        let sources = home.cx().decide::<ManageSources>(&me, id)?;
        let services = [
            "endpoint",
            "identity",
            "identity_protection",
            "email",
            "cloud_apps",
            "xdr",
        ];
        let services = services.iter().map(|s| ServiceName::new(s));
        let request = SourceRequest {
            name: "Defender streaming export".to_owned(),
            services: services.collect::<Result<_, _>>()?,
            envelope_tenant: Some(spec.envelope_tenant_id.clone()),
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = home.add_source(&sources, request).await?.entry.source;
        Ok(Self { id, source, home })
    }

    /// Sends everything that happened at the tenant; what is true of it.
    async fn feed(&self, embedded: &Embedded, world: &World, at: usize) -> anyhow::Result<Truth> {
        let mut records = world.records(at);
        let (mut batch, mut sent) = (Vec::with_capacity(BATCH_RECORDS), 0_usize);
        loop {
            let record = records.next();
            let is_last = record.is_none();
            batch.extend(record.map(|r| r.json));
            if batch.len() == BATCH_RECORDS || (is_last && !batch.is_empty()) {
                self.send(embedded, &batch).await?;
                batch.clear();
                sent += 1;
                if sent.is_multiple_of(BATCHES_PER_ROUND) {
                    round(embedded).await?;
                }
            }
            if is_last {
                return Ok(records.truth());
            }
        }
    }

    /// Sends lines to the home, and those of other regions on to these.
    async fn send(&self, embedded: &Embedded, lines: &[String]) -> anyhow::Result<()> {
        let misdirected = self.ingest(&self.home, lines).await?;
        for (region, records) in misdirected {
            let cell = embedded.cells.get(&region);
            let cell = cell.ok_or_else(|| anyhow::anyhow!("no cell of `{region}`"))?;
            let there: Vec<String> = records
                .iter()
                .filter_map(|at| lines.get(*at).cloned())
                .collect();
            self.ingest(cell, &there).await?;
        }
        Ok(())
    }

    async fn ingest(
        &self,
        cell: &Cell,
        lines: &[String],
    ) -> anyhow::Result<BTreeMap<RegionCode, BTreeSet<usize>>> {
        let grant = cell
            .cx()
            .decide::<Ingest>(&Credential::local_operator(), self.id)?;
        let request = IngestRequest {
            format: None,
            encoding: None,
            content_type: None,
            raw_table: None,
            time_column: None,
            body: lines.join("\n").into_bytes(),
            request: RequestId::random(&MachineRandom),
            dry_run: false,
        };
        let outcome = cell.ingest(&grant, self.source, request).await?;
        let mut elsewhere: BTreeMap<RegionCode, BTreeSet<usize>> = BTreeMap::new();
        for item in outcome.wrong_region {
            let at = usize::try_from(item.record)?;
            elsewhere.entry(item.region).or_default().insert(at);
        }
        Ok(elsewhere)
    }

    /// Every alert of the tenant with the rows behind it.
    async fn alerts(&self) -> anyhow::Result<Vec<AlertDetail>> {
        let grant = self
            .home
            .cx()
            .decide::<ReadIncidents>(&Credential::local_operator(), self.id)?;
        let (mut seen, mut filter) = (Vec::new(), AlertFilter::default());
        loop {
            let page: Vec<AlertView> = self.home.alerts(&grant, &filter, PAGE).await?;
            let Some(last) = page.last().map(|a| (a.created_at, a.id)) else {
                return Ok(seen);
            };
            filter.after = Some(last);
            for view in page {
                let detail = self.home.alert(&grant, view.id).await?;
                anyhow::ensure!(detail.alert.is_some(), "an alert without its content");
                seen.push(detail);
            }
        }
    }
}

/// An alert as the score knows it; nothing without its content.
fn seen_as(detail: &AlertDetail) -> Option<Seen> {
    let alert = detail.alert.as_ref()?;
    Some(Seen {
        title: alert.title.clone(),
        vendor_id: alert.vendor_id.clone(),
        incident: detail.view.incident,
        records: keys_of(alert).collect(),
    })
}

fn keys_of(alert: &Alert) -> impl Iterator<Item = (String, Ticks)> + '_ {
    let records = alert.records.iter();
    records.map(|record| (record.table.to_string(), record.at))
}

/// Alerts with what they are of, as JSON lines.
struct Keep(std::io::BufWriter<std::fs::File>);

impl Keep {
    fn new(path: &std::path::Path) -> anyhow::Result<Self> {
        let file = std::fs::File::create(path)?;
        Ok(Self(std::io::BufWriter::new(file)))
    }

    fn write(
        &mut self,
        world: &str,
        truth: &Truth,
        alerts: &[Vec<AlertDetail>],
    ) -> anyhow::Result<()> {
        for (tenant, alerts) in alerts.iter().enumerate() {
            let scenes = scenes(truth, tenant);
            let vendor = |id: &String| {
                let of = |i: &&IntrusionTruth| {
                    i.tenant == tenant && i.alerts.iter().any(|a| a.id == *id)
                };
                truth.intrusions.iter().find(of).map(|i| i.id.clone())
            };
            for detail in alerts {
                let Some(alert) = &detail.alert else { continue };
                let of: BTreeSet<&String> =
                    keys_of(alert).filter_map(|key| scenes.get(&key)).collect();
                let line = serde_json::json!({
                    "world": world,
                    "tenant": tenant,
                    "incident": detail.view.incident.map(|i| i.0),
                    "of": of,
                    "vendor_of": alert.vendor_id.as_ref().and_then(vendor),
                    "alert": alert,
                });
                serde_json::to_writer(&mut self.0, &line)?;
                self.0.write_all(b"\n")?;
            }
        }
        Ok(self.0.flush()?)
    }
}

/// What each record of a tenant is of: `intrusion-1 click`, or a look-alike's kind.
fn scenes(truth: &Truth, tenant: usize) -> BTreeMap<(String, Ticks), String> {
    let stages = truth.intrusions.iter().filter(|i| i.tenant == tenant);
    let stages = stages.flat_map(|i| {
        i.stages
            .iter()
            .map(move |s| (format!("{} {}", i.id, s.name), s))
    });
    let look_alikes = truth.look_alikes.iter().filter(|s| s.tenant == tenant);
    let look_alikes = look_alikes.map(|s| (s.name.to_owned(), s));
    look_alikes
        .chain(stages)
        .flat_map(|(name, scene)| {
            let key = |r: &generate::RecordKey| (r.table.to_owned(), r.time);
            scene.records.iter().map(move |r| (key(r), name.clone()))
        })
        .collect()
}
