//! Two regions with a tenant each, written by the real store, full of markers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{Credential, Cx, Discard, Policy, TenantAction};
use crypto::Signer;
use model::{
    AlertId, AlertSeverity, ColumnType, DetectionRuleId, GeographyCode, IncidentId, IncidentStatus,
    RegionCode, RowId, RuleKind, ServiceName, SourceId, TableName, TenantId, Ticks,
};
use residency::{
    CountryCode, DEFAULT_REGISTRY, Provisioning, Registry, Settings, TenantFacts, TenantPlacement,
    place, plan,
};
use rows::hidden::{self, Stamp};
use rows::{RecordBatch, TableBuilder};
use store::catalogue::SqliteCatalogue;
use store::{
    ActivityRecord, AlertRecord, DetectionCommit, ExportCommit, IncidentRecord, LinkEntry,
    LocalDir, Packed, PlacedRows, SourceEntry, StateRecord, Store,
};
use tempfile::TempDir;
use testkit::{FakeClock, SeededRandom};
use vault::{SigningKey, Vault};

use crate::{DataDir, Marker, Needles, Places, Planted};

const NOON: &str = "2026-03-04T12:00:00Z";
pub(super) const TABLE: &str = "DeviceEvents";

/// Directories on a real disk, their keys, and what was planted in them.
pub(super) struct World {
    pub(super) root: TempDir,
    pub(super) places: Places,
    pub(super) vaults: Vec<Arc<Vault>>,
    pub(super) planted: Vec<Planted>,
    pub(super) needles: Needles,
    pub(super) stores: Vec<Store>,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) random: Arc<SeededRandom>,
}

pub(super) fn tenant(n: u8) -> TenantId {
    TenantId::from_bytes([n; 16])
}

pub(super) fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

/// A marker of the form that the generator makes.
pub(super) fn token(tenant: u8, number: u8) -> String {
    let digest = crypto::sha256(&[tenant, number]);
    format!("zq{}", crypto::hex(&digest[..12]))
}

