//! All that a configuration (or the demo) has in one process: cells, and the centre, each with its own
//! directory, database, key ring and listener.
//!
//! They reach each other only through [`crate::ports`]; what is in another process is reached through
//! the same ports, over mutual TLS.
//!
//! Promises
//! - A cell that does not open, or a centre that does not, keeps nobody else from being served.
//! - What moves stored data on ([`Embedded::start_upkeep`]) has ended before anything is closed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Credential, Cx, LogSink, Operate, Policy};
use anyhow::Context as _;
use cell::{Cell, CellOptions, Registry};
use centre::Centre;
use connect::{HttpCentre, HttpPeers};
use crypto::{PublicKey, Signer as _};
use model::{Code, Disk, GeographyCode, RegionCode, limits};
use residency::Verified;
use residency::egress::AllowList;
use store::catalogue::SqliteCatalogue;
use store::{DirectoryLock, Landmark, LocalDir, LockError, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use vault::{Protection, Vault};
use zeroize::Zeroizing;

use crate::beside::Beside;
use crate::commands::file_error;
use crate::failure::Failure;
use crate::hunting::KqlHunting;
use crate::link::Ways;
use crate::machine::{MachineClock, MachineRandom};
use crate::ports::{Inside, InsideCentre, Peers, Recorder, centre_port};
use crate::print;

/// Pause between rounds of upkeep.
const STEP_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between rounds of detection, which begins at once when rows come.
const DETECT_PAUSE: Duration = Duration::from_secs(1);
/// Pause between rounds of export.
const EXPORT_PAUSE: Duration = Duration::from_secs(5);
/// Pause between looks at whether the centre's day or an epoch has ended.
const CENTRE_PAUSE: Duration = Duration::from_mins(1);

/// What the centre's key ring says instead of a region.
pub(crate) const CENTRE: &str = "centre";
/// Name of the centre's database in its directory.
pub(crate) const CENTRE_DATABASE: &str = "centre.db";

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

/// What may leave for the centre.
#[derive(Debug, Clone)]
pub(crate) struct AllowListSpec {
    pub(crate) signed: Vec<u8>,
    pub(crate) least_version: u64,
}

/// The centre, if it is in this process.
#[derive(Debug, Clone)]
pub(crate) struct CentreSpec {
    pub(crate) data: PathBuf,
    pub(crate) ring: Ring,
    /// Where it stands, as its ring says.
    pub(crate) geography: GeographyCode,
    /// Cells of other processes that may send, beside those of this one.
    pub(crate) cells: BTreeMap<RegionCode, PublicKey>,
    /// Whether its directory is to be made.
    pub(crate) fresh: bool,
}

/// Everything that is to be opened, and what stands around it.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) cells: Vec<CellSpec>,
    pub(crate) registry: RegistrySpec,
    /// Without one nothing leaves, and there is no centre.
    pub(crate) allow_list: Option<AllowListSpec>,
    pub(crate) centre: Option<CentreSpec>,
    /// Cells of other processes.
    pub(crate) peers: HttpPeers,
    /// The centre, if it is another process.
    pub(crate) central: Option<HttpCentre>,
    /// Keeps what crosses inside this process.
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// Whether rows are examined. Where nobody does, they must not wait for it.
    pub(crate) detects: bool,
    /// What hunts read beside the rows.
    pub(crate) beside: Beside,
}

impl Deployment {
    /// Cells alone.
    pub(crate) fn of_cells(cells: Vec<CellSpec>, registry: RegistrySpec) -> Self {
        Self {
            cells,
            registry,
            allow_list: None,
            centre: None,
            peers: HttpPeers::default(),
            central: None,
            recorder: None,
            detects: true,
            beside: Beside::default(),
        }
    }
}

/// The opened centre.
#[derive(Debug, Clone)]
pub(crate) struct CentreRole {
    pub(crate) centre: Arc<Centre>,
    pub(crate) cx: Cx,
}

/// The opened cells, and the centre.
pub(crate) struct Embedded {
    pub(crate) cells: BTreeMap<RegionCode, Cell>,
    pub(crate) vaults: BTreeMap<RegionCode, Arc<Vault>>,
    pub(crate) centre: Option<CentreRole>,
    /// Regions that did not open, and why. The others are served.
    pub(crate) sick: BTreeMap<RegionCode, anyhow::Error>,
    /// The ways to other processes.
    pub(crate) ways: Ways,
    upkeep: Upkeep,
    _locks: Vec<DirectoryLock>,
}

