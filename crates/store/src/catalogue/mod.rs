//! The catalogue: what a region knows, as whole transactions.
//!
//! A trait of transactions with a meaning (`commit_flush`, `put_tenant` …), not a generic SQL layer:
//! each implementation writes its own SQL and passes one conformance suite (`tests::catalogue`).
//!
//! Promises
//! - When a method returns, its whole effect is durable. After an error none of it is, with one
//!   exception: of a transaction that failed with [`Error::Database`] this is certain only once a
//!   later one has worked (until then a crash may bring it back).
//! - Only ids, times, enums and counts are in clear. A field named `sealed` was sealed by the
//!   caller, and a `partition` is a keyed token: names of tables, rules and people never get here.
//! - Every write carries the writer's epoch. A process that lost the directory to another one can
//!   no longer write ([`Error::Fenced`]).
//! - A ledger leaf is a row of the same transaction as what it reports, and its sequence number is
//!   the tenant's next: a gap cannot be committed ([`Error::Conflict`]).
//!
//! Does not seal, does not know policy, and takes all times as arguments.

mod detection;
mod record;
mod sqlite;

use futures::future::BoxFuture;
use model::{AlertId, Code, KeyId, SegmentId, SourceId, StreamId, TenantId, Ticks, TokenId};

pub use detection::{
    ActivityRow, AlertFilter, AlertRow, DetectionHead, DetectionTx, IncidentRow, IncidentRowFilter,
    LinkQueueRow, LinkRow, RuleRow, StateKind, StateRow, WindowRow,
};
pub use record::{AuditRange, AuditRow, EgressOutcome, EgressRow, KeptKind, KeptRow, ParcelRow};
pub use sqlite::SqliteCatalogue;

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the catalogue failed")]
    Database(#[source] sqlx::Error),
    /// A migration that ran earlier is not the one this program has, or one failed.
    #[error("the catalogue's format cannot be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database was written by a newer program.
    #[error("catalogue has format {found}, newest supported is {supported}")]
    Format {
        /// The version found.
        found: i64,
        /// The newest version this program reads.
        supported: i64,
    },
    /// Another process has opened the catalogue for writing since.
    #[error("another process has taken over this catalogue")]
    Fenced,
    /// The state is not what the transaction expected: a duplicate id, an older version, a leaf
    /// that is not the next.
    #[error("the catalogue's state does not allow this: {what}")]
    Conflict {
        /// What was expected, in fixed words.
        what: &'static str,
    },
    /// The thing to change is not there.
    #[error("no such {what}")]
    Missing {
        /// What it is, in fixed words.
        what: &'static str,
    },
    /// The region has had a catalogue, and there is none: a volume that is not mounted, a lost file.
    #[error("the catalogue is missing or empty, although this region has had one")]
    Gone,
    /// The database belongs to another region or geography.
    #[error("the catalogue is of another region or geography")]
    OtherRegion,
    /// A value in the database is not of its documented form.
    #[error("a catalogue row is damaged: {what}")]
    Damaged {
        /// Which column.
        what: &'static str,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Database(source) if is_full(source) => Code::DiskFull,
            Self::Database(_)
            | Self::Migration(_)
            | Self::Damaged { .. }
            | Self::Gone
            | Self::OtherRegion => Code::CatalogueFailed,
            Self::Format { .. } => Code::NewerFormat,
            Self::Fenced => Code::DirectoryLocked,
            Self::Conflict { .. } => Code::Conflict,
            Self::Missing { .. } => Code::NotFound,
        }
    }
}

/// SQLite's `SQLITE_FULL` (13), extended codes included.
fn is_full(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|c| c.parse::<i64>().ok());
    code.is_some_and(|code| code & 0xff == 13)
}

