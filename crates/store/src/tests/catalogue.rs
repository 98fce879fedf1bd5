//! What every catalogue promises, then what the SQLite one promises besides.
//!
//! A scenario is a function of a [`Place`]; [`conformance!`] makes a test of each for each kind of
//! database, so that another kind joins by one line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use model::{
    AlertId, AlertSeverity, Code, GeographyCode, IncidentStatus, KeyId, RegionCode, RuleKind,
    SegmentId, SourceId, StreamId, TenantId, Ticks, TokenId,
};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::memory_catalogue::MemoryDatabase;
use crate::catalogue::{
    ActivityRow, AlertFilter, AlertRow, AuditRange, AuditRow, Catalogue, CompactionCommit,
    DetectionHead, DetectionTx, EgressOutcome, EgressRow, Error, FlushCommit, IncidentRow,
    IncidentRowFilter, KeptKind, KeptRow, LeafRow, LinkQueueRow, LinkRow, Loaded, ParcelRow,
    PartitionRow, RegistryRow, RuleRow, SegmentRow, SourceCounts, SourceRow, SqliteCatalogue,
    StateKind, StateRow, TenantRow, TokenRow, WindowRow,
};

type Result<T> = std::result::Result<T, Error>;

/// A database that can be opened again and again; every opening is another process to it.
trait Place: Sync {
    fn open_as<'a>(
        &'a self,
        region: &'a str,
        geography: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Catalogue>>>;

    fn open(&self) -> BoxFuture<'_, Box<dyn Catalogue>> {
        Box::pin(async { self.open_as("eu", "EU").await.unwrap() })
    }
}

struct SqlitePlace(TempDir);

impl SqlitePlace {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("catalogue.db")
    }

    async fn catalogue(&self) -> Result<SqliteCatalogue> {
        open_at(&self.path(), "eu", "EU").await
    }

    /// A connection of nobody's, to look and to damage.
    async fn bare(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.path())
            .create_if_missing(true)
            .foreign_keys(false);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Runs statements on a closed catalogue.
    async fn damage(&self, sql: &'static str) {
        let mut connection = self.bare().await;
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The bytes of the file itself.
    fn main_file(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    /// The bytes of all files, one after another.
    fn bytes(&self) -> Vec<u8> {
        let mut names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
            .iter()
            .flat_map(|name| std::fs::read(name).unwrap())
            .collect()
    }

    fn holds(&self, needle: &[u8]) -> bool {
        self.bytes()
            .windows(needle.len())
            .any(|window| window == needle)
    }
}

impl Place for SqlitePlace {
    fn open_as<'a>(
        &'a self,
        region: &'a str,
        geography: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Catalogue>>> {
        Box::pin(async move {
            let catalogue = open_at(&self.path(), region, geography).await?;
            Ok(Box::new(catalogue) as Box<dyn Catalogue>)
        })
    }
}

/// The catalogue that tests of whole stores use: it must keep the same promises.
#[derive(Default)]
struct MemoryPlace(MemoryDatabase);

impl Place for MemoryPlace {
    fn open_as<'a>(
        &'a self,
        region: &'a str,
        geography: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Catalogue>>> {
        Box::pin(async move {
            let catalogue = self.0.open(region, geography)?;
            Ok(Box::new(catalogue) as Box<dyn Catalogue>)
        })
    }
}

async fn open_at(path: &Path, region: &str, geography: &str) -> Result<SqliteCatalogue> {
    let region = RegionCode::new(region).unwrap();
    let geography = GeographyCode::new(geography).unwrap();
    SqliteCatalogue::open(path, &region, &geography, Ticks(1_000)).await
}

macro_rules! conformance {
    ($kind:ident, $place:expr; $($scenario:ident)*) => {
        mod $kind {
            use super::*;
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario(&$place).await;
            })*
        }
    };
}

conformance! { sqlite, SqlitePlace::new();
    a_new_catalogue_is_empty
    everything_put_is_loaded_in_order_and_again_after_reopening
    a_failed_entry_leaves_nothing
    an_entry_of_something_unknown_leaves_nothing
    a_failed_flush_leaves_nothing
    a_failed_compaction_leaves_nothing
    a_writer_that_lost_the_catalogue_is_fenced
    another_region_or_geography_is_refused
    documents_change_one_version_at_a_time
    the_first_record_is_marked_once
    counts_add_up_all_or_none
    tokens_are_found_by_hash_and_listed_in_pages
    a_token_is_taken_back_once
    registries_only_go_forward
    a_flush_moves_positions_and_keys_forward
    a_compaction_replaces_segments
    leaves_are_numbered_without_a_gap_and_read_in_pages
    detection_is_committed_as_a_whole
    steps_of_unknown_tenants_leave_nothing
    exports_and_accepted_damage_are_loaded
    parcels_wait_until_it_is_noted_what_became_of_them
    writers_at_once_take_turns
    an_abandoned_call_happened_or_did_not
    after_closing_nothing_works_but_closing
}

conformance! { memory, MemoryPlace::default();
    a_new_catalogue_is_empty
    everything_put_is_loaded_in_order_and_again_after_reopening
    a_failed_entry_leaves_nothing
    an_entry_of_something_unknown_leaves_nothing
    a_failed_flush_leaves_nothing
    a_failed_compaction_leaves_nothing
    a_writer_that_lost_the_catalogue_is_fenced
    another_region_or_geography_is_refused
    documents_change_one_version_at_a_time
    the_first_record_is_marked_once
    counts_add_up_all_or_none
    tokens_are_found_by_hash_and_listed_in_pages
    a_token_is_taken_back_once
    registries_only_go_forward
    a_flush_moves_positions_and_keys_forward
    a_compaction_replaces_segments
    leaves_are_numbered_without_a_gap_and_read_in_pages
    detection_is_committed_as_a_whole
    steps_of_unknown_tenants_leave_nothing
    exports_and_accepted_damage_are_loaded
    parcels_wait_until_it_is_noted_what_became_of_them
    writers_at_once_take_turns
    an_abandoned_call_happened_or_did_not
    after_closing_nothing_works_but_closing
}

// ---- things to put ----

fn tenant_id(n: u8) -> TenantId {
    TenantId::from_bytes([n; 16])
}

fn source_id(n: u8) -> SourceId {
    SourceId::from_bytes([n; 16])
}

fn segment_id(n: u8) -> SegmentId {
    SegmentId::from_bytes([n; 16])
}

fn tenant(n: u8) -> TenantRow {
    TenantRow {
        tenant: tenant_id(n),
        stream: StreamId::from_bytes([n ^ 0xff; 16]),
        home: n % 2 == 1,
        document_version: 1,
        sealed: vec![n; 40],
        key_table_generation: 7,
        first_record_at: None,
        next_leaf: 0,
        sealed_raw_schema: None,
        detect_cursor: None,
        sealed_damage: None,
        export_since: None,
    }
}

fn source(n: u8, tenant: u8) -> SourceRow {
    SourceRow {
        source: source_id(n),
        tenant: tenant_id(tenant),
        disabled: false,
        sealed: vec![n; 30],
        counts: SourceCounts::default(),
        last_stored_at: None,
    }
}

fn token(n: u8, tenant: Option<u8>) -> TokenRow {
    TokenRow {
        token: TokenId::from_bytes([n; 16]),
        hash: [n; 32],
        tenant: tenant.map(tenant_id),
        created_at: Ticks(10),
        expires_at: Ticks(20),
        revoked_at: None,
        sealed: vec![n; 20],
    }
}

fn segment(n: u8, tenant: u8) -> SegmentRow {
    SegmentRow {
        segment: segment_id(n),
        tenant: tenant_id(tenant),
        partition: [n / 10; 16],
        level: 0,
        rows: 100 + u64::from(n),
        bytes: 1 << 40,
        digest: [n; 32],
        key: KeyId::from_bytes([n; 16]),
        ingested_from: Ticks(1),
        ingested_to: Ticks(2),
        created_at: Ticks(3),
        sealed: vec![n; 50],
    }
}

fn position(tenant: u8, partition: u8, flushed_sequence: u64) -> PartitionRow {
    PartitionRow {
        tenant: tenant_id(tenant),
        partition: [partition; 16],
        flushed_sequence,
    }
}

fn leaf(tenant: Option<u8>, sequence: u64) -> LeafRow {
    LeafRow {
        tenant: tenant.map(tenant_id),
        sequence,
        at: Ticks(5),
        sealed: format!("leaf {tenant:?} {sequence}").into_bytes(),
        audit: format!("audit {tenant:?} {sequence}").into_bytes(),
    }
}

