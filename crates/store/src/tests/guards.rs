//! Nothing in clear: what is searched for in every byte that a store leaves, and the proof that the
//! search would find it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use access::{Cx, Discard, Permission, Permissions, Scope};
use bytes::Bytes;
use model::{
    AlertSeverity, ColumnType, DetectionRuleId, GeographyCode, IncidentId, IncidentStatus, KeyId,
    RegionCode, RuleKind, SegmentId, ServiceName, TableName,
};
use parquet::bloom_filter::Sbbf;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use rows::hidden::{self, Stamp};
use rows::{RecordBatch, TableBuilder};
use tempfile::TempDir;
use testkit::{FakeClock, SeededRandom};
use vault::{SigningKey, Vault};

use super::kit::{NOON, policy, provision, row_id, source, table, tenant};
use crate::catalogue::SqliteCatalogue;
use crate::order::Ordered;
use crate::segment::{self, Identity};
use crate::{
    ActivityRecord, AlertRecord, AuditDraft, DetectionCommit, ExportCommit, IncidentRecord,
    LinkEntry, LocalDir, Options, Packed, PlacedRows, SourceEntry, StateRecord, Store, TokenEntry,
};

// ---- the search ----

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |n: u32| char::from(DIGITS[usize::try_from(n & 63).unwrap()]);
    let word = |chunk: &[u8]| {
        let n = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
        [digit(n >> 18), digit(n >> 12), digit(n >> 6), digit(n)]
    };
    // Whole groups only: what follows in the stream would change the rest.
    bytes.chunks_exact(3).flat_map(word).collect()
}

/// The forms in which a marker could lie in a file.
fn forms(marker: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = marker.as_bytes();
    let wide = marker.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex = crypto::hex(bytes);
    vec![
        ("utf-8", bytes.to_vec()),
        ("utf-16", wide),
        ("base64", base64(bytes).into_bytes()),
        ("base64, one later", base64(&bytes[2..]).into_bytes()),
        ("base64, two later", base64(&bytes[1..]).into_bytes()),
        ("hex", hex.clone().into_bytes()),
        ("upper hex", hex.to_uppercase().into_bytes()),
    ]
}

fn hits(root: &Path, markers: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(hits(&path, markers));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let name = path.to_string_lossy();
        // One pass for all needles, each of which is longer than this.
        let begins: HashSet<&[u8]> = bytes.windows(8).collect();
        for marker in markers {
            for (form, needle) in forms(marker) {
                let holds = |hay: &[u8]| hay.windows(needle.len()).any(|w| w == needle);
                let in_bytes = begins.contains(&needle[..8]) && holds(&bytes);
                if in_bytes || holds(name.as_bytes()) {
                    out.push(format!("{marker} as {form} in {name}"));
                }
            }
        }
    }
    out
}

// ---- what is searched ----

const MARKERS: [&str; 17] = [
    "Tabelle_Grasmuecke",
    "Spalte-Rohrdommel",
    "Wert-Zaunkoenig",
    "Feld-Wiedehopf",
    "Quelle-Eisvogel",
    "Mandant-Bachstelze",
    "Token-Steinkauz",
    "Urkunde-Turmfalke",
    "Schema-Heckenbraunelle",
    "Zwischen-Bluthaenfling",
    "Alarm-Haubentaucher",
    "Vorfall-Goldammer",
    "Taetigkeit-Waldkauz",
    "Zustand-Mauersegler",
    "Regel-Neuntoeter",
    "Ausgang-Schwarzspecht",
    "Beleg-Seidenschwanz",
];

fn marked_rows(at: model::Ticks, first: u64) -> RecordBatch {
    let mut builder = TableBuilder::raw(raw_table());
    let column = builder.raw_column(MARKERS[1], ColumnType::Dynamic);
    for n in first..first + 20 {
        builder.set_text(column, &format!("\"{} {n}\"", MARKERS[2]));
        builder.set_source_fields(&format!("{{\"{}\":{n}}}", MARKERS[3]));
        builder.end_row(0, |_| ());
    }
    let ids: Vec<_> = (first..first + 20).map(row_id).collect();
    let stamp = Stamp {
        ingested_at: at,
        service: &ServiceName::new("endpoint").unwrap(),
        source: source(1),
        row_ids: &ids,
    };
    hidden::stamp(&builder.finish().unwrap().batch, &stamp).unwrap()
}

