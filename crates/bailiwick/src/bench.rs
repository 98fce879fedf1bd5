//! `bench`: what ingest, flush, compaction and hunts cost on this machine.
//!
//! One cell in a temporary directory with ephemeral keys; records of 3.6 KB (68-column
//! DeviceProcessEvents) go through the same pipeline as over HTTP, without the socket. CPU is the
//! whole process's (user and system), so helper threads count. Generation is done before the clock starts.
//!
//! `bench detect` measures something else: how well intrusions are told ([`detect`]).

mod detect;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use access::{Credential, Discard, Hunt, Ingest, Maintain, ManageSources, Operate};
use cell::{
    Cell, HuntOptions, IngestRequest, ProvisionRequest, Settings, SourceRequest, TenantFacts,
};
use crypto::Signer as _;
use generate::{Options, Profile, TenantSpec, World};
use model::{Clock as _, RequestId, ServiceName, SourceId, Span100ns, TenantId};
use vault::SigningKey;

use crate::cli::{Bench, BenchKind};
use crate::embedded::{CellSpec, Deployment, Embedded, RegistrySpec, Ring};
use crate::machine::{MachineClock, MachineRandom};
use crate::print;

/// The hunts whose time is printed.
const HUNTS: [(&str, &str); 5] = [
    ("count", "DeviceProcessEvents | count"),
    (
        "group by file name",
        "DeviceProcessEvents | summarize n = count() by FileName | top 10 by n",
    ),
    (
        "has in command line",
        "DeviceProcessEvents | where ProcessCommandLine has \"powershell\" | count",
    ),
    (
        "one hour",
        "DeviceProcessEvents | where Timestamp > ago(1h) | summarize dcount(DeviceId)",
    ),
    (
        "latest per device",
        "DeviceProcessEvents | summarize arg_max(Timestamp, FileName) by DeviceId | count",
    ),
];

pub(crate) fn run(options: &Bench) -> anyhow::Result<i32> {
    if let Some(BenchKind::Detect(options)) = &options.kind {
        return detect::run(options);
    }
    let keep = options.directory.clone();
    let temporary = tempfile::tempdir()?;
    let root = keep.unwrap_or_else(|| temporary.path().to_owned());
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(options, &root))?;
    Ok(0)
}

struct Subject {
    cell: Cell,
    tenant: TenantId,
    source: SourceId,
}

async fn measure(options: &Bench, root: &std::path::Path) -> anyhow::Result<()> {
    let embedded = open(root).await?;
    let subject = Arc::new(prepare(&embedded).await?);
    let bodies = bodies(options)?;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let events = options.events;
    print::out(&format!(
        "{} records of {} bytes in requests of {}, {} under way at once\n",
        print::number(events),
        bytes / usize::try_from(events.max(1))?,
        options.batch,
        options.clients
    ))?;
    let before = cpu();
    let started = Instant::now();
    let mut latencies = send(&subject, bodies, options.clients).await?;
    let (acknowledged, wall) = (cpu().saturating_sub(before), started.elapsed());
    latencies.sort();
    line("to durable acknowledgement", acknowledged, events)?;
    let at = |q: usize| {
        latencies
            .get(latencies.len().saturating_sub(1) * q / 100)
            .copied()
    };
    print::out(&format!(
        "  wall {:.2} s, {:.0} records/s, acknowledgement p50 {:.1} ms, p99 {:.1} ms\n",
        wall.as_secs_f64(),
        rate(events, wall),
        at(50).unwrap_or_default().as_secs_f64() * 1e3,
        at(99).unwrap_or_default().as_secs_f64() * 1e3,
    ))?;
    let cx = subject.cell.cx().clone();
    let grant = cx.decide::<Maintain>(&Credential::local_operator(), subject.tenant)?;
    subject.cell.flush(&grant).await?;
    subject.cell.compact(&grant).await?;
    line(
        "including flush and one compaction",
        cpu().saturating_sub(before),
        events,
    )?;
    let disk = directory_bytes(root)?;
    let per_event = disk / events.max(1);
    print::out(&format!(
        "on disk: {} ({per_event} bytes/record)\n",
        print::bytes(disk)
    ))?;
    for (name, query) in HUNTS {
        let grant = cx.decide::<Hunt>(&Credential::local_operator(), subject.tenant)?;
        let mut best = Duration::MAX;
        let mut rows = 0;
        for _ in 0..3 {
            let started = Instant::now();
            rows = subject
                .cell
                .hunt(&grant, query, HuntOptions::default())
                .await?
                .rows();
            best = best.min(started.elapsed());
        }
        print::out(&format!(
            "hunt {name}: {:.1} ms ({rows} rows)\n",
            best.as_secs_f64() * 1e3
        ))?;
    }
    print::out(&format!("peak memory: {}\n", print::bytes(peak_memory())))?;
    embedded.close().await
}