fn registry(version: u64) -> RegistryRow {
    RegistryRow {
        version,
        digest: [9; 32],
        sealed: version.to_be_bytes().to_vec(),
    }
}

/// A flush of tenant `n` that changes nothing yet.
fn flush(n: u8) -> FlushCommit {
    FlushCommit {
        tenant: tenant_id(n),
        added: vec![],
        flushed: vec![],
        key_table_before: 7,
        key_table_after: 7,
        leaves: vec![],
    }
}

fn compaction(n: u8) -> CompactionCommit {
    CompactionCommit {
        tenant: tenant_id(n),
        added: vec![],
        removed: vec![],
        key_table_before: 7,
        key_table_after: 7,
        leaves: vec![],
    }
}

/// A step of detection of tenant `n` with one of each thing.
fn full_step(n: u8) -> DetectionTx {
    DetectionTx {
        cursor: Some(7),
        rules_version: Some(3),
        alerts: vec![AlertRow {
            alert: AlertId::from_bytes([n; 16]),
            created_at: Ticks(50),
            severity: AlertSeverity::High,
            linked: true,
            incident: Some(4),
            sealed: vec![n; 60],
        }],
        incidents: vec![IncidentRow {
            number: 4,
            version: 1,
            created_at: Ticks(50),
            updated_at: Ticks(51),
            status: IncidentStatus::InProgress,
            severity: AlertSeverity::Low,
            assigned: Some([6; 16]),
            sealed: vec![n; 61],
        }],
        activity: vec![ActivityRow {
            incident: 4,
            sequence: 1,
            at: Ticks(52),
            sealed: vec![n; 62],
        }],
        states: vec![StateRow {
            kind: StateKind::Detectors,
            version: 1,
            sealed: vec![n; 63],
        }],
        windows: vec![WindowRow {
            rule: [8; 16],
            former: None,
            end: Ticks(53),
        }],
        link: vec![LinkRow {
            destination: [2; 16],
            sequence: 1,
            at: Ticks(54),
            sealed: vec![n; 64],
        }],
        ..DetectionTx::new(tenant_id(n))
    }
}

fn rule(tenant: Option<u8>, version: u64) -> RuleRow {
    RuleRow {
        tenant: tenant.map(tenant_id),
        rule: [1; 16],
        version,
        kind: RuleKind::Scheduled,
        enabled: true,
        updated_at: Ticks(9),
        sealed: vec![5; 40],
    }
}

fn egress(tenant: u8, segment: u8, sequence: u64) -> EgressRow {
    EgressRow {
        tenant: tenant_id(tenant),
        segment: segment_id(segment),
        sequence,
        at: Ticks(8),
        outcome: EgressOutcome::Sent,
        rows: 4,
        facts: 3,
        bytes: 2,
        sealed: vec![9; 40],
        acknowledged: vec![8; 40],
    }
}

fn parcel(tenant: u8, segment: u8) -> ParcelRow {
    ParcelRow {
        tenant: tenant_id(tenant),
        segment: segment_id(segment),
        at: Ticks(7),
        facts: 3,
        bytes: 2,
        receipt: vec![6; 40],
        sealed: vec![7; 40],
    }
}

fn kept(tenant: Option<u8>, version: u64) -> KeptRow {
    KeptRow {
        tenant: tenant.map(tenant_id),
        kind: tenant.map_or(KeptKind::Snapshot, |_| KeptKind::Own),
        version,
        sealed: vec![u8::try_from(version).unwrap(); 40],
    }
}

/// Two tenants with a leaf each, a source, a token and two segments of the first.
async fn populate(catalogue: &dyn Catalogue) {
    catalogue
        .put_tenant(&tenant(2), &[leaf(Some(2), 0)])
        .await
        .unwrap();
    catalogue
        .put_tenant(&tenant(1), &[leaf(Some(1), 0)])
        .await
        .unwrap();
    catalogue
        .put_source(&source(1, 1), &[leaf(Some(1), 1)])
        .await
        .unwrap();
    catalogue
        .put_token(&token(1, Some(1)), &[leaf(Some(1), 2)])
        .await
        .unwrap();
    catalogue
        .put_registry(&registry(3), &[leaf(None, 0)])
        .await
        .unwrap();
    let commit = FlushCommit {
        added: vec![segment(12, 1), segment(11, 1)],
        flushed: vec![position(1, 1, 40)],
        leaves: vec![leaf(Some(1), 3)],
        ..flush(1)
    };
    catalogue.commit_flush(&commit).await.unwrap();
}

/// What can be read of a tenant's detection.
#[derive(Debug, PartialEq)]
struct Detection {
    head: DetectionHead,
    states: [Option<StateRow>; 2],
    alerts: Vec<AlertRow>,
    incidents: Vec<IncidentRow>,
    activity: Vec<ActivityRow>,
    rules: Vec<RuleRow>,
    windows: Vec<([u8; 16], Ticks)>,
    queues: Vec<LinkQueueRow>,
    entries: Vec<LinkRow>,
    egress: Vec<EgressRow>,
    parcels: Vec<ParcelRow>,
    kept: [Option<KeptRow>; 2],
}

async fn detection(catalogue: &dyn Catalogue, of: TenantId) -> Detection {
    let all = usize::MAX;
    let filter = IncidentRowFilter::default();
    let incidents = catalogue.incidents(of, &filter, all).await.unwrap();
    let queues = catalogue.link_queues(of).await.unwrap();
    let (mut activity, mut entries) = (Vec::new(), Vec::new());
    for incident in &incidents {
        let of_one = catalogue.activity(of, incident.number, 0, all);
        activity.extend(of_one.await.unwrap());
    }
    for queue in &queues {
        let of_one = catalogue.link_entries(of, queue.destination, all);
        entries.extend(of_one.await.unwrap());
    }
    let state = |kind| catalogue.detection_state(of, kind);
    Detection {
        head: catalogue.detection_head(of).await.unwrap(),
        states: [
            state(StateKind::Correlation).await.unwrap(),
            state(StateKind::Detectors).await.unwrap(),
        ],
        alerts: catalogue
            .alerts(of, &AlertFilter::default(), all)
            .await
            .unwrap(),
        rules: catalogue.rules(Some(of), None, all).await.unwrap(),
        windows: catalogue.rule_windows(of).await.unwrap(),
        egress: catalogue.egress(of, None, all).await.unwrap(),
        parcels: catalogue.parcels(of).await.unwrap(),
        kept: [
            catalogue.kept(Some(of), KeptKind::Own).await.unwrap(),
            catalogue.kept(None, KeptKind::Snapshot).await.unwrap(),
        ],
        incidents,
        activity,
        queues,
        entries,
    }
}

/// All that can be read.
#[derive(Debug, PartialEq)]
struct Everything {
    loaded: Loaded,
    detection: Vec<Detection>,
    cell_rules: Vec<RuleRow>,
    audit: Vec<AuditRow>,
    sources: Vec<SourceRow>,
    tokens: Vec<TokenRow>,
    leaves: Vec<LeafRow>,
}

async fn everything(catalogue: &dyn Catalogue) -> Everything {
    let loaded = catalogue.load().await.unwrap();
    let mut owners: Vec<_> = loaded.tenants.iter().map(|row| Some(row.tenant)).collect();
    owners.push(None);
    let (mut tokens, mut leaves) = (vec![], vec![]);
    let (mut found, mut audit) = (vec![], vec![]);
    for owner in owners {
        if let Some(tenant) = owner {
            found.push(detection(catalogue, tenant).await);
        }
        let range = AuditRange::default();
        audit.extend(catalogue.audit(owner, range, usize::MAX).await.unwrap());
        tokens.extend(catalogue.tokens(owner, None, usize::MAX).await.unwrap());
        leaves.extend(catalogue.leaves(owner, 0, usize::MAX).await.unwrap());
    }
    Everything {
        loaded,
        detection: found,
        cell_rules: catalogue.rules(None, None, usize::MAX).await.unwrap(),
        audit,
        sources: catalogue.sources().await.unwrap(),
        tokens,
        leaves,
    }
}

fn is_conflict(result: &Result<()>) -> bool {
    matches!(result, Err(Error::Conflict { .. }))
}

fn is_missing(result: &Result<()>) -> bool {
    matches!(result, Err(Error::Missing { .. }))
}

fn all_are(results: &[Result<()>], expected: fn(&Result<()>) -> bool) {
    for (n, result) in results.iter().enumerate() {
        assert!(expected(result), "number {n}: {result:?}");
    }
}

// ---- scenarios ----

