CREATE TABLE meta (
    id                  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    region              TEXT    NOT NULL,
    geography           TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    allow_list_version  INTEGER,
    allow_list_digest   BLOB,
    snapshot_number     INTEGER NOT NULL,
    snapshot_published  INTEGER,
    sealed_snapshot     BLOB
) STRICT;

CREATE TABLE batch (
    region      TEXT    NOT NULL,
    batch       BLOB    NOT NULL,
    epoch       INTEGER NOT NULL,
    digest      BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    facts       INTEGER NOT NULL,
    sealed      BLOB,
    PRIMARY KEY (region, batch)
) STRICT;

CREATE INDEX batch_by_epoch ON batch (epoch);

CREATE INDEX batch_with_parcel ON batch (received_at) WHERE sealed IS NOT NULL;

CREATE TABLE contributor (
    epoch       INTEGER NOT NULL,
    region      TEXT    NOT NULL,
    contributor BLOB    NOT NULL,
    PRIMARY KEY (epoch, region, contributor)
) STRICT, WITHOUT ROWID;

CREATE TABLE indicator (
    epoch         INTEGER NOT NULL,
    indicator     BLOB    NOT NULL,
    owner_groups  INTEGER NOT NULL,
    counted       INTEGER NOT NULL,
    first_day     INTEGER,
    typical_count INTEGER,
    sealed        BLOB    NOT NULL,
    PRIMARY KEY (epoch, indicator)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
    epoch       INTEGER NOT NULL,
    indicator   BLOB    NOT NULL,
    contributor BLOB    NOT NULL,
    first_day   INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (epoch, indicator, contributor)
) STRICT, WITHOUT ROWID;

CREATE TABLE technique (
    epoch        INTEGER NOT NULL,
    indicator    BLOB    NOT NULL,
    number       INTEGER NOT NULL,
    sub          INTEGER NOT NULL,
    owner_groups INTEGER NOT NULL,
    counted      INTEGER NOT NULL,
    PRIMARY KEY (epoch, indicator, number, sub)
) STRICT, WITHOUT ROWID;

CREATE TABLE technique_seen (
    epoch       INTEGER NOT NULL,
    indicator   BLOB    NOT NULL,
    number      INTEGER NOT NULL,
    sub         INTEGER NOT NULL,
    contributor BLOB    NOT NULL,
    PRIMARY KEY (epoch, indicator, number, sub, contributor)
) STRICT, WITHOUT ROWID;

CREATE TABLE total (
    epoch      INTEGER NOT NULL,
    region     TEXT    NOT NULL,
    batches    INTEGER NOT NULL,
    facts      INTEGER NOT NULL,
    indicators INTEGER NOT NULL,
    PRIMARY KEY (epoch, region)
) STRICT, WITHOUT ROWID;
