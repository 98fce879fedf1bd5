//! `residency`: what rests where, why a record is where it is, and a look at every byte on disk.

use std::sync::Arc;

use inspect::{DataDir, Marker, Needles, Places, raw};
use model::{Code, RowId};
use serde_json::{Value, json};
use vault::Vault;

use super::{configuration, file_error, show, tenant_id};
use crate::cli::{Global, Residency};
use crate::client::{Ask, Client, passphrase};
use crate::config::Config;
use crate::embedded::{key_disk, protection, take_lock};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::print;
use crate::view::{self, Column};

pub(crate) fn run(global: &Global, command: Residency) -> anyhow::Result<i32> {
    match command {
        Residency::Report { tenant } => {
            let tenant = tenant_id(&tenant)?;
            let client = Client::connect(global)?;
            let ask = Ask::get(format!("/api/v1/tenants/{tenant}/residency"));
            let mut all = serde_json::Map::new();
            for (region, reply) in client.call_each(Some(tenant), &ask)? {
                all.insert(region, reply.json()?);
            }
            show(global, &Value::Object(all))
        }
        Residency::Explain { tenant, record } => {
            let tenant = tenant_id(&tenant)?;
            let record: RowId = record.parse().map_err(|_| {
                Failure::new(Code::BadRequest, format!("`{record}` is not a row id"))
                    .with_help("a row id is 32 hex digits, like `00112233445566778899aabbccddeeff`")
            })?;
            let client = Client::connect(global)?;
            let ask = Ask::get(format!(
                "/api/v1/tenants/{tenant}/residency/explain/{record}"
            ));
            let replies = client.call_each(Some(tenant), &ask)?;
            // The record is in one region; the others do not know it.
            let found = replies
                .values()
                .find(|r| r.status == 200)
                .or(replies.values().next());
            let reply = found
                .cloned()
                .ok_or_else(|| Failure::new(Code::NotFound, "no such record"))?;
            show(global, &reply.json()?)
        }
        Residency::Scan { markers } => scan(global, &markers),
    }
}

/// Looks at every file of the configured data directories, then opens every table with each region's
/// own keys.
fn scan(global: &Global, texts: &[String]) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let dirs = dirs(&config)?;
    // A cell that runs would change files under the search.
    let _locks = config
        .cells
        .iter()
        .map(|cell| take_lock(&cell.data))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let markers: Vec<Marker> = texts.iter().map(|m| Marker::Text(m.clone())).collect();
    let needles = Needles::new(&markers).map_err(|e| bad_marker(&e, texts))?;
    let places = Places {
        data: dirs.clone(),
        ..Places::default()
    };
    let report = raw(&places, &needles)?;
    let mut opened = Vec::new();
    for (dir, cell) in dirs.iter().zip(&config.cells) {
        let (disk, name) = key_disk(&cell.key_ring)?;
        let vault = Vault::open(
            &cell.region,
            Arc::new(MachineRandom),
            disk,
            &name,
            protection(passphrase.as_ref())?,
        )
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        opened.push(inspect::open(dir, &vault, &needles)?);
    }
    say_faults(&report, &opened, texts);
    let items: Vec<Value> = opened.iter().map(|o| region_json(&report, o)).collect();
    view::list(global, &items, &SCANNED, "no regions")?;
    let clean = report.is_clean() && opened.iter().all(|o| o.findings.is_empty());
    print::note(&format!(
        "{} in {} and {} values; {} in clear",
        if clean {
            "nothing is wrong"
        } else {
            "SOMETHING IS WRONG"
        },
        counted(report.total().0, "file", "files"),
        print::number(opened.iter().map(|o| o.values).sum()),
        counted(report.hit_count, "marker", "markers"),
    ));
    Ok(i32::from(!clean))
}