async fn a_new_catalogue_is_empty(place: &dyn Place) {
    let catalogue = place.open().await;
    assert_eq!(catalogue.load().await.unwrap(), Loaded::default());
    assert_eq!(catalogue.token_by_hash(&[1; 32]).await.unwrap(), None);
    assert_eq!(catalogue.leaves(None, 0, 10).await.unwrap(), []);
    assert_eq!(
        catalogue.leaves(Some(tenant_id(1)), 0, 10).await.unwrap(),
        []
    );
    assert_eq!(
        catalogue
            .tokens(Some(tenant_id(1)), None, 10)
            .await
            .unwrap(),
        []
    );
}

/// A source with every field set.
fn full_source() -> SourceRow {
    let counts = SourceCounts {
        stored: 1,
        raw: 2,
        duplicate: 3,
        rejected: 4,
        wrong_region: 5,
    };
    SourceRow {
        disabled: true,
        counts,
        last_stored_at: Some(Ticks(6)),
        ..source(5, 3)
    }
}

/// A tenant with every field set.
fn full_tenant() -> TenantRow {
    TenantRow {
        first_record_at: Some(Ticks(77)),
        sealed_raw_schema: Some(vec![1, 2, 3]),
        document_version: 12,
        detect_cursor: Some(31),
        sealed_damage: Some(vec![4; 30]),
        export_since: Some(Ticks(78)),
        ..tenant(9)
    }
}

async fn everything_put_is_loaded_in_order_and_again_after_reopening(place: &dyn Place) {
    let catalogue = place.open().await;
    for row in [&full_tenant(), &tenant(3), &tenant(6)] {
        catalogue.put_tenant(row, &[]).await.unwrap();
    }
    for row in [&source(8, 3), &full_source(), &source(7, 9)] {
        catalogue.put_source(row, &[]).await.unwrap();
    }
    let of = |n, segments: Vec<u8>, partitions: Vec<u8>| FlushCommit {
        added: segments.into_iter().map(|s| segment(s, n)).collect(),
        flushed: partitions
            .into_iter()
            .map(|p| position(n, p, 1 << 50))
            .collect(),
        ..flush(n)
    };
    let one = SegmentRow {
        level: 255,
        ..segment(21, 6)
    };
    let commit = FlushCommit {
        added: vec![one.clone()],
        ..of(6, vec![], vec![1])
    };
    catalogue
        .commit_flush(&of(9, vec![20, 5], vec![7, 6]))
        .await
        .unwrap();
    catalogue.commit_flush(&commit).await.unwrap();
    catalogue
        .put_registry(&registry(4), &[leaf(None, 0), leaf(None, 1)])
        .await
        .unwrap();

    let expected = Loaded {
        tenants: vec![tenant(3), tenant(6), full_tenant()],
        segments: vec![one, segment(5, 9), segment(20, 9)],
        partitions: vec![
            position(6, 1, 1 << 50),
            position(9, 6, 1 << 50),
            position(9, 7, 1 << 50),
        ],
        registry: Some(registry(4)),
        exported: vec![],
        next_cell_leaf: 2,
    };
    let sources = vec![full_source(), source(7, 9), source(8, 3)];
    assert_eq!(catalogue.load().await.unwrap(), expected);
    assert_eq!(catalogue.sources().await.unwrap(), sources);
    assert_eq!(
        catalogue.raw_schemas().await.unwrap(),
        [(tenant_id(9), vec![1, 2, 3])]
    );
    drop(catalogue);
    let catalogue = place.open().await;
    assert_eq!(catalogue.load().await.unwrap(), expected);
    catalogue.close().await.unwrap();
    assert_eq!(place.open().await.load().await.unwrap(), expected);
}

/// Each of these fails, most in their last part; what came before it must be gone.
async fn a_failed_entry_leaves_nothing(place: &dyn Place) {
    let catalogue = &*place.open().await;
    populate(catalogue).await;
    let before = everything(catalogue).await;
    let gap = &[leaf(Some(1), 5)];
    let same_stream = TenantRow {
        stream: tenant(1).stream,
        ..tenant(5)
    };
    let same_hash = TokenRow {
        hash: [1; 32],
        ..token(5, None)
    };
    let conflicts = [
        catalogue.put_tenant(&tenant(1), &[]).await,
        catalogue.put_tenant(&same_stream, &[]).await,
        catalogue.put_tenant(&tenant(5), gap).await,
        catalogue
            .put_tenant(&tenant(5), &[leaf(Some(5), 0), leaf(Some(5), 2)])
            .await,
        catalogue
            .put_tenant(
                &TenantRow {
                    next_leaf: 1,
                    ..tenant(5)
                },
                &[],
            )
            .await,
        catalogue
            .update_tenant(tenant_id(1), 2, b"new", false, gap)
            .await,
        catalogue.put_source(&source(1, 2), &[]).await,
        catalogue.put_source(&source(5, 1), gap).await,
        catalogue
            .set_source_disabled(tenant_id(1), source_id(1), true, gap)
            .await,
        catalogue.put_token(&token(1, None), &[]).await,
        catalogue.put_token(&same_hash, &[]).await,
        catalogue.put_token(&token(5, Some(1)), gap).await,
        catalogue
            .revoke_token(Some(tenant_id(1)), token(1, None).token, Ticks(1), gap)
            .await,
        catalogue.put_registry(&registry(4), gap).await,
        catalogue
            .put_leaves(&[leaf(None, 1), leaf(Some(1), 4), leaf(Some(1), 4)])
            .await,
    ];
    all_are(&conflicts, is_conflict);
    assert_eq!(everything(catalogue).await, before);
}

async fn an_entry_of_something_unknown_leaves_nothing(place: &dyn Place) {
    let catalogue = &*place.open().await;
    populate(catalogue).await;
    let before = everything(catalogue).await;
    let unknown = &[leaf(Some(99), 0)];
    let one = SourceCounts {
        stored: 1,
        ..SourceCounts::default()
    };
    let counts = [
        (source_id(1), one, Some(Ticks(1))),
        (source_id(99), one, None),
    ];
    let missing = [
        catalogue.put_tenant(&tenant(5), unknown).await,
        catalogue
            .update_tenant(tenant_id(99), 2, b"new", false, &[])
            .await,
        catalogue
            .update_tenant(tenant_id(1), 2, b"new", false, unknown)
            .await,
        catalogue
            .mark_first_record(tenant_id(99), Ticks(1), None)
            .await,
        catalogue.put_raw_schema(tenant_id(99), b"new").await,
        catalogue.put_source(&source(5, 99), &[]).await,
        catalogue.put_source(&source(5, 1), unknown).await,
        catalogue
            .set_source_disabled(tenant_id(1), source_id(99), true, &[])
            .await,
        // Another tenant's.
        catalogue
            .set_source_disabled(tenant_id(2), source_id(1), true, &[])
            .await,
        catalogue.add_counts(&counts).await,
        catalogue.put_token(&token(5, Some(99)), &[]).await,
        catalogue
            .revoke_token(None, token(99, None).token, Ticks(1), &[])
            .await,
        // A tenant's, not the cell's.
        catalogue
            .revoke_token(None, token(1, None).token, Ticks(1), &[])
            .await,
        catalogue.put_registry(&registry(4), unknown).await,
        catalogue
            .put_leaves(&[leaf(None, 1), leaf(Some(99), 0)])
            .await,
    ];
    all_are(&missing, is_missing);
    assert_eq!(everything(catalogue).await, before);
}

async fn a_failed_flush_leaves_nothing(place: &dyn Place) {
    let catalogue = &*place.open().await;
    populate(catalogue).await;
    let before = everything(catalogue).await;
    let commit = async |change: fn(&mut FlushCommit)| {
        let mut commit = FlushCommit {
            added: vec![segment(33, 1)],
            flushed: vec![position(1, 1, 41)],
            key_table_after: 8,
            leaves: vec![leaf(Some(1), 4)],
            ..flush(1)
        };
        change(&mut commit);
        catalogue.commit_flush(&commit).await
    };
    let conflicts = [
        commit(|c| c.leaves[0].sequence = 5).await,
        commit(|c| c.leaves[0].sequence = 3).await,
        commit(|c| c.flushed[0].flushed_sequence = 39).await,
        commit(|c| c.flushed[0].tenant = tenant_id(2)).await,
        commit(|c| c.added.push(segment(11, 1))).await,
        commit(|c| c.added.push(segment(33, 1))).await,
        commit(|c| c.added[0].tenant = tenant_id(2)).await,
        commit(|c| c.key_table_before = 6).await,
        commit(|c| c.key_table_before = 8).await,
        commit(|c| c.key_table_after = 6).await,
    ];
    all_are(&conflicts, is_conflict);
    let missing = [
        commit(|c| c.tenant = tenant_id(99)).await,
        commit(|c| c.leaves.push(leaf(Some(99), 0))).await,
    ];
    all_are(&missing, is_missing);
    let too_large = commit(|c| c.added[0].rows = u64::MAX).await;
    assert!(
        matches!(too_large, Err(Error::Damaged { what: "row_count" })),
        "{too_large:?}"
    );
    assert_eq!(everything(catalogue).await, before);
    // Without a fault it does happen.
    commit(|_| {}).await.unwrap();
    assert_ne!(everything(catalogue).await, before);
}

