//! `ingest`, `hunt` and `generate`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use generate::{LineEnd, Options, Shape, TenantSpec, World, write_export};
use indicatif::{ProgressBar, ProgressStyle};
use model::{Clock as _, Code, Span100ns, Ticks, limits};
use serde_json::{Value, json};

use super::{show, tenant_id, write_file};
use crate::cli::{Generate, Global, Hunt, Ingest, Output};
use crate::client::{Ask, Client};
use crate::failure::Failure;
use crate::machine::MachineClock;
use crate::print;

/// Bytes of one request: files of lines are cut at line ends near this size.
const PART_BYTES: usize = 8 << 20;

pub(crate) fn ingest(global: &Global, options: &Ingest) -> anyhow::Result<i32> {
    let client = Client::connect(global)?;
    let tenant = options.tenant.as_deref().map(tenant_id).transpose()?;
    let mut resume = Resume::read(options.resume.as_deref())?;
    let mut rejects = match &options.rejects {
        Some(path) => Some(BufWriter::new(
            std::fs::File::create(path)
                .with_context(|| format!("cannot make `{}`", path.display()))?,
        )),
        None => None,
    };
    let mut totals = Totals::default();
    for path in &options.files {
        let bytes = read_input(path)?;
        let name = path.display().to_string();
        let parts = parts(&bytes);
        let bar = progress(parts.len());
        for (from, part) in parts {
            if resume.done(&name) >= from + part.len() {
                continue;
            }
            let ask = Ask {
                method: "POST",
                path: ingest_path(options),
                headers: headers(&name, from, part),
                body: part.to_vec(),
                tenant,
            };
            let mut sums = Totals::default();
            for (region, reply) in client.call_each(tenant, &ask)? {
                let answer = reply
                    .json()
                    .with_context(|| format!("`{name}` from byte {from}"))?;
                if let Some(out) = &mut rejects {
                    write_rejects(out, &name, &region, from, &answer)?;
                }
                sums.add(&answer);
            }
            totals.merge(&sums);
            if !options.dry_run {
                resume.note(&name, from + part.len())?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    if let Some(mut out) = rejects {
        out.flush()?;
    }
    show(global, &totals.json())?;
    Ok(i32::from(
        totals.counts.get("rejected").is_some_and(|n| *n > 0),
    ))
}

/// The same part of the same file is the same request: sent again, it is stored once. What comes by
/// standard input is new each time.
fn headers(name: &str, from: usize, part: &[u8]) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/octet-stream".to_owned())];
    if name != "-" {
        let fields = crypto::Fields::new("file-part")
            .with(name.as_bytes())
            .with(&from.to_le_bytes())
            .with(&crypto::sha256(part));
        let key: String = crypto::hex(&crypto::sha256(fields.as_bytes()))
            .chars()
            .take(32)
            .collect();
        headers.push(("idempotency-key", key));
    }
    headers
}

fn ingest_path(options: &Ingest) -> String {
    let mut query = Vec::new();
    let mut put = |name: &str, value: Option<&String>| {
        query.extend(value.map(|v| format!("{name}={v}")));
    };
    put("source", options.source.as_ref());
    put("format", options.as_format.as_ref());
    put("table", options.table.as_ref());
    put(
        "dry_run",
        options.dry_run.then(|| "true".to_owned()).as_ref(),
    );
    format!("/api/v1/ingest?{}", query.join("&"))
}

/// The whole input. Larger than one request and not lines is the server's to refuse.
fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    Ok(bytes)
}

/// Lines of JSON are cut near [`PART_BYTES`]; everything else goes as it is.
fn parts(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let is_lines = bytes.first() == Some(&b'{')
        && !bytes.starts_with(b"{\"records\"")
        && bytes.len() > PART_BYTES;
    if !is_lines {
        return vec![(0, bytes)];
    }
    let (mut out, mut from) = (Vec::new(), 0);
    while from < bytes.len() {
        let limit = (from + PART_BYTES).min(bytes.len());
        let rest = bytes.get(limit..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(bytes.len(), |at| limit + at + 1);
        out.push((from, bytes.get(from..end).unwrap_or_default()));
        from = end;
    }
    out
}

fn progress(parts: usize) -> ProgressBar {
    if parts < 2 || !print::is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} parts {elapsed}");
    let bar = ProgressBar::new(u64::try_from(parts).unwrap_or(u64::MAX));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Figures summed over requests.
#[derive(Debug, Default)]
struct Totals {
    counts: BTreeMap<String, u64>,
    tables: BTreeMap<String, u64>,
    codes: BTreeMap<String, u64>,
}

impl Totals {
    const COUNTS: [(&'static str, &'static str); 7] = [
        ("read", "read"),
        ("stored", "stored"),
        ("duplicates", "duplicates"),
        ("mapped", "mapped"),
        ("raw", "raw"),
        ("rejected_total", "rejected"),
        ("wrong_region_total", "wrong_region"),
    ];

    fn add(&mut self, answer: &Value) {
        for (field, name) in Self::COUNTS {
            let n = answer.get(field).and_then(Value::as_u64).unwrap_or(0);
            *self.counts.entry(name.to_owned()).or_default() += n;
        }
        let tables = answer.get("tables").and_then(Value::as_object);
        for (table, rows) in tables.into_iter().flatten() {
            *self.tables.entry(table.clone()).or_default() += rows.as_u64().unwrap_or(0);
        }
        let rejected = answer.get("rejected").and_then(Value::as_array);
        for item in rejected.into_iter().flatten() {
            let code = item
                .get("code")
                .and_then(Value::as_str)
                .unwrap_or("unknown");
            *self.codes.entry(code.to_owned()).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        let add = |to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>| {
            for (name, n) in from {
                *to.entry(name.clone()).or_default() += n;
            }
        };
        add(&mut self.counts, &other.counts);
        add(&mut self.tables, &other.tables);
        add(&mut self.codes, &other.codes);
    }

    fn json(&self) -> Value {
        json!({ "counts": self.counts, "tables": self.tables, "rejected_codes": self.codes })
    }
}

fn write_rejects(
    out: &mut impl std::io::Write,
    file: &str,
    region: &str,
    from: usize,
    answer: &Value,
) -> anyhow::Result<()> {
    for kind in ["rejected", "wrong_region"] {
        let items = answer.get(kind).and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let line = json!({ "file": file, "asked": region, "part_from": from, "kind": kind, "item": item });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// How far each file was sent.
struct Resume {
    path: Option<PathBuf>,
    done: BTreeMap<String, usize>,
}

impl Resume {
    fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let done = match path {
            Some(path) if path.exists() => {
                serde_json::from_slice(&std::fs::read(path)?).map_err(|_| {
                    Failure::new(
                        Code::BadRequest,
                        format!("`{}` is not a resume file", path.display()),
                    )
                })?
            }
            _ => BTreeMap::new(),
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            done,
        })
    }

    fn done(&self, file: &str) -> usize {
        self.done.get(file).copied().unwrap_or(0)
    }

    fn note(&mut self, file: &str, bytes: usize) -> anyhow::Result<()> {
        self.done.insert(file.to_owned(), bytes);
        match &self.path {
            Some(path) => write_file(path, &serde_json::to_vec_pretty(&self.done)?),
            None => Ok(()),
        }
    }
}

pub(crate) fn hunt(global: &Global, options: &Hunt) -> anyhow::Result<i32> {
    let query = match (&options.query, &options.file) {
        (Some(query), _) => query.clone(),
        (None, Some(path)) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read `{}`", path.display()))?,
        (None, None) => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            text
        }
    };
    let client = Client::connect(global)?;
    let tenant = options.tenant.as_deref().map(tenant_id).transpose()?;
    let format = global.format.unwrap_or(if print::is_terminal() {
        Output::Table
    } else {
        Output::Ndjson
    });
    let wire = match format {
        Output::Table | Output::Json => "json",
        Output::Ndjson => "ndjson",
        Output::Csv => "csv",
    };
    let body = json!({ "query": query, "format": wire });
    let ask = Ask {
        tenant,
        ..Ask::post("/api/v1/hunt", &body)
    };
    let reply = match tenant {
        Some(tenant) => client.call_home(tenant, &ask)?,
        None => client.call(&ask)?,
    };
    let bytes = reply.good()?;
    if format == Output::Table {
        return table(&serde_json::from_slice(&bytes)?);
    }
    let mut text = String::from_utf8(bytes)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print::out(&text)?;
    Ok(0)
}

/// A hunt's answer as a table, its notices and cost below.
pub(crate) fn table(answer: &Value) -> anyhow::Result<i32> {
    print::out(&table_text(answer))?;
    let items = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for notice in items("notices") {
        if let Some(message) = notice.get("message").and_then(Value::as_str) {
            print::note(&format!("notice: {message}"));
        }
    }
    let us = answer
        .pointer("/stats/elapsed_us")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    print::note(&format!(
        "{} row(s), {}.{:03} s",
        items("rows").len(),
        us / 1_000_000,
        us / 1_000 % 1_000
    ));
    Ok(0)
}

/// The rows of an answer, aligned.
pub(crate) fn table_text(answer: &Value) -> String {
    let items = |name: &str| {
        answer
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let columns = items("columns");
    let names: Vec<&str> = columns
        .iter()
        .map(|c| c.get("name").and_then(Value::as_str).unwrap_or(""))
        .collect();
    let text = |cell: &Value| match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = items("rows")
        .iter()
        .map(|row| {
            row.as_array()
                .map(|cells| cells.iter().map(text).collect())
                .unwrap_or_default()
        })
        .collect();
    print::table(&names, &rows)
}

pub(crate) fn generate(options: &Generate) -> anyhow::Result<i32> {
    let start = match &options.start {
        Some(text) => Ticks::parse(text)
            .ok_or_else(|| Failure::new(Code::BadRequest, format!("`{text}` is not an instant")))?,
        None => MachineClock
            .now()
            .saturating_add(Span100ns::days(-i64::from(options.days))),
    };
    if options.tenants == 0 || options.tenants > limits::TENANTS_MAX {
        return Err(Failure::new(Code::BadRequest, "the number of tenants is not usable").into());
    }
    let world = World::new(&Options {
        days: options.days,
        ..Options::new(options.seed, options.events, specs(options.tenants), start)
    })
    .map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
    let shape = Shape::Lines(LineEnd::Lf);
    match &options.output {
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            write_export(world.records(0), shape, &mut out)?;
            out.flush()?;
        }
        Some(dir) => {
            std::fs::create_dir_all(dir)?;
            for (at, tenant) in world.tenants().iter().enumerate() {
                let path = dir.join(format!("{}.jsonl", tenant.spec.envelope_tenant_id));
                let mut out = BufWriter::new(std::fs::File::create(&path)?);
                let n = write_export(world.records(at), shape, &mut out)?;
                out.flush()?;
                print::note(&format!(
                    "{} records in `{}`",
                    print::number(n),
                    path.display()
                ));
            }
        }
    }
    Ok(0)
}

/// Tenants of made-up companies, in turn in Ireland, the United Kingdom and the United States.
fn specs(n: usize) -> Vec<TenantSpec> {
    let countries = ["IE", "GB", "US"].into_iter().cycle();
    (1..=n)
        .zip(countries)
        .map(|(at, country)| TenantSpec {
            name: format!("Tenant {at}"),
            country: country.to_owned(),
            envelope_tenant_id: format!("00000000-0000-4000-8000-{at:012x}"),
            mail_domain: format!("tenant{at}.example"),
            weight: 1,
        })
        .collect()
}
