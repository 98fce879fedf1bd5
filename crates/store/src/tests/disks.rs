//! `spec/disks/v1`: a data directory as version 1 wrote it, opened by every test run.
//!
//! It is frozen with release 0.1.0: what people have on their disks must be read for ever. So `write`
//! makes a folder only where there is none. `spec/disks/README.md` says what is in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{
    Credential, Cx, Discard, Maintain, Permission, Permissions, ReadAudit, ReadEgress,
    ReadIncidents, Scope,
};
use crypto::Secret;
use model::{
    AlertId, AlertSeverity, DetectionRuleId, GeographyCode, IncidentId, IncidentStatus, RegionCode,
    RuleKind, ServiceName, TenantId, Ticks, TokenId,
};
use rows::Predicate;
use tempfile::TempDir;
use testkit::{FakeClock, SeededRandom, golden};
use vault::{Protection, SigningKey, Vault};

use super::kit::{NOON, TABLES, batch, count, policy, provision, registry, source, table, tenant};
use crate::catalogue::SqliteCatalogue;
use crate::{
    ActivityRecord, AlertFilter, AlertRecord, AuditDraft, AuditRange, DetectionCommit,
    ExportCommit, IncidentFilter, IncidentRecord, LinkEntry, LocalDir, Options, Packed, PlacedRows,
    SourceEntry, StateRecord, Store, TokenEntry, WindowRecord,
};

const CATALOGUE: &str = "catalogue.sqlite";
const RING: &str = "eu.ring";

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/disks")
}

/// The key of the test key ring: 32 bytes of 0x42. It protects nothing.
fn protection() -> Protection {
    Protection::RawKey(Secret::from_slice(&[0x42; 32]).unwrap())
}

fn region() -> RegionCode {
    RegionCode::new("eu").unwrap()
}

fn cx(random: &Arc<SeededRandom>, at: Ticks) -> Cx {
    let clock = Arc::new(FakeClock::new(at));
    Cx::new(clock, random.clone(), Arc::new(Discard), policy())
}

async fn open(root: &Path, cx: &Cx, vault: Vault) -> Store {
    let path = root.join(CATALOGUE);
    let (region, geography) = (vault.region(), vault.geography());
    let catalogue = SqliteCatalogue::open(&path, region, geography, cx.now());
    let catalogue = Arc::new(catalogue.await.unwrap());
    let options = Options {
        disk: Arc::new(LocalDir::open(root).unwrap()),
        catalogue,
        vault: Arc::new(vault),
        log: wal::Options {
            segment_bytes_max: 4_096,
            ..wal::Options::default()
        },
    };
    Store::open_with_detection(cx.clone(), options)
        .await
        .unwrap()
}

// ---- reading ----

/// What a person would want to know of the directory, without what is sealed anew each time.
async fn told(store: &Store, cx: &Cx) -> String {
    let mut out = String::new();
    let local = Credential::local_operator();
    let (newest, bytes) = store.registry().await.unwrap().unwrap();
    writeln!(out, "newest registry {newest}").unwrap();
    for version in 1..=newest {
        let bytes = store.registry_at(version).await.unwrap().unwrap();
        let digest = crypto::hex(&crypto::sha256(&bytes));
        writeln!(out, "registry {version} sha256 {digest}").unwrap();
    }
    assert_eq!(store.registry_at(newest).await.unwrap(), Some(bytes));
    for (entry, counts, at) in store.sources().await.unwrap() {
        let name = (&entry.source, &entry.name, entry.disabled);
        writeln!(out, "source {name:?} {counts:?} {at:?}").unwrap();
    }
    for entry in store.tenants() {
        let document = crypto::hex(&crypto::sha256(&entry.document));
        writeln!(
            out,
            "tenant {} home {} document {} sha256 {document} first record {:?}",
            entry.tenant, entry.home, entry.document_version, entry.first_record_at
        )
        .unwrap();
        let id = entry.tenant;
        for token in store.tokens(&cx.decide(&local, id).unwrap()).await.unwrap() {
            writeln!(out, "  token {} {:?}", token.token, token.name).unwrap();
        }
        let leaves = store.leaves(&cx.decide(&local, id).unwrap(), 0, 100).await;
        for leaf in leaves.unwrap() {
            writeln!(out, "  leaf {} {:?}", leaf.sequence, leaf.happening).unwrap();
        }
        for p in store.partitions(&cx.decide(&local, id).unwrap()) {
            let where_ = (p.table.as_str(), p.segments, p.segment_rows, p.log_rows);
            writeln!(out, "  partition {where_:?} rule {:?}", p.rule).unwrap();
        }
        told_of_detection(store, cx, id, &mut out).await;
        let view = store.view(&cx.decide(&local, id).unwrap()).unwrap();
        for name in TABLES {
            writeln!(out, "  {name}: {}", rows_of(&view, name)).unwrap();
        }
    }
    for (id, schema) in store.raw_schemas().await.unwrap() {
        let schema = String::from_utf8(schema).unwrap();
        writeln!(out, "raw schema of {id}: {schema}").unwrap();
    }
    out
}

