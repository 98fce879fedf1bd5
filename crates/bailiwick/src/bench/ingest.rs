//! `bench`: what ingest, flush and compaction cost on this machine, and a few hunts.
//!
//! Records of 3.6 KB (68-column DeviceProcessEvents) go through the same pipeline as over HTTP,
//! without the socket. CPU is the whole process's (user and system) less the generating thread's, so
//! helper threads count; wall time runs while requests do.

use std::path::Path;
use std::time::{Duration, Instant};

use access::{Credential, Hunt, Maintain};
use cell::HuntOptions;
use generate::{Options, Profile};
use model::{Clock as _, Span100ns};

use super::rounds::Rounds;
use super::subject::{Feed, Subject, tenant_spec};
use super::{cpu, directory_bytes, peak_memory};
use crate::cli::Bench;
use crate::machine::MachineClock;
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

/// What sending cost.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) wall: Duration,
    latencies: Vec<Duration>,
    /// CPU time of the generating thread.
    pub(super) generating: Duration,
}

/// Sends all records of `options`, a round at a time.
pub(super) async fn send(
    feed: &Feed,
    options: Options,
    batch: usize,
    clients: usize,
) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let mut rounds = Rounds::start(options, batch)?;
    loop {
        let round = rounds.next().await?;
        sent.generating = round.cpu;
        if round.bodies.is_empty() {
            return Ok(sent);
        }
        sent.records += round.records;
        sent.bytes += round.bytes;
        let started = Instant::now();
        sent.latencies
            .extend(feed.send(round.bodies, clients).await?);
        sent.wall += started.elapsed();
    }
}

pub(super) async fn measure(options: &Bench, root: &Path) -> anyhow::Result<()> {
    let subject = Subject::ephemeral(root).await?;
    let feed = Feed::of(&subject, &["endpoint"]).await?;
    let start = MachineClock.now().saturating_add(Span100ns::days(-3));
    let made = Options {
        profile: Profile::ProcessOnly,
        duplicates_permille: 0,
        ..Options::new(options.seed, options.events, vec![tenant_spec()], start)
    };
    let before = cpu();
    let mut sent = send(&feed, made, options.batch, options.clients).await?;
    let spent = || cpu().saturating_sub(before).saturating_sub(sent.generating);
    let acknowledged = spent();
    print::out(&format!(
        "{} records of {} bytes in requests of {}, {} under way at once\n",
        print::number(sent.records),
        sent.bytes / sent.records.max(1),
        options.batch,
        options.clients
    ))?;
    line("to durable acknowledgement", acknowledged, sent.records)?;
    sent.latencies.sort();
    let at = |q: usize| {
        let place = sent.latencies.len().saturating_sub(1) * q / 100;
        sent.latencies.get(place).copied().unwrap_or_default()
    };
    print::out(&format!(
        "  wall {:.2} s, {:.0} records/s, acknowledgement p50 {:.1} ms, p99 {:.1} ms\n",
        sent.wall.as_secs_f64(),
        rate(sent.records, sent.wall),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
    ))?;
    print::out(&format!(
        "  peak memory so far: {} (one round of requests included)\n",
        print::bytes(peak_memory())
    ))?;
    let me = Credential::local_operator();
    let grant = subject.cell.cx().decide::<Maintain>(&me, subject.tenant)?;
    subject.cell.flush(&grant).await?;
    subject.cell.compact(&grant).await?;
    line("including flush and one compaction", spent(), sent.records)?;
    let disk = directory_bytes(root)?;
    let per_event = disk / sent.records.max(1);
    print::out(&format!(
        "on disk: {} ({per_event} bytes/record)\n",
        print::bytes(disk)
    ))?;
    hunts(&subject).await?;
    print::out(&format!("peak memory: {}\n", print::bytes(peak_memory())))?;
    subject.embedded.close().await
}

async fn hunts(subject: &Subject) -> anyhow::Result<()> {
    let cx = subject.cell.cx().clone();
    for (name, query) in HUNTS {
        let mut best = Duration::MAX;
        let mut rows = 0;
        for _ in 0..3 {
            let grant = cx.decide::<Hunt>(&Credential::local_operator(), subject.tenant)?;
            let started = Instant::now();
            let answer = subject.cell.hunt(&grant, query, HuntOptions::default());
            rows = answer.await?.rows();
            best = best.min(started.elapsed());
        }
        print::out(&format!(
            "hunt {name}: {:.1} ms ({rows} rows)\n",
            best.as_secs_f64() * 1e3
        ))?;
    }
    Ok(())
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
