//! `region`: one more region of a configuration that is deployed already.
//!
//! Makes what `init` makes for each region: the key ring, the data directory with its catalogue, and
//! the first operator credential. Only that region is opened, so the others may be served meanwhile.
//! Never touches a key ring or a catalogue that is there.

use std::net::SocketAddr;
use std::path::Path;

use model::{Code, RegionCode};

use super::init::{first_operators, make_ring, restrict};
use super::{configuration, file_error, write_file};
use crate::cli::{Global, Region};
use crate::client::{passphrase, registry_spec};
use crate::config::{CellFile, Config};
use crate::embedded::{has_catalogue, protection};
use crate::failure::Failure;
use crate::print;

pub(crate) fn run(global: &Global, command: Region) -> anyhow::Result<i32> {
    let Region::Add { region, listen } = command;
    let region =
        RegionCode::new(&region).map_err(|e| Failure::new(Code::BadRequest, e.to_string()))?;
    let config = configuration(global)?;
    let passphrase = passphrase(global)?;
    protection(passphrase.as_ref())?;
    let spec = registry_spec(&config)?;
    let registry = ::residency::Registry::accept(&spec.signed, &spec.key, spec.least_version, None)
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    let declared = registry.region(&region).ok_or_else(|| {
        Failure::new(Code::BadConfig, format!("the registry has no region `{region}`"))
            .with_help("sign a registry that has it (`bailiwick registry sign`) and name it in the configuration")
    })?;
    let known = config.cells.iter().find(|c| c.region == region).cloned();
    let is_new = known.is_none();
    let cell = match known {
        Some(cell) => cell,
        None => new_cell(&config, &region, listen)?,
    };
    for (path, there) in [
        (&cell.key_ring, cell.key_ring.exists()),
        (&cell.data, has_catalogue(&region, &cell.data).is_ok()),
    ] {
        if there {
            let message = format!("region `{region}` is there already: `{}`", path.display());
            return Err(Failure::new(Code::Conflict, message).into());
        }
    }
    let keys = cell.key_ring.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(keys).map_err(|e| file_error("make", keys, e))?;
    restrict(keys)?;
    make_ring(
        &region,
        declared.geography.clone(),
        &cell.key_ring,
        passphrase.as_ref(),
    )?;
    first_operators(&config.alone(&cell), passphrase.as_ref())?;
    if is_new {
        append(&config.path, &region, cell.listen)?;
    }
    print::note(&format!(
        "\nregion `{region}` is made; it is served from the next start of `serve` on"
    ));
    Ok(0)
}

/// Beside the others, as `init` lays them out.
fn new_cell(
    config: &Config,
    region: &RegionCode,
    listen: Option<SocketAddr>,
) -> anyhow::Result<CellFile> {
    let base = config.path.parent().unwrap_or(Path::new("."));
    let last = config
        .cells
        .iter()
        .map(|c| c.listen)
        .max_by_key(SocketAddr::port);
    let next = last.and_then(|last| {
        let port = match last.port() {
            0 => 0,
            port => port.checked_add(1)?,
        };
        Some(SocketAddr::new(last.ip(), port))
    });
    let listen = listen.or(next).ok_or_else(|| {
        Failure::new(Code::BadConfig, "there is no port after the last one")
            .with_help("name an address: `--listen 127.0.0.1:7404`")
    })?;
    Ok(CellFile {
        region: region.clone(),
        data: base.join("data").join(region.as_str()),
        key_ring: base.join("keys").join(format!("{region}.ring")),
        listen,
    })
}

/// Adds the cell at the end of the file; what is there stays as it was written.
fn append(path: &Path, region: &RegionCode, listen: SocketAddr) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).map_err(|e| file_error("read", path, e))?;
    let text = format!(
        "{}\n\n[[cell]]\nregion = \"{region}\"\ndata = \"data/{region}\"\nkey_ring = \"keys/{region}.ring\"\nlisten = \"{listen}\"\n",
        text.trim_end()
    );
    write_file(path, text.as_bytes())
}
