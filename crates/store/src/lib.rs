//! One region's rows: log, memtables, sealed segments, catalogue.
//!
//! ```text
//! append(Placement, batch) ─► commit thread: drop repeats, seal, log, fsync ─► Durable ─► memtable
//!                                             flush ─► sealed Parquet ─► catalogue ─► log trimmed
//!                                             compact: few large segments instead of many small
//! undetected(grant) ─► rules ─► commit_detection: cursor, alerts, incidents, outbox at once
//! view(grant) ─► one consistent snapshot of memtable and segments, pruned by time
//! ```
//!
//! Promises
//! - A row is stored only with a [`residency::Placement`] for this very region, and read only with an
//!   [`access::Granted`] of its tenant.
//! - When [`Store::append`] returns, every row that it names is durable, exactly once, repeats over the
//!   identity horizon included; after a crash it is returned exactly once.
//! - Every row that became durable while detection was on is handed to it until a commit says that it
//!   was examined, and the log keeps it until then; what a commit says happens as a whole.
//! - What happened leaves a row in the tenant's record and a leaf of the same number, in the transaction
//!   of what they report.
//! - Nothing reaches the disk in clear: log frames, segments, key tables, catalogue blobs and
//!   temporary files are sealed before.
//! - A segment that is not the one that the catalogue names, byte for byte, is never parsed.
//!
//! Layout of a data directory: `docs/formats/directory.md`.
//!
//! Does not decode, evaluate rules, correlate or query, and deletes nothing before its replacement is
//! durable.

mod audit;
pub mod catalogue;
mod commit;
mod compact;
mod damage;
mod detection;
mod egress;
mod entries;
mod error;
mod flush;
mod identity;
mod incidents;
mod lag;
mod landmark;
mod leaves;
mod link;
mod local;
mod lock;
mod manifest;
mod memory;
mod objects;
mod open;
mod order;
mod payload;
mod row_damage;
mod rules;
mod segment;
mod snapshot;
mod status;
mod temporary;
mod witness;

pub use audit::{AuditDraft, AuditEntry};
pub use catalogue::{AlertFilter, AuditRange, EgressOutcome, SourceCounts};
pub use commit::{Appended, Durable, PlacedRows};
pub use compact::CompactionReport;
pub use damage::DamagedTenant;
pub use detection::{
    ActivityRecord, AlertRecord, DetectionCommit, DetectionCommitted, DetectionState,
    IncidentRecord, LinkEntry, StateRecord, Undetected, WindowRecord,
};
pub use egress::{EgressEntry, ExportCommit, Packed, ParcelCounts, PendingExport};
pub use entries::{SourceEntry, TenantEntry, TokenEntry};
pub use error::Error;
pub use flush::FlushReport;
pub use incidents::{ActivityEntry, AlertCounts, IncidentEntry, IncidentFilter};
pub use lag::DetectionLag;
pub use lag::SYSTEM_SOURCE;
pub use landmark::Landmark;
pub use link::{LinkCounts, PendingLink};
pub use local::LocalDir;
pub use lock::{DirectoryLock, LockError};
pub use manifest::Manifest;
pub use open::{Options, Store};
pub use row_damage::DamagedRow;
pub use rules::{ReadsRules, RuleEntry};
pub use segment::SegmentReader;
pub use snapshot::{SegmentHandle, TableView, View};
pub use status::{Holding, PartitionStatus, TenantHealth};
pub use temporary::{SealedReader, SealedWriter, TemporaryFiles};

#[cfg(test)]
mod tests;