async fn a_failed_compaction_leaves_nothing(place: &dyn Place) {
    let catalogue = &*place.open().await;
    populate(catalogue).await;
    let before = everything(catalogue).await;
    let commit = async |change: fn(&mut CompactionCommit)| {
        let mut commit = CompactionCommit {
            added: vec![segment(33, 1)],
            removed: vec![segment_id(11)],
            key_table_after: 8,
            leaves: vec![leaf(Some(1), 4)],
            ..compaction(1)
        };
        change(&mut commit);
        catalogue.commit_compaction(&commit).await
    };
    let conflicts = [
        commit(|c| c.leaves[0].sequence = 5).await,
        commit(|c| c.key_table_before = 6).await,
        commit(|c| c.added.push(segment(12, 1))).await,
        commit(|c| c.added[0].tenant = tenant_id(2)).await,
    ];
    all_are(&conflicts, is_conflict);
    let missing = [
        commit(|c| c.removed.push(segment_id(99))).await,
        commit(|c| c.removed.push(segment_id(11))).await,
        commit(|c| c.tenant = tenant_id(99)).await,
        // Segments that are there, but another tenant's.
        commit(|c| {
            *c = CompactionCommit {
                removed: vec![segment_id(11)],
                ..compaction(2)
            }
        })
        .await,
    ];
    all_are(&missing, is_missing);
    assert_eq!(everything(catalogue).await, before);
    commit(|_| {}).await.unwrap();
    assert_ne!(everything(catalogue).await, before);
}

async fn a_writer_that_lost_the_catalogue_is_fenced(place: &dyn Place) {
    let first = &*place.open().await;
    populate(first).await;
    let second = &*place.open().await;
    let before = everything(second).await;
    let id = tenant_id(1);
    let refusals = [
        first.put_tenant(&tenant(5), &[]).await,
        first.update_tenant(id, 2, b"new", false, &[]).await,
        first.mark_first_record(id, Ticks(1), None).await,
        first.put_raw_schema(id, b"new").await,
        first.put_source(&source(5, 1), &[]).await,
        first
            .set_source_disabled(tenant_id(1), source_id(1), true, &[])
            .await,
        first
            .add_counts(&[(source_id(1), SourceCounts::default(), Some(Ticks(1)))])
            .await,
        first.put_token(&token(5, None), &[]).await,
        first
            .revoke_token(None, token(1, None).token, Ticks(1), &[])
            .await,
        first.put_registry(&registry(4), &[]).await,
        first
            .commit_flush(&FlushCommit {
                added: vec![segment(55, 1)],
                ..flush(1)
            })
            .await,
        first
            .commit_compaction(&CompactionCommit {
                removed: vec![segment_id(11)],
                ..compaction(1)
            })
            .await,
        first.put_leaves(&[leaf(None, 1)]).await,
        first.accept_damage(&[(id, vec![1; 30])], &[]).await,
        first.begin_detection(&[(id, 4)]).await,
        first.commit_detection(&full_step(1)).await.map(drop),
        first.put_rule(&rule(Some(1), 1), &[]).await,
        first
            .set_rule_enabled(Some(id), [1; 16], false, Ticks(1), &[])
            .await,
        first.acknowledge_link(id, [2; 16], 1, &[]).await.map(drop),
        first.set_export(id, Some(Ticks(1)), &[], &[]).await,
        first.put_parcel(&parcel(1, 11), None, &[]).await,
        first.commit_egress(&[egress(1, 11, 4)], None, &[]).await,
        first.put_kept(&kept(None, 1)).await,
        // Fenced comes before what else would be wrong.
        first.put_source(&source(5, 99), &[]).await,
    ];
    for (n, refused) in refusals.iter().enumerate() {
        assert!(
            matches!(refused, Err(Error::Fenced)),
            "write {n}: {refused:?}"
        );
    }
    assert_eq!(
        refusals[0].as_ref().unwrap_err().code(),
        Code::DirectoryLocked
    );
    assert_eq!(everything(second).await, before);
    second.put_leaves(&[leaf(None, 1)]).await.unwrap();
    assert_eq!(
        first.load().await.unwrap(),
        second.load().await.unwrap(),
        "reading still works"
    );
}

async fn another_region_or_geography_is_refused(place: &dyn Place) {
    let catalogue = place.open().await;
    for (region, geography) in [("uk", "EU"), ("eu", "UK"), ("uk", "UK")] {
        let refused = place.open_as(region, geography).await;
        assert!(matches!(refused, Err(Error::OtherRegion)), "{refused:?}");
    }
    // The attempts fenced nobody.
    catalogue.put_leaves(&[leaf(None, 0)]).await.unwrap();
    catalogue.close().await.unwrap();
    let refused = place.open_as("uk", "UK").await;
    assert!(matches!(refused, Err(Error::OtherRegion)), "{refused:?}");
    place.open().await;
}

async fn documents_change_one_version_at_a_time(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    let id = tenant_id(1);
    for version in [0, 1, 3, u64::MAX >> 1] {
        assert!(
            is_conflict(
                &catalogue
                    .update_tenant(id, version, b"no", false, &[])
                    .await
            ),
            "{version}"
        );
    }
    catalogue
        .update_tenant(id, 2, b"second", false, &[leaf(Some(1), 0)])
        .await
        .unwrap();
    catalogue.put_raw_schema(id, b"tables").await.unwrap();
    catalogue.put_raw_schema(id, b"more tables").await.unwrap();
    let expected = TenantRow {
        document_version: 2,
        sealed: b"second".to_vec(),
        next_leaf: 1,
        sealed_raw_schema: Some(b"more tables".to_vec()),
        ..tenant(1)
    };
    assert_eq!(catalogue.load().await.unwrap().tenants, [expected]);
}

async fn the_first_record_is_marked_once(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    for at in [50, 40, 60] {
        catalogue
            .mark_first_record(tenant_id(1), Ticks(at), None)
            .await
            .unwrap();
    }
    assert_eq!(
        catalogue.load().await.unwrap().tenants[0].first_record_at,
        Some(Ticks(50))
    );
}

async fn counts_add_up_all_or_none(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    catalogue.put_source(&source(1, 1), &[]).await.unwrap();
    catalogue.put_source(&source(2, 1), &[]).await.unwrap();
    let counts = SourceCounts {
        stored: 1,
        raw: 20,
        duplicate: 300,
        rejected: 4_000,
        wrong_region: 5,
    };
    let one = |n, at: Option<i64>| (source_id(n), counts, at.map(Ticks));
    catalogue.add_counts(&[]).await.unwrap();
    catalogue
        .add_counts(&[one(1, None), one(2, Some(9)), one(1, Some(7))])
        .await
        .unwrap();
    // An earlier time does not win, and none takes nothing away.
    catalogue
        .add_counts(&[one(2, Some(8)), one(1, None)])
        .await
        .unwrap();
    let times = |n| SourceCounts {
        stored: n,
        raw: 20 * n,
        duplicate: 300 * n,
        rejected: 4_000 * n,
        wrong_region: 5 * n,
    };
    let expected = [
        SourceRow {
            counts: times(3),
            last_stored_at: Some(Ticks(7)),
            ..source(1, 1)
        },
        SourceRow {
            counts: times(2),
            last_stored_at: Some(Ticks(9)),
            ..source(2, 1)
        },
    ];
    assert_eq!(catalogue.sources().await.unwrap(), expected);

    let too_many = |stored| SourceCounts {
        stored,
        ..SourceCounts::default()
    };
    for stored in [u64::MAX, u64::MAX >> 1] {
        let added = [one(1, None), (source_id(2), too_many(stored), None)];
        let refused = catalogue.add_counts(&added).await.unwrap_err();
        assert_eq!(refused.code(), Code::CatalogueFailed, "{refused:?}");
    }
    assert_eq!(catalogue.sources().await.unwrap(), expected);

    catalogue
        .set_source_disabled(tenant_id(1), source_id(1), true, &[leaf(Some(1), 0)])
        .await
        .unwrap();
    assert!(catalogue.sources().await.unwrap()[0].disabled);
    catalogue
        .set_source_disabled(tenant_id(1), source_id(1), false, &[leaf(Some(1), 1)])
        .await
        .unwrap();
    assert!(!catalogue.sources().await.unwrap()[0].disabled);
}

