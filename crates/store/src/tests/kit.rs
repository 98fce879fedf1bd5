//! What the tests of whole stores share: a region that can be opened again and again on a simulated
//! disk, tenants with real placements, rows that say who they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Credential, Cx, Discard, Granted, GrantedCell, Operate, Policy, TenantAction};
use crypto::Signer;
use model::{
    ColumnType, Disk, GeographyCode, RegionCode, RowId, ServiceName, SourceId, TableName, TenantId,
    Ticks,
};
use residency::{
    CountryCode, DEFAULT_REGISTRY, Placement, Provisioning, Registry, Settings, TenantFacts,
    TenantPlacement, place, plan,
};
use rows::arrow::array::{Array, AsArray};
use rows::hidden::{self, Stamp};
use rows::{Predicate, RecordBatch, TableBuilder};
use testkit::{FakeClock, SeededRandom, SimDisk};
use vault::{SigningKey, Vault};

use super::memory_catalogue::MemoryDatabase;
use crate::catalogue::{Catalogue, SqliteCatalogue};
use crate::{Error, Options, PlacedRows, Store, View};

pub(crate) const NOON: &str = "2026-03-04T12:00:00Z";
/// The tables that tests write.
pub(crate) const TABLES: [&str; 2] = ["DeviceEvents", "Raw_CL"];

/// One more, for those that want no table of 60 columns.
pub(crate) const OTHER: &str = "Other_CL";

/// A region: disk, catalogue and keys outlive the processes that open them.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) database: MemoryDatabase,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: FakeClock,
    pub(crate) random: Arc<SeededRandom>,
    pub(crate) log: wal::Options,
    pub(crate) policy: Arc<Policy>,
    pub(crate) placements: Arc<BTreeMap<TenantId, TenantPlacement>>,
    /// Whether processes hold rows for detection.
    pub(crate) detects: bool,
    /// The real catalogue, in this folder, in place of `database`.
    pub(crate) sqlite: Option<Arc<tempfile::TempDir>>,
}

pub(crate) fn tenant(n: u8) -> TenantId {
    TenantId::from_bytes([n; 16])
}

pub(crate) fn source(n: u8) -> SourceId {
    SourceId::from_bytes([n; 16])
}

pub(crate) fn table(name: &str) -> TableName {
    TableName::new(name).unwrap()
}

pub(crate) fn row_id(n: u64) -> RowId {
    // Not only low bits: the first eight bytes are the hash.
    let mut bytes = [0x5a; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..].copy_from_slice(&n.to_le_bytes());
    RowId::from_bytes(bytes)
}

pub(crate) fn number_of(id: RowId) -> u64 {
    u64::from_le_bytes(id.as_bytes()[8..].try_into().unwrap())
}

/// The default registry, signed by the operator.
pub(crate) fn registry(operator: &SigningKey) -> (Vec<u8>, Registry) {
    let draft = residency::Draft::parse(DEFAULT_REGISTRY.as_bytes()).unwrap();
    let bytes = draft.sign(operator);
    let registry = Registry::accept(&bytes, &operator.public_key(), 1, None).unwrap();
    (bytes, registry)
}

/// A signed provisioning record and what the cell makes of it.
pub(crate) fn provision(
    operator: &SigningKey,
    tenant: TenantId,
    country: &str,
) -> (Vec<u8>, TenantPlacement) {
    let registry = registry(operator).1;
    let facts = TenantFacts {
        country: CountryCode::new(country).unwrap(),
        geography: None,
    };
    let shown = plan(&registry, &facts).unwrap().digest();
    let at = Ticks::parse("2026-01-01").unwrap();
    let record =
        Provisioning::new(tenant, &registry, &facts, shown, Settings::closed(90), at).unwrap();
    let bytes = record.sign(operator).unwrap();
    let verified = Provisioning::open(&bytes, &operator.public_key(), None).unwrap();
    (bytes, TenantPlacement::of_record(&verified))
}

impl World {
    /// Tenants 1 to 3 in the EU region, nothing opened yet.
    pub(crate) fn new(seed: u64) -> Self {
        let random = Arc::new(SeededRandom::new(seed));
        let region = RegionCode::new("eu").unwrap();
        let vault = Vault::ephemeral(region, GeographyCode::new("EU").unwrap(), random.clone());
        Self {
            disk: SimDisk::new(),
            database: MemoryDatabase::default(),
            vault: Arc::new(vault),
            clock: FakeClock::new(Ticks::parse(NOON).unwrap()),
            random,
            log: wal::Options::default(),
            policy: policy(),
            placements: placements(),
            detects: false,
            sqlite: None,
        }
    }