async fn told_of_detection(store: &Store, cx: &Cx, id: TenantId, out: &mut String) {
    let local = Credential::local_operator();
    let (maintain, read) = (
        cx.decide::<Maintain>(&local, id).unwrap(),
        cx.decide::<ReadIncidents>(&local, id).unwrap(),
    );
    let state = store.detection_state(&maintain).await.unwrap();
    let lag = store.detection_lag(Some(id)).frames;
    writeln!(out, "  detection {state:?}, {lag} frames wait").unwrap();
    let alerts = store.alerts(&read, &AlertFilter::default(), 10).await;
    for alert in alerts.unwrap() {
        writeln!(out, "  {alert:?}").unwrap();
    }
    let incidents = store.incidents(&read, &IncidentFilter::default(), 10).await;
    for incident in incidents.unwrap() {
        writeln!(out, "  {incident:?}").unwrap();
        let activity = store.activity(&read, incident.number, 0, 10).await;
        writeln!(out, "  {:?}", activity.unwrap()).unwrap();
    }
    for rule in store.rules(&maintain).await.unwrap() {
        let window = store.rule_windows(&maintain, std::slice::from_ref(&rule.id));
        let window = window.await.unwrap();
        writeln!(out, "  {rule:?} looked at {window:?}").unwrap();
    }
    let uk = RegionCode::new("uk").unwrap();
    let pending = store.pending_link(&maintain, &uk, 10).await.unwrap();
    writeln!(out, "  outbox {pending:?}").unwrap();
    let egress = cx.decide::<ReadEgress>(&local, id).unwrap();
    writeln!(
        out,
        "  {:?}",
        store.link_counts(&egress, &uk).await.unwrap()
    )
    .unwrap();
    for entry in store.egress(&egress, None, 10).await.unwrap() {
        let told = (entry.sequence, entry.outcome, entry.rows, entry.receipt);
        writeln!(out, "  egress {told:?}").unwrap();
    }
    let waiting = store.pending_export(&maintain).unwrap();
    writeln!(out, "  {} segments wait for the export", waiting.len()).unwrap();
    for pending in waiting {
        let packed = store.packed_export(&maintain, pending.segment).await;
        if let Some(packed) = packed.unwrap() {
            let told = (packed.facts, packed.receipt, packed.parcel.len());
            writeln!(out, "  packed for one of them {told:?}").unwrap();
        }
    }
    let audit = cx.decide::<ReadAudit>(&local, id).unwrap();
    let record = store.audit(&audit, AuditRange::default(), 100).await;
    for row in record.unwrap() {
        let told = (row.leaf.sequence, row.leaf.happening, row.private);
        writeln!(out, "  audit {told:?}").unwrap();
    }
}

fn rows_of(view: &crate::View, name: &str) -> String {
    let found = view.table(&table(name), &Predicate::all()).unwrap();
    let mut rows = BTreeMap::new();
    found.memory.iter().for_each(|b| count(b, &mut rows));
    let mut levels = Vec::new();
    for segment in &found.segments {
        levels.push((segment.0.row.level, segment.rows()));
        for batch in segment.0.read(None).unwrap() {
            count(&batch, &mut rows);
        }
    }
    levels.sort_unstable();
    assert!(rows.values().all(|n| *n == 1), "{rows:?}");
    let ids: Vec<_> = rows.keys().collect();
    format!("levels and rows {levels:?}, all rows {ids:?}")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| {
        if entry.file_type().unwrap().is_dir() {
            size(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        }
    });
    sizes.sum()
}

#[tokio::test]
async fn version_1_is_opened_and_every_row_is_there() {
    let root = TempDir::new().unwrap();
    copy(&spec().join("v1"), root.path());
    let random = Arc::new(SeededRandom::new(71));
    let later = model::Span100ns::days(1);
    let cx = cx(&random, Ticks::parse(NOON).unwrap().saturating_add(later));
    let keys = Arc::new(LocalDir::open(&spec().join("v1-keys")).unwrap());
    let ring = || {
        let path = Path::new(RING);
        Vault::open(&region(), random.clone(), keys.clone(), path, protection()).unwrap()
    };
    let store = open(root.path(), &cx, ring()).await;
    golden(spec().join("v1.txt"), &told(&store, &cx).await);
    // It can be written on, and read again with what was there.
    let grant = cx.decide(&Credential::local_operator(), tenant(1)).unwrap();
    store.flush_all(&grant).await.unwrap();
    let view = |store: &Store| {
        let hunt = cx.decide(&Credential::local_operator(), tenant(1)).unwrap();
        let view = store.view(&hunt).unwrap();
        TABLES.map(|name| rows_of(&view, name))
    };
    let before = view(&store);
    store.close().await.unwrap();
    drop(store);
    assert_eq!(view(&open(root.path(), &cx, ring()).await), before);
}

