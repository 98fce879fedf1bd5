//! Every limit, with its unit and its reason.
//!
//! A limit that is not here does not exist. `docs/reference/limits.md` is generated from this file;
//! each is tested at its edge where it is enforced.

/// Bytes of a table, column or source name.
pub const NAME_BYTES_MAX: usize = 128;

/// Bytes of one ingest request body as it arrives (before decompression): a client splits above.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Bytes of one ingest request after decompression; a bomb stops here.
pub const REQUEST_BYTES_DECODED_MAX: usize = 128 << 20;
/// Bytes of one record's JSON text.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Nesting depth of one record's JSON.
pub const JSON_DEPTH_MAX: usize = 64;
/// Records in one request.
pub const REQUEST_RECORDS_MAX: usize = 100_000;
/// Rejections reported with detail in one answer; the rest are counted.
pub const REJECTIONS_REPORTED_MAX: usize = 1_000;
/// Bytes of a Windows event log file taken in one request.
pub const EVTX_BYTES_MAX: usize = 128 << 20;
/// Bytes that the records of one event log file may have as text: its templates can repeat a little
/// binary many times. Honest files grow two- to eightfold.
pub const EVTX_RENDERED_BYTES_MAX: usize = 512 << 20;

/// Tables outside the schema that a tenant may create by sending them.
pub const RAW_TABLES_MAX: usize = 500;
/// Columns outside the schema that a tenant's tables may gain together; beyond, one dynamic bag.
pub const RAW_COLUMNS_MAX: usize = 1_000;

/// Days of ingestion over which a repeated row is recognised.
pub const IDENTITY_HORIZON_DAYS: i32 = 7;

/// Bytes of one log segment file before the next is begun.
pub const LOG_SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of one frame's payload in the log.
pub const LOG_FRAME_BYTES_MAX: usize = 160 << 20;
/// Log segment files a cell keeps before it flushes the largest or copies quiet tenants forward.
pub const LOG_SEGMENTS_MAX: usize = 8;
/// Streams the log keeps a last sequence number of; the table stands in every segment's header.
pub const LOG_STREAMS_MAX: usize = 65_536;
/// Requests that may wait for a commit; beyond, 429.
pub const COMMIT_QUEUE_MAX: usize = 1_024;
/// Bytes that may wait for a commit; beyond, 429.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 256 << 20;

/// Bytes of a partition's memtable that make it flush.
pub const MEMTABLE_PARTITION_BYTES_MAX: usize = 64 << 20;
/// Bytes of all memtables of a cell that make the largest flush.
pub const MEMTABLE_BYTES_MAX: usize = 512 << 20;
/// Seconds after which a partition's memtable is flushed whatever its size.
pub const MEMTABLE_AGE_SECONDS_MAX: i64 = 6 * 3600;
/// Bytes of a memtable below which a tenant counts as quiet: it is copied forward, not flushed.
pub const QUIET_MEMTABLE_BYTES_MAX: usize = 1 << 20;
/// Rows of one Parquet row group.
pub const ROW_GROUP_ROWS_MAX: usize = 131_072;
/// Level-0 segments of one partition that make it compact.
pub const COMPACT_SEGMENTS_MIN: usize = 4;
/// Bytes of the segments that one compaction reads.
pub const COMPACT_BYTES_MAX: u64 = 64 << 20;
/// Rows of the segments that one compaction reads.
pub const COMPACT_ROWS_MAX: u64 = 400_000;
/// Bytes that the rows of one compaction take in memory: a small file can hold very many.
pub const COMPACT_MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Bytes of all memtables of a cell from which on appends are refused with 429, because flushing
/// does not keep up or fails.
pub const MEMTABLE_BYTES_REFUSED: usize = 1 << 30;
/// Parsed segment footers that a cell keeps.
pub const FOOTERS_KEPT_MAX: usize = 1_024;

/// Rows of a hunt's result.
pub const HUNT_ROWS_MAX: usize = 100_000;
/// Bytes of a hunt's result, as encoded for the client.
pub const HUNT_BYTES_MAX: usize = 64 << 20;
/// Seconds a hunt may run.
pub const HUNT_SECONDS_MAX: u64 = 600;
/// Bytes of memory one hunt may hold.
pub const HUNT_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Bytes of sealed temporary files one hunt may write.
pub const HUNT_SPILL_BYTES_MAX: u64 = 4 << 30;
/// Days a hunt looks back when it does not say.
pub const HUNT_LOOKBACK_DAYS: i64 = 30;
/// Hunts of one tenant that may run at once.
pub const HUNTS_PER_TENANT_MAX: usize = 4;
/// Hunts of one cell that may run at once.
pub const HUNTS_PER_CELL_MAX: usize = 8;

