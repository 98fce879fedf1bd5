//! What storing costs: processor time and bytes per record, step by step.
//!
//! `cargo bench -p store`. Records are made here: `DeviceProcessEvents` with all columns filled, about
//! 3.6 KB each as JSON, on a local directory. Processor time is that of the whole process (user and
//! system, from `/proc/self/stat`, so Linux only), per record.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use access::{Credential, Cx, Discard, Policy};
use crypto::Signer;
use model::{
    ColumnType, GeographyCode, RegionCode, RowId, Schema, ServiceName, SourceId, TenantId, Ticks,
};
use residency::{
    CountryCode, DEFAULT_REGISTRY, Draft, Provisioning, Registry, Settings, TenantFacts,
    TenantPlacement, place, plan,
};
use rows::hidden::{self, Stamp};
use rows::{RecordBatch, TableBuilder, encoding};
use store::catalogue::SqliteCatalogue;
use store::{LocalDir, Options, PlacedRows, Store};
use testkit::{FakeClock, SeededRandom};
use vault::{SigningKey, Vault};

const TENANT: TenantId = TenantId::from_bytes([1; 16]);
const TABLE: &str = "DeviceProcessEvents";
const NOON: &str = "2026-03-04T12:00:00Z";
/// Records of a request, requests of a flush, flushes.
const SHAPE: (u64, u64, u64) = (500, 25, 4);

type Failure = Box<dyn Error>;

/// Processor time of this process, in microseconds.
fn spent() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next().unwrap_or("0").parse()?;
    let system: f64 = fields.next().unwrap_or("0").parse()?;
    // 100 ticks a second on every Linux that people run.
    Ok((user + system) * 10_000.0)
}

fn text(random: &SeededRandom, column: &str, n: u64) -> String {
    let pick = |words: &[&str]| {
        words
            .get(random.index(words.len()))
            .copied()
            .unwrap_or("")
            .to_owned()
    };
    let programs = [
        "chrome",
        "svchost",
        "powershell",
        "winword",
        "agent",
        "code",
        "cmd",
        "teams",
    ];
    match column {
        c if c.contains("SHA256") => {
            crypto::hex(&crypto::sha256(&[
                u8::try_from(random.below(200)).unwrap_or(0)
            ]))
        }
        c if c.contains("SHA1") => format!("{:040x}", random.below(200)),
        c if c.contains("MD5") => format!("{:032x}", random.below(200)),
        c if c.contains("CommandLine") => format!(
            "\"C:\\Program Files\\Vendor {}\\{}.exe\" --type=renderer --field-trial-handle={} --session {:016x} --log-level warn",
            random.below(40),
            pick(&programs),
            random.below(100_000),
            random.next_u64()
        ),
        c if c.contains("FolderPath") => format!(
            "C:\\Program Files\\Vendor {}\\{}.exe",
            random.below(40),
            pick(&programs)
        ),
        c if c.contains("FileName") => format!("{}.exe", pick(&programs)),
        c if c.contains("DeviceName") => format!("pc-{:04}.example.test", n % 300),
        c if c.contains("DeviceId") => format!("{:040x}", n % 300),
        c if c.contains("Account") => format!("user{}@example.test", n % 250),
        "AdditionalFields" => format!("{{\"Key\":\"Value {}\",\"n\":{n}}}", random.below(1_000)),
        _ => pick(&["Medium", "High", "System", "Default", "Vendor Corporation"]),
    }
}

fn batch(random: &SeededRandom, first: u64, rows: u64, at: Ticks) -> Result<RecordBatch, Failure> {
    let table = Schema::hunting().table(TABLE).ok_or("no table")?;
    let mut builder = TableBuilder::known(table);
    for n in first..first + rows {
        for (at_column, column) in table.columns.iter().enumerate() {
            match column.column_type {
                ColumnType::DateTime => {
                    let jitter = i64::try_from(random.below(600 * 10_000_000))?;
                    builder.set_ticks(at_column, Ticks(at.0 - jitter));
                }
                ColumnType::Long | ColumnType::Int => {
                    builder.set_long(at_column, i64::try_from(random.below(60_000))?);
                }
                ColumnType::Bool => {
                    builder.set_bool(at_column, random.chance(10));
                }
                ColumnType::String | ColumnType::Dynamic | ColumnType::Guid => {
                    builder.set_text(at_column, &text(random, &column.name, n));
                }
                _ => {}
            }
        }
        builder.end_row(0, |_| ());
    }
    let ids: Vec<RowId> = (0..rows).map(|_| RowId::random(random)).collect();
    let stamp = Stamp {
        ingested_at: at,
        service: &ServiceName::new("endpoint")?,
        source: SourceId::from_bytes([1; 16]),
        row_ids: &ids,
    };
    Ok(hidden::stamp(&builder.finish()?.batch, &stamp)?)
}

struct Cell {
    cx: Cx,
    store: Store,
    placement: TenantPlacement,
}