async fn tokens_are_found_by_hash_and_listed_in_pages(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    catalogue.put_tenant(&tenant(2), &[]).await.unwrap();
    for (n, owner) in [
        (5, Some(1)),
        (3, Some(1)),
        (4, Some(2)),
        (0, None),
        (1, Some(1)),
        (9, None),
    ] {
        catalogue.put_token(&token(n, owner), &[]).await.unwrap();
    }
    assert_eq!(
        catalogue.token_by_hash(&[4; 32]).await.unwrap(),
        Some(token(4, Some(2)))
    );
    assert_eq!(
        catalogue.token_by_hash(&[9; 32]).await.unwrap(),
        Some(token(9, None))
    );
    assert_eq!(catalogue.token_by_hash(&[8; 32]).await.unwrap(), None);

    let page = async |owner: Option<u8>, after: Option<u8>, limit| {
        let after = after.map(|n| token(n, None).token);
        let rows = catalogue
            .tokens(owner.map(tenant_id), after, limit)
            .await
            .unwrap();
        rows.iter().map(|row| row.hash[0]).collect::<Vec<_>>()
    };
    assert_eq!(page(Some(1), None, 10).await, [1, 3, 5]);
    assert_eq!(page(Some(1), None, 2).await, [1, 3]);
    assert_eq!(page(Some(1), Some(3), 2).await, [5]);
    assert_eq!(
        page(Some(1), Some(4), 2).await,
        [5],
        "the id after which to go on may be gone"
    );
    assert_eq!(page(Some(1), Some(5), 2).await, [0; 0]);
    assert_eq!(page(Some(1), None, 0).await, [0; 0]);
    assert_eq!(page(None, None, 10).await, [0, 9]);
    assert_eq!(page(None, Some(0), 10).await, [9]);
}

async fn a_token_is_taken_back_once(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue
        .put_token(&token(1, None), &[leaf(None, 0)])
        .await
        .unwrap();
    let id = token(1, None).token;
    catalogue
        .revoke_token(None, id, Ticks(15), &[leaf(None, 1)])
        .await
        .unwrap();
    catalogue
        .revoke_token(None, id, Ticks(12), &[leaf(None, 2)])
        .await
        .unwrap();
    let found = catalogue.token_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(
        found,
        TokenRow {
            revoked_at: Some(Ticks(15)),
            ..token(1, None)
        }
    );
    assert_eq!(catalogue.load().await.unwrap().next_cell_leaf, 3);
}

async fn registries_only_go_forward(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue
        .put_registry(&registry(3), &[leaf(None, 0)])
        .await
        .unwrap();
    for version in [0, 2, 3] {
        let refused = catalogue
            .put_registry(&registry(version), &[leaf(None, 1)])
            .await;
        assert!(is_conflict(&refused), "{version}: {refused:?}");
    }
    catalogue
        .put_registry(&registry(8), &[leaf(None, 1)])
        .await
        .unwrap();
    assert_eq!(catalogue.load().await.unwrap().registry, Some(registry(8)));
    assert_eq!(catalogue.registry().await.unwrap(), Some(registry(8)));
    for (version, expected) in [(3, Some(registry(3))), (8, Some(registry(8))), (4, None)] {
        let found = catalogue.registry_at(version).await.unwrap();
        assert_eq!(found, expected, "{version}");
    }
    let none = catalogue.registry_at(u64::MAX).await.unwrap();
    assert_eq!(none, None);
}

async fn a_flush_moves_positions_and_keys_forward(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    let first = FlushCommit {
        added: vec![segment(11, 1)],
        flushed: vec![position(1, 1, 0), position(1, 2, 10)],
        key_table_after: 8,
        leaves: vec![leaf(Some(1), 0), leaf(Some(1), 1)],
        ..flush(1)
    };
    catalogue.commit_flush(&first).await.unwrap();
    let again = catalogue.commit_flush(&first).await;
    assert!(is_conflict(&again), "the same flush twice: {again:?}");

    let second = FlushCommit {
        added: vec![segment(12, 1)],
        flushed: vec![position(1, 1, 5), position(1, 2, 10)],
        key_table_before: 8,
        key_table_after: 11,
        ..flush(1)
    };
    catalogue.commit_flush(&second).await.unwrap();
    let loaded = catalogue.load().await.unwrap();
    assert_eq!(loaded.partitions, [position(1, 1, 5), position(1, 2, 10)]);
    assert_eq!(loaded.segments, [segment(11, 1), segment(12, 1)]);
    let expected = TenantRow {
        key_table_generation: 11,
        next_leaf: 2,
        ..tenant(1)
    };
    assert_eq!(loaded.tenants, [expected]);
}

async fn a_compaction_replaces_segments(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let compacted = SegmentRow {
        level: 1,
        ..segment(30, 1)
    };
    let commit = CompactionCommit {
        added: vec![compacted.clone()],
        removed: vec![segment_id(12), segment_id(11)],
        key_table_after: 8,
        leaves: vec![leaf(Some(1), 4)],
        ..compaction(1)
    };
    catalogue.commit_compaction(&commit).await.unwrap();
    let loaded = catalogue.load().await.unwrap();
    assert_eq!(loaded.segments, [compacted]);
    assert_eq!(loaded.partitions, [position(1, 1, 40)], "positions stay");
    assert_eq!(loaded.tenants[0].key_table_generation, 8);
    assert_eq!(loaded.tenants[0].next_leaf, 5);
    let again = CompactionCommit {
        key_table_before: 8,
        leaves: vec![],
        ..commit
    };
    assert!(
        is_missing(&catalogue.commit_compaction(&again).await),
        "they are gone"
    );
}

async fn leaves_are_numbered_without_a_gap_and_read_in_pages(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    catalogue.put_leaves(&[]).await.unwrap();
    // Several sequences at once, interleaved.
    let mixed = [
        leaf(None, 0),
        leaf(Some(1), 0),
        leaf(Some(1), 1),
        leaf(None, 1),
        leaf(Some(1), 2),
    ];
    catalogue.put_leaves(&mixed).await.unwrap();
    for wrong in [0, 1, 2, 4, u64::MAX] {
        let refused = catalogue.put_leaves(&[leaf(Some(1), wrong)]).await;
        assert!(is_conflict(&refused), "{wrong}: {refused:?}");
    }
    let backwards = catalogue
        .put_leaves(&[leaf(Some(1), 4), leaf(Some(1), 3)])
        .await;
    assert!(is_conflict(&backwards));
    catalogue.put_leaves(&[leaf(Some(1), 3)]).await.unwrap();

    let id = Some(tenant_id(1));
    let of_tenant: Vec<_> = (0..4).map(|n| leaf(Some(1), n)).collect();
    assert_eq!(catalogue.leaves(id, 0, 10).await.unwrap(), of_tenant);
    assert_eq!(catalogue.leaves(id, 1, 2).await.unwrap(), of_tenant[1..3]);
    assert_eq!(catalogue.leaves(id, 4, 2).await.unwrap(), []);
    assert_eq!(catalogue.leaves(id, u64::MAX, 2).await.unwrap(), []);
    assert_eq!(catalogue.leaves(id, 0, 0).await.unwrap(), []);
    assert_eq!(
        catalogue.leaves(None, 0, 10).await.unwrap(),
        [leaf(None, 0), leaf(None, 1)]
    );
    let loaded = catalogue.load().await.unwrap();
    assert_eq!((loaded.next_cell_leaf, loaded.tenants[0].next_leaf), (2, 4));
}

