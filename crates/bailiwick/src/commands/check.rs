//! `config check`: everything that would keep a cell from being served, without changing anything; and
//! `config keys`.

use std::path::Path;
use std::sync::Arc;

use crypto::Signer as _;
use model::{Code, GeographyCode, RegionCode};
use serde_json::json;
use vault::Vault;
use zeroize::Zeroizing;

use super::configuration;
use crate::cli::Global;
use crate::client::{passphrase, registry_spec};
use crate::config::{CellFile, Config};
use crate::embedded::{
    AllowListSpec, CENTRE, has_catalogue, has_centre, has_ring, key_disk, open_list, protection,
};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::{beside, link, print, view};

pub(crate) fn run(global: &Global) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let spec = registry_spec(&config)?;
    let registry = ::residency::Registry::accept(&spec.signed, &spec.key, spec.least_version, None)
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    let mut problems = Vec::new();
    for cell in &config.cells {
        match registry.region(&cell.region) {
            None => problems.push(Failure::new(
                Code::BadConfig,
                format!("the registry has no region `{}`", cell.region),
            )),
            Some(declared) => {
                problems.extend(look(cell, &declared.geography, passphrase.as_ref()));
            }
        }
    }
    problems.extend(look_around(&config, passphrase.as_ref()));
    if passphrase.is_none() {
        print::note("no passphrase was given: whether it opens the key rings was not tried");
    }
    let name = config.path.display();
    let n = problems.len();
    let Some(first) = problems.first().cloned() else {
        print::note(&format!(
            "`{name}` is fine: {} cell(s){}, registry version {}",
            config.cells.len(),
            if config.centre.is_some() {
                " and the centre"
            } else {
                ""
            },
            registry.version()
        ));
        return Ok(0);
    };
    for problem in problems {
        print::note(&format!("problem: {problem}"));
    }
    let failure = Failure::new(Code::BadConfig, format!("`{name}` has {n} problem(s)"));
    Err(match first.help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
    .into())
}

/// `config keys`: whom others are to believe.
pub(crate) fn keys(global: &Global) -> anyhow::Result<i32> {
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    let mut all = Vec::new();
    let cells = config.cells.iter().map(|c| (c.region.clone(), &c.key_ring));
    let centre = config.centre.iter().map(|c| &c.key_ring);
    let centre = centre.map(|ring| Ok::<_, anyhow::Error>((RegionCode::new(CENTRE)?, ring)));
    for party in cells.map(Ok).chain(centre) {
        let (region, ring) = party?;
        let vault = open_keys(&region, ring, passphrase.as_ref())?;
        all.push(json!({
            "party": region,
            "geography": vault.geography(),
            "key": vault.public_key(),
        }));
    }
    let columns = [
        ("PARTY", "/party"),
        ("GEOGRAPHY", "/geography"),
        ("KEY", "/key"),
    ];
    view::list(global, &all, &columns, "no keys")
}

/// What is wrong with the centre, the list of what may leave, and the ways to other processes.
fn look_around(config: &Config, passphrase: Option<&Zeroizing<String>>) -> Vec<Failure> {
    let mut problems = Vec::new();
    if let Some(egress) = &config.egress {
        let path = egress.allow_list.display();
        match std::fs::read(&egress.allow_list) {
            Err(e) => problems.push(Failure::new(
                Code::FileFailed,
                format!("cannot read `{path}`: {e}"),
            )),
            Ok(signed) => {
                let spec = AllowListSpec {
                    signed,
                    least_version: egress.least_version,
                };
                problems.extend(open_list(&spec, &config.registry.operator_key).err());
            }
        }
    }
    if let Some(centre) = &config.centre {
        problems.extend(has_centre(&centre.data).err());
        match RegionCode::new(CENTRE) {
            Ok(region) => {
                if let Err(missing) = has_ring(&region, &centre.key_ring) {
                    problems.push(missing);
                } else if passphrase.is_some() {
                    let ring = &centre.key_ring;
                    let stands = &centre.geography;
                    problems.extend(look_at_keys(&region, ring, stands, passphrase).err());
                }
            }
            Err(e) => problems.push(Failure::new(Code::Internal, e.to_string())),
        }
    }
    problems.extend(beside::problems(config.hunting.as_ref()));
    if let Err(error) = link::ways(config) {
        problems.push(as_failure(error));
    }
    problems
}

/// What is wrong with one cell.
fn look(
    cell: &CellFile,
    geography: &GeographyCode,
    passphrase: Option<&Zeroizing<String>>,
) -> Vec<Failure> {
    let mut problems = Vec::new();
    problems.extend(has_catalogue(&cell.region, &cell.data).err());
    if let Err(missing) = has_ring(&cell.region, &cell.key_ring) {
        problems.push(missing);
    } else if passphrase.is_some() {
        let ring = &cell.key_ring;
        problems.extend(look_at_keys(&cell.region, ring, geography, passphrase).err());
    }
    problems
}

fn look_at_keys(
    region: &RegionCode,
    ring: &Path,
    geography: &GeographyCode,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<(), Failure> {
    let vault = open_keys(region, ring, passphrase)?;
    if vault.geography() == geography {
        return Ok(());
    }
    let message = format!(
        "the key ring of region `{region}` is bound to geography {}, not {geography}",
        vault.geography()
    );
    Err(Failure::new(Code::BadConfig, message))
}

fn open_keys(
    region: &RegionCode,
    ring: &Path,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<Vault, Failure> {
    has_ring(region, ring)?;
    let (disk, name) = key_disk(ring).map_err(as_failure)?;
    let protection = protection(passphrase).map_err(as_failure)?;
    Vault::open(region, Arc::new(MachineRandom), disk, &name, protection).map_err(|e| {
        let ring = ring.display();
        Failure::new(e.code(), format!("region `{region}`: {e}: `{ring}`"))
    })
}

fn as_failure(error: anyhow::Error) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => Failure::new(Code::FileFailed, error.to_string()),
    }
}
