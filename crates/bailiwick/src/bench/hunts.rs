//! `bench hunt`: twenty named hunts over mixed telemetry.
//!
//! The rows are made once from a seed and kept ([`super::subject`]); each hunt then runs a few times
//! and the best one counts: wall time, and the whole process's CPU time. The questions stand in
//! `benches/peers/questions.toml`, each in KQL and as SQL, so that others can be asked the same about
//! the same rows ([`super::export`]).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use access::{Credential, Hunt};
use anyhow::Context as _;
use cell::{HuntAnswer, HuntOptions};
use generate::Options;
use model::{Span100ns, TenantId, Ticks};
use rows::arrow::array::{Array, AsArray};
use rows::arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::subject::{Feed, Subject, tenant_spec};
use super::{cpu, directory_bytes, export, ingest, peak_memory};
use crate::cli::BenchHunt;
use crate::print;

const QUESTIONS: &str = include_str!("../../../../benches/peers/questions.toml");
/// First instant of the rows: fixed, so that a seed gives the same rows whenever it is asked.
const START: &str = "2026-06-01T00:00:00Z";
const DAYS: u32 = 14;
/// What the rows are of; the tenant's source declares them.
const SERVICES: [&str; 5] = [
    "endpoint",
    "email",
    "identity",
    "identity_protection",
    "cloud_apps",
];
/// Which rows a directory has; another version makes others.
const VERSION: u32 = 1;
const BATCH: usize = 500;
const CLIENTS: usize = 4;
const FORMER: &str = "bench.json";

/// The file of questions.
#[derive(Debug, Deserialize)]
struct Questions {
    question: Vec<Question>,
}

/// One question; its SQL is read by the script for the peers.
#[derive(Debug, Deserialize)]
struct Question {
    name: String,
    kql: String,
}

/// What the rows of a directory were made from, and whose they are.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    version: u32,
    seed: u64,
    events: u64,
    tenant: TenantId,
}

/// Values that stand in questions.
#[derive(Debug)]
pub(super) struct Values {
    texts: BTreeMap<&'static str, String>,
    instants: BTreeMap<&'static str, Ticks>,
}

pub(super) async fn measure(options: &BenchHunt) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let root = options.dir.clone();
    let root = root.unwrap_or_else(|| temporary.path().join("bench"));
    let subject = subject(options, &root).await?;
    let rows = table_rows(&subject).await?;
    let all: i64 = rows.values().sum();
    let disk = directory_bytes(&root.join("data"))?;
    print::out(&format!(
        "{} rows in {} tables, {} sealed on disk ({} bytes a row)\n",
        print::number(all.unsigned_abs()),
        rows.len(),
        print::bytes(disk),
        disk / all.unsigned_abs().max(1),
    ))?;
    let values = values(&subject).await?;
    let questions: Questions = toml::from_str(QUESTIONS)?;
    let only = options.only.as_deref().unwrap_or_default();
    let mut table = Vec::new();
    let mut answers = Vec::new();
    for question in questions.question.iter().filter(|q| q.name.contains(only)) {
        let text = values.kql(&question.kql);
        let best = best_of(&subject, &text, options.runs).await;
        let best = best.with_context(|| format!("hunt `{}`", question.name))?;
        table.push(vec![
            question.name.clone(),
            format!("{:.1} ms", best.wall.as_secs_f64() * 1e3),
            format!("{:.1} ms", best.cpu.as_secs_f64() * 1e3),
            best.answer.rows().to_string(),
        ]);
        answers.push(json!({
            "name": question.name,
            "wall_ms": best.wall.as_secs_f64() * 1e3,
            "cpu_ms": best.cpu.as_secs_f64() * 1e3,
            "rows": cells(&best.answer)?,
        }));
    }
    print::out(&print::table(&["hunt", "wall", "CPU", "rows"], &table))?;
    print::out(&format!("peak memory: {}\n", print::bytes(peak_memory())))?;
    if let Some(dir) = &options.export {
        std::fs::create_dir_all(dir)?;
        let sheet = json!({ "values": values.sheet(), "hunts": answers });
        write_own(&dir.join("hunts.json"), sheet.to_string().as_bytes())?;
        let tables: Vec<&String> = rows
            .keys()
            .filter(|table| questions.question.iter().any(|q| q.kql.contains(*table)))
            .collect();
        export::tables(&subject, &tables, dir).await?;
    }
    subject.embedded.close().await
}