    /// The same with the real catalogue, which knows no crashes.
    pub(crate) fn with_sqlite(self) -> Self {
        Self {
            sqlite: Some(Arc::new(tempfile::TempDir::new().unwrap())),
            ..self
        }
    }

    /// The same with detection on.
    pub(crate) fn detecting(seed: u64) -> Self {
        Self {
            detects: true,
            ..Self::new(seed)
        }
    }

    pub(crate) fn cx(&self) -> Cx {
        Cx::new(
            Arc::new(self.clock.clone()),
            self.random.clone(),
            Arc::new(Discard),
            self.policy.clone(),
        )
    }

    /// Opens the region as a new process.
    pub(crate) async fn open(&self) -> Result<Store, Error> {
        self.open_on(Arc::new(self.disk.clone())).await
    }

    pub(crate) async fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Store, Error> {
        let catalogue: Arc<dyn Catalogue> = match &self.sqlite {
            None => Arc::new(self.database.open("eu", "EU").unwrap()),
            Some(folder) => {
                let path = folder.path().join("catalogue.sqlite");
                let (region, geography) = (self.vault.region(), self.vault.geography());
                let now = self.clock_now();
                Arc::new(SqliteCatalogue::open(&path, region, geography, now).await?)
            }
        };
        let options = Options {
            disk,
            catalogue,
            vault: self.vault.clone(),
            log: self.log,
        };
        if self.detects {
            Store::open_with_detection(self.cx(), options).await
        } else {
            Store::open(self.cx(), options).await
        }
    }

    /// Opens it with tenants 1 to 3 in it.
    pub(crate) async fn start(&self) -> Store {
        let store = self.open().await.unwrap();
        for n in 1..=3 {
            let operate = self.operate();
            let put = store.put_tenant(&operate, tenant(n), true, b"document");
            put.await.unwrap();
        }
        store
    }

    /// A copy that goes its own way.
    pub(crate) fn copy(&self) -> Self {
        Self {
            disk: self.disk.copy(),
            database: self.database.copy(),
            ..self.clone()
        }
    }

    pub(crate) fn grant<A: TenantAction>(&self, n: u8) -> Granted<A> {
        let cx = self.cx();
        cx.decide(&Credential::local_operator(), tenant(n)).unwrap()
    }

    pub(crate) fn operate(&self) -> GrantedCell<Operate> {
        self.cx()
            .decide_cell(&Credential::local_operator())
            .unwrap()
    }

    pub(crate) fn placement(&self, n: u8) -> Placement {
        let service = ServiceName::new("endpoint").unwrap();
        let region = RegionCode::new("eu").unwrap();
        place(&self.placements[&tenant(n)], &region, &service).unwrap()
    }

    pub(crate) fn placed(&self, n: u8, name: &str, ids: &[u64]) -> PlacedRows {
        let at = self.clock_now();
        PlacedRows {
            table: table(name),
            placement: self.placement(n),
            batch: batch(name, ids, at),
            ingested_at: at,
            source: source(n),
        }
    }

    pub(crate) fn clock_now(&self) -> Ticks {
        model::Clock::now(&self.clock)
    }

    /// Appends rows `ids`; the number of new ones and of repeats.
    pub(crate) async fn append(
        &self,
        store: &Store,
        n: u8,
        name: &str,
        ids: &[u64],
    ) -> Result<(u64, u64), Arc<Error>> {
        let rows = vec![self.placed(n, name, ids)];
        let done = store.append(&self.grant(n), rows).await?;
        let new: usize = done.durable.iter().map(|d| d.batch().num_rows()).sum();
        Ok((u64::try_from(new).unwrap(), done.duplicates))
    }

    pub(crate) async fn flush(&self, store: &Store, n: u8) -> Result<(), Arc<Error>> {
        store.flush_all(&self.grant(n)).await.map(drop)
    }

