//! `config check`: everything that would keep a cell from being served, without changing anything.

use std::sync::Arc;

use model::{Code, GeographyCode};
use vault::Vault;
use zeroize::Zeroizing;

use super::configuration;
use crate::cli::Global;
use crate::client::{passphrase, registry_spec};
use crate::config::CellFile;
use crate::embedded::{has_catalogue, has_ring, key_disk, protection};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::print;

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
    if passphrase.is_none() {
        print::note("no passphrase was given: whether it opens the key rings was not tried");
    }
    let name = config.path.display();
    let n = problems.len();
    let Some(first) = problems.first().cloned() else {
        print::note(&format!(
            "`{name}` is fine: {} cell(s), registry version {}",
            config.cells.len(),
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
        problems.extend(look_at_keys(cell, geography, passphrase).err());
    }
    problems
}

fn look_at_keys(
    cell: &CellFile,
    geography: &GeographyCode,
    passphrase: Option<&Zeroizing<String>>,
) -> Result<(), Failure> {
    let ring = cell.key_ring.display();
    let failed = |e: anyhow::Error| match e.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(e) => Failure::new(Code::FileFailed, format!("{e}: `{ring}`")),
    };
    let (disk, name) = key_disk(&cell.key_ring).map_err(failed)?;
    let protection = protection(passphrase).map_err(failed)?;
    let vault = Vault::open(
        &cell.region,
        Arc::new(MachineRandom),
        disk,
        &name,
        protection,
    )
    .map_err(|e| Failure::new(e.code(), format!("region `{}`: {e}: `{ring}`", cell.region)))?;
    if vault.geography() == geography {
        return Ok(());
    }
    let message = format!(
        "the key ring of region `{}` is bound to geography {}, the registry says {geography}",
        cell.region,
        vault.geography()
    );
    Err(Failure::new(Code::BadConfig, message))
}