/// The rows in `root`, made there if it has none.
async fn subject(options: &BenchHunt, root: &Path) -> anyhow::Result<Subject> {
    let former = root.join(FORMER);
    if former.exists() {
        let made: Made = serde_json::from_slice(&std::fs::read(&former)?)?;
        let wanted = Made {
            version: VERSION,
            seed: options.seed,
            events: options.events,
            tenant: made.tenant,
        };
        anyhow::ensure!(
            made == wanted,
            "`{}` has {} rows of seed {}, version {}: another directory, or the same figures",
            root.display(),
            made.events,
            made.seed,
            made.version,
        );
        return Subject::open(root, made.tenant).await;
    }
    let subject = Subject::lay_out(root).await?;
    let feed = Feed::of(&subject, &SERVICES).await?;
    let start = Ticks::parse(START).context("an instant")?;
    let tenants = vec![tenant_spec()];
    let what = Options {
        days: DAYS,
        duplicates_permille: 0,
        vendor_alerts_per_100k: 0,
        ..Options::new(options.seed, options.events, tenants, start)
    };
    let before = cpu();
    let sent = ingest::send(&feed, what, BATCH, CLIENTS).await?;
    subject.settle().await?;
    print::note(&format!(
        "{} records of {} bytes made and stored: wall {:.1} s without making them, CPU {:.1} s, peak memory {}",
        print::number(sent.records),
        sent.bytes / sent.records.max(1),
        sent.wall.as_secs_f64(),
        cpu()
            .saturating_sub(before)
            .saturating_sub(sent.generating)
            .as_secs_f64(),
        print::bytes(peak_memory()),
    ));
    let made = Made {
        version: VERSION,
        seed: options.seed,
        events: options.events,
        tenant: subject.tenant,
    };
    write_own(&former, &serde_json::to_vec(&made)?)?;
    Ok(subject)
}

/// The best of a hunt's runs.
struct Best {
    wall: Duration,
    cpu: Duration,
    answer: HuntAnswer,
}

async fn best_of(subject: &Subject, text: &str, runs: u32) -> anyhow::Result<Best> {
    let mut best: Option<Best> = None;
    for _ in 0..runs.max(1) {
        let (before, started) = (cpu(), Instant::now());
        let answer = ask(subject, text, HuntOptions::default()).await?;
        let (wall, cpu) = (started.elapsed(), cpu().saturating_sub(before));
        anyhow::ensure!(!answer.is_partial, "the answer was cut");
        best = match best {
            None => Some(Best { wall, cpu, answer }),
            Some(former) => Some(Best {
                wall: former.wall.min(wall),
                cpu: former.cpu.min(cpu),
                answer,
            }),
        };
    }
    best.context("no run")
}

/// One hunt by the local operator.
pub(super) async fn ask(
    subject: &Subject,
    text: &str,
    options: HuntOptions,
) -> anyhow::Result<HuntAnswer> {
    let me = Credential::local_operator();
    let grant = subject.cell.cx().decide::<Hunt>(&me, subject.tenant)?;
    match subject.cell.hunt(&grant, text, options).await {
        Ok(answer) => Ok(answer),
        Err(cell::Error::Query(found)) => anyhow::bail!("{found:?}"),
        Err(error) => Err(error.into()),
    }
}

/// Rows of each table that has any.
async fn table_rows(subject: &Subject) -> anyhow::Result<BTreeMap<String, i64>> {
    let known = model::Schema::hunting().tables();
    let mut found = BTreeMap::new();
    for table in known {
        let name = table.name.to_string();
        let text = match &table.time_column {
            Some(time) => format!("{name} | where {time} >= datetime({START}) | count"),
            None => format!("{name} | count"),
        };
        let answer = ask(subject, &text, HuntOptions::default()).await?;
        match column(&answer, 0)?.first().and_then(Value::as_i64) {
            Some(n) if n > 0 => drop(found.insert(name, n)),
            _ => {}
        }
    }
    Ok(found)
}

