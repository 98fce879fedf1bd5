//! Three cells of one process, linked, with what crossed the link kept for a look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use access::{Credential, Cx, Discard, Hunt, Ingest, ManageSources, Operate, Policy};
use crypto::{PublicKey, Signer as _};
use futures::future::BoxFuture;
use model::{Diagnostic, RegionCode, RequestId, ServiceName, SourceId, Span, TableName, TenantId};
use residency::egress::{Acknowledgement, Receipt, parcel};
use residency::{DEFAULT_REGISTRY, Draft, Settings, Sharing, TenantFacts, Verified};
use rows::RecordBatch;
use rows::arrow::array::{ArrayRef, StringArray};
use rows::arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use serde_json::{Value, json};
use store::catalogue::SqliteCatalogue;
use store::{LocalDir, Store, TemporaryFiles, View};
use testkit::{FakeClock, SeededRandom};
use vault::{SigningKey, Vault};

use crate::link::{LinkAlerts, LinkRead};
use crate::{
    AllowList, Cell, CellOptions, CentrePort, Error, HuntAnswer, HuntColumn, HuntCompletion,
    HuntCompletions, HuntOptions, HuntSchema, Hunting, IngestOutcome, IngestRequest, PeerError,
    PeerPort, Prepared, ProvisionRequest, SourceRequest,
};

/// A query that is read until nobody waits for it any more.
pub(super) const SLOW: &str = "slow";

/// Reads table names separated by blanks, and answers with nothing; over a window, with one row.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) windows: Mutex<Vec<(model::Ticks, model::Ticks)>>,
    /// Every run fails while this is set.
    pub(super) fails: AtomicBool,
}

/// What every window of a scheduled rule finds.
fn found() -> HuntAnswer {
    let columns = ["Timestamp", "AccountUpn"].map(|name| HuntColumn {
        name: name.to_owned(),
        column_type: model::ColumnType::String,
    });
    let cells = ["2026-01-01T11:59:00Z", "ada.example@alder.example"];
    let arrays = cells.map(|cell| Arc::new(StringArray::from(vec![cell])) as ArrayRef);
    let fields = columns
        .iter()
        .map(|c| Field::new(&c.name, DataType::Utf8, true));
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    HuntAnswer {
        columns: columns.to_vec(),
        batches: vec![RecordBatch::try_new(schema, arrays.to_vec()).unwrap()],
        ..HuntAnswer::default()
    }
}

impl Hunting for Names {
    fn prepare(&self, text: &str, schema: &HuntSchema, _now: model::Ticks) -> Prepared {
        while text == SLOW && !schema.given_up.load(Ordering::Acquire) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let tables = text
            .split_whitespace()
            .filter_map(|name| TableName::new(name).ok());
        // One word is no column.
        let wrong = text.find("unknown").map(|at| {
            let at = u32::try_from(at).unwrap();
            Diagnostic::error("KQL0207", Span::new(at, at + 7), "no column `unknown`")
        });
        let doubtful = text.find("doubtful").map(|at| {
            let at = u32::try_from(at).unwrap();
            Diagnostic::warning("KQL0501", Span::new(at, at + 8), "no row is `doubtful`")
        });
        Prepared {
            tables: tables.collect::<BTreeSet<_>>(),
            diagnostics: wrong.into_iter().chain(doubtful).collect(),
            columns: Some(found().columns),
            has_several: false,
            plan: Some(Box::new(())),
        }
    }

    fn complete(&self, text: &str, offset: usize, schema: &HuntSchema) -> HuntCompletions {
        let own = schema.raw.tables().map(|(table, _)| table.to_string());
        let shipped = ["DeviceEvents", "DeviceInfo"].map(ToOwned::to_owned);
        let item = |label: String| HuntCompletion {
            label,
            kind: "table",
            detail: String::new(),
            doc: String::new(),
        };
        HuntCompletions {
            span: Span::new(0, u32::try_from(offset.min(text.len())).unwrap_or(0)),
            items: shipped.into_iter().chain(own).map(item).collect(),
        }
    }

    fn format(&self, text: &str) -> Result<String, Vec<Diagnostic>> {
        if text.contains("bad") {
            return Err(vec![Diagnostic::error("KQL0003", Span::default(), "bad")]);
        }
        Ok(text.trim().to_owned())
    }