/// A tenant in this region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRow {
    /// The tenant.
    pub tenant: TenantId,
    /// Its stream in the log.
    pub stream: StreamId,
    /// Whether this is the tenant's home region (provisioning record) or a second one (profile).
    pub home: bool,
    /// Version of the sealed document; grows with every change.
    pub document_version: u64,
    /// The signed provisioning record or cell profile, sealed.
    pub sealed: Vec<u8>,
    /// Generation of the key table that belongs to the committed segments.
    pub key_table_generation: u64,
    /// When the first record arrived; placement is immutable from then on.
    pub first_record_at: Option<Ticks>,
    /// Sequence number that the tenant's next ledger leaf must carry.
    pub next_leaf: u64,
    /// Tables and columns outside the schema, sealed; `None` until there are any.
    pub sealed_raw_schema: Option<Vec<u8>>,
    /// Frames of its stream up to this one were examined; `None` if detection was never on.
    pub detect_cursor: Option<u64>,
    /// Which lost frames of its stream somebody accepted as lost, sealed.
    pub sealed_damage: Option<Vec<u8>>,
    /// Segments that were made from this instant on wait for the export to the centre.
    pub export_since: Option<Ticks>,
}

/// What a source has delivered so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Rows stored.
    pub stored: u64,
    /// Of these, rows of tables outside the schema or without a mapping of their own.
    pub raw: u64,
    /// Rows that were stored before.
    pub duplicate: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Rows that belong to another region.
    pub wrong_region: u64,
}

/// A source of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The source.
    pub source: SourceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Whether it was switched off.
    pub disabled: bool,
    /// Name, services, envelope tenant id, format: sealed.
    pub sealed: Vec<u8>,
    /// What it has delivered.
    pub counts: SourceCounts,
    /// When its last row was stored.
    pub last_stored_at: Option<Ticks>,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The token.
    pub token: TokenId,
    /// Keyed hash of its secret.
    pub hash: [u8; 32],
    /// Whose it is; `None` for an operator's or auditor's.
    pub tenant: Option<TenantId>,
    /// When it was made.
    pub created_at: Ticks,
    /// First instant at which it is no longer good.
    pub expires_at: Ticks,
    /// When it was taken back.
    pub revoked_at: Option<Ticks>,
    /// Name and scope, sealed.
    pub sealed: Vec<u8>,
}

/// A sealed Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// The file.
    pub segment: SegmentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Keyed token of its partition.
    pub partition: [u8; 16],
    /// 0 as flushed, 1 once compacted.
    pub level: u8,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file as it lies on disk.
    pub digest: [u8; 32],
    /// Its data key in the key table.
    pub key: KeyId,
    /// Ingestion time of its first row.
    pub ingested_from: Ticks,
    /// Ingestion time of its last row.
    pub ingested_to: Ticks,
    /// When it was made.
    pub created_at: Ticks,
    /// The manifest (table, service, rule, event times), sealed.
    pub sealed: Vec<u8>,
}

/// How far a partition has been flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// Keyed token of the partition.
    pub partition: [u8; 16],
    /// Rows of this partition in log frames up to this sequence number are in segments.
    pub flushed_sequence: u64,
}

/// A ledger leaf waiting to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRow {
    /// Whose it is; `None` for the cell's own.
    pub tenant: Option<TenantId>,
    /// Position in the tenant's (or the cell's) sequence, from 0.
    pub sequence: u64,
    /// When it was made.
    pub at: Ticks,
    /// The leaf, sealed.
    pub sealed: Vec<u8>,
    /// The audit row of the same number, sealed; empty if it was made before there were any.
    pub audit: Vec<u8>,
}

/// A registry that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRow {
    /// Its version.
    pub version: u64,
    /// SHA-256 of its signed bytes.
    pub digest: [u8; 32],
    /// The signed bytes, sealed.
    pub sealed: Vec<u8>,
}

