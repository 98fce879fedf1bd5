//! The cell that is measured: one region, one tenant in Ireland, one source of everything.
//!
//! Either in a directory of its own with keys that end with the process, or in one that is kept.
//! A kept one has its key ring under a passphrase that everybody knows: its rows are invented.
//!
//! ```text
//! DIR/bench.json   what the rows were made from, and whose they are
//! DIR/keys/        key ring and operator's key
//! DIR/data/eu/     the cell
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use access::{Credential, Discard, Ingest, Maintain, ManageSources, Operate};
use cell::{Cell, IngestRequest, ProvisionRequest, Settings, SourceRequest, TenantFacts};
use crypto::Signer as _;
use generate::TenantSpec;
use model::{RegionCode, RequestId, ServiceName, SourceId, TenantId};
use vault::SigningKey;
use zeroize::Zeroizing;

use crate::client::registry_spec;
use crate::commands::init;
use crate::config::Config;
use crate::embedded::{CellSpec, Deployment, Embedded, RegistrySpec, Ring};
use crate::machine::MachineRandom;

const REGION: &str = "eu";
const ENVELOPE: &str = "00000000-0000-4000-8000-000000000001";
/// Guards nothing: the rows are invented.
const PASSPHRASE: &str = "bench";
/// Requests of a client between two steps of upkeep.
const REQUESTS_PER_STEP: usize = 64;

/// The tenant that rows are made for.
pub(super) fn tenant_spec() -> TenantSpec {
    TenantSpec {
        name: "bench".to_owned(),
        country: "IE".to_owned(),
        envelope_tenant_id: ENVELOPE.to_owned(),
        mail_domain: "bench.example".to_owned(),
        weight: 1,
    }
}

/// A cell, and whose rows it is fed with.
pub(super) struct Subject {
    pub(super) embedded: Embedded,
    pub(super) cell: Cell,
    pub(super) tenant: TenantId,
}

impl Subject {
    /// A new cell below `root` with keys in memory.
    pub(super) async fn ephemeral(root: &Path) -> anyhow::Result<Self> {
        let operator = SigningKey::generate(&MachineRandom);
        let draft = residency::Draft::parse(residency::DEFAULT_REGISTRY.as_bytes())?;
        let registry = RegistrySpec {
            signed: draft.sign(&operator),
            key: operator.public_key(),
            least_version: 1,
        };
        let spec = CellSpec {
            data: root.join(REGION),
            region: RegionCode::new(REGION)?,
            ring: Ring::Ephemeral,
            fresh: true,
        };
        let (embedded, cell) = open(spec, registry, None).await?;
        let tenant = provision(&cell).await?;
        Ok(Self {
            embedded,
            cell,
            tenant,
        })
    }

    /// A new cell in `root`, to be opened again.
    pub(super) async fn lay_out(root: &Path) -> anyhow::Result<Self> {
        let options = crate::cli::Init {
            directory: root.to_owned(),
            regions: vec![REGION.to_owned()],
            ports: 0,
            registry: None,
            centre: Some(crate::cli::Place::None),
            registry_signed: None,
            operator_key: None,
            allow_list_signed: None,
        };
        let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
        let config = init::lay_out(&options, Some(&passphrase))?;
        let (embedded, cell) = kept(&config, true).await?;
        let tenant = provision(&cell).await?;
        Ok(Self {
            embedded,
            cell,
            tenant,
        })
    }

    /// The cell that [`Self::lay_out`] made.
    pub(super) async fn open(root: &Path, tenant: TenantId) -> anyhow::Result<Self> {
        let config = Config::read(&root.join("bailiwick.toml"))?;
        let (embedded, cell) = kept(&config, false).await?;
        Ok(Self {
            embedded,
            cell,
            tenant,
        })
    }

    /// Flushes everything, and merges until nothing is due.
    pub(super) async fn settle(&self) -> anyhow::Result<()> {
        let me = Credential::local_operator();
        let grant = self.cell.cx().decide::<Maintain>(&me, self.tenant)?;
        self.cell.flush(&grant).await?;
        self.cell.compact(&grant).await?;
        Ok(())
    }
}

