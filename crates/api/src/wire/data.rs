//! Where a tenant's data rests, and what happened to it.

use std::collections::BTreeMap;

use model::{
    GeographyCode, RegionCode, RuleId, SegmentId, ServiceName, TableName, TenantId, Ticks,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Pin;

/// What rests in this region of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResidencyReport {
    /// The tenant.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// This region.
    #[schema(value_type = String)]
    pub region: RegionCode,
    /// Its geography.
    #[schema(value_type = String)]
    pub geography: GeographyCode,
    /// The services that this region knows of, by name.
    pub services: Vec<ServiceResidence>,
    /// Bytes of sealed files of all services.
    pub segment_bytes: u64,
    /// Rows of all services, in sealed files and in the log.
    pub rows: u64,
}

/// One service of the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceResidence {
    /// The decision that is pinned.
    #[serde(flatten)]
    pub pin: Pin,
    /// What rests here.
    pub tables: Vec<TableResidence>,
}

/// What rests here of one table under one version of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableResidence {
    /// The table.
    #[schema(value_type = String)]
    pub table: TableName,
    /// The rule that placed these rows.
    #[schema(value_type = String)]
    pub rule: RuleId,
    /// Its version.
    pub rule_version: u32,
    /// `a` or `b`.
    pub basis: String,
    /// Sealed files.
    pub segments: u64,
    /// Rows in them.
    pub segment_rows: u64,
    /// Bytes of them.
    pub segment_bytes: u64,
    /// Rows in the log, not in a sealed file yet.
    pub log_rows: u64,
}

/// Why one record rests here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The sealed file that it is in; absent while it is in the log only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub segment: Option<SegmentId>,
    /// The table.
    #[schema(value_type = String)]
    pub table: TableName,
    /// The service that processed it.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// The rule.
    #[schema(value_type = String)]
    pub rule: RuleId,
    /// Its version.
    pub rule_version: u32,
    /// `a`: the tenant's geography; `b`: the service's own storage rule.
    pub basis: String,
    /// Version of the registry that the tenant had accepted.
    pub registry_version: u64,
    /// This region.
    #[schema(value_type = String)]
    pub region: RegionCode,
    /// Its geography.
    #[schema(value_type = String)]
    pub geography: GeographyCode,
}

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FlushReport {
    /// Sealed files written.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// One leaf of the tenant's ledger in this region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leaf {
    /// Position in the tenant's sequence.
    pub sequence: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Ticks,
    /// Who.
    pub actor: String,
    /// What.
    pub happening: String,
    /// Opaque ids, versions, counts and digests that say to what.
    pub details: BTreeMap<String, String>,
}

/// Leaves, by sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct LeafPage {
    /// The leaves of this page.
    pub leaves: Vec<Leaf>,
    /// For the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
