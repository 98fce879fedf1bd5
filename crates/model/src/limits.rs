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
/// Seconds of them for reading the query and planning it, before its first row is read.
pub const HUNT_PLANNING_SECONDS_MAX: u64 = 20;
/// Bytes of memory one hunt may hold: what its operators keep, at most three quarters of it, and every
/// column that its expressions make.
pub const HUNT_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Bytes of one value that a hunt makes.
pub const HUNT_VALUE_BYTES_MAX: usize = 8 << 20;
/// Bytes of one column that a hunt makes of one batch of rows.
pub const HUNT_COLUMN_BYTES_MAX: usize = 256 << 20;
/// Values that one `range` of a hunt makes.
pub const HUNT_RANGE_ROWS_MAX: usize = 10_000_000;
/// Arrays and bags inside of one another in a dynamic that an answer shows as JSON; one that is deeper is
/// shown as its text, because many readers of JSON give up at 128.
pub const HUNT_DYNAMIC_DEPTH_MAX: usize = 100;
/// Bytes of sealed temporary files one hunt may write.
pub const HUNT_SPILL_BYTES_MAX: u64 = 4 << 30;
/// Days a hunt looks back when it does not say.
pub const HUNT_LOOKBACK_DAYS: i64 = 30;

/// Bytes of an operator's file of patterns for user agents; the public ones have a quarter of a million.
pub const REFERENCE_PATTERNS_BYTES_MAX: usize = 8 << 20;
/// Patterns in it: each stays in memory, compiled.
pub const REFERENCE_PATTERNS_MAX: usize = 20_000;
/// Bytes of an operator's file of places, which stays in memory.
pub const REFERENCE_PLACES_BYTES_MAX: usize = 1 << 30;
/// Bytes of a user agent that are looked at: what comes after says nothing of the program.
pub const USER_AGENT_BYTES_MAX: usize = 4 << 10;
/// Addresses that an operator may let queries read.
pub const EXTERNAL_ADDRESSES_MAX: usize = 1_000;
/// Bytes of one file that stands for an address, unpacked.
pub const EXTERNAL_BYTES_MAX: usize = 64 << 20;
/// Different files that one `FileProfile` looks up if the query does not say how many.
pub const FILE_PROFILES_DEFAULT: u64 = 100;
/// Different files that one `FileProfile` looks up at most.
pub const FILE_PROFILES_MAX: u64 = 1_000;
/// Hunts of one tenant that may run at once.
pub const HUNTS_PER_TENANT_MAX: usize = 4;
/// Hunts of one cell that may run at once.
pub const HUNTS_PER_CELL_MAX: usize = 8;

/// Matches that one pattern of a graph finds.
pub const GRAPH_MATCHES_MAX: usize = 1_000_000;
/// Edges of one path of a graph's pattern.
pub const GRAPH_PATH_EDGES_MAX: u32 = 256;
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
/// Columns of all operators of a query together, variables and functions spelled out.
pub const QUERY_COLUMNS_MAX: usize = 1_000_000;
/// Results of one query text: statements, and parts of a `fork`.
pub const QUERY_RESULTS_MAX: usize = 32;
/// Diagnostics reported for one query.
pub const QUERY_DIAGNOSTICS_MAX: usize = 20;
/// Completions offered at one place of a query.
pub const QUERY_COMPLETIONS_MAX: usize = 1_000;

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
/// Bytes of request bodies that one cell holds of one tenant at a time; beyond, 429.
pub const REQUESTS_HELD_TENANT_BYTES_MAX: usize = 96 << 20;
/// Bytes of a request's body that must arrive within each `BODY_IDLE_SECONDS_MAX`, unless it ends.
pub const BODY_BYTES_MIN: usize = 64 << 10;
/// Seconds for which a request's body may stand still.
pub const BODY_IDLE_SECONDS_MAX: u64 = 30;
/// Seconds that a request's body may take to arrive.
pub const BODY_SECONDS_MAX: u64 = 600;
/// Seconds that open connections have to end when a listener closes.
pub const SHUTDOWN_SECONDS_MAX: u64 = 10;
/// Connections of one listener.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections of one listener that come from one address: of IPv6, from one network of 64 bits.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;
/// Seconds for which a connection may have no request in hand: until its first one has said its head,
/// and between two.
pub const REQUEST_HEAD_SECONDS_MAX: u64 = 30;
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