    fn run(
        &self,
        _prepared: Prepared,
        _view: View,
        _temporary: TemporaryFiles,
        options: HuntOptions,
    ) -> BoxFuture<'_, Result<HuntAnswer, Error>> {
        if self.fails.load(Ordering::Acquire) {
            let code = model::Code::HuntTimeout;
            let message = "too slow".to_owned();
            return Box::pin(std::future::ready(Err(Error::Hunt { code, message })));
        }
        if let Some(window) = options.window {
            self.windows.lock().unwrap().push(window);
        }
        let answer = match options.window {
            Some(_) => found(),
            None => HuntAnswer::default(),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// The cells of one process.
#[derive(Debug, Default)]
pub(super) struct Link {
    keys: BTreeMap<RegionCode, PublicKey>,
    cells: RwLock<BTreeMap<RegionCode, Cell>>,
    /// Everything that crossed, as the receiving side saw it.
    pub(super) crossed: Mutex<Vec<Vec<u8>>>,
    /// Nothing crosses while this is set.
    pub(super) is_cut: AtomicBool,
    /// What crosses arrives, and the answer does not, while this is set.
    pub(super) loses_answers: AtomicBool,
}

/// A centre that keeps what it was handed and signs for it, as the real one does.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: SigningKey,
    pub(super) batches: Mutex<Vec<Vec<u8>>>,
    pub(super) snapshot: Mutex<Option<Vec<u8>>>,
    pub(super) is_cut: AtomicBool,
    /// What arrives is kept, and the answer is lost, while this is set.
    pub(super) loses_answers: AtomicBool,
    /// The next parcel is refused.
    pub(super) refuses_one: AtomicBool,
    /// Signs with a key that nobody knows, while this is set.
    pub(super) forges: AtomicBool,
    clock: Arc<FakeClock>,
    /// When each parcel came first.
    came: Mutex<BTreeMap<Vec<u8>, model::Ticks>>,
}

impl Kept {
    fn new(clock: Arc<FakeClock>) -> Self {
        Self {
            key: SigningKey::generate(&SeededRandom::new(2)),
            batches: Mutex::default(),
            snapshot: Mutex::default(),
            is_cut: AtomicBool::default(),
            loses_answers: AtomicBool::default(),
            refuses_one: AtomicBool::default(),
            forges: AtomicBool::default(),
            clock,
            came: Mutex::default(),
        }
    }

    fn take(&self, parcel: &[u8]) -> Result<Vec<u8>, PeerError> {
        if self.is_cut.load(Ordering::Acquire) {
            return Err(PeerError::Unreachable);
        }
        if self.refuses_one.swap(false, Ordering::AcqRel) {
            return Err(PeerError::Refused(model::Code::AlreadyReceived));
        }
        self.batches.lock().unwrap().push(parcel.to_vec());
        let mut came = self.came.lock().unwrap();
        let now = model::Clock::now(&*self.clock);
        let at = *came.entry(parcel.to_vec()).or_insert(now);
        if self.loses_answers.load(Ordering::Acquire) {
            return Err(PeerError::Unreachable);
        }
        let (receipt, _) = parcel::split(parcel).unwrap();
        let line = receipt.iter().position(|b| *b == b'\n').unwrap();
        let receipt: Receipt = serde_json::from_slice(&receipt[line + 1..]).unwrap();
        let other = SigningKey::generate(&SeededRandom::new(3));
        let forges = self.forges.load(Ordering::Acquire);
        let key = if forges { &other } else { &self.key };
        Ok(Acknowledgement::sign(&receipt, at, key).unwrap())
    }
}

impl CentrePort for Kept {
    fn key(&self) -> Option<PublicKey> {
        Some(self.key.public_key())
    }