#[test]
fn the_directory_is_small() {
    let bytes = size(&spec());
    assert!((10_000..1 << 20).contains(&bytes), "{bytes}");
}

// ---- writing ----

#[tokio::test]
async fn write() {
    let folders = ["v1", "v1-keys"].map(|folder| spec().join(folder));
    if !testkit::is_updating() || folders.iter().any(|folder| folder.exists()) {
        return;
    }
    for folder in folders {
        std::fs::create_dir_all(folder).unwrap();
    }
    let random = Arc::new(SeededRandom::new(70));
    let cx = cx(&random, Ticks::parse(NOON).unwrap());
    let keys = Arc::new(LocalDir::open(&spec().join("v1-keys")).unwrap());
    let geography = GeographyCode::new("EU").unwrap();
    let path = Path::new(RING);
    let ring = Vault::create(
        region(),
        geography,
        random.clone(),
        keys,
        path,
        protection(),
    );
    let store = open(&spec().join("v1"), &cx, ring.unwrap()).await;
    fill(&store, &cx, &random).await;
    // The temporary folder is made at each start and holds nothing of the format.
    let text = told(&store, &cx).await;
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_dir(spec().join("v1/tmp")).unwrap();
    golden(spec().join("v1.txt"), &text);
}

async fn fill(store: &Store, cx: &Cx, random: &SeededRandom) {
    let local = Credential::local_operator();
    let operate = cx.decide_cell(&local).unwrap();
    let operator = SigningKey::generate(random);
    let (signed, accepted) = registry(&operator);
    store.put_registry(&operate, 1, &signed).await.unwrap();
    let mut next = accepted.document().clone();
    next.version = 2;
    let signed = residency::Draft::of(next).unwrap().sign(&operator);
    store.put_registry(&operate, 2, &signed).await.unwrap();
    store.note_local_access(&operate, "init").await.unwrap();
    for n in 1..=2 {
        let (record, placement) = provision(&operator, tenant(n), "IE");
        let put = store.put_tenant(&operate, tenant(n), n == 1, &record).await;
        put.unwrap();
        let grant = cx.decide(&local, tenant(n)).unwrap();
        let entry = entry(n, cx.now());
        store.put_source(&grant, &entry).await.unwrap();
        let token = TokenEntry {
            token: TokenId::from_bytes([n; 16]),
            tenant: None,
            name: format!("shipper of tenant {n}"),
            scope: Scope::of(Permissions::only(Permission::Ingest)).for_source(source(n)),
            created_at: cx.now(),
            expires_at: Ticks::parse("2027-01-01").unwrap(),
            revoked_at: None,
        };
        let grant = cx.decide(&local, tenant(n)).unwrap();
        store.put_token(&grant, &token, [n; 32]).await.unwrap();
        let first = u64::from(n) * 1_000;
        for round in 0..6 {
            for (at, name) in TABLES.into_iter().enumerate() {
                let from = first + 100 * u64::try_from(at).unwrap() + round * 3;
                append(store, cx, &placement, n, (name, from)).await;
            }
            // Five rounds in segments, the last one in the log; of tenant 2 only the first.
            if round < if n == 1 { 5 } else { 1 } {
                let grant = cx.decide(&local, tenant(n)).unwrap();
                store.flush_all(&grant).await.unwrap();
            }
            if round == 3 {
                let grant = cx.decide(&local, tenant(n)).unwrap();
                store.compact_step(&grant).await.unwrap();
            }
        }
    }
    fill_detection(store, cx).await;
    store.put_raw_schema(tenant(2), b"Raw_CL").await.unwrap();
    let counts = crate::SourceCounts {
        stored: 36,
        rejected: 2,
        ..crate::SourceCounts::default()
    };
    let counts = [(source(1), counts, Some(cx.now()))];
    store.add_counts(&counts).await.unwrap();
    let grant = cx.decide(&local, tenant(2)).unwrap();
    let switch = store.set_source_disabled(&grant, source(2), true);
    switch.await.unwrap();
}