    /// All rows of the tenant: number of the row → how often it is there.
    pub(crate) fn rows(&self, store: &Store, n: u8) -> BTreeMap<u64, usize> {
        read_all(&store.view(&self.grant(n)).unwrap()).unwrap()
    }
}

/// Where tenants 1 to 3 may rest; worked out once, because a registry is large.
fn placements() -> Arc<BTreeMap<TenantId, TenantPlacement>> {
    static PLACEMENTS: std::sync::OnceLock<Arc<BTreeMap<TenantId, TenantPlacement>>> =
        std::sync::OnceLock::new();
    let make = || {
        let operator = SigningKey::generate(&SeededRandom::new(0));
        let of = |n| (tenant(n), provision(&operator, tenant(n), "IE").1);
        Arc::new((1..=3).map(of).collect())
    };
    PLACEMENTS.get_or_init(make).clone()
}

pub(crate) fn policy() -> Arc<Policy> {
    static SHIPPED: std::sync::OnceLock<Arc<Policy>> = std::sync::OnceLock::new();
    SHIPPED
        .get_or_init(|| Arc::new(Policy::shipped().unwrap()))
        .clone()
}

/// Stamped rows that say their number in each column.
pub(crate) fn batch(name: &str, ids: &[u64], at: Ticks) -> RecordBatch {
    batch_of(source(1), name, ids, at)
}

pub(crate) fn batch_of(from: SourceId, name: &str, ids: &[u64], at: Ticks) -> RecordBatch {
    let known = model::Schema::hunting().table(name);
    let mut builder = match known {
        Some(known) => TableBuilder::known(known),
        None => TableBuilder::raw(table(name)),
    };
    let time = known.map_or_else(
        || builder.raw_column("Timestamp", ColumnType::DateTime),
        |t| {
            t.columns
                .iter()
                .position(|c| &*c.name == "Timestamp")
                .unwrap()
        },
    );
    let marker = builder.raw_column("Marker", ColumnType::Dynamic);
    for id in ids {
        builder.set_ticks(time, Ticks(at.0 - i64::try_from(*id).unwrap() % 1_000));
        builder.set_text(marker, &format!("\"marker of {id}\""));
        builder.set_source_fields(&format!("{{\"n\":{id}}}"));
        builder.end_row(0, |_| ());
    }
    let row_ids: Vec<_> = ids.iter().map(|id| row_id(*id)).collect();
    let stamp = Stamp {
        ingested_at: at,
        service: &ServiceName::new("endpoint").unwrap(),
        source: from,
        row_ids: &row_ids,
    };
    hidden::stamp(&builder.finish().unwrap().batch, &stamp).unwrap()
}

/// Counts rows by number, and checks that each says so itself.
pub(crate) fn count(batch: &RecordBatch, into: &mut BTreeMap<u64, usize>) {
    let markers = batch.column_by_name("Marker").unwrap().as_string::<i32>();
    let fields = batch
        .column_by_name(hidden::SOURCE_FIELDS)
        .unwrap()
        .as_string::<i32>();
    assert_eq!(markers.len(), batch.num_rows());
    for (at, id) in hidden::row_ids(batch).unwrap().enumerate() {
        let n = number_of(id);
        assert_eq!(markers.value(at), format!("\"marker of {n}\""));
        assert_eq!(fields.value(at), format!("{{\"n\":{n}}}"));
        *into.entry(n).or_default() += 1;
    }
}

/// All rows of a view.
pub(crate) fn read_all(view: &View) -> Result<BTreeMap<u64, usize>, Error> {
    let mut out = BTreeMap::new();
    for name in TABLES.into_iter().chain([OTHER]) {
        let found = view.table(&table(name), &Predicate::all())?;
        found.memory.iter().for_each(|b| count(b, &mut out));
        for segment in &found.segments {
            for batch in segment.0.read(None)? {
                count(&batch, &mut out);
            }
        }
    }
    Ok(out)
}

/// Each of these once.
pub(crate) fn once(ids: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    ids.into_iter().map(|id| (id, 1)).collect()
}

/// Each scenario as a test on the catalogue that knows crashes and on the real one.
macro_rules! on_both_catalogues {
    ($world:expr; $($scenario:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($world).await;
            })*
        }

        mod sqlite {
            use super::*;
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($world.with_sqlite()).await;
            })*
        }
    };
}

pub(crate) use on_both_catalogues;
