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
