//! `bench rules`: what examining a row costs, with the starter pack and with other rules.
//!
//! Mixed telemetry is decoded and stamped as ingestion does it, and kept in memory; then each set of
//! rules examines all of it, correlations included. What alerts cost that are made and kept is left
//! out. CPU is that of the examining thread.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use detect::{CorrelationState, Engine as _, RuleText, SigmaEngine, compile, starter_pack};
use generate::{Attack, AttackOptions, Options, TenantSpec, World};
use ingest::{Format, RawSchema, SourceContext};
use model::{Clock as _, RowId, ServiceName, SourceId, Span100ns, TableName};
use rows::RecordBatch;
use rows::hidden::{Stamp, stamp};

use super::clock;
use crate::cli::BenchRules;
use crate::commands::rules::{read_all, rule_files};
use crate::machine::MachineClock;
use crate::print;

/// Records that are decoded together.
const BATCH_RECORDS: usize = 500;
/// The envelope tenant id of the one tenant.
const ENVELOPE: &str = "5eed0000-0000-4000-8000-000000000001";

/// Rules and what they cost.
struct Measured {
    rules: usize,
    compiling: Duration,
    examining: Duration,
    detections: u64,
    alerts: usize,
}

pub(super) fn measure(options: &BenchRules) -> anyhow::Result<()> {
    let batches = rows(options)?;
    let n: usize = batches.iter().map(|(_, b)| b.num_rows()).sum();
    let n = u64::try_from(n)?;
    print::out(&format!(
        "{} rows of mixed telemetry in {} batches, seed {}\n\n",
        print::number(n),
        print::number(u64::try_from(batches.len())?),
        options.seed,
    ))?;
    let mut sets = vec![("starter pack".to_owned(), owned(starter_pack().sigma))];
    if let Some(folder) = &options.rules {
        let mut texts = read_all(&rule_files(std::slice::from_ref(folder))?)?;
        sets.push((folder.display().to_string(), texts.clone()));
        texts.extend(owned(starter_pack().sigma));
        sets.push(("both".to_owned(), texts));
    }
    let mut lines = Vec::new();
    for (name, texts) in &sets {
        let measured = examine(texts, &batches);
        lines.push(line(name, n, &measured));
    }
    let header = [
        "rules",
        "number",
        "compiled in",
        "rows per CPU second",
        "matches",
        "correlations met",
    ];
    print::out(&print::table(&header, &lines))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn line(name: &str, rows: u64, measured: &Measured) -> Vec<String> {
    let seconds = measured.examining.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate above zero"
    )]
    let rate = (rows as f64 / seconds) as u64;
    vec![
        name.to_owned(),
        measured.rules.to_string(),
        format!("{:.2} s", measured.compiling.as_secs_f64()),
        print::number(rate),
        print::number(measured.detections),
        measured.alerts.to_string(),
    ]
}

/// The stamped batches of a world with an intrusion among look-alikes.
fn rows(options: &BenchRules) -> anyhow::Result<Vec<(TableName, RecordBatch)>> {
    let tenant = TenantSpec {
        name: "Fir Stores".to_owned(),
        country: "GB".to_owned(),
        envelope_tenant_id: ENVELOPE.to_owned(),
        mail_domain: "fir-stores.example".to_owned(),
        weight: 1,
    };
    let start = MachineClock.now().saturating_add(Span100ns::days(-3));
    let world = World::new(&Options {
        attack: AttackOptions::new(Attack::Story),
        ..Options::new(options.seed, options.events, vec![tenant], start)
    })?;
    let (mut batches, mut next) = (Vec::new(), 0_u128);
    let mut records = world.records(0);
    loop {
        let lines: Vec<String> = records
            .by_ref()
            .take(BATCH_RECORDS)
            .map(|r| r.json)
            .collect();
        if lines.is_empty() {
            return Ok(batches);
        }
        decode(&lines, &mut next, &mut batches)?;
    }
}

fn decode(
    lines: &[String],
    next: &mut u128,
    batches: &mut Vec<(TableName, RecordBatch)>,
) -> anyhow::Result<()> {
    let context = SourceContext {
        envelope_tenant: Some(ENVELOPE),
        known_raw: &RawSchema::new(),
        domain_controllers: &BTreeSet::new(),
        raw_table: None,
        time_column: None,
    };
    let body = lines.join("\n");
    let decoded = ingest::decode(Format::DefenderExport, body.as_bytes(), &context)?;
    anyhow::ensure!(
        decoded.rejected.is_empty(),
        "a generated record was refused"
    );
    for rows in decoded.batches {
        let ids: Vec<RowId> = (0..rows.batch.num_rows())
            .map(|_| {
                *next += 1;
                RowId::from_bytes(next.to_be_bytes())
            })
            .collect();
        let stamped = stamp(
            &rows.batch,
            &Stamp {
                ingested_at: MachineClock.now(),
                service: &ServiceName::new("endpoint")?,
                source: SourceId::from_bytes([7; 16]),
                row_ids: &ids,
            },
        )?;
        batches.push((rows.table, stamped));
    }
    Ok(())
}

fn examine(texts: &[(String, String)], batches: &[(TableName, RecordBatch)]) -> Measured {
    let texts: Vec<RuleText<'_>> = texts
        .iter()
        .map(|(name, text)| RuleText { name, text })
        .collect();
    let began = Instant::now();
    let engine: SigmaEngine = compile(&texts).engine;
    let compiling = began.elapsed();
    let hash = |bytes: &[u8]| {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(crypto::sha256(bytes)) {
            *to = from;
        }
        half
    };
    let (mut state, mut detections, mut alerts) = (CorrelationState::default(), 0_u64, 0);
    let before = thread_cpu();
    for (table, batch) in batches {
        let found = engine.evaluate(table, batch);
        detections += u64::try_from(found.detections.len()).unwrap_or(u64::MAX);
        alerts += state.advance(engine.rules(), &found.steps, &hash).len();
    }
    Measured {
        rules: engine.rules().rules().len(),
        compiling,
        examining: thread_cpu().saturating_sub(before),
        detections,
        alerts,
    }
}

fn thread_cpu() -> Duration {
    clock(rustix::time::clock_gettime(
        rustix::time::ClockId::ThreadCPUTime,
    ))
}

fn owned(texts: &[RuleText<'_>]) -> Vec<(String, String)> {
    let both = |t: &RuleText<'_>| (t.name.to_owned(), t.text.to_owned());
    texts.iter().map(both).collect()
}