/// Bytes of one detection rule's text, a scheduled query's included.
pub const RULE_BYTES_MAX: usize = 1 << 20;
/// Texts of one set of detection rules; rules of one tenant, and of the cell.
pub const RULES_MAX: usize = 20_000;
/// Detections that evaluating one batch reports; the rest are counted.
pub const DETECTIONS_PER_BATCH_MAX: usize = 100_000;
/// Seconds that a correlation's window spans at most.
pub const CORRELATION_SECONDS_MAX: u64 = 30 * 86_400;
/// Groups that one tenant's correlations keep; beyond, the ones untouched longest go first.
pub const CORRELATION_GROUPS_MAX: usize = 10_000;
/// Rows that one group of a correlation keeps; a threshold above it is refused.
pub const CORRELATION_GROUP_ROWS_MAX: usize = 1_000;
/// Rows that one tenant's correlations keep in all; beyond, the groups untouched longest go first.
pub const CORRELATION_ROWS_MAX: usize = 200_000;
/// Windows that one group remembers as reported.
pub const CORRELATION_FIRED_MAX: usize = 64;
/// Entities that one group of a correlation remembers for its alert.
pub const CORRELATION_ENTITIES_MAX: usize = 30;
/// Correlations of correlations: how many steps deep.
pub const CORRELATION_CHAIN_MAX: usize = 4;
/// Alerts of another product that wait for their evidence, or evidence for its alert.
pub const VENDOR_ALERTS_PENDING_MAX: usize = 5_000;
/// Days that one half of another product's alert waits for the other, or for more evidence.
pub const VENDOR_PENDING_DAYS_MAX: i64 = 7;
/// Alerts of one run of a scheduled query; the rest are counted.
pub const SCHEDULE_ALERTS_PER_RUN_MAX: usize = 150;
/// Windows of one scheduled query that are caught up after a pause; older ones are counted as missed.
pub const SCHEDULE_CATCH_UP_MAX: usize = 24;
/// Days that a scheduled query's first run looks back.
pub const SCHEDULE_FIRST_RUN_DAYS: i64 = 30;
/// Entity tuples that one scheduled query remembers, so that it does not report them again.
pub const SCHEDULE_REMEMBERED_MAX: usize = 10_000;

/// Entries of an egress allow-list.
pub const ALLOW_LIST_ENTRIES_MAX: usize = 2_000;
/// Bytes of one egress batch.
pub const EGRESS_BATCH_BYTES_MAX: usize = 24 << 20;
/// Facts of one egress batch.
pub const EGRESS_FACTS_MAX: usize = 500_000;
/// Bytes of a clear text in a batch, which only an exception in the allow-list permits; longer ones
/// are cut.
pub const EGRESS_TEXT_BYTES_MAX: usize = 256;
/// Days before its epoch that a fact's day may lie; older ones count as the day of their arrival.
pub const EGRESS_DAYS_LATE_MAX: u32 = 30;
/// Domains and addresses of its own that a tenant is known by; beyond, none is learned.
pub const OWN_INDICATORS_MAX: usize = 10_000;
/// Owner groups that must have contributed before the centre says anything of an indicator.
pub const PREVALENCE_GROUPS_MIN: u32 = 10;
/// Owner groups that must have joined an indicator since its figure last moved before it moves again.
pub const PREVALENCE_JOINED_MIN: u32 = 3;
/// Bytes of a signed snapshot of prevalence.
pub const SNAPSHOT_BYTES_MAX: usize = 256 << 20;
/// Epochs that the centre keeps, the running one included; older facts are destroyed with their key.
pub const CENTRE_EPOCHS_KEPT: u32 = 4;
/// Days that the centre keeps a parcel as it came; what was counted of it stays until its epoch ends.
pub const CENTRE_PARCEL_DAYS_MAX: i64 = 14;
/// Indicators of one epoch that one cell may be the first to report; beyond, its batches wait.
pub const CENTRE_INDICATORS_PER_CELL_MAX: u64 = 20_000_000;
/// Cells that one centre serves.
pub const CENTRE_CELLS_MAX: usize = 256;