    fn submit<'a>(&'a self, batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(std::future::ready(self.take(batch)))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>> {
        let found = if self.is_cut.load(Ordering::Acquire) {
            Err(PeerError::Unreachable)
        } else {
            Ok(self.snapshot.lock().unwrap().clone())
        };
        Box::pin(std::future::ready(found))
    }
}

impl Link {
    fn cell(&self, region: &RegionCode, bytes: &[u8]) -> Result<Cell, PeerError> {
        if self.is_cut.load(Ordering::Acquire) {
            return Err(PeerError::Unreachable);
        }
        self.crossed.lock().unwrap().push(bytes.to_vec());
        let cells = self.cells.read().unwrap();
        cells.get(region).cloned().ok_or(PeerError::Unreachable)
    }
}

impl PeerPort for Link {
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
            let cell = self.cell(region, profile)?;
            let taken = cell.accept_profile(home, profile).await;
            if self.loses_answers.load(Ordering::Acquire) {
                return Err(PeerError::Unreachable);
            }
            taken.map_err(|e| PeerError::Refused(e.code()))
        })
    }

    fn deliver_alerts<'a>(
        &'a self,
        home: &'a RegionCode,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(async move {
            let cell = self.cell(home, message)?;
            let from = LinkAlerts::sender(message).unwrap();
            let taken = cell.accept_alerts(&from, message).await;
            if self.loses_answers.load(Ordering::Acquire) {
                return Err(PeerError::Unreachable);
            }
            taken.map_err(|e| PeerError::Refused(e.code()))
        })
    }

    fn read_alert<'a>(
        &'a self,
        origin: &'a RegionCode,
        request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(async move {
            let cell = self.cell(origin, request)?;
            let from = LinkRead::sender(request).unwrap();
            let answer = cell.answer_read(&from, request).await;
            let answer = answer.map_err(|e| PeerError::Refused(e.code()))?;
            self.crossed.lock().unwrap().push(answer.clone());
            Ok(answer)
        })
    }
}

pub(super) struct World {
    cells: BTreeMap<RegionCode, Cell>,
    pub(super) link: Arc<Link>,
    pub(super) centre: Arc<Kept>,
    /// Shared by all cells.
    pub(super) hunting: Arc<Names>,
    /// The time of all cells.
    pub(super) clock: Arc<FakeClock>,
    allowed: Arc<Verified<AllowList>>,
    operator: SigningKey,
    vaults: BTreeMap<RegionCode, Arc<Vault>>,
    dirs: BTreeMap<RegionCode, tempfile::TempDir>,
    opened: u64,
    /// Of the cells opened from now on.
    pub(super) link_waiting_max: u64,
}

