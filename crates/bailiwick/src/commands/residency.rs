//! `residency`: what rests where, why a record is where it is, and a look at every byte on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use inspect::{DataDir, Marker, Needles, Places, raw};
use model::{Code, RowId};
use serde_json::{Value, json};
use vault::Vault;

use super::{configuration, file_error, resting, show, tenant_id};
use crate::cli::{Global, Residency};
use crate::client::{Ask, Client, passphrase};
use crate::config::Config;
use crate::embedded::{centre_code, key_disk, protection, take_lock};
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
            let replies = client.call_each(Some(tenant), &ask)?.into_iter();
            let reports = replies
                .map(|(region, reply)| Ok((region, reply.json()?)))
                .collect::<anyhow::Result<BTreeMap<String, Value>>>()?;
            if view::is_for_people(global) {
                print::out(&resting::text(&reports))?;
                return Ok(0);
            }
            show(global, &json!(reports))
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

/// Looks at every file of the configured data directories, the centre's included, then opens everything
/// with each party's own keys.
fn scan(global: &Global, texts: &[String]) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let (cells, centre) = dirs(&config)?;
    // A process that runs would change files under the search.
    let all = cells.iter().chain(&centre);
    let _locks = all
        .clone()
        .map(|dir| take_lock(&dir.path))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let markers: Vec<Marker> = texts.iter().map(|m| Marker::Text(m.clone())).collect();
    let needles = Needles::new(&markers).map_err(|e| bad_marker(&e, texts))?;
    let places = Places {
        data: cells.clone(),
        centre: centre.clone(),
        idle: true,
        ..Places::default()
    };
    let report = raw(&places, &needles)?;
    let rings = config.cells.iter().map(|cell| &cell.key_ring);
    let rings = rings.chain(config.centre.as_ref().map(|centre| &centre.key_ring));
    let mut opened = Vec::new();
    for (dir, ring) in all.clone().zip(rings) {
        let (disk, name) = key_disk(ring)?;
        let protection = protection(passphrase.as_ref())?;
        let vault = Vault::open(
            &dir.region,
            Arc::new(MachineRandom),
            disk,
            &name,
            protection,
        )
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        opened.push(if centre.as_ref().is_some_and(|c| c.region == dir.region) {
            inspect::open_centre(dir, &vault, &needles)?
        } else {
            inspect::open(dir, &vault, &needles)?
        });
    }
    let regions: Vec<Scanned<'_>> = all
        .zip(&opened)
        .map(|(dir, opened)| Scanned::of(dir, opened, &report, texts))
        .collect();
    // On standard error: what goes to standard output is one document, the findings in it.
    regions.iter().for_each(Scanned::say);
    let items: Vec<Value> = regions.iter().map(Scanned::json).collect();
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

const SCANNED: [Column; 11] = [
    ("REGION", "/region"),
    ("FILES", "/files"),
    ("BYTES", "/bytes"),
    ("KINDS", "/kinds"),
    ("SEGMENTS", "/segments"),
    ("ROWS", "/rows"),
    ("LOG ROWS", "/log_rows"),
    ("VALUES", "/values"),
    ("MARKERS SEALED", "/markers_sealed"),
    ("MARKERS IN CLEAR", "/markers_in_clear"),
    ("FINDINGS", "/findings"),
];

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", print::number(n), if n == 1 { one } else { many })
}

/// What both searches say of one directory.
struct Scanned<'a> {
    opened: &'a inspect::Opened,
    files: Vec<&'a inspect::Tally>,
    findings: Vec<&'a inspect::Finding>,
    hits: Vec<&'a inspect::Hit>,
    texts: &'a [String],
}

impl<'a> Scanned<'a> {
    fn of(
        dir: &DataDir,
        opened: &'a inspect::Opened,
        report: &'a inspect::RawReport,
        texts: &'a [String],
    ) -> Self {
        let here = |t: &&inspect::Tally| t.region.as_ref() == Some(&opened.region);
        let raw = report.findings.iter();
        let raw = raw.filter(|f| f.path.starts_with(&dir.path));
        let hits = report.hits.iter();
        Self {
            files: report.files.iter().filter(here).collect(),
            findings: raw.chain(&opened.findings).collect(),
            hits: hits.filter(|h| h.path.starts_with(&dir.path)).collect(),
            opened,
            texts,
        }
    }

