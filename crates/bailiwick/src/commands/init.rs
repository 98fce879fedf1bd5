//! `init`: a data directory with keys, a signed registry, a configuration, and the first operator
//! credential of each region, shown once.
//!
//! ```text
//! DIRECTORY/bailiwick.toml      configuration
//! DIRECTORY/registry.signed     registry, signed by the operator's key
//! DIRECTORY/allow-list.signed   what may leave for the centre, signed by the operator's key
//! DIRECTORY/user-agents.yaml    patterns of user agents, for hunts
//! DIRECTORY/keys/operator.key   the operator's signing key, sealed
//! DIRECTORY/keys/REGION.ring    key ring of a region, or of the centre, sealed
//! DIRECTORY/data/REGION/        data directory of a region, or of the centre
//! ```
//!
//! With an operator's documents that were signed elsewhere (`--registry-signed`) no operator's key is
//! made, so that processes that are initialised apart follow one registry.

use std::path::Path;
use std::sync::Arc;

use access::{Credential, Discard, Operate};
use crypto::{PublicKey, Signer as _};
use model::{Code, GeographyCode, RegionCode};
use residency::egress::AllowList;
use residency::{Draft, Registry};
use vault::{SigningKey, Vault};
use zeroize::Zeroizing;

use super::file_error;
use crate::cli::{Global, Init, Place};
use crate::client::{open_configured, passphrase};
use crate::config::{CellFile, CentreFile, Config, EgressFile, File, HuntingFile, RegistryFile};
use crate::embedded::{AllowListSpec, CENTRE, key_disk, open_list, protection};
use crate::failure::Failure;
use crate::machine::MachineRandom;
use crate::print;

/// Version of the allow-list that is shipped.
const LIST_VERSION: u64 = 1;
/// Where the centre stands.
const CENTRE_STANDS_IN: &str = "US";
/// Days the first operator credentials live.
const OPERATOR_DAYS: i64 = 90;

/// Where the patterns of user agents are laid down.
const USER_AGENTS: &str = "user-agents.yaml";

/// What the operator signed: made here, or elsewhere.
struct Signed {
    registry: Vec<u8>,
    document: Registry,
    allow_list: Option<Vec<u8>>,
    key: PublicKey,
}

pub(crate) fn run(global: &Global, options: &Init) -> anyhow::Result<i32> {
    let passphrase = passphrase(global)?;
    let config = lay_out(options, passphrase.as_ref())?;
    first_operators(&config, passphrase.as_ref())?;
    let path = config.path.display();
    print::note(&format!(
        "\nnext: {} serve --config {path}",
        print::program()
    ));
    Ok(0)
}