async fn detection_is_committed_as_a_whole(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let step = full_step(1);
    assert_eq!(catalogue.commit_detection(&step).await.unwrap(), []);
    let found = detection(&*catalogue, tenant_id(1)).await;
    let expected = Detection {
        head: DetectionHead {
            cursor: Some(7),
            rules_version: 3,
            next_incident: 5,
            next_activity: 2,
        },
        states: [None, Some(step.states[0].clone())],
        alerts: step.alerts.clone(),
        incidents: step.incidents.clone(),
        activity: step.activity.clone(),
        rules: vec![],
        windows: vec![([8; 16], Ticks(53))],
        queues: vec![LinkQueueRow {
            destination: [2; 16],
            next_sequence: 2,
            acknowledged: 0,
            bytes: 64,
        }],
        entries: step.link.clone(),
        egress: vec![],
        parcels: vec![],
        kept: [None, None],
    };
    assert_eq!(found, expected);
    let before = everything(&*catalogue).await;
    // Each of these would repeat or skip something; whatever else it has must be gone with it.
    let fresh = |change: fn(&mut DetectionTx)| {
        let mut tx = DetectionTx {
            cursor: Some(8),
            alerts: vec![AlertRow {
                alert: AlertId::from_bytes([99; 16]),
                ..full_step(1).alerts[0].clone()
            }],
            ..DetectionTx::new(tenant_id(1))
        };
        change(&mut tx);
        tx
    };
    let refused = [
        fresh(|tx| tx.cursor = Some(6)),
        fresh(|tx| tx.incidents = full_step(1).incidents),
        fresh(|tx| tx.activity = full_step(1).activity),
        fresh(|tx| tx.states = full_step(1).states),
        fresh(|tx| tx.windows = full_step(1).windows),
        fresh(|tx| tx.link = full_step(1).link),
        fresh(|tx| tx.leaves = vec![leaf(Some(1), 9)]),
        fresh(|tx| tx.leaves = vec![leaf(Some(1), 4), leaf(Some(1), 6)]),
    ];
    for (n, tx) in refused.iter().enumerate() {
        let refused = catalogue.commit_detection(tx).await;
        assert!(
            matches!(refused, Err(Error::Conflict { .. })),
            "{n}: {refused:?}"
        );
        assert_eq!(everything(&*catalogue).await, before, "{n}");
    }
    let again = fresh(|tx| tx.alerts.extend(full_step(1).alerts));
    let repeated = catalogue.commit_detection(&again).await.unwrap();
    assert_eq!(repeated, [AlertId::from_bytes([1; 16])]);
    let counts = catalogue.alert_counts(tenant_id(1)).await.unwrap();
    assert_eq!(counts, (0, 2, 1));
    // Where it begins is said once.
    let begin = [(tenant_id(1), 100), (tenant_id(2), 5)];
    catalogue.begin_detection(&begin).await.unwrap();
    let tenants = catalogue.load().await.unwrap().tenants;
    let cursors: Vec<_> = tenants.iter().map(|t| t.detect_cursor).collect();
    assert_eq!(cursors, [Some(8), Some(5)]);
}

async fn steps_of_unknown_tenants_leave_nothing(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let before = everything(&*catalogue).await;
    let id = tenant_id(99);
    let results = [
        catalogue.commit_detection(&full_step(99)).await.map(drop),
        catalogue
            .begin_detection(&[(tenant_id(1), 3), (id, 3)])
            .await,
        catalogue.put_rule(&rule(Some(99), 1), &[]).await,
        catalogue
            .set_rule_enabled(Some(tenant_id(1)), [1; 16], false, Ticks(1), &[])
            .await,
        catalogue.set_export(id, Some(Ticks(1)), &[], &[]).await,
        catalogue
            .commit_egress(&[egress(1, 11, 4), egress(99, 1, 1)], None, &[])
            .await,
        catalogue.put_parcel(&parcel(99, 1), None, &[]).await,
        catalogue
            .put_parcel(&parcel(1, 1), Some(&kept(Some(99), 1)), &[])
            .await,
        catalogue.put_kept(&kept(Some(99), 1)).await,
        catalogue.accept_damage(&[(id, vec![0; 30])], &[]).await,
        catalogue
            .commit_detection(&DetectionTx {
                moves: vec![(AlertId::from_bytes([1; 16]), 1)],
                ..DetectionTx::new(tenant_id(1))
            })
            .await
            .map(drop),
    ];
    all_are(&results, is_missing);
    assert_eq!(everything(&*catalogue).await, before);
    let never_sent = catalogue
        .acknowledge_link(tenant_id(1), [2; 16], 1, &[])
        .await;
    assert!(matches!(never_sent, Err(Error::Conflict { .. })));
}

async fn exports_and_accepted_damage_are_loaded(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let id = tenant_id(1);
    catalogue
        .set_export(id, Some(Ticks(70)), &[], &[])
        .await
        .unwrap();
    catalogue
        .accept_damage(&[(id, vec![7; 30])], &[])
        .await
        .unwrap();
    // One segment is there still, one is not any more.
    let rows = [egress(1, 11, 4), egress(1, 77, 5)];
    let leaves = [leaf(Some(1), 4), leaf(Some(1), 5)];
    catalogue.commit_egress(&rows, None, &leaves).await.unwrap();
    for again in [egress(1, 11, 6), egress(1, 12, 5)] {
        let refused = catalogue.commit_egress(&[again], None, &[]).await;
        assert!(is_conflict(&refused), "{refused:?}");
    }
    for round in 0..2 {
        let loaded = catalogue.load().await.unwrap();
        assert_eq!(loaded.exported, [(id, segment_id(11))]);
        let row = loaded.tenants.iter().find(|t| t.tenant == id).unwrap();
        let since = (round == 0).then_some(Ticks(70));
        assert_eq!(row.export_since, since);
        assert_eq!(row.sealed_damage, Some(vec![7; 30]));
        catalogue.set_export(id, None, &[], &[]).await.unwrap();
    }
    let newest = catalogue.egress(id, None, 1).await.unwrap();
    assert_eq!(newest, [egress(1, 77, 5)]);
    let older = catalogue.egress(id, Some(5), 9).await.unwrap();
    assert_eq!(older, [egress(1, 11, 4)]);
    let one = catalogue.egress_of(id, segment_id(77)).await.unwrap();
    assert_eq!(one, Some(egress(1, 77, 5)));
}

async fn parcels_wait_until_it_is_noted_what_became_of_them(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let id = tenant_id(1);
    for (segment, own) in [(11, None), (12, Some(kept(Some(1), 1)))] {
        catalogue
            .put_parcel(&parcel(1, segment), own.as_ref(), &[])
            .await
            .unwrap();
    }
    // Not twice, and not with a state that does not follow.
    let before = everything(&*catalogue).await;
    for refused in [
        catalogue.put_parcel(&parcel(1, 11), None, &[]).await,
        catalogue
            .put_parcel(&parcel(1, 13), Some(&kept(Some(1), 3)), &[])
            .await,
        catalogue
            .commit_egress(&[egress(1, 11, 4)], Some(&kept(Some(1), 1)), &[])
            .await,
        catalogue.put_kept(&kept(None, 2)).await,
    ] {
        assert!(is_conflict(&refused), "{refused:?}");
    }
    assert_eq!(everything(&*catalogue).await, before);
    let whole = catalogue.parcel(id, segment_id(11)).await.unwrap();
    assert_eq!(whole, Some(parcel(1, 11)));
    let rows = [egress(1, 11, 4)];
    let (own, leaves) = (kept(Some(1), 2), [leaf(Some(1), 4)]);
    let noted = catalogue.commit_egress(&rows, Some(&own), &leaves);
    noted.await.unwrap();
    assert_eq!(catalogue.parcel(id, segment_id(11)).await.unwrap(), None);
    let again = catalogue.put_parcel(&parcel(1, 11), None, &[]).await;
    assert!(is_conflict(&again), "what left is not packed again");
    catalogue.put_kept(&kept(None, 1)).await.unwrap();
    catalogue.put_kept(&kept(None, 2)).await.unwrap();
    let found = catalogue.kept(None, KeptKind::Snapshot).await.unwrap();
    assert_eq!(found, Some(kept(None, 2)));
    let found = catalogue.kept(Some(id), KeptKind::Own).await.unwrap();
    assert_eq!(found, Some(kept(Some(1), 2)));
    // Switched off, what waits goes, and it is said what became of it.
    let given_up = EgressRow {
        outcome: EgressOutcome::Dropped,
        acknowledged: Vec::new(),
        ..egress(1, 12, 5)
    };
    let off = catalogue.set_export(id, None, std::slice::from_ref(&given_up), &[]);
    off.await.unwrap();
    assert_eq!(catalogue.parcels(id).await.unwrap(), []);
    let newest = catalogue.egress(id, None, 1).await.unwrap();
    assert_eq!(newest, [given_up]);
}