pub(super) fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        let operator = SigningKey::generate(&SeededRandom::new(1));
        let signed = Draft::parse(DEFAULT_REGISTRY.as_bytes())
            .unwrap()
            .sign(&operator);
        let clock = Arc::new(FakeClock::default());
        let facts = AllowList::facts(1).unwrap().sign(&operator).unwrap();
        let allowed = AllowList::open(&facts, &operator.public_key(), None).unwrap();
        let (mut vaults, mut dirs) = (BTreeMap::new(), BTreeMap::new());
        for (seed, (code, geography)) in (10..).zip([("eu", "EU"), ("uk", "UK"), ("us", "US")]) {
            let geography = model::GeographyCode::new(geography).unwrap();
            let random = Arc::new(SeededRandom::new(seed));
            let vault = Vault::ephemeral(region(code), geography, random);
            vaults.insert(region(code), Arc::new(vault));
            dirs.insert(region(code), tempfile::tempdir().unwrap());
        }
        let keys = vaults
            .iter()
            .map(|(code, vault)| (code.clone(), vault.public_key()))
            .collect();
        let mut world = Self {
            cells: BTreeMap::new(),
            link: Arc::new(Link {
                keys,
                ..Link::default()
            }),
            centre: Arc::new(Kept::new(clock.clone())),
            hunting: Arc::new(Names::default()),
            clock,
            allowed: Arc::new(allowed),
            operator,
            vaults,
            dirs,
            opened: 0,
            link_waiting_max: model::limits::LINK_OUTBOX_ENTRIES_MAX,
        };
        for code in ["eu", "uk", "us"] {
            world.open(code).await;
            let cell = world.cell(code);
            let operate = cell
                .cx()
                .decide_cell::<Operate>(&Credential::local_operator())
                .unwrap();
            cell.accept_registry(&operate, &signed).await.unwrap();
        }
        world
    }

    /// Opens a cell over its directory; the one before is gone, as after `kill -9`.
    pub(super) async fn open(&mut self, code: &str) {
        let code = region(code);
        self.cells.remove(&code);
        self.link.cells.write().unwrap().remove(&code);
        self.opened += 1;
        let random = Arc::new(SeededRandom::new(20 + self.opened));
        let policy = Arc::new(Policy::shipped().unwrap());
        let cx = Cx::new(self.clock.clone(), random, Arc::new(Discard), policy);
        let (dir, vault) = (self.dirs[&code].path(), self.vaults[&code].clone());
        let path = dir.join("catalogue.db");
        let catalogue = SqliteCatalogue::open(&path, &code, vault.geography(), cx.now())
            .await
            .unwrap();
        let options = store::Options {
            disk: Arc::new(LocalDir::open(dir).unwrap()),
            catalogue: Arc::new(catalogue),
            vault,
            log: wal::Options::default(),
        };
        let options = CellOptions {
            store: Store::open_with_detection(cx.clone(), options)
                .await
                .unwrap(),
            registry_key: self.operator.public_key(),
            registry_least_version: 1,
            hunting: self.hunting.clone(),
            peers: self.link.clone(),
            centre: self.centre.clone(),
            allow_list: Some(self.allowed.clone()),
            link_waiting_max: self.link_waiting_max,
        };
        let cell = Cell::open(cx, options).await.unwrap();
        let mut linked = self.link.cells.write().unwrap();
        linked.insert(code.clone(), cell.clone());
        drop(linked);
        self.cells.insert(code, cell);
    }

    pub(super) fn cell(&self, code: &str) -> &Cell {
        &self.cells[&region(code)]
    }

    /// Provisions a tenant at its home, with one source of endpoint and identity rows.
    pub(super) async fn tenant(&self, home: &str, country: &str) -> (TenantId, SourceId) {
        let (cell, me) = (self.cell(home), Credential::local_operator());
        let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
        let country = cell.registry().unwrap().find_country(country).unwrap().code;
        let facts = TenantFacts {
            country,
            geography: None,
        };
        let confirmed = cell.plan(&operate, &facts).unwrap().digest();
        let request = ProvisionRequest {
            name: "Test".to_owned(),
            facts,
            confirmed,
            settings: Settings {
                sharing: Sharing::All,
                ..Settings::closed(90)
            },
            tenant: None,
        };
        let tenant = cell.provision(&operate, request).await.unwrap().tenant;
        let grant = cell.cx().decide::<ManageSources>(&me, tenant).unwrap();
        let services = ["endpoint", "identity"].map(|s| ServiceName::new(s).unwrap());
        let request = SourceRequest {
            name: "export".to_owned(),
            services: services.to_vec(),
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = cell.add_source(&grant, request).await.unwrap().entry.source;
        (tenant, source)
    }

    pub(super) async fn ingest(
        &self,
        code: &str,
        tenant: TenantId,
        source: SourceId,
    ) -> IngestOutcome {
        let at = "2026-01-01T00:00:00Z";
        let lines = [
            record("DeviceEvents", at, json!({"ReportId": "1"})),
            record("IdentityLogonEvents", at, json!({"ReportId": "2"})),
            record("EmailEvents", at, json!({"ReportId": "3"})),
            record("DeviceEvents", at, json!({"ReportId": "4"})),
        ];
        self.send(code, tenant, source, &lines).await
    }

    pub(super) async fn send(
        &self,
        code: &str,
        tenant: TenantId,
        source: SourceId,
        lines: &[String],
    ) -> IngestOutcome {
        self.try_send(code, tenant, source, lines).await.unwrap()
    }

    pub(super) async fn try_send(
        &self,
        code: &str,
        tenant: TenantId,
        source: SourceId,
        lines: &[String],
    ) -> Result<IngestOutcome, Error> {
        let cell = self.cell(code);
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<Ingest>(&me, tenant).unwrap();
        let request = IngestRequest {
            format: None,
            encoding: None,
            content_type: None,
            raw_table: None,
            time_column: None,
            body: lines.join("\n").into_bytes(),
            request: RequestId::from_bytes([0; 16]),
            dry_run: false,
        };
        cell.ingest(&grant, source, request).await
    }

    pub(super) async fn hunt(
        &self,
        code: &str,
        tenant: TenantId,
        tables: &str,
    ) -> Result<HuntAnswer, Error> {
        let cell = self.cell(code);
        let grant = cell
            .cx()
            .decide::<Hunt>(&Credential::local_operator(), tenant)
            .unwrap();
        cell.hunt(&grant, tables, HuntOptions::default()).await
    }
}

/// A line of the Defender export.
pub(super) fn record(table: &str, at: &str, mut properties: Value) -> String {
    properties["Timestamp"] = at.into();
    json!({ "category": format!("AdvancedHunting-{table}"), "properties": properties }).to_string()
}