async fn open(root: &std::path::Path) -> anyhow::Result<Embedded> {
    let operator = SigningKey::generate(&MachineRandom);
    let draft = residency::Draft::parse(residency::DEFAULT_REGISTRY.as_bytes())?;
    let registry = RegistrySpec {
        signed: draft.sign(&operator),
        key: operator.public_key(),
        least_version: 1,
    };
    let region = model::RegionCode::new("eu")?;
    let spec = CellSpec {
        data: root.join("eu"),
        region,
        ring: Ring::Ephemeral,
        fresh: true,
    };
    let mut plan = Deployment::of_cells(vec![spec], registry);
    // Nobody looks at the rows here: ingestion must not be held up for it.
    plan.detects = false;
    Embedded::start(plan, None, Arc::new(Discard))
        .await?
        .whole()
}

async fn prepare(embedded: &Embedded) -> anyhow::Result<Subject> {
    let cell = embedded.cells.values().next().cloned();
    let cell = cell.ok_or_else(|| anyhow::anyhow!("no cell"))?;
    let me = Credential::local_operator();
    let operate = cell.cx().decide_cell::<Operate>(&me)?;
    let registry = cell
        .registry()
        .ok_or_else(|| anyhow::anyhow!("no registry"))?;
    let country = registry.find_country("IE").map(|c| c.code);
    let country = country.ok_or_else(|| anyhow::anyhow!("no country"))?;
    let facts = TenantFacts {
        country,
        geography: None,
    };
    let plan = cell.plan(&operate, &facts)?;
    let request = ProvisionRequest {
        name: "bench".to_owned(),
        facts,
        confirmed: plan.digest(),
        settings: Settings::closed(180),
        tenant: None,
    };
    let tenant = cell.provision(&operate, request).await?.tenant;
    let sources = cell.cx().decide::<ManageSources>(&me, tenant)?;
    let request = SourceRequest {
        name: "bench".to_owned(),
        services: vec![ServiceName::new("endpoint")?],
        envelope_tenant: Some(ENVELOPE.to_owned()),
        domain_controllers: Vec::new(),
        source: None,
    };
    let source = cell.add_source(&sources, request).await?.entry.source;
    Ok(Subject {
        cell,
        tenant,
        source,
    })
}

const ENVELOPE: &str = "00000000-0000-4000-8000-000000000001";

fn bodies(options: &Bench) -> anyhow::Result<Vec<Vec<u8>>> {
    let spec = TenantSpec {
        name: "bench".to_owned(),
        country: "IE".to_owned(),
        envelope_tenant_id: ENVELOPE.to_owned(),
        mail_domain: "bench.example".to_owned(),
        weight: 1,
    };
    let start = MachineClock.now().saturating_add(Span100ns::days(-3));
    let world = World::new(&Options {
        profile: Profile::ProcessOnly,
        duplicates_permille: 0,
        ..Options::new(options.seed, options.events, vec![spec], start)
    })?;
    let (mut bodies, mut body, mut n) = (Vec::new(), Vec::new(), 0);
    for record in world.records(0) {
        body.extend_from_slice(record.json.as_bytes());
        body.push(b'\n');
        n += 1;
        if n == options.batch {
            bodies.push(std::mem::take(&mut body));
            n = 0;
        }
    }
    if !body.is_empty() {
        bodies.push(body);
    }
    Ok(bodies)
}

async fn send(
    subject: &Arc<Subject>,
    bodies: Vec<Vec<u8>>,
    clients: usize,
) -> anyhow::Result<Vec<Duration>> {
    let bodies: Arc<Vec<std::sync::Mutex<Vec<u8>>>> =
        Arc::new(bodies.into_iter().map(std::sync::Mutex::new).collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..clients.max(1) {
        let (subject, bodies, next) = (subject.clone(), bodies.clone(), next.clone());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let body = std::mem::take(
                    &mut *body
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner),
                );
                let started = Instant::now();
                let cx = subject.cell.cx();
                let grant = cx.decide::<Ingest>(&Credential::local_operator(), subject.tenant)?;
                let request = IngestRequest {
                    format: None,
                    encoding: None,
                    content_type: None,
                    raw_table: None,
                    time_column: None,
                    body,
                    request: RequestId::random(&MachineRandom),
                    dry_run: false,
                };
                subject.cell.ingest(&grant, subject.source, request).await?;
                latencies.push(started.elapsed());
                // As the program does every second: what is large enough is flushed under way.
                if latencies.len().is_multiple_of(64) {
                    subject.cell.step().await;
                }
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn line(what: &str, cpu: Duration, events: u64) -> anyhow::Result<()> {
    let us = cpu.as_secs_f64() * 1e6 / events.max(1) as f64;
    print::out(&format!(
        "CPU {what}: {us:.1} µs/record ({:.2} s)\n",
        cpu.as_secs_f64()
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(events: u64, wall: Duration) -> f64 {
    events as f64 / wall.as_secs_f64().max(1e-9)
}

/// User and system time of this process, by the process CPU clock.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanoseconds)
}

/// Highest resident size so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Bytes of all files below a directory.
pub(crate) fn directory_bytes(root: &std::path::Path) -> anyhow::Result<u64> {
    let mut total = 0;
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                // A file may go while it is looked at.
                total += entry.metadata().map_or(0, |m| m.len());
            }
        }
    }
    Ok(total)
}
