//! The vocabulary every other crate speaks.
//!
//! Ids, instants, the hunting schema with a privacy class per column, diagnostics, the code
//! registry, the limits, and the traits through which time, randomness and disks are handed in.
//!
//! Promises
//! - No I/O, no Arrow, no clock, no randomness: values and pure functions only.
//! - Every code in [`Code`] is unique, and every limit in [`limits`] says its unit.

pub mod alert;
pub mod codes;
pub mod diagnostic;
pub mod environment;
pub mod ids;
pub mod incident;
pub mod indicator;
pub mod limits;
pub mod schema;
pub mod ticks;

pub use alert::{
    Alert, AlertDigest, AlertSeverity, Entity, EntityKey, EntityKind, EntityRef, EntityRole,
    KeyKind, KeyToken, RecordRef, RuleKind, RuleRef,
};
pub use codes::Code;
pub use diagnostic::{Diagnostic, Severity, Span};
pub use environment::{Clock, Disk, DiskFile, Random};
pub use ids::{
    AlertId, ContributorToken, DetectionRuleId, GeographyCode, IndicatorToken, KeyId, OrderId,
    OwnerGroupId, RegionCode, RequestId, RowId, RuleId, SegmentId, ServiceName, SourceId, StreamId,
    TableName, TenantId, TokenId,
};
pub use incident::{Classification, Determination, IncidentId, IncidentStatus};
pub use indicator::{
    CountBucket, Day, Epoch, Indicator, IndicatorClass, IndicatorTokens, Purpose, Technique,
    TokensError, TokensFuture,
};
pub use schema::{Column, ColumnType, PrivacyClass, Schema, Table, TableKind};
pub use ticks::{Span100ns, Ticks};

#[cfg(test)]
mod tests;