/// Picks what is asked for: a hash that few rows have, one that many have, a busy machine.
async fn values(subject: &Subject) -> anyhow::Result<Values> {
    let start = Ticks::parse(START).context("an instant")?;
    let until = start.saturating_add(Span100ns::days(i64::from(DAYS)));
    let one = async |text: &str| {
        let text = text.replace("{from}", &format!("datetime({START})"));
        let answer = ask(subject, &text, HuntOptions::default()).await?;
        let value = column(&answer, 0)?.into_iter().next();
        anyhow::Ok(
            value
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
        )
    };
    let sha256 = one("DeviceFileEvents | where Timestamp >= {from} and isnotempty(SHA256)
        | summarize n = count() by SHA256 | where n <= 20 | top 1 by n desc, SHA256 asc | project SHA256");
    let sha1 = one(
        "DeviceImageLoadEvents | where Timestamp >= {from} and isnotempty(SHA1)
        | summarize n = count() by SHA1 | top 1 by n asc, SHA1 asc | project SHA1",
    );
    let device = one("DeviceProcessEvents | where Timestamp between (datetime(2026-06-09 08:00) .. datetime(2026-06-09 10:00))
        | summarize n = count() by DeviceName | top 1 by n desc, DeviceName asc | project DeviceName");
    let texts = [
        ("sha256", sha256.await?),
        ("sha1", sha1.await?),
        ("device", device.await?),
    ];
    let after = |days: i64, hours: i64| {
        let whole = start.saturating_add(Span100ns::days(days));
        whole.saturating_add(Span100ns::seconds(hours * 3600))
    };
    let instants = [
        ("from", start),
        ("until", until),
        ("last_day", after(11, 0)),
        ("hour_from", after(8, 8)),
        ("hour_until", after(8, 10)),
    ];
    Ok(Values {
        texts: texts.into(),
        instants: instants.into(),
    })
}

impl Values {
    /// A question with the values in their places.
    fn kql(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (name, value) in &self.texts {
            out = out.replace(&format!("{{{name}}}"), value);
        }
        for (name, at) in &self.instants {
            out = out.replace(&format!("{{{name}}}"), &format!("datetime({at})"));
        }
        out
    }

    /// The values for other programs: instants as ticks.
    fn sheet(&self) -> Value {
        let texts = self
            .texts
            .iter()
            .map(|(name, v)| ((*name).to_owned(), json!(v)));
        let ticks = self.instants.iter();
        let ticks = ticks.map(|(name, at)| ((*name).to_owned(), json!(at.0)));
        let hours = ("hours".to_owned(), json!(DAYS * 24));
        Value::Object(texts.chain(ticks).chain([hours]).collect())
    }
}

/// The answer's rows as JSON arrays; instants as ticks.
fn cells(answer: &HuntAnswer) -> anyhow::Result<Vec<Vec<Value>>> {
    let columns = (0..answer.columns.len()).map(|at| column(answer, at));
    let columns: Vec<Vec<Value>> = columns.collect::<Result<_, _>>()?;
    let row = |at: usize| {
        let cells = columns.iter().filter_map(|column| column.get(at).cloned());
        cells.collect()
    };
    Ok((0..answer.rows()).map(row).collect())
}

fn column(answer: &HuntAnswer, at: usize) -> anyhow::Result<Vec<Value>> {
    let mut out = Vec::new();
    for batch in &answer.batches {
        let array = batch.columns().get(at).context("no such column")?;
        for row in 0..batch.num_rows() {
            out.push(match array.data_type() {
                _ if array.is_null(row) => Value::Null,
                DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
                DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
                DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
                DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
                DataType::Boolean => json!(array.as_boolean().value(row)),
                other => anyhow::bail!("an answer of type {other}"),
            });
        }
    }
    Ok(out)
}

/// A file of the bench's own: nobody's data, made anew if it is lost.
#[expect(
    clippy::disallowed_methods,
    reason = "generated rows and figures for a comparison, outside any region's directory"
)]
fn write_own(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}
