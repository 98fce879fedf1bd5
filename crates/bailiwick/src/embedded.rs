//! All cells of a configuration (or of the demo) in one process, each with its own directory,
//! catalogue, key ring and listener.
//!
//! Cells reach each other only through [`InProcess`], the in-process form of the tenant link.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use access::{Credential, Cx, LogSink, Operate, Policy};
use anyhow::Context as _;
use cell::link::{LinkAlerts, LinkRead};
use cell::{Cell, CellOptions, NoCentre, PeerError, PeerPort, Registry};
use crypto::{PublicKey, Signer as _};
use futures::future::BoxFuture;
use model::{Code, Disk, GeographyCode, RegionCode};
use store::catalogue::SqliteCatalogue;
use store::{DirectoryLock, Landmark, LocalDir, LockError, Store};
use vault::{Protection, Vault};
use zeroize::Zeroizing;

use crate::commands::file_error;
use crate::failure::Failure;
use crate::hunting::KqlHunting;
use crate::machine::{MachineClock, MachineRandom};
use crate::print;

/// Pause between rounds of upkeep.
const STEP_PAUSE: Duration = Duration::from_secs(1);

/// Name of a catalogue in its data directory.
pub(crate) const CATALOGUE: &str = "catalogue.db";

/// Where a cell's keys are.
#[derive(Debug, Clone)]
pub(crate) enum Ring {
    /// In memory; they end with the process.
    Ephemeral,
    /// In a file, under the passphrase.
    File(PathBuf),
}

/// One cell to be opened.
#[derive(Debug, Clone)]
pub(crate) struct CellSpec {
    pub(crate) region: RegionCode,
    pub(crate) data: PathBuf,
    pub(crate) ring: Ring,
    /// Whether its directory and catalogue are to be made. Anything else that has none is not new but
    /// damaged or not mounted, and must not look like an empty cell.
    pub(crate) fresh: bool,
}

/// The registry in force.
#[derive(Debug, Clone)]
pub(crate) struct RegistrySpec {
    pub(crate) signed: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) least_version: u64,
}

/// The opened cells.
pub(crate) struct Embedded {
    pub(crate) cells: BTreeMap<RegionCode, Cell>,
    pub(crate) vaults: BTreeMap<RegionCode, Arc<Vault>>,
    /// Regions that did not open, and why. The others are served.
    pub(crate) sick: BTreeMap<RegionCode, anyhow::Error>,
    _locks: Vec<DirectoryLock>,
}

/// The tenant link between cells of one process.
#[derive(Debug, Default)]
struct InProcess {
    keys: BTreeMap<RegionCode, PublicKey>,
    cells: OnceLock<BTreeMap<RegionCode, Cell>>,
}

impl PeerPort for InProcess {
    fn key_of(&self, region: &RegionCode) -> Option<PublicKey> {
        self.keys.get(region).copied()
    }

    fn deliver_profile<'a>(
        &'a self,
        region: &'a RegionCode,
        home: &'a RegionCode,
        profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move {
            self.cell(region)?
                .accept_profile(home, profile)
                .await
                .map_err(|e| PeerError::Refused(e.code()))
        })
    }

    fn deliver_alerts<'a>(
        &'a self,
        home: &'a RegionCode,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move {
            let refused = |e: cell::Error| PeerError::Refused(e.code());
            let origin = LinkAlerts::sender(message).map_err(refused)?;
            self.cell(home)?
                .accept_alerts(&origin, message)
                .await
                .map_err(refused)
        })
    }

    fn read_alert<'a>(
        &'a self,
        origin: &'a RegionCode,
        request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(async move {
            let refused = |e: cell::Error| PeerError::Refused(e.code());
            let home = LinkRead::sender(request).map_err(refused)?;
            self.cell(origin)?
                .answer_read(&home, request)
                .await
                .map_err(refused)
        })
    }
}

impl InProcess {
    fn cell(&self, region: &RegionCode) -> Result<&Cell, PeerError> {
        let cells = self.cells.get().ok_or(PeerError::Unreachable)?;
        cells.get(region).ok_or(PeerError::Unreachable)
    }
}