/// Everything but the operators' credentials.
pub(crate) fn lay_out(
    options: &Init,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Config> {
    let root = &options.directory;
    if root.exists() && std::fs::read_dir(root)?.next().is_some() {
        let message = format!("`{}` exists and is not empty", root.display());
        return Err(Failure::new(Code::Conflict, message).into());
    }
    protection(passphrase)?;
    // What can be refused is refused before anything is made.
    let signed_elsewhere = options
        .registry_signed
        .as_deref()
        .map(|path| signed_elsewhere(options, path))
        .transpose()?;
    let draft = draft(options)?;
    let keys = root.join("keys");
    std::fs::create_dir_all(&keys).map_err(|e| file_error("make", &keys, e))?;
    restrict(root)?;
    restrict(&keys)?;
    let place = options.centre.unwrap_or(match &signed_elsewhere {
        Some(_) => Place::None,
        None => Place::Here,
    });
    let signed = match signed_elsewhere {
        Some(signed) => signed,
        None => sign(&keys, &draft, passphrase)?,
    };
    make(root, options, &signed, place, passphrase)
}

/// Writes documents, key rings and configuration.
fn make(
    root: &Path,
    options: &Init,
    signed: &Signed,
    place: Place,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Config> {
    super::write_file(&root.join("registry.signed"), &signed.registry)?;
    let egress = match &signed.allow_list {
        None => None,
        Some(list) => {
            super::write_file(&root.join("allow-list.signed"), list)?;
            Some(EgressFile {
                allow_list: "allow-list.signed".into(),
                least_version: LIST_VERSION,
            })
        }
    };
    if place != Place::None && egress.is_none() {
        let failure = Failure::new(Code::BadRequest, "a centre needs a list of what may leave");
        return Err(failure
            .with_help("name it: `--allow-list-signed FILE`")
            .into());
    }
    let regions = match place {
        Place::Only => Vec::new(),
        Place::Here | Place::None => regions(options, &signed.document)?,
    };
    let mut cells = Vec::new();
    for (at, region) in (0_u16..).zip(&regions) {
        let declared = signed.document.region(region);
        let geography = declared.map(|r| r.geography.clone()).ok_or_else(|| {
            Failure::new(
                Code::BadConfig,
                format!("the registry has no region `{region}`"),
            )
        })?;
        let ring = format!("keys/{region}.ring");
        make_ring(region, geography, &root.join(&ring), passphrase)?;
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
    let centre = match place {
        Place::None => None,
        Place::Here | Place::Only => centre(root, &signed.document, passphrase)?,
    };
    let file = File {
        registry: RegistryFile {
            file: "registry.signed".into(),
            operator_key: signed.key,
            least_version: signed.document.version(),
        },
        egress,
        centre,
        central: None,
        link: None,
        cells,
        peers: Vec::new(),
        hunting: (!regions.is_empty()).then(|| HuntingFile {
            user_agents: Some(USER_AGENTS.into()),
            ..HuntingFile::default()
        }),
    };
    if file.hunting.is_some() {
        super::write_file(&root.join(USER_AGENTS), reference::COMMON_AGENTS.as_bytes())?;
    }
    let path = root.join("bailiwick.toml");
    super::write_file(&path, toml::to_string_pretty(&file)?.as_bytes())?;
    // Alone, the centre has no way in until `[link]` is written: it is made all the same.
    Ok(Config::resolve(&path, file))
}

/// A new operator, who signs.
fn sign(
    keys: &Path,
    draft: &Draft,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Signed> {
    let failed = |code: Code, what: String| Failure::new(code, what);
    let (disk, name) = key_disk(&keys.join("operator.key"))?;
    let protection = protection(passphrase)?;
    let operator = SigningKey::create_file(&*disk, &name, &protection, &MachineRandom)
        .map_err(|e| failed(e.code(), e.to_string()))?;
    let list = AllowList::facts(LIST_VERSION).and_then(|list| list.sign(&operator));
    let registry = draft.sign(&operator);
    let key = operator.public_key();
    Ok(Signed {
        document: Registry::accept(&registry, &key, 1, None)
            .map_err(|e| failed(e.code(), e.to_string()))?,
        registry,
        allow_list: Some(list.map_err(|e| failed(e.code(), e.to_string()))?),
        key,
    })
}

/// Documents of an operator whose key is elsewhere, each with a signature that fits.
fn signed_elsewhere(options: &Init, registry: &Path) -> anyhow::Result<Signed> {
    let read = |path: &Path| std::fs::read(path).map_err(|e| file_error("read", path, e));
    let text = options.operator_key.as_deref().unwrap_or_default();
    let key: PublicKey = toml::Value::String(text.to_owned())
        .try_into()
        .map_err(|_| {
            let message = "an operator's key is 64 hexadecimal digits";
            Failure::new(Code::BadRequest, message)
        })?;
    let signed = read(registry)?;
    let document = Registry::accept(&signed, &key, 1, None)
        .map_err(|e| Failure::new(e.code(), format!("`{}`: {e}", registry.display())))?;
    let allow_list = options.allow_list_signed.as_deref();
    let allow_list = allow_list.map(read).transpose()?;
    if let Some(list) = &allow_list {
        let spec = AllowListSpec {
            signed: list.clone(),
            least_version: LIST_VERSION,
        };
        open_list(&spec, &key)?;
    }
    Ok(Signed {
        registry: signed,
        document,
        allow_list,
        key,
    })
}

fn draft(options: &Init) -> anyhow::Result<Draft> {
    let payload = match &options.registry {
        Some(path) => std::fs::read(path).map_err(|e| file_error("read", path, e))?,
        None => residency::DEFAULT_REGISTRY.as_bytes().to_vec(),
    };
    Ok(Draft::parse(&payload).map_err(|e| Failure::new(e.code(), e.to_string()))?)
}

fn regions(options: &Init, registry: &Registry) -> anyhow::Result<Vec<RegionCode>> {
    if options.regions.is_empty() {
        let all = registry.document().regions.iter();
        return Ok(all.map(|r| r.code.clone()).collect());
    }
    let parse = |text: &String| {
        RegionCode::new(text).map_err(|e| Failure::new(Code::BadRequest, e.to_string()).into())
    };
    options.regions.iter().map(parse).collect()
}

/// The centre's key ring, and what the configuration says of it.
fn centre(
    root: &Path,
    registry: &Registry,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Option<CentreFile>> {
    let declared = &registry.document().geographies;
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
