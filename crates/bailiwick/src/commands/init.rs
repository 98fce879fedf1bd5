//! `init`: a data directory with keys, a signed registry, a configuration, and the first operator
//! credential of each region, shown once.
//!
//! ```text
//! DIRECTORY/bailiwick.toml      configuration
//! DIRECTORY/registry.signed     registry, signed by the operator's key
//! DIRECTORY/allow-list.signed   what may leave for the centre, signed by the operator's key
//! DIRECTORY/keys/operator.key   the operator's signing key, sealed
//! DIRECTORY/keys/REGION.ring    key ring of a region, or of the centre, sealed
//! DIRECTORY/data/REGION/        data directory of a region, or of the centre
//! ```

use std::path::Path;
use std::sync::Arc;

use access::{Credential, Discard, Operate};
use crypto::Signer as _;
use model::{Code, GeographyCode, RegionCode};
use residency::Draft;
use residency::egress::AllowList;
use vault::{SigningKey, Vault};
use zeroize::Zeroizing;

use super::file_error;
use crate::cli::{Global, Init};
use crate::client::{open_configured, passphrase};
use crate::config::{CellFile, CentreFile, Config, EgressFile, File, RegistryFile};
use crate::embedded::{CENTRE, key_disk, protection};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::print;

/// Version of the allow-list that is shipped.
const LIST_VERSION: u64 = 1;
/// Where the centre stands.
const CENTRE_STANDS_IN: &str = "US";
/// Days the first operator credentials live.
const OPERATOR_DAYS: i64 = 90;

pub(crate) fn run(global: &Global, options: &Init) -> anyhow::Result<i32> {
    let root = &options.directory;
    if root.exists() && std::fs::read_dir(root)?.next().is_some() {
        let message = format!("`{}` exists and is not empty", root.display());
        return Err(Failure::new(Code::Conflict, message).into());
    }
    let passphrase = passphrase(global)?;
    protection(passphrase.as_ref())?;
    let keys = root.join("keys");
    std::fs::create_dir_all(&keys).map_err(|e| file_error("make", &keys, e))?;
    restrict(root)?;
    restrict(&keys)?;
    let draft = draft(options)?;
    let (disk, name) = key_disk(&keys.join("operator.key"))?;
    let operator = SigningKey::create_file(
        &*disk,
        &name,
        &protection(passphrase.as_ref())?,
        &MachineRandom,
    )
    .map_err(|e| Failure::new(e.code(), e.to_string()))?;
    super::write_file(&root.join("registry.signed"), &draft.sign(&operator))?;
    let regions = regions(options, &draft)?;
    let mut cells = Vec::new();
    for (at, region) in (0_u16..).zip(&regions) {
        let declared = draft.document().regions.iter().find(|r| r.code == *region);
        let geography = declared.map(|r| r.geography.clone()).ok_or_else(|| {
            Failure::new(
                Code::BadConfig,
                format!("the registry has no region `{region}`"),
            )
        })?;
        let ring = format!("keys/{region}.ring");
        make_ring(region, geography, &root.join(&ring), passphrase.as_ref())?;
        let port = options
            .ports
            .checked_add(at)
            .ok_or_else(|| Failure::new(Code::BadConfig, "the ports go beyond 65535"))?;
        cells.push(CellFile {
            region: region.clone(),
            data: format!("data/{region}").into(),
            key_ring: ring.into(),
            listen: ([127, 0, 0, 1], port).into(),
        });
    }
    let list = AllowList::facts(LIST_VERSION).and_then(|list| list.sign(&operator));
    let list = list.map_err(|e| Failure::new(e.code(), e.to_string()))?;
    super::write_file(&root.join("allow-list.signed"), &list)?;
    let file = File {
        registry: RegistryFile {
            file: "registry.signed".into(),
            operator_key: operator.public_key(),
            least_version: draft.document().version,
        },
        egress: Some(EgressFile {
            allow_list: "allow-list.signed".into(),
            least_version: LIST_VERSION,
        }),
        centre: centre(root, &draft, passphrase.as_ref())?,
        central: None,
        link: None,
        cells,
        peers: Vec::new(),
    };
    let path = root.join("bailiwick.toml");
    super::write_file(&path, toml::to_string_pretty(&file)?.as_bytes())?;
    first_operators(&Config::read(&path)?, passphrase.as_ref())?;
    let path = path.display();
    print::note(&format!(
        "\nnext: {} serve --config {path}",
        print::program()
    ));
    Ok(0)
}

fn draft(options: &Init) -> anyhow::Result<Draft> {
    let payload = match &options.registry {
        Some(path) => std::fs::read(path).map_err(|e| file_error("read", path, e))?,
        None => residency::DEFAULT_REGISTRY.as_bytes().to_vec(),
    };
    Ok(Draft::parse(&payload).map_err(|e| Failure::new(e.code(), e.to_string()))?)
}

fn regions(options: &Init, draft: &Draft) -> anyhow::Result<Vec<RegionCode>> {
    if options.regions.is_empty() {
        return Ok(draft
            .document()
            .regions
            .iter()
            .map(|r| r.code.clone())
            .collect());
    }
    let parse = |text: &String| {
        RegionCode::new(text).map_err(|e| Failure::new(Code::BadRequest, e.to_string()).into())
    };
    options.regions.iter().map(parse).collect()
}

/// The centre's key ring, and what the configuration says of it.
fn centre(
    root: &Path,
    draft: &Draft,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Option<CentreFile>> {
    let declared = &draft.document().geographies;
    let geography = declared
        .iter()
        .find(|g| g.code.as_str() == CENTRE_STANDS_IN);
    let Some(geography) = geography.map(|g| g.code.clone()) else {
        print::note(&format!(
            "the registry has no geography {CENTRE_STANDS_IN}: no centre is made"
        ));
        return Ok(None);
    };
    let ring = "keys/centre.ring";
    let region = RegionCode::new(CENTRE)?;
    make_ring(&region, geography.clone(), &root.join(ring), passphrase)?;
    Ok(Some(CentreFile {
        data: "data/centre".into(),
        key_ring: ring.into(),
        geography,
        cells: Vec::new(),
    }))
}

/// Makes the key ring of a region.
pub(super) fn make_ring(
    region: &RegionCode,
    geography: GeographyCode,
    path: &Path,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<()> {
    let (disk, name) = key_disk(path)?;
    let protection = protection(passphrase)?;
    let random = Arc::new(MachineRandom);
    Vault::create(region.clone(), geography, random, disk, &name, protection)
        .map_err(|e| Failure::new(e.code(), format!("`{}`: {e}", path.display())))?;
    Ok(())
}

/// Opens the new cells once and mints an operator's credential in each.
pub(super) fn first_operators(
    config: &Config,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let embedded = open_configured(config, passphrase, Arc::new(Discard), true).await?;
        let embedded = embedded.whole()?;
        print::note("The first operator credential of each region. It is shown only now.\n");
        for (region, cell) in &embedded.cells {
            let grant = cell
                .cx()
                .decide_cell::<Operate>(&Credential::local_operator())
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            let minted = cell
                .mint_operator(&grant, "first operator", OPERATOR_DAYS)
                .await
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            print::out(&format!("{region} {}\n", *minted.text))?;
        }
        embedded.close().await
    })
}

/// Nobody but the owner reads a directory with keys.
pub(super) fn restrict(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}