/// One flush: segments in, log positions forward, keys forward, leaves out; or nothing.
#[derive(Debug, Clone)]
pub struct FlushCommit {
    /// Whose.
    pub tenant: TenantId,
    /// New segments.
    pub added: Vec<SegmentRow>,
    /// How far their partitions are flushed now; never moves back.
    pub flushed: Vec<PartitionRow>,
    /// Generation of the key table before; the transaction fails if it is another.
    pub key_table_before: u64,
    /// Generation of the key table that has the new keys.
    pub key_table_after: u64,
    /// Leaves, in sequence.
    pub leaves: Vec<LeafRow>,
}

/// One compaction: some segments replaced by others with the same rows.
#[derive(Debug, Clone)]
pub struct CompactionCommit {
    /// Whose.
    pub tenant: TenantId,
    /// New segments.
    pub added: Vec<SegmentRow>,
    /// Segments they replace; the transaction fails if one is gone.
    pub removed: Vec<SegmentId>,
    /// Generation of the key table before.
    pub key_table_before: u64,
    /// Generation of the key table after.
    pub key_table_after: u64,
    /// Leaves, in sequence.
    pub leaves: Vec<LeafRow>,
}

/// Everything a store loads when it opens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// By tenant id.
    pub tenants: Vec<TenantRow>,
    /// By tenant, then segment id.
    pub segments: Vec<SegmentRow>,
    /// By tenant, then partition.
    pub partitions: Vec<PartitionRow>,
    /// The newest accepted registry.
    pub registry: Option<RegistryRow>,
    /// Segments that were exported, or dropped from the export, and are still there.
    pub exported: Vec<(TenantId, SegmentId)>,
    /// Sequence number of the cell's own next leaf.
    pub next_cell_leaf: u64,
}

/// What a transaction answers with.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// The transactions.
pub trait Catalogue: Send + Sync + std::fmt::Debug {
    /// Everything a store needs at start, read in one transaction.
    fn load(&self) -> Answer<'_, Loaded>;