/// Of tenant 1: two requests examined, one of their rows is an alert in an incident that somebody took;
/// a rule that has looked once; an alert's digest that has crossed and one that waits; an export.
async fn fill_detection(store: &Store, cx: &Cx) {
    let grant = cx
        .decide::<Maintain>(&Credential::local_operator(), tenant(1))
        .unwrap();
    let rules = cx.decide(&Credential::local_operator(), tenant(1)).unwrap();
    let id = DetectionRuleId::new("a-scheduled-rule").unwrap();
    let put = store.put_rule(&rules, &id, RuleKind::Scheduled, true, "DeviceEvents");
    put.await.unwrap();
    let uk = RegionCode::new("uk").unwrap();
    let link = |body: &[u8]| LinkEntry {
        destination: uk.clone(),
        body: body.to_vec(),
    };
    let record = |version| IncidentRecord {
        number: IncidentId(1),
        version,
        created_at: cx.now(),
        updated_at: cx.now(),
        status: IncidentStatus::Active,
        severity: AlertSeverity::High,
        assigned: (version > 1).then(|| "an analyst".to_owned()),
        body: b"an incident".to_vec(),
    };
    let state = |version| StateRecord {
        version,
        body: b"a state".to_vec(),
    };
    let commit = DetectionCommit {
        cursor: Some(2),
        rules_version: Some(4),
        alerts: vec![AlertRecord {
            id: AlertId::from_bytes([9; 16]),
            created_at: cx.now(),
            severity: AlertSeverity::High,
            incident: Some(IncidentId(1)),
            origin: region(),
            linked: false,
            body: b"an alert".to_vec(),
        }],
        incidents: vec![record(1)],
        state: Some(state(1)),
        detector_state: Some(state(1)),
        windows: vec![WindowRecord {
            rule: id,
            former: None,
            end: cx.now(),
        }],
        outbox: vec![link(b"crossed"), link(b"waits")],
        ..DetectionCommit::default()
    };
    store.commit_detection(&grant, commit).await.unwrap();
    let took = DetectionCommit {
        incidents: vec![record(2)],
        activity: vec![ActivityRecord {
            incident: IncidentId(1),
            at: cx.now(),
            body: b"somebody took it".to_vec(),
        }],
        ..DetectionCommit::default()
    };
    store.commit_detection(&grant, took).await.unwrap();
    store.acknowledge_link(&grant, &uk, 1).await.unwrap();
    let export = cx
        .decide::<Maintain>(&Credential::local_operator(), tenant(2))
        .unwrap();
    store.set_export(&export, true).await.unwrap();
    store.flush_all(&export).await.unwrap();
    let waiting = store.pending_export(&export).unwrap();
    let packed = Packed {
        segment: waiting[0].segment,
        facts: 2,
        receipt: b"a receipt".to_vec(),
        parcel: vec![b'p'; 70],
    };
    let own = Some(b"what belongs to them".to_vec());
    store.pack_export(&export, packed, own).await.unwrap();
    store.put_snapshot(b"a snapshot".to_vec()).await.unwrap();
    let sent = ExportCommit {
        segment: waiting[0].segment,
        acknowledgement: b"an acknowledgement".to_vec(),
        own: None,
    };
    store.commit_export(&export, sent).await.unwrap();
    let kept = Packed {
        segment: waiting[1].segment,
        facts: 3,
        receipt: b"another receipt".to_vec(),
        parcel: vec![b'q'; 50],
    };
    store.pack_export(&export, kept, None).await.unwrap();
    let draft = AuditDraft::of(&grant, ledger::Happening::RowsHunted);
    let draft = draft.with("rows", 3).with_private("reason", "a reason");
    store.append_audit(vec![draft]).await.unwrap();
}

fn entry(n: u8, at: Ticks) -> SourceEntry {
    SourceEntry {
        source: source(n),
        tenant: tenant(n),
        name: format!("export of tenant {n}"),
        services: vec![ServiceName::new("endpoint").unwrap()],
        envelope_tenant: None,
        domain_controllers: vec!["dc1.example.test".to_owned()],
        created_at: at,
        disabled: false,
    }
}

async fn append(
    store: &Store,
    cx: &Cx,
    placement: &residency::TenantPlacement,
    n: u8,
    (name, from): (&str, u64),
) {
    let ids: Vec<u64> = (from..from + 3).collect();
    let endpoint = ServiceName::new("endpoint").unwrap();
    let rows = PlacedRows {
        table: table(name),
        placement: residency::place(placement, &region(), &endpoint).unwrap(),
        batch: batch(name, &ids, cx.now()),
        ingested_at: cx.now(),
        source: source(n),
    };
    let grant = cx.decide(&Credential::local_operator(), tenant(n)).unwrap();
    store.append(&grant, vec![rows]).await.unwrap();
}
