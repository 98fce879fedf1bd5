//! `demo`: three regions and the centre on this machine, twelve tenants, telemetry with an attack through
//! the real HTTP path, hunts, incidents, and a report whose every figure was computed in this run. Then
//! it serves until Ctrl-C.
//!
//! Tenants, sources, tokens, records, hunts, alerts and incidents go through the same routes as
//! anyone's. Beside them the demo does what an operator does at the machine: it brings both shares of the
//! linkage secret, waits for detection, lets the export and the centre's snapshot run now instead of
//! later, and lets the walker open directories to look for planted identities.

mod centre;
mod detection;
mod planted;
mod report;
mod ship;
mod tenants;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use access::{Credential, JsonLines, Level, Operate};
use anyhow::Context as _;
use crypto::Signer as _;
use model::{Clock as _, Code, Epoch, GeographyCode, RegionCode};
use reference::{Agents, Reference};
use residency::egress::AllowList;
use tokio::sync::watch;
use vault::{LinkageShare, SigningKey};

use crate::beside::Beside;
use crate::cli::Demo;
use crate::client::Http;
use crate::commands::listen;
use crate::embedded::{
    AllowListSpec, CENTRE, CellSpec, CentreSpec, Deployment, Embedded, RegistrySpec, Ring,
};
use crate::failure::Failure;
use crate::machine::{self, MachineClock, MachineRandom};
use crate::ports::Recorder;
use crate::print;

pub(crate) use tenants::{SECOND_VICTIM, specs};

/// Days an operator's credential of the demo lives.
const OPERATOR_DAYS: i64 = 1;

/// The running demo: cells, their listeners, and how to talk to each.
pub(crate) struct Stage {
    pub(crate) embedded: Embedded,
    pub(crate) registry: Arc<cell::Registry>,
    pub(crate) root: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) addresses: BTreeMap<RegionCode, SocketAddr>,
    /// Operator's clients by region.
    pub(crate) operators: BTreeMap<RegionCode, Http>,
    /// What crossed between cells and to the centre, as the receiving side saw it.
    pub(crate) recorder: Arc<Recorder>,
    /// To wait for what the cells do by themselves.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Stage {
    /// A client of a region with a token of one's own.
    pub(crate) fn client(&self, region: &RegionCode, token: &str) -> anyhow::Result<Http> {
        let operator = self
            .operators
            .get(region)
            .with_context(|| format!("no region {region}"))?;
        Ok(operator.with_token(token))
    }

    /// The data directory of a region.
    pub(crate) fn data(&self, region: &RegionCode) -> PathBuf {
        self.root.join("data").join(region.as_str())
    }
}

/// Where the demo's centre stands.
const CENTRE_GEOGRAPHY: &str = "US";

/// Log lines of all cells, in a file that the search looks through as well.
#[derive(Debug, Clone)]
struct LogFile(Arc<Mutex<std::fs::File>>);

impl std::io::Write for LogFile {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush()
    }
}