    /// Adds a tenant; `Conflict` if its id or stream exists.
    fn put_tenant<'a>(&'a self, tenant: &'a TenantRow, leaves: &'a [LeafRow]) -> Answer<'a, ()>;
    /// Replaces a tenant's document; its version must be exactly the former plus one. `Conflict`, too,
    /// if it is only good `before_first_record` and that has arrived.
    fn update_tenant<'a>(
        &'a self,
        tenant: TenantId,
        document_version: u64,
        sealed: &'a [u8],
        before_first_record: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// Notes the tenant's first record; later calls change nothing. `Conflict` if it is the first one
    /// and was placed by a document of another version than the stored one.
    fn mark_first_record(
        &self,
        tenant: TenantId,
        at: Ticks,
        placed_by: Option<u64>,
    ) -> Answer<'_, ()>;
    /// Replaces the tenant's sealed list of tables and columns outside the schema.
    fn put_raw_schema<'a>(&'a self, tenant: TenantId, sealed: &'a [u8]) -> Answer<'a, ()>;
    /// The lists of all tenants that have one, by tenant.
    fn raw_schemas(&self) -> Answer<'_, Vec<(TenantId, Vec<u8>)>>;

    /// Adds a source; `Conflict` if its id exists, `Missing` if its tenant does not.
    fn put_source<'a>(&'a self, source: &'a SourceRow, leaves: &'a [LeafRow]) -> Answer<'a, ()>;
    /// Switches a source on or off; `Missing` if the tenant has none of that id.
    fn set_source_disabled<'a>(
        &'a self,
        tenant: TenantId,
        source: SourceId,
        disabled: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// All sources, by id.
    fn sources(&self) -> Answer<'_, Vec<SourceRow>>;
    /// Adds to the counts of sources, all at once.
    fn add_counts<'a>(
        &'a self,
        counts: &'a [(SourceId, SourceCounts, Option<Ticks>)],
    ) -> Answer<'a, ()>;

    /// Adds a token; `Conflict` if its id or hash exists.
    fn put_token<'a>(&'a self, token: &'a TokenRow, leaves: &'a [LeafRow]) -> Answer<'a, ()>;
    /// Takes a token of the tenant (or of the cell) back; `Missing` if it has none of that id. Taking
    /// back twice keeps the first time.
    fn revoke_token<'a>(
        &'a self,
        tenant: Option<TenantId>,
        token: TokenId,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// The token with this hash.
    fn token_by_hash<'a>(&'a self, hash: &'a [u8; 32]) -> Answer<'a, Option<TokenRow>>;
    /// The tokens of a tenant (or of the cell), by id, after `after`, at most `limit`.
    fn tokens(
        &self,
        tenant: Option<TenantId>,
        after: Option<TokenId>,
        limit: usize,
    ) -> Answer<'_, Vec<TokenRow>>;

    /// Accepts a registry beside those accepted before; `Conflict` if its version is not above theirs.
    fn put_registry<'a>(
        &'a self,
        registry: &'a RegistryRow,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;

    /// The newest accepted registry.
    fn registry(&self) -> Answer<'_, Option<RegistryRow>>;
    /// The accepted registry of that version.
    fn registry_at(&self, version: u64) -> Answer<'_, Option<RegistryRow>>;

    /// See [`FlushCommit`].
    fn commit_flush<'a>(&'a self, commit: &'a FlushCommit) -> Answer<'a, ()>;
    /// See [`CompactionCommit`].
    fn commit_compaction<'a>(&'a self, commit: &'a CompactionCommit) -> Answer<'a, ()>;

    /// Adds leaves that report nothing else in the catalogue (an access, a refusal). Without leaves it
    /// only asks whether this process is still the writer, and settles what an earlier failure left
    /// open.
    fn put_leaves<'a>(&'a self, leaves: &'a [LeafRow]) -> Answer<'a, ()>;
    /// The leaves of a tenant (or of the cell) from `from`, at most `limit`.
    fn leaves(&self, tenant: Option<TenantId>, from: u64, limit: usize)
    -> Answer<'_, Vec<LeafRow>>;

    /// The audit rows of a tenant (or of the cell) in a range, at most `limit`.
    fn audit(
        &self,
        tenant: Option<TenantId>,
        range: AuditRange,
        limit: usize,
    ) -> Answer<'_, Vec<AuditRow>>;
    /// Replaces the sealed lists of lost frames that somebody accepted as lost, for these tenants.
    fn accept_damage<'a>(
        &'a self,
        accepted: &'a [(TenantId, Vec<u8>)],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;

    /// Gives each of these tenants the cursor, unless it has one.
    fn begin_detection<'a>(&'a self, cursors: &'a [(TenantId, u64)]) -> Answer<'a, ()>;
    /// See [`DetectionTx`]. Answers with the alerts that were there already.
    fn commit_detection<'a>(&'a self, commit: &'a DetectionTx) -> Answer<'a, Vec<AlertId>>;
    /// Cursor and numbers of a tenant; those of a new one if nothing was committed.
    fn detection_head(&self, tenant: TenantId) -> Answer<'_, DetectionHead>;
    /// The tenant's state of that kind.
    fn detection_state(&self, tenant: TenantId, kind: StateKind) -> Answer<'_, Option<StateRow>>;
    /// The tenant's alert of that id.
    fn alert(&self, tenant: TenantId, alert: AlertId) -> Answer<'_, Option<AlertRow>>;
    /// Which of these alerts the tenant has.
    fn known_alerts<'a>(
        &'a self,
        tenant: TenantId,
        alerts: &'a [AlertId],
    ) -> Answer<'a, Vec<AlertId>>;
    /// The tenant's alerts that the filter lets through, the newest first, at most `limit`.
    fn alerts<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a AlertFilter,
        limit: usize,
    ) -> Answer<'a, Vec<AlertRow>>;
    /// The tenant's incident of that number.
    fn incident(&self, tenant: TenantId, number: u64) -> Answer<'_, Option<IncidentRow>>;
    /// The tenant's incidents that the filter lets through, the newest first, at most `limit`.
    fn incidents<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a IncidentRowFilter,
        limit: usize,
    ) -> Answer<'a, Vec<IncidentRow>>;
    /// The activity of an incident after entry `after`, at most `limit`.
    fn activity(
        &self,
        tenant: TenantId,
        incident: u64,
        after: u64,
        limit: usize,
    ) -> Answer<'_, Vec<ActivityRow>>;
    /// How many alerts the tenant has that were made here, that came over the link; and incidents.
    fn alert_counts(&self, tenant: TenantId) -> Answer<'_, (u64, u64, u64)>;
    /// The ends of the last windows of the tenant's scheduled rules, by the rule's token.
    fn rule_windows(&self, tenant: TenantId) -> Answer<'_, Vec<([u8; 16], Ticks)>>;

    /// Adds a rule (version 1) or replaces it by the next version.
    fn put_rule<'a>(&'a self, rule: &'a RuleRow, leaves: &'a [LeafRow]) -> Answer<'a, ()>;
    /// Switches a rule of the tenant (or of the cell) on or off; `Missing` if there is none.
    fn set_rule_enabled<'a>(
        &'a self,
        tenant: Option<TenantId>,
        rule: [u8; 16],
        enabled: bool,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// The rules of the tenant (or of the cell), by token, after `after`, at most `limit`.
    fn rules(
        &self,
        tenant: Option<TenantId>,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Answer<'_, Vec<RuleRow>>;

    /// The oldest entries that wait for a region, at most `limit`.
    fn link_entries(
        &self,
        tenant: TenantId,
        destination: [u8; 16],
        limit: usize,
    ) -> Answer<'_, Vec<LinkRow>>;
    /// What ever went out, by the region's token.
    fn link_queues(&self, tenant: TenantId) -> Answer<'_, Vec<LinkQueueRow>>;
    /// Removes the entries up to `upto`, which have arrived; how many that were.
    fn acknowledge_link<'a>(
        &'a self,
        tenant: TenantId,
        destination: [u8; 16],
        upto: u64,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, u64>;

    /// Switches the tenant's export on, for segments made from `since` on, or off. `given_up` says what
    /// became of the parcels that wait; they go.
    fn set_export<'a>(
        &'a self,
        tenant: TenantId,
        since: Option<Ticks>,
        given_up: &'a [EgressRow],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// Keeps a parcel, before it is sent; `Conflict` if the segment has one or is noted already.
    fn put_parcel<'a>(
        &'a self,
        parcel: &'a ParcelRow,
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// The parcel of a segment.
    fn parcel(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<ParcelRow>>;
    /// The tenant's parcels by segment, each without its `sealed`.
    fn parcels(&self, tenant: TenantId) -> Answer<'_, Vec<ParcelRow>>;
    /// Notes what became of segments that waited for the export, whose parcels go; `Conflict` if one is
    /// noted already.
    fn commit_egress<'a>(
        &'a self,
        rows: &'a [EgressRow],
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()>;
    /// Keeps something over a restart; its version must be exactly the former plus one.
    fn put_kept<'a>(&'a self, kept: &'a KeptRow) -> Answer<'a, ()>;
    /// What is kept of that kind.
    fn kept(&self, tenant: Option<TenantId>, kind: KeptKind) -> Answer<'_, Option<KeptRow>>;
    /// The tenant's exports with a number below `before`, the newest first, at most `limit`.
    fn egress(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Vec<EgressRow>>;
    /// What became of one segment.
    fn egress_of(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<EgressRow>>;

    /// Whether this process is still the writer, at an instant after the call; [`Error::Fenced`] if not.
    /// Waits for no transaction.
    fn check_writer(&self) -> Answer<'_, ()>;

    /// Writes everything back into the main file and closes; the last call.
    fn close(&self) -> Answer<'_, ()>;
}