fn raw_table() -> TableName {
    TableName::new(MARKERS[0]).unwrap()
}

async fn open(root: &Path, cx: &Cx, vault: &Arc<Vault>) -> Store {
    let path = root.join("catalogue.sqlite");
    let (region, geography) = (vault.region(), vault.geography());
    let catalogue = SqliteCatalogue::open(&path, region, geography, cx.now());
    let options = Options {
        disk: Arc::new(LocalDir::open(root).unwrap()),
        catalogue: Arc::new(catalogue.await.unwrap()),
        vault: vault.clone(),
        log: wal::Options::default(),
    };
    Store::open_with_detection(cx.clone(), options)
        .await
        .unwrap()
}

async fn fill(store: &Store, cx: &Cx, placement: &residency::TenantPlacement) {
    let local = access::Credential::local_operator();
    let operate = cx.decide_cell(&local).unwrap();
    store
        .put_tenant(&operate, tenant(1), true, MARKERS[7].as_bytes())
        .await
        .unwrap();
    store
        .put_registry(&operate, 1, MARKERS[7].as_bytes())
        .await
        .unwrap();
    let export = cx.decide(&local, tenant(1)).unwrap();
    store.set_export(&export, true).await.unwrap();
    let entry = SourceEntry {
        source: source(1),
        tenant: tenant(1),
        name: MARKERS[4].to_owned(),
        services: vec![ServiceName::new("endpoint").unwrap()],
        envelope_tenant: Some(MARKERS[5].to_owned()),
        domain_controllers: Vec::new(),
        created_at: cx.now(),
        disabled: false,
    };
    let grant = cx.decide(&local, tenant(1)).unwrap();
    store.put_source(&grant, &entry).await.unwrap();
    let token = TokenEntry {
        token: model::TokenId::from_bytes([1; 16]),
        tenant: Some(tenant(1)),
        name: MARKERS[6].to_owned(),
        scope: Scope::of(Permissions::only(Permission::Ingest)),
        created_at: cx.now(),
        expires_at: model::Ticks::MAX,
        revoked_at: None,
    };
    let grant = cx.decide(&local, tenant(1)).unwrap();
    store.put_token(&grant, &token, [3; 32]).await.unwrap();
    store
        .put_raw_schema(tenant(1), MARKERS[8].as_bytes())
        .await
        .unwrap();
    for round in 0..5 {
        let region = store.vault().region().clone();
        let service = ServiceName::new("endpoint").unwrap();
        let rows = PlacedRows {
            table: raw_table(),
            placement: residency::place(placement, &region, &service).unwrap(),
            batch: marked_rows(cx.now(), round * 20),
            ingested_at: cx.now(),
            source: source(1),
        };
        let grant = cx.decide(&local, tenant(1)).unwrap();
        store.append(&grant, vec![rows]).await.unwrap();
        if round < 4 {
            let grant = cx.decide(&local, tenant(1)).unwrap();
            store.flush_all(&grant).await.unwrap();
        }
    }
}