/// Bytes of rows of one cell that wait for detection; beyond, appends are refused with 429.
pub const DETECTION_LAG_BYTES_MAX: usize = 512 << 20;
/// Bytes of rows of one tenant that wait for detection; beyond, its appends are refused with 429.
pub const DETECTION_LAG_TENANT_BYTES_MAX: usize = 128 << 20;
/// Alerts of one detection commit.
pub const DETECTION_COMMIT_ALERTS_MAX: usize = 10_000;
/// Incidents, and entries of their activity, of one detection commit.
pub const DETECTION_COMMIT_INCIDENTS_MAX: usize = 10_000;
/// Bytes of one alert, incident or entry of an activity log, as it is stored.
pub const DETECTION_ITEM_BYTES_MAX: usize = 4 << 20;
/// Bytes of a tenant's stored state of correlation or of detectors.
pub const DETECTION_STATE_BYTES_MAX: usize = 64 << 20;
/// Alerts of one tenant that wait in the outbox for one other region; beyond, they wait outside it
/// ([`LINK_POSTPONED_MAX`]), and detection goes on.
pub const LINK_OUTBOX_ENTRIES_MAX: u64 = 100_000;
/// Alerts of one tenant that wait for room in a full outbox; beyond, they stay at their origin for good
/// and are counted as held back.
pub const LINK_POSTPONED_MAX: usize = 10_000;
/// Days for which a segment waits for the export to the centre; then it is dropped and counted.
pub const EXPORT_WAIT_DAYS_MAX: i64 = 7;
/// Bytes of one audit row's details.
pub const AUDIT_DETAILS_BYTES_MAX: usize = 16 << 10;

/// Alerts of one incident; an alert beyond opens the next incident.
pub const INCIDENT_ALERTS_MAX: usize = 1_000;
/// Entities of one incident; an alert that would add more opens the next incident.
pub const INCIDENT_ENTITIES_MAX: usize = 1_000;
/// Entity keys of one alert that correlation looks at, in order of importance.
pub const INCIDENT_ALERT_KEYS_MAX: usize = 64;
/// Incidents that one tenant's correlation holds; beyond, the longest quiet ones are archived.
pub const INCIDENTS_HELD_MAX: usize = 2_000;
/// Alerts that one tenant's correlation holds; beyond, the longest quiet incidents are archived.
pub const INCIDENT_ALERTS_HELD_MAX: usize = 10_000;
/// Alerts nearest in time, before and after, that a new alert is compared with for each entity key.
pub const INCIDENT_JOIN_FANOUT_MAX: usize = 32;
/// Days after its arrival in which an alert can still draw others into its incident.
pub const INCIDENT_JOIN_DAYS_MAX: i64 = 7;
/// Days without a new alert after which an incident that is still open is archived.
pub const INCIDENT_QUIET_DAYS_MAX: i64 = 30;
/// Days over which correlation remembers how common a key or a rule is.
pub const INCIDENT_RARITY_DAYS: i32 = 14;
/// Keys, and likewise rules, whose commonness one tenant's correlation remembers; beyond, the
/// longest unseen go first.
pub const INCIDENT_RARITY_KEYS_MAX: usize = 50_000;
/// Places (devices or accounts) that are told apart for one key's or rule's commonness.
pub const INCIDENT_RARITY_PLACES_MAX: usize = 32;
/// Alerts of archived incidents, and redirected incidents, that one tenant's correlation still knows.
pub const INCIDENT_REMEMBERED_MAX: usize = 20_000;
/// Keys of values that identify nobody, as one tenant's correlation is told them.
pub const INCIDENT_NOISE_KEYS_MAX: usize = 1_000;
/// Pairs of services that a tenant lets share.
pub const INCIDENT_CONSENTS_MAX: usize = 1_000;
/// Incidents that people keep apart from one incident.
pub const INCIDENT_APART_MAX: usize = 100;
/// Incidents that one request merges.
pub const INCIDENT_MERGE_MAX: usize = 5;
/// Tags of one incident.
pub const INCIDENT_TAGS_MAX: usize = 50;
/// Bytes of a tag, an assignee or a name given to an incident.
pub const INCIDENT_TEXT_BYTES_MAX: usize = 256;
/// Characters of a comment on an incident.
pub const INCIDENT_COMMENT_CHARS_MAX: usize = 30_000;
/// Bytes of a tenant's correlation state, or of one archived incident, when read back.
pub const INCIDENT_STATE_BYTES_MAX: usize = 64 << 20;
/// Seconds after which changed certificate files of the link are in force, without a hang-up signal.
pub const LINK_RENEW_SECONDS_MAX: u64 = 30;
/// Seconds that another process has to take a connection.
pub const LINK_CONNECT_SECONDS_MAX: u64 = 10;
/// Seconds that one exchange with another process may take.
pub const LINK_SECONDS_MAX: u64 = 60;
/// Bytes of an answer of another process: a snapshot of the centre is the largest.
pub const LINK_ANSWER_BYTES_MAX: usize = 256 << 20;
/// Bytes of a request from another process.
pub const LINK_REQUEST_BYTES_MAX: usize = 32 << 20;
/// TLS handshakes that a listener has under way at a time; the next one ends the longest of the address
/// that has most.
pub const HANDSHAKES_MAX: usize = 256;
/// TLS handshakes that one address has under way at a time; the next one ends the longest of them.
pub const HANDSHAKES_PER_ADDRESS_MAX: usize = 64;
/// Seconds that a TLS handshake may take.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Callers that wait for their audit rows; beyond, 429.
pub const AUDIT_WAITING_MAX: usize = 10_000;