/// Bytes of a query's text.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// Nesting depth of a query.
pub const QUERY_DEPTH_MAX: usize = 128;
/// Variables and functions that one query defines.
pub const QUERY_LETS_MAX: usize = 1_000;
/// Operators of a query after its variables and functions are spelled out.
pub const QUERY_OPERATORS_MAX: usize = 10_000;
/// Operators one after the other, variables spelled out.
pub const QUERY_OPERATORS_DEPTH_MAX: usize = 512;
/// Scalar expressions of a query after its variables and functions are spelled out.
pub const QUERY_EXPRESSIONS_MAX: usize = 500_000;
/// Diagnostics reported for one query.
pub const QUERY_DIAGNOSTICS_MAX: usize = 20;

/// Tenants of one cell.
pub const TENANTS_MAX: usize = 10_000;
/// Sources of one tenant.
pub const SOURCES_PER_TENANT_MAX: usize = 1_000;
/// Live tokens of one tenant.
pub const TOKENS_PER_TENANT_MAX: usize = 1_000;
/// Days a token lives at most.
pub const TOKEN_DAYS_MAX: i64 = 366;
/// Retention a tenant may choose, in days.
pub const RETENTION_DAYS_MIN: i64 = 30;
/// Retention a tenant may choose, in days.
pub const RETENTION_DAYS_MAX: i64 = 180;

/// Items of one page of a list.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Items of one page of a list when the caller does not say.
pub const PAGE_ITEMS_DEFAULT: usize = 100;

/// Seconds for which a grant is good after the decision: each request asks anew.
pub const GRANT_SECONDS_MAX: i64 = 3600;
/// Label combinations of one metric; beyond, all share one series labelled `other`.
pub const METRIC_SERIES_MAX: usize = 1_000;

/// Bytes of a signed document (registry, provisioning record, cell profile).
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Entries of one list of a signed document: countries, geographies, regions, tables, cases of a rule.
pub const DOCUMENT_ITEMS_MAX: usize = 2_000;
/// Places that one case of a storage rule may want, in order.
pub const WANTED_PLACES_MAX: usize = 16;
/// Bytes of a free text in a signed document: a name, a region's address.
pub const DOCUMENT_TEXT_BYTES_MAX: usize = 256;
/// Bytes of one sealed field in a signed document.
pub const DOCUMENT_SEALED_BYTES_MAX: usize = 16 << 10;

/// Bytes of one request's JSON body, ingestion aside.
pub const JSON_REQUEST_BYTES_MAX: usize = 4 << 20;
/// Bytes of request bodies that one cell holds at a time; beyond, 429.
pub const REQUESTS_HELD_BYTES_MAX: usize = 256 << 20;
/// Seconds for which a request's body may stand still.
pub const BODY_IDLE_SECONDS_MAX: u64 = 30;
/// Seconds that a request's body may take to arrive.
pub const BODY_SECONDS_MAX: u64 = 600;
/// Seconds that open connections have to end when a listener closes.
pub const SHUTDOWN_SECONDS_MAX: u64 = 10;
/// Connections of one listener.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Seconds after which a connection on which no byte moved fails: more than a hunt may run.
pub const CONNECTION_IDLE_SECONDS_MAX: u64 = HUNT_SECONDS_MAX + 60;

/// Rows that one alert names.
pub const ALERT_RECORDS_MAX: usize = 100;
/// Entities that one alert names.
pub const ALERT_ENTITIES_MAX: usize = 100;
/// Bytes of an alert's title.
pub const ALERT_TITLE_BYTES_MAX: usize = 1_024;
/// Bytes of one value of an alert's entity (name, key or detail); longer ones are cut, and a cut key
/// joins nothing.
pub const ALERT_VALUE_BYTES_MAX: usize = 8 << 10;
/// Alerts of one message on the tenant link.
pub const LINK_ALERTS_MAX: usize = 500;
