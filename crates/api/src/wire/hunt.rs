//! Hunting.

use model::{ColumnType, Severity};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A query to be run or checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HuntRequest {
    /// The query, in KQL.
    #[schema(example = "DeviceProcessEvents | where Timestamp > ago(1d) | count")]
    pub query: String,
    /// Reserved, and refused until it works: the query says itself how far it looks back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timespan: Option<String>,
    /// The form of the answer; `json` if it is not said.
    #[serde(default)]
    pub format: HuntFormat,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HuntFormat {
    /// One JSON object with columns and rows.
    #[default]
    Json,
    /// One JSON object per row and line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
}

/// The answer of a hunt as `json`. Read it from text or bytes, not through a generic JSON value:
/// cells are kept as they were written.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HuntAnswer {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// One list of cells per row, in the order of the columns.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub rows: Vec<Vec<Box<RawValue>>>,
    /// What the reader should know: a default look-back, a result that was cut.
    pub notices: Vec<Finding>,
    /// Whether rows were left out because of a limit.
    pub is_partial: bool,
    /// What it cost.
    pub stats: HuntStats,
    /// How the query calls the result, if it does (`as`, `fork name = (…)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Further results, in the order of the query: of further statements, of the parts of a `fork`.
    /// Limits and notices are of all results together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoAnswer>,
}

/// A further result of a hunt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AlsoAnswer {
    /// How the query calls it, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// One list of cells per row, in the order of the columns.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub rows: Vec<Vec<Box<RawValue>>>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its Kusto type.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "datetime")]
    pub column_type: ColumnType,
}

/// What a hunt cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct HuntStats {
    /// Rows that were looked at.
    pub rows_scanned: u64,
    /// Sealed files that were opened.
    pub segments_opened: u64,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
}

/// What a check of a query found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Findings {
    /// The findings, as the reader of the query meets them.
    pub diagnostics: Vec<Finding>,
}

/// A query that is being written, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompletionRequest {
    /// The query so far, in KQL.
    #[schema(example = "DeviceProcessEvents | wh")]
    pub query: String,
    /// The byte before which something is to be written; beyond the end is the end.
    #[schema(example = 24)]
    pub offset: u32,
}

/// What can be written at a place of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Completions {
    /// First byte of the word that an item replaces.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
    /// The items, the likeliest first.
    pub items: Vec<Completion>,
}

/// One thing that can be written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Completion {
    /// What to write.
    #[schema(example = "where")]
    pub label: String,
    /// `column`, `name`, `table`, `operator`, `keyword`, `aggregate`, `function`, `plugin` or `type`.
    #[schema(example = "operator")]
    pub kind: String,
    /// The type of a column, the signatures of a function; may be empty.
    pub detail: String,
    /// One line about it; may be empty.
    pub doc: String,
}

/// A query to be laid out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormatRequest {
    /// The query, in KQL.
    #[schema(example = "DeviceEvents|take 5")]
    pub query: String,
}

/// A query that was laid out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Formatted {
    /// The same query in the one form.
    #[schema(example = "DeviceEvents | take 5\n")]
    pub query: String,
}

/// One finding about a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The stable code.
    #[schema(example = "KQL0207")]
    pub code: String,
    /// `error`, `warning` or `notice`.
    #[schema(value_type = String, example = "error")]
    pub severity: Severity,
    /// First byte of the query that it is about.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Line of the first byte, from 1.
    pub line: u64,
    /// Character of the first byte in its line, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// All of it above the line of the query, for a terminal.
    pub rendered: String,
}