async fn writers_at_once_take_turns(place: &dyn Place) {
    let catalogue: Arc<dyn Catalogue> = Arc::from(place.open().await);
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    catalogue.put_source(&source(1, 1), &[]).await.unwrap();
    let counts = SourceCounts {
        stored: 1,
        ..SourceCounts::default()
    };
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let catalogue = Arc::clone(&catalogue);
            tokio::spawn(async move {
                catalogue
                    .add_counts(&[(source_id(1), counts, None)])
                    .await
                    .unwrap();
                catalogue.sources().await.unwrap()[0].counts.stored
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap() >= 1, "what was written is read");
    }
    assert_eq!(catalogue.sources().await.unwrap()[0].counts.stored, 20);
}

async fn an_abandoned_call_happened_or_did_not(place: &dyn Place) {
    let catalogue = place.open().await;
    catalogue.put_tenant(&tenant(1), &[]).await.unwrap();
    let id = Some(tenant_id(1));
    let mut finished = 0;
    for round in 0..60_u32 {
        let next = catalogue.load().await.unwrap().tenants[0].next_leaf;
        let both = [leaf(Some(1), next), leaf(Some(1), next + 1)];
        {
            let mut call = catalogue.put_leaves(&both);
            for _ in 0..round * round {
                if let std::task::Poll::Ready(done) = futures::poll!(&mut call) {
                    done.unwrap();
                    finished += 1;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // The next writer is not disturbed, and sees both leaves or none.
        catalogue.put_leaves(&[]).await.unwrap();
        let leaves = catalogue.leaves(id, next, 10).await.unwrap();
        assert!(leaves.is_empty() || leaves == both, "{leaves:?}");
        let now = catalogue.load().await.unwrap().tenants[0].next_leaf;
        assert_eq!(now, next + u64::try_from(leaves.len()).unwrap());
    }
    assert!(finished < 60, "no call was abandoned");
}

async fn after_closing_nothing_works_but_closing(place: &dyn Place) {
    let catalogue = place.open().await;
    populate(&*catalogue).await;
    let before = everything(&*catalogue).await;
    catalogue.close().await.unwrap();
    catalogue.close().await.unwrap();
    let write = catalogue.put_leaves(&[leaf(None, 1)]).await.unwrap_err();
    let read = catalogue.load().await.unwrap_err();
    assert_eq!(
        (write.code(), read.code()),
        (Code::CatalogueFailed, Code::CatalogueFailed)
    );
    assert_eq!(everything(&*place.open().await).await, before);
}

// ---- SQLite's own ----

/// What a caller does before it gives a field to the catalogue.
fn seal(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| byte ^ 0xa5).collect()
}

#[tokio::test]
async fn what_is_sealed_lies_there_only_as_given() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    let plain = |n: u8| format!("contoso-marker-{n:02}-anna@contoso.example");
    let row = TenantRow {
        sealed: seal(&plain(1)),
        sealed_raw_schema: Some(seal(&plain(2))),
        ..tenant(1)
    };
    let sealed_leaf = LeafRow {
        sealed: seal(&plain(3)),
        ..leaf(Some(1), 0)
    };
    catalogue.put_tenant(&row, &[sealed_leaf]).await.unwrap();
    let row = SourceRow {
        sealed: seal(&plain(4)),
        ..source(1, 1)
    };
    catalogue.put_source(&row, &[]).await.unwrap();
    let row = TokenRow {
        sealed: seal(&plain(5)),
        ..token(1, None)
    };
    catalogue.put_token(&row, &[]).await.unwrap();
    let row = RegistryRow {
        sealed: seal(&plain(6)),
        ..registry(1)
    };
    catalogue.put_registry(&row, &[]).await.unwrap();
    let row = SegmentRow {
        sealed: seal(&plain(7)),
        ..segment(1, 1)
    };
    catalogue
        .commit_flush(&FlushCommit {
            added: vec![row],
            ..flush(1)
        })
        .await
        .unwrap();
    assert!(
        place
            .0
            .path()
            .join("catalogue.db-wal")
            .metadata()
            .unwrap()
            .len()
            > 0
    );
    for _ in 0..2 {
        for n in 1..=7 {
            assert!(!place.holds(plain(n).as_bytes()), "field {n} in clear");
            assert!(
                place.holds(&seal(&plain(n))),
                "field {n} is not there: the search is blind"
            );
        }
        catalogue.close().await.unwrap();
    }
}

/// A version of a sealed field, told by its first 20 bytes.
fn version(of: &str, round: u8, field: u8, copies: usize) -> Vec<u8> {
    format!("{of}-version-{round}-{field}-of-a-field;")
        .repeat(copies)
        .into_bytes()
}

/// Puts three fields, then replaces two and removes one.
async fn put_and_replace(
    place: &SqlitePlace,
    catalogue: &SqliteCatalogue,
    round: u8,
    copies: usize,
) {
    let id = 10 + round;
    let old = |field| version("old", round, field, copies);
    let new = |field| version("new", round, field, copies);
    let row = TenantRow {
        sealed: old(1),
        sealed_raw_schema: Some(old(2)),
        ..tenant(id)
    };
    catalogue.put_tenant(&row, &[]).await.unwrap();
    let row = SegmentRow {
        sealed: old(4),
        ..segment(id, id)
    };
    catalogue
        .commit_flush(&FlushCommit {
            added: vec![row],
            ..flush(id)
        })
        .await
        .unwrap();
    for field in [1, 2, 4] {
        assert!(
            place.holds(&old(field)[..20]),
            "{round} {field}: the search is blind"
        );
    }
    catalogue
        .update_tenant(tenant_id(id), 2, &new(1), false, &[])
        .await
        .unwrap();
    catalogue
        .put_raw_schema(tenant_id(id), &new(2))
        .await
        .unwrap();
    let commit = CompactionCommit {
        removed: vec![segment_id(id)],
        ..compaction(id)
    };
    catalogue.commit_compaction(&commit).await.unwrap();
}

#[tokio::test]
async fn nothing_replaced_or_removed_is_left_after_closing() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    // Small, beside other rows on its page, and large, on pages of its own.
    put_and_replace(&place, &catalogue, 0, 1).await;
    put_and_replace(&place, &catalogue, 1, 2_000).await;
    catalogue.close().await.unwrap();
    assert!(!place.holds(b"old-version-"), "an old version is left");
    for (round, fields) in [(0, 1..=2), (1, 1..=2)] {
        for field in fields {
            assert!(
                place.holds(&version("new", round, field, 1)[..20]),
                "{round} {field}"
            );
        }
    }
    let left: Vec<_> = std::fs::read_dir(place.0.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the log is gone: {left:?}");
}

/// While somebody else has the database open, closing does not remove the log: it must be empty.
#[tokio::test]
async fn closing_empties_the_log_even_if_the_file_stays_open() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    let mut other = place.bare().await;
    let tables = "SELECT count(*) FROM tenant";
    let tenants: i64 = sqlx::query_scalar(tables)
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(tenants, 2);
    let log = place.0.path().join("catalogue.db-wal");
    assert!(log.metadata().unwrap().len() > 0);
    catalogue.close().await.unwrap();
    assert_eq!(log.metadata().unwrap().len(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    catalogue.put_leaves(&[leaf(None, 0)]).await.unwrap();
    for name in ["catalogue.db", "catalogue.db-wal", "catalogue.db-shm"] {
        let mode = place
            .0
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_crash_loses_nothing_that_returned() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    // The files as they are now, with the log, are what another process would find.
    let copy = SqlitePlace::new();
    for name in ["catalogue.db", "catalogue.db-wal"] {
        std::fs::copy(place.0.path().join(name), copy.0.path().join(name)).unwrap();
    }
    let found = copy.catalogue().await.unwrap();
    assert_eq!(everything(&found).await, everything(&catalogue).await);
    // What the log had stands in the file by then: the cache may be all that has the log's end.
    let without_log = SqlitePlace::new();
    let name = "catalogue.db";
    std::fs::copy(copy.0.path().join(name), without_log.0.path().join(name)).unwrap();
    let found = without_log.catalogue().await.unwrap();
    assert_eq!(everything(&found).await, everything(&catalogue).await);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_touched() {
    let newer = [
        "PRAGMA user_version = 99",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'later', 1, x'00', 0)",
    ];
    for sql in newer {
        let place = SqlitePlace::new();
        place.catalogue().await.unwrap().close().await.unwrap();
        place.damage(sql).await;
        let before = place.main_file();
        let refused = place.catalogue().await.unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Format {
                    found: 99,
                    supported: 3
                }
            ),
            "{refused:?}"
        );
        assert_eq!(refused.code(), Code::NewerFormat);
        // Of another region too: the format comes first, since only it says what the rest means.
        let refused = place.open_as("uk", "UK").await.unwrap_err();
        assert!(matches!(refused, Error::Format { .. }), "{refused:?}");
        assert!(place.main_file() == before, "the file changed");
    }
}

#[tokio::test]
async fn a_migration_that_was_changed_is_refused() {
    let place = SqlitePlace::new();
    place.catalogue().await.unwrap().close().await.unwrap();
    place
        .damage("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1")
        .await;
    let refused = place.catalogue().await.unwrap_err();
    assert!(matches!(refused, Error::Migration(_)), "{refused:?}");
    assert_eq!(refused.code(), Code::CatalogueFailed);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_not_touched() {
    let place = SqlitePlace::new();
    place.damage("CREATE TABLE bookmarks (url TEXT)").await;
    let before = place.main_file();
    let refused = place.catalogue().await.unwrap_err();
    assert!(
        matches!(
            refused,
            Error::Damaged {
                what: "application_id"
            }
        ),
        "{refused:?}"
    );
    assert!(place.main_file() == before, "the file changed");

    std::fs::File::create(place.path())
        .unwrap()
        .set_len(8192)
        .unwrap();
    let refused = place.catalogue().await.unwrap_err();
    assert_eq!(refused.code(), Code::CatalogueFailed);
}

/// Statements that make a catalogue one of format 1 again.
macro_rules! second_undone {
    () => {
        "DROP TABLE parcel; DROP TABLE kept; DELETE FROM _sqlx_migrations WHERE version = 3;
         DROP TABLE detection; DROP TABLE detection_state; DROP TABLE alert; DROP TABLE incident;
         DROP TABLE activity; DROP TABLE rule; DROP TABLE rule_window; DROP TABLE link_queue;
         DROP TABLE link_entry; DROP TABLE export; DROP TABLE egress; DROP TABLE audit;
         DROP TABLE log_damage; DELETE FROM _sqlx_migrations WHERE version = 2;
         PRAGMA user_version = 1;"
    };
}

/// What an older program left is brought up to date, and nothing of it is lost.
#[tokio::test]
async fn a_catalogue_of_format_1_is_taken_over() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    let mut before = everything(&catalogue).await;
    catalogue.close().await.unwrap();
    place.damage(second_undone!()).await;
    let catalogue = place.catalogue().await.unwrap();
    // There was no record of what happened yet; the leaves are there.
    for leaf in &mut before.leaves {
        leaf.audit.clear();
    }
    before.audit.clear();
    assert_eq!(everything(&catalogue).await, before);
    let range = AuditRange::default();
    assert_eq!(catalogue.audit(None, range, 10).await.unwrap(), []);
    catalogue.put_leaves(&[leaf(None, 1)]).await.unwrap();
    let audit = catalogue.audit(None, range, 10).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0].sequence, 1);
}