const SCANNED: [Column; 10] = [
    ("REGION", "/region"),
    ("FILES", "/files"),
    ("BYTES", "/bytes"),
    ("KINDS", "/kinds"),
    ("SEGMENTS", "/segments"),
    ("ROWS", "/rows"),
    ("LOG ROWS", "/log_rows"),
    ("VALUES", "/values"),
    ("MARKERS SEALED", "/markers_sealed"),
    ("FINDINGS", "/findings"),
];

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", print::number(n), if n == 1 { one } else { many })
}

fn region_json(report: &inspect::RawReport, opened: &inspect::Opened) -> Value {
    let here = |t: &&inspect::Tally| t.region.as_ref() == Some(&opened.region);
    let files: Vec<&inspect::Tally> = report.files.iter().filter(here).collect();
    let kinds = files.iter().map(|t| format!("{:?} {}", t.kind, t.files));
    let holdings = &opened.holdings;
    let sum = |of: fn(&inspect::Holding) -> u64| holdings.iter().map(of).sum::<u64>();
    json!({
        "region": opened.region,
        "files": files.iter().map(|t| t.files).sum::<u64>(),
        "bytes": files.iter().map(|t| t.bytes).sum::<u64>(),
        "kinds": kinds.collect::<Vec<_>>(),
        "segments": sum(|h| h.segments),
        "rows": sum(|h| h.rows),
        "log_rows": sum(|h| h.log_rows),
        "values": opened.values,
        "markers_sealed": opened.found.len(),
        "findings": opened.findings.len(),
    })
}

/// What is not as it should be, and where markers lie: files in clear, or tables of a region.
fn say_faults(report: &inspect::RawReport, opened: &[inspect::Opened], texts: &[String]) {
    let findings = report
        .findings
        .iter()
        .chain(opened.iter().flat_map(|o| &o.findings));
    for finding in findings {
        let at = finding
            .offset
            .map_or_else(String::new, |at| format!(" at byte {at}"));
        let path = finding.path.display();
        print::note(&format!(
            "finding: {:?} in `{path}`{at}: {}",
            finding.what, finding.detail
        ));
    }
    let name = |marker: usize| texts.get(marker).map_or("", String::as_str);
    for hit in &report.hits {
        let at = hit
            .offset
            .map_or_else(String::new, |at| format!(" at byte {at}"));
        let path = hit.path.display();
        print::note(&format!("in clear: `{}` in `{path}`{at}", name(hit.marker)));
    }
    for found in opened.iter().flat_map(|o| &o.found) {
        let table = found.table.as_deref().unwrap_or("the catalogue");
        print::note(&format!(
            "sealed: `{}` in region {}, {table}, column {}, {} time(s)",
            name(found.marker),
            found.region,
            found.column,
            found.times
        ));
    }
}

fn bad_marker(error: &inspect::Error, texts: &[String]) -> Failure {
    let inspect::Error::BadMarker { marker, why } = error else {
        return Failure::new(Code::Internal, error.to_string());
    };
    let text = texts.get(*marker).map_or("", String::as_str);
    Failure::new(
        Code::BadRequest,
        format!("marker `{text}` cannot be searched: {why}"),
    )
}

/// The data directories with the geography that the registry gives each region.
fn dirs(config: &Config) -> anyhow::Result<Vec<DataDir>> {
    let path = &config.registry.file;
    let signed = std::fs::read(path).map_err(|e| file_error("read", path, e))?;
    let (key, least) = (&config.registry.operator_key, config.registry.least_version);
    let registry = ::residency::Registry::accept(&signed, key, least, None)
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    let mut out = Vec::new();
    for cell in &config.cells {
        let region = registry.region(&cell.region).ok_or_else(|| {
            Failure::new(
                Code::BadConfig,
                format!("the registry has no region `{}`", cell.region),
            )
        })?;
        out.push(DataDir {
            path: cell.data.clone(),
            region: cell.region.clone(),
            geography: region.geography.clone(),
        });
    }
    Ok(out)
}