async fn kept(config: &Config, fresh: bool) -> anyhow::Result<(Embedded, Cell)> {
    let cell = config.cells.first();
    let cell = cell.ok_or_else(|| anyhow::anyhow!("no cell"))?;
    let spec = CellSpec {
        region: cell.region.clone(),
        data: cell.data.clone(),
        ring: Ring::File(cell.key_ring.clone()),
        fresh,
    };
    let passphrase = Zeroizing::new(PASSPHRASE.to_owned());
    open(spec, registry_spec(config)?, Some(&passphrase)).await
}

async fn open(
    spec: CellSpec,
    registry: RegistrySpec,
    passphrase: Option<&Zeroizing<String>>,
) -> anyhow::Result<(Embedded, Cell)> {
    let mut plan = Deployment::of_cells(vec![spec], registry);
    // Nobody looks at the rows here: ingestion must not be held up for it.
    plan.detects = false;
    let embedded = Embedded::start(plan, passphrase, Arc::new(Discard)).await?;
    let embedded = embedded.whole()?;
    let cell = embedded.cells.values().next().cloned();
    let cell = cell.ok_or_else(|| anyhow::anyhow!("no cell"))?;
    Ok((embedded, cell))
}

async fn provision(cell: &Cell) -> anyhow::Result<TenantId> {
    let operate = cell
        .cx()
        .decide_cell::<Operate>(&Credential::local_operator())?;
    let registry = cell
        .registry()
        .ok_or_else(|| anyhow::anyhow!("no registry"))?;
    let country = registry.find_country("IE").map(|c| c.code);
    let facts = TenantFacts {
        country: country.ok_or_else(|| anyhow::anyhow!("no country"))?,
        geography: None,
    };
    let plan = cell.plan(&operate, &facts)?;
    let request = ProvisionRequest {
        name: "bench".to_owned(),
        facts,
        confirmed: plan.digest(),
        settings: Settings::closed(180),
        tenant: None,
    };
    Ok(cell.provision(&operate, request).await?.tenant)
}

/// Where the tenant's records come from.
#[derive(Clone)]
pub(super) struct Feed {
    cell: Cell,
    tenant: TenantId,
    source: SourceId,
}

impl Feed {
    /// A new source of these services.
    pub(super) async fn of(subject: &Subject, services: &[&str]) -> anyhow::Result<Self> {
        let (cell, tenant) = (subject.cell.clone(), subject.tenant);
        let me = Credential::local_operator();
        let sources = cell.cx().decide::<ManageSources>(&me, tenant)?;
        let names = services.iter().map(|name| ServiceName::new(name));
        let request = SourceRequest {
            name: "bench".to_owned(),
            services: names.collect::<Result<_, _>>()?,
            envelope_tenant: Some(ENVELOPE.to_owned()),
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = cell.add_source(&sources, request).await?.entry.source;
        Ok(Self {
            cell,
            tenant,
            source,
        })
    }

    /// Sends the bodies, `clients` at once; how long each took to its acknowledgement.
    pub(super) async fn send(
        &self,
        bodies: Vec<Vec<u8>>,
        clients: usize,
    ) -> anyhow::Result<Vec<Duration>> {
        let bodies: Arc<Vec<_>> = Arc::new(bodies.into_iter().map(std::sync::Mutex::new).collect());
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for _ in 0..clients.max(1) {
            let (feed, bodies, next) = (self.clone(), bodies.clone(), next.clone());
            tasks.push(tokio::spawn(async move {
                let mut latencies = Vec::new();
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let body: Vec<u8> = std::mem::take(
                        &mut *body
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner),
                    );
                    latencies.push(feed.send_one(body).await?);
                    // As the program does every second: what is large enough is flushed under way.
                    if latencies.len().is_multiple_of(REQUESTS_PER_STEP) {
                        feed.cell.step().await;
                    }
                }
                anyhow::Ok(latencies)
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await??);
        }
        self.cell.step().await;
        Ok(all)
    }

    async fn send_one(&self, body: Vec<u8>) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let me = Credential::local_operator();
        let grant = self.cell.cx().decide::<Ingest>(&me, self.tenant)?;
        let request = IngestRequest {
            format: None,
            encoding: None,
            content_type: None,
            raw_table: None,
            time_column: None,
            body,
            request: RequestId::random(&MachineRandom),
            dry_run: false,
        };
        let outcome = self.cell.ingest(&grant, self.source, request).await?;
        let took = started.elapsed();
        if outcome.stored != outcome.read {
            anyhow::bail!(
                "{} of {} records of a request were stored",
                outcome.stored,
                outcome.read
            );
        }
        Ok(took)
    }
}