impl Embedded {
    /// Opens every cell: lock, keys, catalogue, store, registry. An error if none opens.
    pub(crate) async fn open(
        specs: Vec<CellSpec>,
        registry: &RegistrySpec,
        passphrase: Option<&Zeroizing<String>>,
        log: Arc<dyn LogSink>,
    ) -> anyhow::Result<Self> {
        let known = Registry::accept(
            &registry.signed,
            &registry.key,
            registry.least_version,
            None,
        )
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        let (mut vaults, mut locks) = (BTreeMap::new(), Vec::new());
        let mut sick = BTreeMap::new();
        for spec in &specs {
            let own = known.region(&spec.region).ok_or_else(|| {
                Failure::new(
                    Code::BadConfig,
                    format!("the registry has no region `{}`", spec.region),
                )
            })?;
            match open_keys(spec, &own.geography, passphrase) {
                Ok((lock, vault)) => {
                    locks.push(lock);
                    vaults.insert(spec.region.clone(), Arc::new(vault));
                }
                Err(error) => drop(sick.insert(spec.region.clone(), error)),
            }
        }
        let keys = vaults
            .iter()
            .map(|(region, vault)| (region.clone(), vault.public_key()));
        let peers = Arc::new(InProcess {
            keys: keys.collect(),
            cells: OnceLock::new(),
        });
        let mut cells = BTreeMap::new();
        for spec in &specs {
            let Some(vault) = vaults.get(&spec.region) else {
                continue;
            };
            match open_cell(spec, vault, registry, &peers, &log).await {
                Ok(cell) => drop(cells.insert(spec.region.clone(), cell)),
                Err(error) => drop(sick.insert(spec.region.clone(), error)),
            }
        }
        if cells.is_empty()
            && let Some((_, error)) = sick.pop_first()
        {
            return Err(error);
        }
        // Set once, here.
        let _ = peers.cells.set(cells.clone());
        Ok(Self {
            cells,
            vaults,
            sick,
            _locks: locks,
        })
    }

    /// The cells if all of them opened, else why one did not.
    pub(crate) fn whole(mut self) -> anyhow::Result<Self> {
        match self.sick.pop_first() {
            None => Ok(self),
            Some((_, error)) => Err(error),
        }
    }

    /// Says which regions did not open.
    pub(crate) fn name_the_sick(&self) {
        for (region, error) in &self.sick {
            print::note(&format!("region `{region}` is not open; the others are"));
            print::error(error);
        }
    }

    /// Starts a task for each cell that moves stored data on until the process ends.
    pub(crate) fn start_upkeep(&self) {
        for cell in self.cells.values() {
            let cell = cell.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(STEP_PAUSE).await;
                    cell.step().await;
                }
            });
        }
    }

    /// Ends the cells in order.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        for cell in self.cells.values() {
            cell.close()
                .await
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        }
        Ok(())
    }
}

pub(crate) fn take_lock(data: &Path) -> anyhow::Result<DirectoryLock> {
    DirectoryLock::take(data).map_err(|error| {
        let message = format!(
            "cannot take the lock of data directory `{}`",
            data.display()
        );
        let failure = match &error {
            LockError::Held => Failure::new(error.code(), message)
                .with_help("another process serves it: use `--server`, or stop that process"),
            LockError::Io(_) if error.code() == Code::Internal => {
                Failure::new(Code::FileFailed, message)
                    .with_help("this user must be able to write to the directory")
            }
            LockError::Io(_) => Failure::new(error.code(), message),
        };
        anyhow::Error::new(error).context(failure)
    })
}