/// Where a tenant's tables belong: the tenants' countries and the default rules say so.
pub(super) fn expected(of: &TenantId, _table: &str) -> Option<RegionCode> {
    match of.as_bytes()[0] {
        1 => Some(region("eu")),
        2 => Some(region("us")),
        _ => None,
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(false)
    }

    /// The same; if `parcels`, each region has a second segment, whose parcel waits.
    pub(super) fn with(parcels: bool) -> Self {
        let root = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let random = Arc::new(SeededRandom::new(7));
        let operator = SigningKey::generate(&*random);
        let mut world = Self {
            places: Places::default(),
            vaults: Vec::new(),
            planted: Vec::new(),
            needles: Needles::new([]).unwrap(),
            stores: Vec::new(),
            runtime,
            random,
            root,
        };
        for region in [(1, "eu", "IE"), (2, "us", "US")] {
            world.region(&operator, parcels, region);
        }
        world.needles = Needles::new(world.planted.iter().map(|p| &p.marker)).unwrap();
        world
    }

    fn region(
        &mut self,
        operator: &SigningKey,
        parcels: bool,
        (n, code, country): (u8, &str, &str),
    ) {
        let dir = DataDir {
            path: self.root.path().join(code),
            region: region(code),
            geography: GeographyCode::new(&code.to_uppercase()).unwrap(),
        };
        std::fs::create_dir(&dir.path).unwrap();
        let keys = Vault::ephemeral(
            dir.region.clone(),
            dir.geography.clone(),
            self.random.clone(),
        );
        let vault = Arc::new(keys);
        let now = Ticks::parse(NOON).unwrap();
        let cx = Cx::new(
            Arc::new(FakeClock::new(now)),
            self.random.clone(),
            Arc::new(Discard),
            Arc::new(Policy::shipped().unwrap()),
        );
        let (document, placement) = provision(operator, tenant(n), country);
        let planter = Planter {
            n,
            cx,
            placement,
            region: dir.region.clone(),
            planted: Vec::new(),
            parcels,
        };
        let (store, planted) = self
            .runtime
            .block_on(planter.fill(&dir, vault.clone(), &document));
        self.planted.extend(planted);
        self.stores.push(store);
        self.vaults.push(vault);
        self.places.data.push(dir);
    }

    pub(super) fn close(&mut self) {
        for store in std::mem::take(&mut self.stores) {
            self.runtime.block_on(store.close()).unwrap();
        }
    }

    /// The first file below a region's directory whose path contains `part`.
    pub(super) fn file(&self, dir: usize, part: &str) -> PathBuf {
        let mut all = Vec::new();
        files(&self.places.data[dir].path, &mut all);
        let found = all
            .into_iter()
            .find(|path| path.to_string_lossy().contains(part));
        found.unwrap_or_else(|| panic!("no {part}"))
    }
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

fn provision(operator: &SigningKey, of: TenantId, country: &str) -> (Vec<u8>, TenantPlacement) {
    let draft = residency::Draft::parse(DEFAULT_REGISTRY.as_bytes()).unwrap();
    let bytes = draft.sign(operator);
    let registry = Registry::accept(&bytes, &operator.public_key(), 1, None).unwrap();
    let facts = TenantFacts {
        country: CountryCode::new(country).unwrap(),
        geography: None,
    };
    let shown = plan(&registry, &facts).unwrap().digest();
    let at = Ticks::parse("2026-01-01").unwrap();
    let settings = Settings::closed(90);
    let record = Provisioning::new(of, &registry, &facts, shown, settings, at).unwrap();
    let bytes = record.sign(operator).unwrap();
    let verified = Provisioning::open(&bytes, &operator.public_key(), None).unwrap();
    (bytes, TenantPlacement::of_record(&verified))
}

struct Planter {
    n: u8,
    cx: Cx,
    placement: TenantPlacement,
    region: RegionCode,
    planted: Vec<Planted>,
    /// Whether a second segment waits with its parcel.
    parcels: bool,
}

impl Planter {
    async fn fill(
        mut self,
        dir: &DataDir,
        vault: Arc<Vault>,
        document: &[u8],
    ) -> (Store, Vec<Planted>) {
        let now = self.cx.now();
        let path = dir.path.join("catalogue.sqlite");
        let catalogue = SqliteCatalogue::open(&path, &dir.region, &dir.geography, now).await;
        let options = store::Options {
            disk: Arc::new(LocalDir::open(&dir.path).unwrap()),
            catalogue: Arc::new(catalogue.unwrap()),
            vault,
            log: wal::Options::default(),
        };
        let store = Store::open_with_detection(self.cx.clone(), options)
            .await
            .unwrap();
        let operate = self.cx.decide_cell(&Credential::local_operator()).unwrap();
        let put = store.put_tenant(&operate, tenant(self.n), true, document);
        put.await.unwrap();
        self.source(&store).await;
        store.set_export(&self.grant(), true).await.unwrap();
        self.append(&store, TABLE, 1).await;
        store.flush_all(&self.grant()).await.unwrap();
        self.detection(&store).await;
        // These stay in the log.
        self.append(&store, TABLE, 2).await;
        self.append(&store, "Unknown_CL", 3).await;
        let raw = self.text(90, "raw schema");
        store
            .put_raw_schema(tenant(self.n), raw.as_bytes())
            .await
            .unwrap();
        (store, self.planted)
    }

    fn grant<A: TenantAction>(&self) -> access::Granted<A> {
        self.cx
            .decide(&Credential::local_operator(), tenant(self.n))
            .unwrap()
    }

    fn plant(&mut self, column: &str, marker: Marker) {
        self.planted.push(Planted {
            tenant: tenant(self.n),
            table: TABLE.to_owned(),
            column: column.to_owned(),
            marker,
        });
    }

    fn text(&mut self, number: u8, column: &str) -> String {
        let token = token(self.n, number);
        self.plant(column, Marker::Text(token.clone()));
        token
    }

    async fn source(&mut self, store: &Store) {
        let name = self.text(91, "source");
        let source = SourceEntry {
            source: SourceId::from_bytes([self.n; 16]),
            tenant: tenant(self.n),
            name,
            services: vec![ServiceName::new("endpoint").unwrap()],
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            created_at: self.cx.now(),
            disabled: false,
        };
        store.put_source(&self.grant(), &source).await.unwrap();
    }

    /// Everything that detection, the tenant link, the export and the record seal.
    async fn detection(&mut self, store: &Store) {
        let at = self.cx.now();
        let mut body = |number, column: &str| self.text(number, column).into_bytes();
        let commit = DetectionCommit {
            cursor: Some(1),
            alerts: vec![AlertRecord {
                id: AlertId::from_bytes([0xa7; 16]),
                created_at: at,
                severity: AlertSeverity::Medium,
                incident: Some(IncidentId(1)),
                origin: RegionCode::new("eu").unwrap(),
                linked: true,
                body: body(92, "alert"),
            }],
            incidents: vec![IncidentRecord {
                number: IncidentId(1),
                version: 1,
                created_at: at,
                updated_at: at,
                status: IncidentStatus::Resolved,
                severity: AlertSeverity::Informational,
                assigned: Some("somebody".to_owned()),
                body: body(93, "incident"),
            }],
            activity: vec![ActivityRecord {
                incident: IncidentId(1),
                at,
                body: body(94, "activity"),
            }],
            state: Some(StateRecord {
                version: 1,
                body: body(95, "state"),
            }),
            outbox: vec![LinkEntry {
                destination: RegionCode::new("us").unwrap(),
                body: body(96, "outbox"),
            }],
            ..DetectionCommit::default()
        };
        store.commit_detection(&self.grant(), commit).await.unwrap();
        let (id, text) = (self.text(97, "rule id"), self.text(98, "rule"));
        let id = DetectionRuleId::new(&id).unwrap();
        let rules = self.grant();
        let put = store.put_rule(&rules, &id, RuleKind::Scheduled, true, &text);
        put.await.unwrap();
        let segment = store.pending_export(&self.grant()).unwrap()[0].segment;
        let packed = Packed {
            segment,
            facts: 1,
            receipt: self.text(99, "receipt").into_bytes(),
            parcel: b"gone".to_vec(),
        };
        let own = Some(self.text(100, "own").into_bytes());
        let grant = self.grant();
        store.pack_export(&grant, packed, own).await.unwrap();
        let sent = ExportCommit {
            segment,
            acknowledgement: self.text(101, "acknowledgement").into_bytes(),
            own: None,
        };
        store.commit_export(&self.grant(), sent).await.unwrap();
        // No tenant's: nothing of one is in it.
        let snapshot = b"what the centre published".to_vec();
        store.put_snapshot(snapshot).await.unwrap();
        if self.parcels {
            self.parcel(store).await;
        }
    }

    /// A parcel that waits for its acknowledgement.
    async fn parcel(&mut self, store: &Store) {
        self.append(store, TABLE, 4).await;
        store.flush_all(&self.grant()).await.unwrap();
        let packed = Packed {
            segment: store.pending_export(&self.grant()).unwrap()[0].segment,
            facts: 1,
            receipt: self.text(103, "parcel's receipt").into_bytes(),
            parcel: self.text(104, "parcel").into_bytes(),
        };
        let grant = self.grant();
        store.pack_export(&grant, packed, None).await.unwrap();
    }

    async fn append(&mut self, store: &Store, table: &str, row: u8) {
        let rows = PlacedRows {
            table: TableName::new(table).unwrap(),
            placement: place(
                &self.placement,
                &self.region,
                &ServiceName::new("endpoint").unwrap(),
            )
            .unwrap(),
            batch: self.batch(table, row),
            ingested_at: self.cx.now(),
            source: SourceId::from_bytes([self.n; 16]),
        };
        store.append(&self.grant(), vec![rows]).await.unwrap();
    }

    /// One row with a marker of each kind.
    fn batch(&mut self, table: &str, row: u8) -> RecordBatch {
        let name = TableName::new(table).unwrap();
        let mut builder = match model::Schema::hunting().table(table) {
            Some(known) => TableBuilder::known(known),
            None => TableBuilder::raw(name),
        };
        let base = row * 10;
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        for (number, column) in ["Name", "Mail", "Url", "Object", "Fields"]
            .into_iter()
            .enumerate()
        {
            let number = base + u8::try_from(number).unwrap();
            texts.insert(column, self.text(number, column));
        }
        let column_name = self.text(base + 5, "name of a column");
        let n = i64::from(self.n) * 1000 + i64::from(row);
        let real = f64::from((1 << 30) + i32::from(self.n) * 1_000 + i32::from(row)) + 0.5;
        let guid = format!("{n:08x}-aaaa-4bbb-8ccc-{n:012x}");
        self.plant("Guid", Marker::Guid(guid.clone()));
        self.plant("Long", Marker::Number((1 << 62) + n));
        self.plant("Int", Marker::Number((1 << 30) + n));
        self.plant("Real", Marker::Real(real));
        self.plant("Digits", Marker::Number((1 << 61) + n));
        let set = |builder: &mut TableBuilder, column: &str, value: &str| {
            let column = builder.raw_column(column, ColumnType::String);
            assert!(builder.set_text(column, value));
        };
        set(&mut builder, "Name_s", &texts["Name"].to_uppercase());
        set(
            &mut builder,
            "Mail_s",
            &format!("{}@contoso.example", texts["Mail"]),
        );
        set(
            &mut builder,
            "Url_s",
            &format!("https://{}.example/?q=1", texts["Url"]),
        );
        set(
            &mut builder,
            "Digits_s",
            &format!("[{}]", (1_i64 << 61) + n),
        );
        set(&mut builder, &column_name, "anything");
        let column = builder.raw_column("Object_d", ColumnType::Dynamic);
        assert!(builder.set_text(column, &format!("{{\"{}\":1}}", texts["Object"])));
        let column = builder.raw_column("Guid_g", ColumnType::Guid);
        assert!(builder.set_text(column, &guid));
        let column = builder.raw_column("Long_l", ColumnType::Long);
        assert!(builder.set_long(column, (1 << 62) + n));
        let column = builder.raw_column("Int_i", ColumnType::Int);
        assert!(builder.set_long(column, (1 << 30) + n));
        let column = builder.raw_column("Real_r", ColumnType::Real);
        assert!(builder.set_real(column, real));
        builder.set_source_fields(&format!("{{\"f\":\"{}\"}}", texts["Fields"]));
        builder.end_row(0, |_| ());
        let stamp = Stamp {
            ingested_at: self.cx.now(),
            service: &ServiceName::new("endpoint").unwrap(),
            source: SourceId::from_bytes([self.n; 16]),
            row_ids: &[RowId::from_bytes([self.n ^ (row << 4); 16])],
        };
        hidden::stamp(&builder.finish().unwrap().batch, &stamp).unwrap()
    }
}
