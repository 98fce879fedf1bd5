//! `bench`: what this program costs on this machine.
//!
//! `bench` measures ingest, flush and compaction over one large table; `bench hunt` measures named
//! hunts over mixed telemetry that is made once and kept; `bench detect` measures something else: how
//! well intrusions are told from what only looks like them; `bench rules` measures what examining rows
//! costs. No socket is involved; everything else is
//! what a server does.

mod detect;
mod export;
mod hunts;
mod ingest;
mod rounds;
mod rules;
mod subject;

use std::path::Path;
use std::time::Duration;

use crate::cli::{Bench, BenchKind};

pub(crate) fn run(options: &Bench) -> anyhow::Result<i32> {
    if let Some(BenchKind::Detect(options)) = &options.kind {
        return detect::run(options);
    }
    if let Some(BenchKind::Rules(options)) = &options.kind {
        rules::measure(options)?;
        return Ok(0);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(BenchKind::Hunt(options)) = &options.kind {
        runtime.block_on(hunts::measure(options))?;
        return Ok(0);
    }
    let temporary = tempfile::tempdir()?;
    let root = options.keep.clone();
    let root = root.unwrap_or_else(|| temporary.path().to_owned());
    runtime.block_on(ingest::measure(options, &root))?;
    Ok(0)
}

/// User and system time of this process, by the process CPU clock.
fn cpu() -> Duration {
    clock(rustix::time::clock_gettime(
        rustix::time::ClockId::ProcessCPUTime,
    ))
}

fn clock(now: rustix::time::Timespec) -> Duration {
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
pub(crate) fn directory_bytes(root: &Path) -> anyhow::Result<u64> {
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