    fn name(&self, marker: usize) -> &str {
        self.texts.get(marker).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        let kinds = self.files.iter();
        let kinds = kinds.map(|t| format!("{:?} {}", t.kind, t.files));
        let holdings = &self.opened.holdings;
        let sum = |of: fn(&inspect::Holding) -> u64| holdings.iter().map(of).sum::<u64>();
        let clear = self.hits.iter().map(|hit| {
            json!({
                "marker": self.name(hit.marker),
                "path": hit.path.display().to_string(),
                "offset": hit.offset,
            })
        });
        let sealed = self.opened.found.iter().map(|found| {
            json!({
                "marker": self.name(found.marker),
                "tenant": found.tenant,
                "table": found.table,
                "column": found.column,
                "rests": found.rests,
                "times": found.times,
            })
        });
        let found = self.findings.iter().map(|finding| {
            json!({
                "what": finding.what,
                "path": finding.path.display().to_string(),
                "offset": finding.offset,
                "detail": finding.detail,
            })
        });
        json!({
            "region": self.opened.region,
            "files": self.files.iter().map(|t| t.files).sum::<u64>(),
            "bytes": self.files.iter().map(|t| t.bytes).sum::<u64>(),
            "kinds": kinds.collect::<Vec<_>>(),
            "segments": sum(|h| h.segments),
            "rows": sum(|h| h.rows),
            "log_rows": sum(|h| h.log_rows),
            "values": self.opened.values,
            "markers_sealed": self.opened.found.len(),
            "markers_in_clear": self.hits.len(),
            "findings": self.findings.len(),
            "found": found.collect::<Vec<_>>(),
            "in_clear": clear.collect::<Vec<_>>(),
            "sealed": sealed.collect::<Vec<_>>(),
        })
    }

    /// What is not as it should be, and where markers lie: files in clear, or tables of a region.
    fn say(&self) {
        let at = |offset: Option<u64>| {
            offset.map_or_else(String::new, |offset| format!(" at byte {offset}"))
        };
        for finding in &self.findings {
            let (path, at) = (finding.path.display(), at(finding.offset));
            let (what, detail) = (finding.what, &finding.detail);
            print::note(&format!("finding: {what:?} in `{path}`{at}: {detail}"));
        }
        for hit in &self.hits {
            let (path, at) = (hit.path.display(), at(hit.offset));
            let marker = self.name(hit.marker);
            print::note(&format!("in clear: `{marker}` in `{path}`{at}"));
        }
        for found in &self.opened.found {
            let table = found.table.as_deref().unwrap_or("the catalogue");
            print::note(&format!(
                "sealed: `{}` in region {}, {table}, column {}, {} time(s)",
                self.name(found.marker),
                found.region,
                found.column,
                found.times
            ));
        }
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

/// The cells' data directories with the geography that the registry gives each region, and the centre's.
fn dirs(config: &Config) -> anyhow::Result<(Vec<DataDir>, Option<DataDir>)> {
    let path = &config.registry.file;
    let signed = std::fs::read(path).map_err(|e| file_error("read", path, e))?;
    let (key, least) = (&config.registry.operator_key, config.registry.least_version);
    let registry = ::residency::Registry::accept(&signed, key, least, None)
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    let mut cells = Vec::new();
    for cell in &config.cells {
        let region = registry.region(&cell.region).ok_or_else(|| {
            Failure::new(
                Code::BadConfig,
                format!("the registry has no region `{}`", cell.region),
            )
        })?;
        cells.push(DataDir {
            path: cell.data.clone(),
            region: cell.region.clone(),
            geography: region.geography.clone(),
        });
    }
    // Before its first start there is none.
    let centre = config.centre.as_ref().filter(|c| c.data.exists());
    let centre = centre.map(|centre| {
        anyhow::Ok(DataDir {
            path: centre.data.clone(),
            region: centre_code()?,
            geography: centre.geography.clone(),
        })
    });
    Ok((cells, centre.transpose()?))
}
