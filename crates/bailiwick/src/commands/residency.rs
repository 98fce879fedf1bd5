//! `residency`: what rests where, why a record is where it is, and a look at every byte on disk.

use std::sync::Arc;

use inspect::{DataDir, Marker, Needles, Places, raw};
use model::Code;
use serde_json::{Value, json};
use vault::Vault;

use super::{configuration, show, tenant_id};
use crate::cli::{Global, Residency};
use crate::client::{Ask, Client, passphrase};
use crate::config::Config;
use crate::embedded::{key_disk, protection};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::print;

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
fn scan(global: &Global, markers: &[String]) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let dirs = dirs(&config)?;
    let markers: Vec<Marker> = markers.iter().map(|m| Marker::Text(m.clone())).collect();
    let needles = Needles::new(&markers)?;
    let places = Places {
        data: dirs.clone(),
        ..Places::default()
    };
    let report = raw(&places, &needles)?;
    let mut rested = Vec::new();
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
        let opened = inspect::open(dir, &vault, &needles)?;
        rested.push(json!({ "region": cell.region, "opened": opened_json(&opened) }));
    }
    let clean = report.is_clean();
    for finding in &report.findings {
        print::note(&format!("finding: {finding:?}"));
    }
    let hits = report.hit_count;
    show(
        global,
        &json!({ "findings": report.findings.len(), "hits": hits, "regions": rested }),
    )?;
    Ok(i32::from(!clean))
}

fn opened_json(opened: &inspect::Opened) -> Value {
    json!({ "findings": opened.findings.len(), "found": opened.found.len() })
}

/// The data directories with the geography that the registry gives each region.
fn dirs(config: &Config) -> anyhow::Result<Vec<DataDir>> {
    let signed = std::fs::read(&config.registry.file)?;
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