async fn open(root: &Path) -> Result<Cell, Failure> {
    let random = Arc::new(SeededRandom::new(1));
    let (region, geography) = (RegionCode::new("eu")?, GeographyCode::new("EU")?);
    let operator = SigningKey::generate(&*random);
    let signed = Draft::parse(DEFAULT_REGISTRY.as_bytes())?.sign(&operator);
    let registry = Registry::accept(&signed, &operator.public_key(), 1, None)?;
    let facts = TenantFacts {
        country: CountryCode::new("IE")?,
        geography: None,
    };
    let noon = Ticks::parse(NOON).ok_or("not an instant")?;
    let shown = plan(&registry, &facts)?.digest();
    let record = Provisioning::new(TENANT, &registry, &facts, shown, Settings::closed(90), noon)?;
    let record = Provisioning::open(&record.sign(&operator)?, &operator.public_key(), None)?;
    let clock = Arc::new(FakeClock::new(noon));
    let policy = Arc::new(Policy::shipped()?);
    let cx = Cx::new(clock, random.clone(), Arc::new(Discard), policy);
    let path = root.join("catalogue.sqlite");
    let catalogue = SqliteCatalogue::open(&path, &region, &geography, noon).await?;
    let options = Options {
        disk: Arc::new(LocalDir::open(root)?),
        catalogue: Arc::new(catalogue),
        vault: Arc::new(Vault::ephemeral(region, geography, random)),
        log: wal::Options::default(),
    };
    let store = Store::open(cx.clone(), options).await?;
    let operate = cx.decide_cell(&Credential::local_operator())?;
    store.put_tenant(&operate, TENANT, true, b"record").await?;
    let placement = TenantPlacement::of_record(&record);
    Ok(Cell {
        cx,
        store,
        placement,
    })
}

impl Cell {
    fn placed(&self, batch: RecordBatch) -> Result<PlacedRows, Failure> {
        let region = self.store.vault().region().clone();
        Ok(PlacedRows {
            table: TABLE.parse()?,
            placement: place(&self.placement, &region, &ServiceName::new("endpoint")?)?,
            batch,
            ingested_at: self.cx.now(),
            source: SourceId::from_bytes([1; 16]),
        })
    }
}

fn folder_bytes(path: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

fn line(what: &str, micros: f64, records: u64) {
    println!("{what:<34} {:>8.2} us/record", micros / records as f64);
}

/// One request after another, and small ones side by side.
async fn run(root: &Path) -> Result<(), Failure> {
    let cell = open(root).await?;
    let random = SeededRandom::new(2);
    let (per_request, requests, flushes) = SHAPE;
    let (mut append, mut flush, mut latencies) = (0.0, 0.0, Vec::new());
    let (mut encoded, mut in_memory, mut log_bytes) = (0, 0, 0);
    let mut encode = 0.0;
    for _ in 0..flushes {
        for request in 0..requests {
            let rows = batch(&random, request * per_request, per_request, cell.cx.now())?;
            in_memory += rows.get_array_memory_size();
            let begun = spent()?;
            encoded += encoding::encode(&rows)?.len();
            encode += spent()? - begun;
            let placed = vec![cell.placed(rows)?];
            let grant = cell.cx.decide(&Credential::local_operator(), TENANT)?;
            let (begun, clock) = (spent()?, Instant::now());
            cell.store.append(&grant, placed).await?;
            latencies.push(clock.elapsed().as_secs_f64() * 1e3);
            append += spent()? - begun;
        }
        log_bytes = log_bytes.max(folder_bytes(&root.join("log"))?);
        let grant = cell.cx.decide(&Credential::local_operator(), TENANT)?;
        let begun = spent()?;
        cell.store.flush_all(&grant).await?;
        flush += spent()? - begun;
    }
    let level_0 = folder_bytes(&root.join("segments"))?;
    let grant = cell.cx.decide(&Credential::local_operator(), TENANT)?;
    let begun = spent()?;
    let merged = cell.store.compact_step(&grant).await?;
    let compact = spent()? - begun;
    let records = per_request * requests * flushes;
    println!(
        "{records} records, {} merged of {} segments",
        merged.rows, merged.removed
    );
    line("encode for the log (part of append)", encode, records);
    line("append to durable", append, records);
    line("flush", flush, records);
    line("one compaction", compact, records);
    line("together", append + flush + compact, records);
    latencies.sort_by(f64::total_cmp);
    let middle = latencies
        .get(latencies.len() / 2)
        .copied()
        .unwrap_or_default();
    println!("append of {per_request} records, median  {middle:>8.2} ms");
    let per = |bytes: u64| bytes as f64 / records as f64;
    println!(
        "bytes/record in memory             {:>8.0}",
        per(u64::try_from(in_memory)?)
    );
    println!(
        "bytes/record encoded               {:>8.0}",
        per(u64::try_from(encoded)?)
    );
    println!("bytes/record in level 0            {:>8.0}", per(level_0));
    let level_1 = folder_bytes(&root.join("segments"))?;
    println!("bytes/record in level 1            {:>8.0}", per(level_1));
    println!("bytes of the log, at most          {log_bytes:>8}");
    Ok(())
}

/// Requests of one record each, many at once.
async fn small(root: &Path) -> Result<(), Failure> {
    const REQUESTS: u64 = 4_000;
    const AT_ONCE: u64 = 64;
    let cell = Arc::new(open(root).await?);
    let random = SeededRandom::new(3);
    let mut requests = Vec::new();
    for n in 0..REQUESTS {
        requests.push(cell.placed(batch(&random, n, 1, cell.cx.now())?)?);
    }
    let (begun, clock) = (spent()?, Instant::now());
    while !requests.is_empty() {
        let part = requests.split_off(requests.len().saturating_sub(usize::try_from(AT_ONCE)?));
        let grant = cell.cx.decide(&Credential::local_operator(), TENANT)?;
        let grant = &grant;
        let appends = part
            .into_iter()
            .map(|rows| cell.store.append(grant, vec![rows]));
        for done in futures::future::join_all(appends).await {
            done?;
        }
    }
    line("append, one record a request", spent()? - begun, REQUESTS);
    println!(
        "requests a second, {AT_ONCE} at once     {:>8.0}",
        REQUESTS as f64 / clock.elapsed().as_secs_f64()
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (first, second) = (tempfile::tempdir()?, tempfile::tempdir()?);
    runtime.block_on(run(first.path()))?;
    runtime.block_on(small(second.path()))
}