pub(crate) fn run(options: &Demo) -> anyhow::Result<i32> {
    let temporary = tempfile::Builder::new()
        .prefix("bailiwick-demo-")
        .tempdir()?;
    let root = match &options.keep {
        Some(dir) if dir.exists() && std::fs::read_dir(dir)?.next().is_some() => {
            let message = format!("`{}` exists and is not empty", dir.display());
            return Err(Failure::new(Code::Conflict, message).into());
        }
        Some(dir) => dir.clone(),
        None => temporary.path().to_owned(),
    };
    std::fs::create_dir_all(&root)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (stop, stopped) = watch::channel(false);
    let stage = runtime.block_on(open(options, &root, stopped))?;
    // The story's own requests block; they run beside the runtime, as any client would.
    let began = Instant::now();
    let story = report::tell(&stage, options)?;
    print::out(&story.text)?;
    print::note(&format!(
        "\nthe demo took {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    if !options.exit {
        print::out(&story.invitation)?;
        print::note("\nserving until Ctrl-C");
        runtime.block_on(machine::until_stopped())?;
    }
    stop.send_replace(true);
    runtime.block_on(stage.embedded.close())?;
    if options.keep.is_some() {
        print::note(&format!(
            "directories kept in `{}`; their keys were ephemeral and are gone",
            root.display()
        ));
    }
    Ok(i32::from(!story.is_clean))
}

async fn open(
    options: &Demo,
    root: &Path,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Stage> {
    print::note("Bailiwick demo");
    print::note("geography: simulated (all on this machine)");
    print::note("keys: ephemeral (they end with this process)");
    let operator = SigningKey::generate(&MachineRandom);
    let draft = residency::Draft::parse(residency::DEFAULT_REGISTRY.as_bytes())?;
    let regions: Vec<RegionCode> = draft
        .document()
        .regions
        .iter()
        .map(|r| r.code.clone())
        .collect();
    let registry = RegistrySpec {
        signed: draft.sign(&operator),
        key: operator.public_key(),
        least_version: draft.document().version,
    };
    let log = root.join("cells.log");
    let sink = LogFile(Arc::new(Mutex::new(std::fs::File::create(&log)?)));
    let specs = regions.iter().map(|region| CellSpec {
        region: region.clone(),
        data: root.join("data").join(region.as_str()),
        ring: Ring::Ephemeral,
        fresh: true,
    });
    let log_sink = Arc::new(JsonLines::new(Level::Info, sink));
    let recorder = Arc::new(Recorder::default());
    let deployment = Deployment {
        allow_list: Some(AllowListSpec {
            signed: AllowList::facts(1)?.sign(&operator)?,
            least_version: 1,
        }),
        centre: Some(CentreSpec {
            data: root.join("data").join(CENTRE),
            ring: Ring::Ephemeral,
            geography: GeographyCode::new(CENTRE_GEOGRAPHY)?,
            cells: BTreeMap::new(),
            fresh: true,
        }),
        recorder: Some(recorder.clone()),
        beside: Beside {
            reference: Arc::new(Reference {
                agents: Some(Agents::new(reference::COMMON_AGENTS)?),
                places: None,
            }),
            ..Beside::default()
        },
        ..Deployment::of_cells(specs.collect(), registry.clone())
    };
    let embedded = Embedded::start(deployment, None, log_sink).await?.whole()?;
    link(&embedded)?;
    let (mut addresses, mut operators) = (BTreeMap::new(), BTreeMap::new());
    for (at, region) in (0_u16..).zip(&regions) {
        let port = if options.ports == 0 {
            0
        } else {
            options.ports.saturating_add(at)
        };
        let wanted = SocketAddr::from(([127, 0, 0, 1], port));
        let (address, _server) = listen(&embedded, region, wanted, stopped.clone()).await?;
        let cell = embedded.cells.get(region).context("the cell is open")?;
        let grant = cell
            .cx()
            .decide_cell::<Operate>(&Credential::local_operator())?;
        let minted = cell
            .mint_operator(&grant, "demo operator", OPERATOR_DAYS)
            .await?;
        print::note(&format!("{region} listens on http://{address}"));
        operators.insert(
            region.clone(),
            Http::new(&format!("http://{address}"), Some(&minted.text)),
        );
        addresses.insert(region.clone(), address);
    }
    embedded.start_upkeep();
    let accepted = embedded
        .cells
        .values()
        .next()
        .and_then(cell::Cell::registry);
    let registry = accepted.context("a registry was accepted")?;
    Ok(Stage {
        embedded,
        registry,
        root: root.to_owned(),
        log,
        addresses,
        operators,
        recorder,
        runtime: tokio::runtime::Handle::current(),
    })
}

/// Two people's shares of this epoch's linkage secret, the same for every cell. The demo stands in for
/// both; in a deployment each brings one with `key import`.
fn link(embedded: &Embedded) -> anyhow::Result<()> {
    let epoch = Epoch::at(MachineClock.now());
    for person in ["first person", "second person"] {
        let share = LinkageShare::random(epoch, &MachineRandom);
        for vault in embedded.vaults.values() {
            vault.import_share(&share, person)?;
        }
    }
    Ok(())
}
