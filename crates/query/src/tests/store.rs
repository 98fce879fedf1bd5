//! Over a real store: sealed segments beside memory, and sealed spill files.

use std::collections::BTreeMap;
use std::sync::Arc;

use access::{Credential, Cx, Discard, Policy};
use crypto::Signer as _;
use model::{
    Disk, GeographyCode, RegionCode, RowId, Schema, ServiceName, SourceId, TableName, TenantId,
    Ticks,
};
use residency::{
    CountryCode, DEFAULT_REGISTRY, Draft, Provisioning, Registry, TenantFacts, TenantPlacement,
};
use rows::hidden::{self, Stamp};
use rows::{Predicate, RecordBatch, TableBuilder};
use store::catalogue::SqliteCatalogue;
use store::{PlacedRows, Store, View};
use testkit::{FakeClock, SeededRandom, SimDisk};
use vault::{SigningKey, Vault};

use super::encode;
use super::support::{describe, now};
use crate::over_store::{SealedSpill, table_rows};
use crate::{Cancel, Engine, Error, HuntResult, Limits, Settings, prepare};

struct World {
    store: Store,
    cx: Cx,
    disk: SimDisk,
    placement: TenantPlacement,
    tenant: TenantId,
    _catalogue: tempfile::TempDir,
}

impl World {
    async fn open() -> Self {
        let random = Arc::new(SeededRandom::new(7));
        let (region, geography) = (region(), GeographyCode::new("EU").expect("a geography"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalogue.sqlite");
        let catalogue = SqliteCatalogue::open(&path, &region, &geography, now())
            .await
            .expect("a catalogue");
        let operator = SigningKey::generate(&*random);
        let tenant = TenantId::from_bytes([1; 16]);
        let cx = Cx::new(
            Arc::new(FakeClock::new(now())),
            random.clone(),
            Arc::new(Discard),
            Arc::new(Policy::shipped().expect("the policy")),
        );
        let disk = SimDisk::new();
        let options = store::Options {
            disk: Arc::new(disk.clone()),
            catalogue: Arc::new(catalogue),
            vault: Arc::new(Vault::ephemeral(region, geography, random)),
            log: wal::Options::default(),
        };
        let store = Store::open(cx.clone(), options).await.expect("a store");
        let operate = cx
            .decide_cell(&Credential::local_operator())
            .expect("a grant");
        store
            .put_tenant(&operate, tenant, true, b"document")
            .await
            .expect("a tenant");
        let placement = placement(&operator, tenant);
        Self {
            store,
            cx,
            disk,
            placement,
            tenant,
            _catalogue: folder,
        }
    }

    async fn append(&self, batch: RecordBatch) {
        let service = ServiceName::new("endpoint").expect("a service");
        let placement = residency::place(&self.placement, &region(), &service).expect("a place");
        let rows = PlacedRows {
            table: table(),
            placement,
            batch,
            ingested_at: now(),
            source: SourceId::from_bytes([2; 16]),
        };
        let grant = self
            .cx
            .decide(&Credential::local_operator(), self.tenant)
            .expect("a grant");
        self.store.append(&grant, vec![rows]).await.expect("stored");
    }

    async fn flush(&self) {
        let grant = self
            .cx
            .decide(&Credential::local_operator(), self.tenant)
            .expect("a grant");
        self.store.flush_all(&grant).await.expect("flushed");
    }

    fn view(&self) -> View {
        let grant = self
            .cx
            .decide(&Credential::local_operator(), self.tenant)
            .expect("a grant");
        self.store.view(&grant).expect("a view")
    }

    async fn hunt(
        &self,
        query: &str,
        limits: Limits,
        spill_bytes: u64,
    ) -> Result<HuntResult, Error> {
        let prepared = prepare(query, Schema::hunting(), now());
        let view = self.view();
        let tables: BTreeMap<_, _> = prepared
            .tables
            .iter()
            .map(|name| {
                let rows = view.table(name, &Predicate::all()).expect("a table");
                (name.clone(), table_rows(rows, true))
            })
            .collect();
        let files = self.store.temporary_files().clone();
        let settings = Settings {
            temporary: Some(Arc::new(SealedSpill::new(files, spill_bytes))),
            ..Settings::default()
        };
        Engine::new(settings)
            .run(
                &prepared,
                |name| tables.get(name).cloned(),
                limits,
                &Cancel::default(),
            )
            .await
    }
}

fn region() -> RegionCode {
    RegionCode::new("eu").expect("a region")
}

fn table() -> TableName {
    TableName::new("DeviceEvents").expect("a table")
}

fn placement(operator: &SigningKey, tenant: TenantId) -> TenantPlacement {
    let draft = Draft::parse(DEFAULT_REGISTRY.as_bytes()).expect("a registry");
    let registry =
        Registry::accept(&draft.sign(operator), &operator.public_key(), 1, None).expect("accepted");
    let facts = TenantFacts {
        country: CountryCode::new("IE").expect("a country"),
        geography: None,
    };
    let shown = residency::plan(&registry, &facts).expect("a plan").digest();
    let settings = residency::Settings::closed(90);
    let record =
        Provisioning::new(tenant, &registry, &facts, shown, settings, now()).expect("a record");
    let bytes = record.sign(operator).expect("signed");
    let verified = Provisioning::open(&bytes, &operator.public_key(), None).expect("verified");
    TenantPlacement::of_record(&verified)
}

/// Rows `from..to`, one a second from midnight of 2024-06-10, with a device and a file name.
fn batch(from: u64, to: u64) -> RecordBatch {
    let schema = Schema::hunting().table("DeviceEvents").expect("the table");
    let at = |name: &str| schema.column(name).expect("a column").0;
    let (time, device, file) = (at("Timestamp"), at("DeviceName"), at("FileName"));
    let start = Ticks::parse("2024-06-10").expect("a day").0;
    let mut builder = TableBuilder::known(schema);
    let mut ids = Vec::new();
    for n in from..to {
        let seconds = i64::try_from(n).expect("few rows") * model::ticks::PER_SECOND;
        builder.set_ticks(time, Ticks(start + seconds));
        builder.set_text(device, &format!("d{}", n % 5));
        builder.set_text(
            file,
            &format!("file-{:05}-{}.exe", n * 7919 % 100_000, "x".repeat(300)),
        );
        builder.end_row(n, |_| ());
        ids.push(RowId::from_bytes(
            (u128::from(n) << 64 | u128::from(n.wrapping_mul(0x9e37_79b9))).to_be_bytes(),
        ));
    }
    let stamp = Stamp {
        ingested_at: now(),
        service: &ServiceName::new("endpoint").expect("a service"),
        source: SourceId::from_bytes([2; 16]),
        row_ids: &ids,
    };
    hidden::stamp(&builder.finish().expect("a batch").batch, &stamp).expect("stamped")
}

#[test]
fn sealed_segments_and_memory_are_one_table() {
    super::support::runtime().block_on(async {
        let world = World::open().await;
        world.append(batch(0, 3000)).await;
        world.flush().await;
        world.append(batch(3000, 3100)).await;
        let of = async |query: &str| {
            let result = world.hunt(query, Limits::default(), 0).await;
            result.unwrap_or_else(|e| panic!("{query}: {}", describe(&e)))
        };
        let all = of("DeviceEvents | summarize n = count(), files = dcount(FileName), empty = countif(isempty(FolderPath)) by DeviceName | top 1 by DeviceName asc").await;
        assert_eq!(encode::json(&all), r#"[{"DeviceName":"d0","n":620,"files":620,"empty":620}]"#);
        assert_eq!((all.stats.segments_read, all.stats.memory_rows), (1, 100));
        let late = of("DeviceEvents | where Timestamp >= datetime(2024-06-10 00:50) | count").await;
        assert_eq!(encode::json(&late), r#"[{"Count":100}]"#);
        assert_eq!((late.stats.segments_read, late.stats.segments_pruned), (0, 1));
        let when = of("DeviceEvents | take 1 | project when = ingestion_time()").await;
        assert_eq!(encode::json(&when), r#"[{"when":"2024-06-15T12:00:00.0000000Z"}]"#);
    });
}

#[test]
fn a_sort_larger_than_its_memory_spills_sealed_and_within_its_quota() {
    super::support::runtime().block_on(async {
        let world = World::open().await;
        for n in 0..40 {
            world.append(batch(n * 1000, n * 1000 + 1000)).await;
        }
        let query = "DeviceEvents | project FileName, DeviceName | order by FileName asc";
        let small = Limits {
            memory_bytes: 16 << 20,
            ..Limits::default()
        };
        let free = world
            .hunt(query, Limits::default(), 0)
            .await
            .expect("a result");
        assert!(free.rows() > 0);
        let spilled = world.hunt(query, small, 64 << 20).await;
        let spilled = spilled.unwrap_or_else(|e| panic!("{}", describe(&e)));
        assert_eq!(encode::ndjson(&spilled), encode::ndjson(&free));
        let refused = world
            .hunt(query, small, 1 << 20)
            .await
            .expect_err("an error");
        assert_eq!(refused.code(), model::Code::HuntResources, "{refused:?}");
        // Nothing stays behind.
        let left = world
            .disk
            .list(std::path::Path::new("tmp"))
            .expect("the folder");
        assert_eq!(left, Vec::<String>::new());
    });
}

/// What a summary hands on is counted once, not once for each batch.
#[test]
fn many_groups_are_sorted_in_memory() {
    super::support::runtime().block_on(async {
        let world = many_devices().await;
        let query = "DeviceEvents | summarize n = count() by FileName, DeviceName | sort by n desc, DeviceName asc";
        let limits = Limits {
            memory_bytes: 128 << 20,
            rows: 50_000,
            ..Limits::default()
        };
        let sorted = world.hunt(query, limits, 0).await;
        let sorted = sorted.unwrap_or_else(|e| panic!("{}", describe(&e)));
        assert_eq!(sorted.rows(), 40_000);
    });
}

/// Devices by the thousand in segments, some of them in memory too.
async fn many_devices() -> World {
    let world = World::open().await;
    for n in 0..40 {
        world.append(batch(n * 1000, n * 1000 + 1000)).await;
    }
    world.flush().await;
    // The same files and devices again.
    for n in [100, 117, 139] {
        world.append(batch(n * 1000, n * 1000 + 1000)).await;
    }
    world
}

fn little() -> Limits {
    Limits {
        memory_bytes: 16 << 20,
        ..Limits::default()
    }
}

#[test]
fn a_summary_larger_than_its_memory_is_made_in_rounds() {
    super::support::runtime().block_on(async {
        let world = many_devices().await;
        for aggregates in [
            "n = count(), more = tostring(max(Timestamp))",
            "arg_max(Timestamp, DeviceName), n = dcount(DeviceName), more = tostring(max(Timestamp))",
        ] {
            let query = format!(
                "DeviceEvents | summarize {aggregates} by FileName, Device = DeviceName \
                 | summarize count(), sum(n), sum(hash(strcat(FileName, '/', Device, n, more), 1000003))"
            );
            let free = world.hunt(&query, Limits::default(), 0).await.expect("a result");
            assert_eq!((free.stats.segments_read, free.stats.segment_rows), (1, 40_000));
            let rounds = world.hunt(&query, little(), 0).await;
            let rounds = rounds.unwrap_or_else(|e| panic!("{query}: {}", describe(&e)));
            assert_eq!(encode::ndjson(&rounds), encode::ndjson(&free), "{query}");
            assert_eq!(rounds.stats, free.stats, "{query}");
        }
    });
}

/// A random number is another one when rows are read again, so rounds would not do.
#[test]
fn a_summary_of_rows_that_do_not_repeat_spills() {
    super::support::runtime().block_on(async {
        let world = many_devices().await;
        let query = "DeviceEvents | extend r = rand() | summarize n = countif(r >= 0.0), seen = max(Timestamp) by FileName, DeviceName | order by FileName asc";
        let free = world.hunt(query, Limits::default(), 0).await.expect("a result");
        let spilled = world.hunt(query, little(), 256 << 20).await;
        let spilled = spilled.unwrap_or_else(|e| panic!("{}", describe(&e)));
        assert_eq!(encode::ndjson(&spilled), encode::ndjson(&free));
        assert_eq!(spilled.stats, free.stats);
        let refused = world.hunt(query, little(), 1 << 20).await.expect_err("an error");
        assert_eq!(refused.code(), model::Code::HuntResources, "{refused:?}");
    });
}