/// Everything that detection, the link, the export and the record write.
async fn fill_detection(store: &Store, cx: &Cx) {
    let local = access::Credential::local_operator();
    let marked = |n: usize| MARKERS[n].as_bytes().to_vec();
    let commit = DetectionCommit {
        cursor: Some(2),
        alerts: vec![AlertRecord {
            id: model::AlertId::from_bytes([7; 16]),
            created_at: cx.now(),
            severity: AlertSeverity::High,
            incident: Some(IncidentId(1)),
            origin: RegionCode::new("eu").unwrap(),
            linked: false,
            body: marked(10),
        }],
        incidents: vec![IncidentRecord {
            number: IncidentId(1),
            version: 1,
            created_at: cx.now(),
            updated_at: cx.now(),
            status: IncidentStatus::Active,
            severity: AlertSeverity::High,
            assigned: Some(MARKERS[11].to_owned()),
            body: marked(11),
        }],
        activity: vec![ActivityRecord {
            incident: IncidentId(1),
            at: cx.now(),
            body: marked(12),
        }],
        state: Some(StateRecord {
            version: 1,
            body: marked(13),
        }),
        detector_state: Some(StateRecord {
            version: 1,
            body: marked(13),
        }),
        outbox: vec![LinkEntry {
            destination: RegionCode::new("uk").unwrap(),
            body: marked(15),
        }],
        ..DetectionCommit::default()
    };
    let grant = cx.decide(&local, tenant(1)).unwrap();
    store.commit_detection(&grant, commit).await.unwrap();
    let id = DetectionRuleId::new(MARKERS[14]).unwrap();
    let rules = cx.decide(&local, tenant(1)).unwrap();
    let put = store.put_rule(&rules, &id, RuleKind::Scheduled, true, MARKERS[14]);
    put.await.unwrap();
    let pending = store.pending_export(&grant).unwrap();
    let segment = pending[0].segment;
    let packed = Packed {
        segment,
        facts: 1,
        receipt: marked(16),
        parcel: marked(16),
    };
    let own = Some(marked(16));
    store.pack_export(&grant, packed, own).await.unwrap();
    store.put_snapshot(marked(16)).await.unwrap();
    let sent = ExportCommit {
        segment,
        acknowledgement: marked(16),
        own: None,
    };
    store.commit_export(&grant, sent).await.unwrap();
    let draft = AuditDraft::of(&grant, ledger::Happening::RowsHunted);
    let draft = draft.with_private("reason", MARKERS[16]);
    store.append_audit(vec![draft]).await.unwrap();
}

#[tokio::test]
async fn nothing_lies_in_clear_under_the_data_directory() {
    use std::io::Write;
    let root = TempDir::new().unwrap();
    let random = Arc::new(SeededRandom::new(60));
    let region = RegionCode::new("eu").unwrap();
    let geography = GeographyCode::new("EU").unwrap();
    let vault = Arc::new(Vault::ephemeral(region, geography, random.clone()));
    let clock = Arc::new(FakeClock::new(model::Ticks::parse(NOON).unwrap()));
    let cx = Cx::new(clock, random.clone(), Arc::new(Discard), policy());
    let store = open(root.path(), &cx, &vault).await;
    let operator = SigningKey::generate(&*random);
    let placement = provision(&operator, tenant(1), "IE").1;
    fill(&store, &cx, &placement).await;
    fill_detection(&store, &cx).await;
    let off = cx.decide(&access::Credential::local_operator(), tenant(1));
    store.set_export(&off.unwrap(), false).await.unwrap();
    let quota = Arc::new(AtomicU64::new(1 << 20));
    let mut temporary = store.temporary_files().create(&quota).unwrap();
    let text = MARKERS[9].repeat(6_000);
    temporary.write_all(text.as_bytes()).unwrap();
    let temporary = temporary.finish().unwrap();
    let count = |folder: &str| std::fs::read_dir(root.path().join(folder)).unwrap().count();
    assert_eq!(
        (count("tmp"), count("segments"), count("keytables")),
        (1, 1, 1)
    );
    assert!(count("log") > 0);
    assert_eq!(hits(root.path(), &MARKERS), Vec::<String>::new());

    let local = access::Credential::local_operator();
    let maintain = cx.decide(&local, tenant(1)).unwrap();
    let merged = store.compact_step(&maintain).await.unwrap();
    assert_eq!(merged.removed, 4);
    assert_eq!(hits(root.path(), &MARKERS), Vec::<String>::new());
    let hunt = cx.decide(&local, tenant(1)).unwrap();
    let view = store.view(&hunt).unwrap();
    let found = view.table(&raw_table(), &rows::Predicate::all()).unwrap();
    let in_segments: u64 = found
        .segments
        .iter()
        .map(super::super::SegmentHandle::rows)
        .sum();
    assert_eq!(in_segments, 80, "the rows are there");
    drop((temporary, view, found));
    store.close().await.unwrap();
    assert_eq!(hits(root.path(), &MARKERS), Vec::<String>::new());

    // The control: each form, in a file among the others and in a file's name.
    let control = root.path().join("segments").join("control");
    for (form, bytes) in forms(MARKERS[2]) {
        write_clear(&control, &[b"xy".as_slice(), &bytes, b"z"].concat());
        let found = hits(root.path(), &MARKERS);
        assert!(
            found.iter().any(|hit| hit.contains(form)),
            "{form}: {found:?}"
        );
    }
    write_clear(&root.path().join(MARKERS[0]), b"");
    assert!(hits(root.path(), &MARKERS[..1]).len() == 1);
}