/// Tasks that move stored data on, and the word that they are to end.
struct Upkeep {
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens everything: locks, keys, the centre, then each cell's catalogue, store and registry. An
    /// error if nothing opens.
    pub(crate) async fn start(
        plan: Deployment,
        passphrase: Option<&Zeroizing<String>>,
        log: Arc<dyn LogSink>,
    ) -> anyhow::Result<Self> {
        let registry = &plan.registry;
        let known = Registry::accept(
            &registry.signed,
            &registry.key,
            registry.least_version,
            None,
        )
        .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        let list = plan.allow_list.as_ref();
        let list = list
            .map(|list| open_list(list, &registry.key))
            .transpose()?;
        let Keys {
            vaults,
            locks,
            mut sick,
        } = Keys::open(&plan.cells, &known, passphrase)?;
        let key =
            |(region, vault): (&RegionCode, &Arc<Vault>)| (region.clone(), vault.public_key());
        let keys: BTreeMap<RegionCode, PublicKey> = vaults.iter().map(key).collect();
        let centre = match &plan.centre {
            None => None,
            Some(spec) => match open_centre(spec, &plan, &keys, passphrase, &log).await {
                Ok(centre) => Some(centre),
                Err(error) => {
                    sick.insert(centre_code()?, error);
                    None
                }
            },
        };
        let inside = Arc::new(Inside::new(keys, plan.recorder.clone()));
        let around = Around {
            plan: &plan,
            inside: inside.clone(),
            centre: centre.clone(),
            list,
            log,
        };
        let mut cells = BTreeMap::new();
        for spec in &plan.cells {
            let Some(vault) = vaults.get(&spec.region) else {
                continue;
            };
            match open_cell(spec, vault, &around).await {
                Ok(cell) => drop(cells.insert(spec.region.clone(), cell)),
                Err(error) => drop(sick.insert(spec.region.clone(), error)),
            }
        }
        if cells.is_empty()
            && centre.is_none()
            && let Some((_, error)) = sick.pop_first()
        {
            return Err(error);
        }
        inside.set_cells(cells.clone());
        Ok(Self {
            cells,
            vaults,
            centre,
            sick,
            ways: Ways {
                peers: plan.peers.clone(),
                central: plan.central.clone(),
            },
            upkeep: Upkeep {
                stop: watch::Sender::new(false),
                tasks: Mutex::default(),
            },
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

    /// Says what did not open.
    pub(crate) fn name_the_sick(&self) {
        for (region, error) in &self.sick {
            print::note(&format!("region `{region}` is not open; the others are"));
            print::error(error);
        }
    }

    /// Starts the tasks that move stored data on until [`Embedded::close`]: each cell's upkeep, its
    /// detection and its export, and the centre's day.
    pub(crate) fn start_upkeep(&self) {
        self.start_detection();
        for cell in self.cells.values() {
            let own = cell.clone();
            self.repeat(STEP_PAUSE, move || {
                let cell = own.clone();
                async move {
                    cell.step().await;
                }
            });
            let own = cell.clone();
            self.repeat(EXPORT_PAUSE, move || {
                let cell = own.clone();
                async move {
                    cell.export_step().await;
                }
            });
        }
        if let Some(role) = &self.centre {
            let own = role.clone();
            self.repeat(CENTRE_PAUSE, move || {
                let role = own.clone();
                async move { role.step().await }
            });
        }
    }

    /// Starts the detection of each cell alone, for a process that does not stay.
    pub(crate) fn start_detection(&self) {
        for cell in self.cells.values() {
            let (cell, mut stopped) = (cell.clone(), self.upkeep.stop.subscribe());
            self.keep(tokio::spawn(async move {
                while !*stopped.borrow() {
                    cell.detect_step().await;
                    tokio::select! {
                        () = cell.store().rows_came() => {}
                        () = tokio::time::sleep(DETECT_PAUSE) => {}
                        _ = stopped.wait_for(|stop| *stop) => {}
                    }
                }
            }));
        }
    }

    /// Runs a step again and again, the first time at once, until the cells are closed.
    fn repeat<F>(&self, pause: Duration, step: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stopped = self.upkeep.stop.subscribe();
        self.keep(tokio::spawn(async move {
            while !*stopped.borrow() {
                step().await;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            }
        }));
    }

    fn keep(&self, task: JoinHandle<()>) {
        let tasks = &self.upkeep.tasks;
        tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
    }

    /// Ends upkeep, then the cells and the centre, in order.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        self.upkeep.stop.send_replace(true);
        let tasks = &self.upkeep.tasks;
        let tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let patience = Duration::from_secs(limits::SHUTDOWN_SECONDS_MAX);
        // A round that takes longer meets a closed store, and is done again when it opens.
        let ended = tokio::time::timeout(patience, futures::future::join_all(tasks)).await;
        drop(ended);
        for cell in self.cells.values() {
            cell.close()
                .await
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
        }
        if let Some(role) = &self.centre {
            let closed = role.centre.close().await;
            closed.map_err(|e| Failure::new(e.code(), e.to_string()))?;
        }
        Ok(())
    }
}

impl CentreRole {
    /// One round: a snapshot if none was made today, and the end of what is not kept any more.
    async fn step(&self) {
        let now = self.cx.now();
        match self.centre.publish_if_due(now).await {
            Ok(None) => {}
            Ok(Some(made)) => {
                let fields = [("number", made.number.into())];
                self.cx.info("snapshot_published", &fields);
            }
            Err(error) => self.cx.error("snapshot_not_published", error.code(), &[]),
        }
        if let Err(error) = self.centre.expire(now).await {
            self.cx.error("expiry_failed", error.code(), &[]);
        }
    }
}

pub(crate) fn centre_code() -> anyhow::Result<RegionCode> {
    Ok(RegionCode::new(CENTRE)?)
}

/// The allow-list, if the operator signed it and it is not older than the configuration wants.
pub(crate) fn open_list(
    spec: &AllowListSpec,
    operator: &PublicKey,
) -> Result<Arc<Verified<AllowList>>, Failure> {
    let list = AllowList::open(&spec.signed, operator, None)
        .map_err(|e| Failure::new(e.code(), format!("the allow-list is not accepted: {e}")))?;
    let version = list.accepted().version;
    if version < spec.least_version {
        let message = format!(
            "the allow-list has version {version}, the configuration wants {} or newer",
            spec.least_version
        );
        return Err(Failure::new(Code::BadConfig, message));
    }
    Ok(Arc::new(list))
}

/// The centre's directory and keys.
async fn open_centre(
    spec: &CentreSpec,
    plan: &Deployment,
    keys: &BTreeMap<RegionCode, PublicKey>,
    passphrase: Option<&Zeroizing<String>>,
    log: &Arc<dyn LogSink>,
) -> anyhow::Result<CentreRole> {
    let list = plan.allow_list.as_ref().ok_or_else(|| {
        Failure::new(Code::BadConfig, "a centre needs an allow-list")
            .with_help("name one: `[egress]`, `allow_list = \"FILE\"`")
    })?;
    if !spec.fresh {
        has_centre(&spec.data)?;
    }
    let region = centre_code()?;
    let vault = Arc::new(open_ring(&region, &spec.geography, &spec.ring, passphrase)?);
    let policy = Policy::shipped().map_err(|e| Failure::new(Code::Internal, e.to_string()))?;
    let cx = Cx::new(
        Arc::new(MachineClock),
        Arc::new(MachineRandom),
        log.clone(),
        Arc::new(policy),
    );
    let mut cells = spec.cells.clone();
    cells.extend(keys.clone());
    let options = centre::Options {
        cells,
        operator: plan.registry.key,
        allow_list: list.signed.clone(),
    };
    let opened = Centre::open(&spec.data, vault.clone(), options, cx.now()).await;
    let centre = opened.map_err(|e| {
        let what = format!("the centre at `{}`: {}", spec.data.display(), chain(&e));
        Failure::new(e.code(), what)
    })?;
    Ok(CentreRole {
        centre: Arc::new(centre),
        cx,
    })
}

/// Key rings and locks of the cells that have both.
struct Keys {
    vaults: BTreeMap<RegionCode, Arc<Vault>>,
    locks: Vec<DirectoryLock>,
    sick: BTreeMap<RegionCode, anyhow::Error>,
}

impl Keys {
    fn open(
        specs: &[CellSpec],
        registry: &Registry,
        passphrase: Option<&Zeroizing<String>>,
    ) -> anyhow::Result<Self> {
        let mut keys = Self {
            vaults: BTreeMap::new(),
            locks: Vec::new(),
            sick: BTreeMap::new(),
        };
        for spec in specs {
            let region = spec.region.clone();
            let own = registry.region(&region).ok_or_else(|| {
                Failure::new(
                    Code::BadConfig,
                    format!("the registry has no region `{region}`"),
                )
            })?;
            match open_keys(spec, &own.geography, passphrase) {
                Ok((lock, vault)) => {
                    keys.locks.push(lock);
                    keys.vaults.insert(region, Arc::new(vault));
                }
                Err(error) => drop(keys.sick.insert(region, error)),
            }
        }
        Ok(keys)
    }
}

/// What stands around a cell that is to be opened.
struct Around<'a> {
    plan: &'a Deployment,
    inside: Arc<Inside>,
    centre: Option<CentreRole>,
    list: Option<Arc<Verified<AllowList>>>,
    log: Arc<dyn LogSink>,
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
            LockError::Io(_) if matches!(error.code(), Code::FileFailed | Code::Internal) => {
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
    let vault = open_ring(&spec.region, geography, &spec.ring, passphrase)?;
    Ok((lock, vault))
}

/// Refuses a directory that a cell was never made in, or whose catalogue is gone: served as it is it
/// would look like a new cell, and everybody would be turned away.
pub(crate) fn has_catalogue(region: &RegionCode, data: &Path) -> Result<(), Failure> {
    has_file(region.as_str(), data, CATALOGUE)
}

/// Refuses a directory that no centre was made in.
pub(crate) fn has_centre(data: &Path) -> Result<(), Failure> {
    has_file(CENTRE, data, CENTRE_DATABASE)
}

fn has_file(region: &str, data: &Path, name: &str) -> Result<(), Failure> {
    let file = data.join(name);
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

fn open_ring(
    region: &RegionCode,
    geography: &GeographyCode,
    ring: &Ring,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<Vault> {
    let random = Arc::new(MachineRandom);
    let Ring::File(path) = ring else {
        return Ok(Vault::ephemeral(region.clone(), geography.clone(), random));
    };
    has_ring(region, path)?;
    let (disk, name) = key_disk(path)?;
    let protection = protection(passphrase)?;
    let vault = Vault::open(region, random, disk, &name, protection)
        .map_err(|e| Failure::new(e.code(), format!("{e}: `{}`", path.display())))?;
    if vault.geography() == geography {
        return Ok(vault);
    }
    let message = format!(
        "the key ring of region `{region}` is bound to geography {}, not {geography}",
        vault.geography(),
    );
    Err(Failure::new(Code::BadConfig, message).into())
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

fn cannot(spec: &CellSpec, code: Code, what: String) -> anyhow::Error {
    Failure::new(code, format!("region `{}`: {what}", spec.region)).into()
}

async fn open_store(
    spec: &CellSpec,
    vault: &Arc<Vault>,
    cx: &Cx,
    detects: bool,
) -> anyhow::Result<Store> {
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
        cannot(spec, code, format!("`{}`: {what}", path.display()))
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
    let opened = if detects {
        Store::open_with_detection(cx.clone(), options).await
    } else {
        Store::open(cx.clone(), options).await
    };
    opened.map_err(|e| damaged(e.code(), chain(&e)))
}

async fn open_cell(
    spec: &CellSpec,
    vault: &Arc<Vault>,
    around: &Around<'_>,
) -> anyhow::Result<Cell> {
    let registry = &around.plan.registry;
    // As when the store opens: the key ring did, so what does not open now is damaged.
    let refused = |code: Code, what: String| {
        let code = if code == Code::WrongKey {
            Code::CatalogueFailed
        } else {
            code
        };
        cannot(spec, code, what)
    };
    let policy = Policy::shipped().map_err(|e| refused(Code::Internal, e.to_string()))?;
    let clock = Arc::new(MachineClock);
    let cx = Cx::new(
        clock,
        Arc::new(MachineRandom),
        around.log.clone(),
        Arc::new(policy),
    );
    let store = open_store(spec, vault, &cx, around.plan.detects).await?;
    let centre = around.centre.as_ref().map(|role| InsideCentre {
        region: spec.region.clone(),
        centre: role.centre.clone(),
        cx: cx.clone(),
        recorder: around.plan.recorder.clone(),
    });
    let (inside, outside) = (around.inside.clone(), around.plan.peers.clone());
    let options = CellOptions {
        link_waiting_max: limits::LINK_OUTBOX_ENTRIES_MAX,
        store,
        registry_key: registry.key,
        registry_least_version: registry.least_version,
        hunting: Arc::new(KqlHunting(around.plan.beside.clone())),
        peers: Arc::new(Peers::new(spec.region.clone(), inside, outside)),
        centre: centre_port(centre, around.plan.central.as_ref()),
        allow_list: around.list.clone(),
    };
    let cell = Cell::open(cx.clone(), options)
        .await
        .map_err(|e| refused(e.code(), chain(&e)))?;
    let grant = cx
        .decide_cell::<Operate>(&Credential::local_operator())
        .map_err(|e| refused(e.code(), e.to_string()))?;
    cell.accept_registry(&grant, &registry.signed)
        .await
        .map_err(|e| refused(e.code(), chain(&e)))?;
    // So that hunts of a process that does not stay know what the centre said last.
    if around.centre.is_some()
        && let Err(error) = cell.pull_snapshot().await
    {
        cx.warn("snapshot_refused", error.code(), &[]);
    }
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
