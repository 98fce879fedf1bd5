//! Rows of what left and of what happened.

use model::{SegmentId, TenantId, Ticks};

/// What became of a segment that waited for the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EgressOutcome {
    /// What may leave of it has left.
    Sent,
    /// It waited too long; nothing of it left.
    Dropped,
}

/// One segment's export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRow {
    /// Whose.
    pub tenant: TenantId,
    /// The segment, and the batch that was made of it.
    pub segment: SegmentId,
    /// Number of the leaf that reports it.
    pub sequence: u64,
    /// When.
    pub at: Ticks,
    /// What became of it.
    pub outcome: EgressOutcome,
    /// Rows of the segment.
    pub rows: u64,
    /// Facts that left.
    pub facts: u64,
    /// Bytes that left.
    pub bytes: u64,
    /// The receipt, sealed.
    pub sealed: Vec<u8>,
    /// What the centre signed, sealed; empty if it signed nothing.
    pub acknowledged: Vec<u8>,
}

/// A parcel that was made and is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelRow {
    /// Whose.
    pub tenant: TenantId,
    /// The segment that it was made of.
    pub segment: SegmentId,
    /// When.
    pub at: Ticks,
    /// Its facts.
    pub facts: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The receipt, sealed.
    pub receipt: Vec<u8>,
    /// The parcel, sealed.
    pub sealed: Vec<u8>,
}

/// What is kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKind {
    /// What belongs to a tenant and so never leaves.
    Own,
    /// The centre's newest snapshot; no tenant's.
    Snapshot,
}

/// Something that is kept over a restart, replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Whose; `None` for the cell's own.
    pub tenant: Option<TenantId>,
    /// What.
    pub kind: KeptKind,
    /// Counts its changes, from 1.
    pub version: u64,
    /// Sealed.
    pub sealed: Vec<u8>,
}

/// Which part of a record of what happened, the oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditRange {
    /// From this number on.
    pub from: u64,
    /// Made at this instant or later.
    pub since: Option<Ticks>,
    /// Made before this instant.
    pub until: Option<Ticks>,
}

/// A row of the record of what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Whose; `None` for the cell's own.
    pub tenant: Option<TenantId>,
    /// The number of its leaf.
    pub sequence: u64,
    /// When it was made.
    pub at: Ticks,
    /// Who did what, sealed.
    pub sealed: Vec<u8>,
}
