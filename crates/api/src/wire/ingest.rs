//! Sending records.

use std::collections::BTreeMap;

use model::{RegionCode, ServiceName, SourceId, TableName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How a body of records is to be read. All may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IngestQuery {
    /// The source; without it, the only one that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub source: Option<SourceId>,
    /// `defender`, `evtx`, `windows-json` or `json`; without it the body's first bytes tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The table that plain `json` goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub table: Option<TableName>,
    /// The column that has the time of rows outside the schema; without it, a usual name is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_column: Option<String>,
    /// Read and place the records, but store nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// List every refused record, not only the first.
    #[serde(default)]
    pub all_rejected: bool,
}

/// What became of a body of records. What is counted as stored is durable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct IngestAnswer {
    /// Records read.
    pub read: u64,
    /// Rows that are new and durable; in a dry run, rows that would be tried.
    pub stored: u64,
    /// Rows that had been stored before.
    pub duplicates: u64,
    /// Records that came to a table of the schema.
    pub mapped: u64,
    /// Records kept as raw rows.
    pub raw: u64,
    /// New rows by table.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub tables: BTreeMap<TableName, u64>,
    /// Rows outside the schema without a time of their own: only hunts that ask for them see them.
    pub untimed: u64,
    /// Rows with an escape that is no character (a lone surrogate): it is stored as U+FFFD, and the
    /// text as it was sent in `_source_fields`.
    #[serde(default)]
    pub replaced: u64,
    /// The first refused records, in order; with `all_rejected`, all.
    pub rejected: Vec<Rejection>,
    /// How many were refused.
    pub rejected_total: u64,
    /// How many were refused, by code.
    pub rejected_codes: BTreeMap<String, u64>,
    /// The records that made rows of another region, in order; send them there.
    pub wrong_region: Vec<Misdirected>,
    /// How many there were: one per record and table.
    pub wrong_region_total: u64,
    /// Whether nothing was stored because that was asked for.
    pub dry_run: bool,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejection {
    /// Its index in the body, from 0.
    pub record: u64,
    /// Where it begins, in bytes of the decompressed body, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The stable code.
    pub code: String,
    /// What is wrong; no value of the record is quoted.
    pub reason: String,
    /// The table of the row, once the record had come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub table: Option<TableName>,
    /// The service that the table belongs to, where the refusal is about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub service: Option<ServiceName>,
}

/// A record of a service that rests in another region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Misdirected {
    /// Its index in the body, from 0.
    pub record: u64,
    /// Where it begins, in bytes of the decompressed body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The table of the row.
    #[schema(value_type = String)]
    pub table: TableName,
    /// The service that the table belongs to.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// Where the row belongs.
    #[schema(value_type = String)]
    pub region: RegionCode,
}
