-- Format 1 of a region's catalogue.
--
-- In clear: ids, times (ticks of 100 ns since 0001-01-01), enums, counts, keyed tokens and digests of
-- sealed files. Everything a customer could recognise is in a column named `sealed`, which the caller
-- sealed. The head of `src/catalogue/sqlite.rs` says of each column why it may be in clear; the
-- residency walker has a list of its own, and a test compares this file's columns with the former.
--
-- Never change this file once it is released: its checksum stands in every catalogue.

PRAGMA user_version = 1;

CREATE TABLE meta (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    region         TEXT    NOT NULL,
    geography      TEXT    NOT NULL,
    writer_epoch   INTEGER NOT NULL CHECK (writer_epoch >= 0),
    next_cell_leaf INTEGER NOT NULL CHECK (next_cell_leaf >= 0),
    commits_failed INTEGER NOT NULL CHECK (commits_failed >= 0),
    created_at     INTEGER NOT NULL,
    opened_at      INTEGER NOT NULL
) STRICT;

-- Counters apart from documents: a flush changes the former and must not rewrite the latter.
CREATE TABLE tenant (
    tenant               BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16),
    stream               BLOB    NOT NULL UNIQUE CHECK (length(stream) = 16),
    home                 INTEGER NOT NULL CHECK (home IN (0, 1)),
    key_table_generation INTEGER NOT NULL CHECK (key_table_generation >= 0),
    first_record_at      INTEGER,
    next_leaf            INTEGER NOT NULL CHECK (next_leaf >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant_document (
    tenant  BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenant,
    version INTEGER NOT NULL CHECK (version >= 0),
    sealed  BLOB    NOT NULL
) STRICT;

CREATE TABLE tenant_raw_schema (
    tenant BLOB NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenant,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE source (
    source         BLOB    NOT NULL PRIMARY KEY CHECK (length(source) = 16),
    tenant         BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    disabled       INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    stored         INTEGER NOT NULL CHECK (stored >= 0),
    raw            INTEGER NOT NULL CHECK (raw >= 0),
    duplicate      INTEGER NOT NULL CHECK (duplicate >= 0),
    rejected       INTEGER NOT NULL CHECK (rejected >= 0),
    wrong_region   INTEGER NOT NULL CHECK (wrong_region >= 0),
    last_stored_at INTEGER,
    sealed         BLOB    NOT NULL
) STRICT;
CREATE INDEX source_of_tenant ON source (tenant, source);

CREATE TABLE token (
    token      BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 16),
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    tenant     BLOB    CHECK (length(tenant) = 16) REFERENCES tenant,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE INDEX token_of_tenant ON token (tenant, token);

CREATE TABLE segment (
    segment       BLOB    NOT NULL PRIMARY KEY CHECK (length(segment) = 16),
    tenant        BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    partition     BLOB    NOT NULL CHECK (length(partition) = 16),
    level         INTEGER NOT NULL CHECK (level BETWEEN 0 AND 255),
    row_count     INTEGER NOT NULL CHECK (row_count >= 0),
    byte_count    INTEGER NOT NULL CHECK (byte_count >= 0),
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    data_key      BLOB    NOT NULL CHECK (length(data_key) = 16),
    ingested_from INTEGER NOT NULL,
    ingested_to   INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    sealed        BLOB    NOT NULL
) STRICT;
CREATE INDEX segment_of_tenant ON segment (tenant, segment);

CREATE TABLE flushed (
    tenant           BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    partition        BLOB    NOT NULL CHECK (length(partition) = 16),
    flushed_sequence INTEGER NOT NULL CHECK (flushed_sequence >= 0),
    PRIMARY KEY (tenant, partition)
) STRICT, WITHOUT ROWID;

-- All that were accepted: a tenant keeps to its own version.
CREATE TABLE registry (
    version INTEGER NOT NULL PRIMARY KEY CHECK (version >= 0),
    digest  BLOB    NOT NULL CHECK (length(digest) = 32),
    sealed  BLOB    NOT NULL
) STRICT;

-- No tenant: the cell's own leaf. NULLs are distinct in the first index, hence the second.
CREATE TABLE leaf (
    tenant   BLOB    CHECK (length(tenant) = 16) REFERENCES tenant,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at       INTEGER NOT NULL,
    sealed   BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX leaf_of_tenant ON leaf (tenant, sequence);
CREATE UNIQUE INDEX leaf_of_cell ON leaf (sequence) WHERE tenant IS NULL;