/// The directory's lock and the region's keys.
fn open_keys(
    spec: &CellSpec,
    geography: &GeographyCode,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<(DirectoryLock, Vault)> {
    if spec.fresh {
        std::fs::create_dir_all(&spec.data).map_err(|e| file_error("make", &spec.data, e))?;
    } else {
        has_catalogue(&spec.region, &spec.data)?;
    }
    let lock = take_lock(&spec.data)?;
    let vault = open_vault(spec, geography, passphrase)?;
    if vault.geography() != geography {
        let message = format!(
            "the key ring of region `{}` is bound to geography {}, the registry says {geography}",
            spec.region,
            vault.geography(),
        );
        return Err(Failure::new(Code::BadConfig, message).into());
    }
    Ok((lock, vault))
}

/// Refuses a directory that a cell was never made in, or whose catalogue is gone: served as it is it
/// would look like a new cell, and everybody would be turned away.
pub(crate) fn has_catalogue(region: &RegionCode, data: &Path) -> Result<(), Failure> {
    let file = data.join(CATALOGUE);
    let what = match std::fs::metadata(&file) {
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => format!("catalogue `{}` is empty", file.display()),
        Err(_) if data.is_dir() => {
            format!("data directory `{}` has no catalogue", data.display())
        }
        Err(_) => format!("data directory `{}` is missing", data.display()),
    };
    let failure = Failure::new(Code::CatalogueFailed, format!("region `{region}`: {what}"));
    Err(failure.with_help(
        "is its volume mounted? a new region is made by `bailiwick init` or `bailiwick region add`",
    ))
}

fn open_vault(
    spec: &CellSpec,
    geography: &GeographyCode,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Vault> {
    let random = Arc::new(MachineRandom);
    let Ring::File(path) = &spec.ring else {
        return Ok(Vault::ephemeral(
            spec.region.clone(),
            geography.clone(),
            random,
        ));
    };
    has_ring(&spec.region, path)?;
    let (disk, name) = key_disk(path)?;
    let protection = protection(passphrase)?;
    Vault::open(&spec.region, random, disk, &name, protection).map_err(|e| {
        anyhow::Error::new(Failure::new(e.code(), format!("{e}: `{}`", path.display())))
    })
}

/// Refuses a key ring that is not there.
pub(crate) fn has_ring(region: &RegionCode, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let message = format!(
        "region `{region}`: key ring `{}` is missing",
        path.display()
    );
    Err(Failure::new(Code::WrongKey, message).with_help(
        "without it nothing of the region opens: bring it back from its backup; `bailiwick region add` makes one for a new region",
    ))
}

/// A key file as a disk rooted at its folder and a name in it.
pub(crate) fn key_disk(path: &Path) -> anyhow::Result<(Arc<dyn Disk>, PathBuf)> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let disk = LocalDir::open(folder)
        .with_context(|| format!("cannot open folder `{}`", folder.display()))?;
    Ok((Arc::new(disk), name))
}

/// The passphrase as a protection; an error that says how to give one.
pub(crate) fn protection(passphrase: Option<&Zeroizing<String>>) -> anyhow::Result<Protection> {
    let passphrase = passphrase.ok_or_else(|| {
        Failure::new(Code::WrongKey, "no passphrase for the key ring was given")
            .with_help("use `--passphrase-file FILE`, or the variable BAILIWICK_PASSPHRASE")
    })?;
    Ok(Protection::Passphrase(passphrase.clone()))
}

/// The mark that says that the region has a catalogue; none where keys end with the process.
fn landmark(spec: &CellSpec) -> anyhow::Result<Option<Landmark>> {
    let Ring::File(path) = &spec.ring else {
        return Ok(None);
    };
    let (disk, name) = key_disk(path)?;
    Ok(Some(Landmark::beside(disk, &name)))
}

async fn open_cell(
    spec: &CellSpec,
    vault: &Arc<Vault>,
    registry: &RegistrySpec,
    peers: &Arc<InProcess>,
    log: &Arc<dyn LogSink>,
) -> anyhow::Result<Cell> {
    let refused = |code: Code, what: String| {
        anyhow::Error::new(Failure::new(
            code,
            format!("region `{}`: {what}", spec.region),
        ))
    };
    let policy = Policy::shipped().map_err(|e| refused(Code::Internal, e.to_string()))?;
    let clock = Arc::new(MachineClock);
    let cx = Cx::new(
        clock,
        Arc::new(MachineRandom),
        log.clone(),
        Arc::new(policy),
    );
    let disk = LocalDir::open(&spec.data).map_err(|e| file_error("open", &spec.data, e))?;
    let disk = Arc::new(disk);
    let path = spec.data.join(CATALOGUE);
    // Its key ring opened: what does not open now is damaged, whatever key it says it wants.
    let damaged = |code: Code, what: String| {
        let code = if code == Code::WrongKey {
            Code::CatalogueFailed
        } else {
            code
        };
        refused(code, format!("`{}`: {what}", path.display()))
    };
    let landmark = landmark(spec)?;
    if let Some(landmark) = &landmark {
        landmark.check(&path).map_err(|e| {
            let mark = landmark.path().display();
            let how = "mount its volume or restore it; to begin anew, remove";
            damaged(
                e.code(),
                format!("{} ({how} `{mark}` beside the key ring)", chain(&e)),
            )
        })?;
    }
    let catalogue = SqliteCatalogue::open(&path, &spec.region, vault.geography(), cx.now())
        .await
        .map_err(|e| damaged(e.code(), chain(&e)))?;
    // Where the folder of the ring cannot be written, the region is served without a mark.
    if landmark.is_some_and(|landmark| landmark.set().is_err()) {
        cx.warn(
            "landmark_not_set",
            Code::Internal,
            &[("region", (&spec.region).into())],
        );
    }
    let options = store::Options {
        disk,
        catalogue: Arc::new(catalogue),
        vault: vault.clone(),
        log: wal::Options::default(),
    };
    let store = Store::open(cx.clone(), options)
        .await
        .map_err(|e| damaged(e.code(), chain(&e)))?;
    let options = CellOptions {
        store,
        registry_key: registry.key,
        registry_least_version: registry.least_version,
        hunting: Arc::new(KqlHunting),
        peers: peers.clone(),
        centre: Arc::new(NoCentre),
        allow_list: None,
    };
    let cell = Cell::open(cx.clone(), options)
        .await
        .map_err(|e| refused(e.code(), e.to_string()))?;
    let grant = cx
        .decide_cell::<Operate>(&Credential::local_operator())
        .map_err(|e| refused(e.code(), e.to_string()))?;
    cell.accept_registry(&grant, &registry.signed)
        .await
        .map_err(|e| refused(e.code(), e.to_string()))?;
    Ok(cell)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