#[tokio::test]
async fn a_catalogue_whose_making_was_cut_short_is_finished() {
    // After the file, after the mark and before the first migration, between the two, and before
    // `meta` was written.
    let stages = [
        "VACUUM",
        concat!(
            second_undone!(),
            "DROP TABLE meta; DROP TABLE leaf; DROP TABLE flushed; DROP TABLE registry;
             DROP TABLE segment; DROP TABLE token; DROP TABLE source; DROP TABLE tenant_raw_schema;
             DROP TABLE tenant_document; DROP TABLE tenant; DELETE FROM _sqlx_migrations;
             PRAGMA user_version = 0"
        ),
        concat!(second_undone!(), "DELETE FROM meta"),
        "DELETE FROM meta",
    ];
    for (stage, sql) in stages.into_iter().enumerate() {
        let place = SqlitePlace::new();
        if stage > 0 {
            place.catalogue().await.unwrap().close().await.unwrap();
        }
        place.damage(sql).await;
        let catalogue = place.catalogue().await.unwrap();
        populate(&catalogue).await;
    }
}

#[tokio::test]
async fn a_damaged_value_is_named() {
    let cases = [
        (
            "UPDATE segment SET digest = x'00' WHERE segment = x'0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b'",
            "digest",
        ),
        ("UPDATE segment SET row_count = -1", "row_count"),
        ("UPDATE segment SET level = 256", "level"),
        ("UPDATE tenant SET home = 2", "home"),
        (
            "UPDATE tenant SET stream = x'0011' WHERE home = 1",
            "stream",
        ),
        ("UPDATE meta SET next_cell_leaf = -5", "next_leaf"),
    ];
    for (sql, column) in cases {
        let place = SqlitePlace::new();
        let catalogue = place.catalogue().await.unwrap();
        populate(&catalogue).await;
        catalogue.close().await.unwrap();
        let mut connection = place.bare().await;
        sqlx::raw_sql("PRAGMA ignore_check_constraints = ON")
            .execute(&mut connection)
            .await
            .unwrap();
        let changed = sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        assert!(changed.rows_affected() > 0, "{sql}");
        connection.close().await.unwrap();
        let found = place.catalogue().await.unwrap().load().await.unwrap_err();
        assert!(
            matches!(found, Error::Damaged { what } if what == column),
            "{column}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_got_over() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    let before = everything(&catalogue).await;
    catalogue.limit_pages(5).await;
    let big = vec![1; 100_000];
    let refused = catalogue
        .put_raw_schema(tenant_id(1), &big)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::DiskFull, "{refused:?}");
    assert_eq!(everything(&catalogue).await, before);
    // There is room for what is small.
    catalogue
        .put_raw_schema(tenant_id(1), b"small")
        .await
        .unwrap();
    catalogue.limit_pages(1_000).await;
    catalogue.put_raw_schema(tenant_id(1), &big).await.unwrap();
}

#[tokio::test]
async fn a_connection_in_an_unknown_state_is_replaced() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    catalogue.lose_transaction().await;
    catalogue.put_leaves(&[leaf(None, 1)]).await.unwrap();
    assert_eq!(catalogue.load().await.unwrap().next_cell_leaf, 2);
    catalogue.close().await.unwrap();
}

#[tokio::test]
async fn a_commit_that_failed_does_not_come_back() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    populate(&catalogue).await;
    let before = everything(&catalogue).await;
    let failed = "SELECT commits_failed FROM meta";
    assert_eq!(catalogue.writer_number(failed).await, 0);
    catalogue.defer_foreign_keys().await;
    let refused = catalogue.put_source(&source(5, 99), &[]).await.unwrap_err();
    assert!(
        matches!(refused, Error::Database(_)),
        "the commit failed, not the insert: {refused:?}"
    );
    // Another transaction stands in its place already, for whoever recovers these files.
    assert_eq!(catalogue.writer_number(failed).await, 1);
    assert_eq!(everything(&catalogue).await, before);
    catalogue.put_source(&source(5, 1), &[]).await.unwrap();
    assert_eq!(catalogue.writer_number(failed).await, 1);
}

#[tokio::test]
async fn the_writer_is_set_up_for_durability_and_secrecy() {
    let place = SqlitePlace::new();
    let catalogue = place.catalogue().await.unwrap();
    let settings = [
        ("PRAGMA synchronous", 2),
        ("PRAGMA secure_delete", 1),
        ("PRAGMA foreign_keys", 1),
        ("PRAGMA temp_store", 2),
        ("PRAGMA trusted_schema", 0),
        ("PRAGMA cell_size_check", 1),
        ("PRAGMA user_version", 2),
        ("PRAGMA application_id", 0x4257_4341),
    ];
    for (pragma, expected) in settings {
        assert_eq!(catalogue.writer_number(pragma).await, expected, "{pragma}");
    }
    let mut connection = place.bare().await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
    let installed: i64 = sqlx::query_scalar("SELECT installed_on FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(installed, 1_000, "the time is the caller's");
}

/// The list at the head of the module, which the residency walker's own list is checked against.
#[tokio::test]
async fn every_column_is_on_the_list() {
    let mut listed = BTreeSet::new();
    let mut table = String::new();
    let source = include_str!("../catalogue/sqlite.rs");
    for line in source.lines().filter_map(|line| line.strip_prefix("//! |")) {
        let cells: Vec<_> = line.split('|').collect();
        let names = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        if let Some(name) = names(cells[0]).first() {
            table.clone_from(name);
        }
        listed.extend(
            names(cells[1])
                .into_iter()
                .map(|column| (table.clone(), column)),
        );
    }
    let place = SqlitePlace::new();
    place.catalogue().await.unwrap().close().await.unwrap();
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
         WHERE m.type = 'table'",
    )
    .fetch_all(&mut place.bare().await)
    .await
    .unwrap();
    assert!(found.len() > 60);
    assert_eq!(listed, found.into_iter().collect());
}