/// Bytes of rows that one step of detection examines for a tenant.
pub const DETECTION_STEP_BYTES_MAX: usize = 32 << 20;
/// Alerts that one commit of such a step keeps; more are kept in several.
pub const DETECTION_PART_ALERTS_MAX: usize = 1_000;
/// Alerts of one rule that cross the tenant link on one day; the rest stay at their origin, counted.
pub const LINK_ALERTS_PER_RULE_DAY_MAX: u32 = 1_000;
/// Alerts that the view of one incident lists.
pub const INCIDENT_ALERTS_SHOWN_MAX: usize = 1_000;
/// Bytes of the entities in one answer about an incident, but for the first of them.
pub const INCIDENT_ENTITY_BYTES_MAX: usize = 1 << 20;
/// Values of one kind in a ready-made hunt.
pub const READY_HUNT_VALUES_MAX: usize = 50;
/// Bytes of a hunt's text that its audit row keeps.
pub const AUDIT_QUERY_BYTES_MAX: usize = 8 << 10;

/// Bytes of one alert as it is stored; details of its least important entities go first, then entities.
pub const ALERT_BYTES_MAX: usize = 1 << 20;
/// Bytes of the short texts of another product's alert: category, service and source.
pub const ALERT_WORD_BYTES_MAX: usize = 256;
/// Bytes of a rule's description in an alert.
pub const ALERT_DESCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Technique ids of one alert.
pub const ALERT_TECHNIQUES_MAX: usize = 100;
/// Bytes of a grouping or counted value that a correlation keeps; of a longer one it keeps the beginning
/// and a keyed hash.
pub const CORRELATION_VALUE_BYTES_MAX: usize = 512;
/// Bytes of entities that one group of a correlation remembers for its alert.
pub const CORRELATION_ENTITY_BYTES_MAX: usize = 64 << 10;
/// Bytes that one tenant's correlations keep; beyond, the groups untouched longest go first.
pub const CORRELATION_BYTES_MAX: usize = 20 << 20;
/// Bytes of another product's alert id; a row with a longer one is counted and not joined.
pub const VENDOR_ID_BYTES_MAX: usize = 1 << 10;
/// Bytes of entities that are kept of one alert of another product.
pub const VENDOR_ENTITY_BYTES_MAX: usize = 512 << 10;
/// Bytes of another product's alerts that wait for their other half; beyond, the oldest go first.
pub const VENDOR_PENDING_BYTES_MAX: usize = 20 << 20;
/// Bytes of an entity tuple that a scheduled query remembers; a longer one is kept as a keyed hash.
pub const SCHEDULE_TUPLE_BYTES_MAX: usize = 256;
/// Bytes of the alerts of one part of a step of detection.
pub const DETECTION_PART_BYTES_MAX: usize = 8 << 20;
/// Times that a step of detection is tried on the same frame before the frame is passed over, counted:
/// only if examining it failed or what it gives is larger than may be stored.
pub const DETECTION_TRIES_MAX: u32 = 5;
/// Bytes of rows in memory, beyond what ingestion may fill, for the rows that the cell makes itself.
pub const SYSTEM_ROWS_BYTES_MAX: usize = 64 << 20;
/// Damaged rows of one tenant that lists name.
pub const DAMAGED_ROWS_NAMED_MAX: usize = 1_000;
/// Seconds that the command line waits in all, without anything being taken, for a server that is behind.
pub const INGEST_WAIT_SECONDS_MAX: u64 = 600;
/// Levels that a rule's text nests.
pub const RULE_DEPTH_MAX: usize = 64;
/// Bytes of the compiled patterns of one rule text.
pub const RULE_PATTERN_BYTES_MAX: usize = 16 << 20;
/// Bytes of the compiled patterns of one set of rules: the cell's, or a tenant's own.
pub const RULES_PATTERN_BYTES_MAX: usize = 128 << 20;
/// Seconds after which nobody waits for the check of a rule any more.
pub const RULE_CHECK_SECONDS_MAX: u64 = 10;
/// Rule texts that a cell checks at a time; of one tenant one.
pub const RULE_CHECKS_MAX: usize = 4;
/// Seconds within which the same person looking at the same thing again is one access on record.
pub const ACCESS_REPEAT_SECONDS: i64 = 600;
/// Accesses that are remembered to tell repeats; beyond, a repeat is written again.
pub const ACCESSES_REMEMBERED_MAX: usize = 10_000;