#[expect(clippy::disallowed_methods, reason = "what must never be done")]
fn write_clear(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// At each alignment the search must find the marker within real base64.
#[test]
fn base64_is_found_at_every_alignment() {
    for before in 0..3 {
        let text = base64(format!("{}{}zz", "a".repeat(before), MARKERS[2]).as_bytes());
        let found = forms(MARKERS[2])
            .iter()
            .any(|(_, needle)| text.as_bytes().windows(needle.len()).any(|w| w == needle));
        assert!(found, "{before}");
    }
}

// ---- bloom filters ----

struct Sealed {
    bytes: Vec<u8>,
    footer: ParquetMetaData,
}

fn sealed(with_bloom: bool) -> Sealed {
    let random = Arc::new(SeededRandom::new(61));
    let region = RegionCode::new("eu").unwrap();
    let geography = GeographyCode::new("EU").unwrap();
    let vault = Vault::ephemeral(region.clone(), geography.clone(), random);
    let key = vault.create_tenant(tenant(1)).unwrap().new_segment_key();
    let name = table("Raw_CL");
    let identity = Identity {
        geography: &geography,
        tenant: tenant(1),
        table: &name,
        segment: SegmentId::from_bytes([5; 16]),
    };
    let rows = marked_rows(model::Ticks(1), 0);
    let ordered = Ordered::new(&name, &[rows]).unwrap();
    let key_id = KeyId::from_bytes([6; 16]);
    let properties = segment::properties(&ordered, &identity, &region, key_id, &key).unwrap();
    let properties = properties.set_bloom_filter_enabled(with_bloom).build();
    let bytes = segment::encode(&ordered, identity.segment, properties).unwrap();
    if !with_bloom {
        let written = segment::write(&ordered, &identity, &region, key_id, &key).unwrap();
        assert_eq!(written.len(), bytes.len(), "what the store writes");
    }
    let opening = FileDecryptionProperties::builder(key.expose_for_parquet())
        .with_aad_prefix(identity.aad_prefix())
        .build()
        .unwrap();
    let footer = ParquetMetaDataReader::new()
        .with_decryption_properties(Some(opening))
        .parse_and_finish(&Bytes::from(bytes.clone()))
        .unwrap();
    Sealed { bytes, footer }
}

/// Whether bytes of the file answer, without any key, that a value is in a column.
fn tells(sealed: &Sealed, value: &str) -> bool {
    let columns = sealed
        .footer
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    let mut filters = columns.filter_map(|c| {
        let from = usize::try_from(c.bloom_filter_offset()?).ok()?;
        let len = usize::try_from(c.bloom_filter_length()?).ok()?;
        Sbbf::from_bytes(sealed.bytes.get(from..from + len)?).ok()
    });
    filters.any(|f| f.check(value) && !f.check("\"somebody else\""))
}

#[test]
fn no_bloom_filter_is_written_and_one_would_be_noticed() {
    let value = format!("\"{} 3\"", MARKERS[2]);
    let plain = sealed(false);
    let columns = plain
        .footer
        .row_groups()
        .iter()
        .flat_map(RowGroupMetaData::columns);
    for column in columns {
        assert_eq!(
            column.bloom_filter_offset(),
            None,
            "{:?}",
            column.column_path()
        );
    }
    assert!(!tells(&plain, &value));
    assert!(plain.bytes.starts_with(b"PARE") && plain.bytes.ends_with(b"PARE"));
    assert!(!segment::opens_without_key(&plain.bytes));
    let leaky = sealed(true);
    assert!(
        tells(&leaky, &value),
        "the library seals them now: look again"
    );
    assert!(!tells(&leaky, "\"nobody\""));
}
