-- Format 2 of a region's catalogue: detection, incidents, rules, the tenant link, the export to the
-- centre, and the record of what happened.
--
-- In clear as in format 1: ids (an alert's is a keyed hash), times, enums, counts, keyed tokens. A rule
-- is known by a keyed token of its id, because ids are words that people choose.
--
-- Never change this file once it is released: its checksum stands in every catalogue.

PRAGMA user_version = 2;

-- How far a tenant's stream of the log was examined. No cursor: detection was never on.
CREATE TABLE detection (
    tenant        BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenant,
    cursor        INTEGER CHECK (cursor >= 0),
    rules_version INTEGER NOT NULL CHECK (rules_version >= 0),
    next_incident INTEGER NOT NULL CHECK (next_incident >= 1),
    next_activity INTEGER NOT NULL CHECK (next_activity >= 1)
) STRICT, WITHOUT ROWID;

-- 1: correlation, 2: detectors.
CREATE TABLE detection_state (
    tenant  BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    kind    INTEGER NOT NULL CHECK (kind IN (1, 2)),
    version INTEGER NOT NULL CHECK (version >= 1),
    sealed  BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX detection_state_of_tenant ON detection_state (tenant, kind);

CREATE TABLE alert (
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    alert      BLOB    NOT NULL CHECK (length(alert) = 16),
    created_at INTEGER NOT NULL,
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    linked     INTEGER NOT NULL CHECK (linked IN (0, 1)),
    incident   INTEGER CHECK (incident >= 1),
    sealed     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_of_tenant ON alert (tenant, alert);
CREATE INDEX alert_by_time ON alert (tenant, created_at, alert);
CREATE INDEX alert_of_incident ON alert (tenant, incident, created_at, alert);

CREATE TABLE incident (
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    number     INTEGER NOT NULL CHECK (number >= 1),
    version    INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    status     INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    severity   INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    assigned   BLOB    CHECK (length(assigned) = 16),
    sealed     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_of_tenant ON incident (tenant, number);

CREATE TABLE activity (
    tenant   BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    incident INTEGER NOT NULL CHECK (incident >= 1),
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    at       INTEGER NOT NULL,
    sealed   BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX activity_of_tenant ON activity (tenant, sequence);
CREATE INDEX activity_of_incident ON activity (tenant, incident, sequence);

-- No tenant: a rule of the cell, for all tenants. NULLs are distinct in the first index, hence the second.
CREATE TABLE rule (
    tenant     BLOB    CHECK (length(tenant) = 16) REFERENCES tenant,
    rule       BLOB    NOT NULL CHECK (length(rule) = 16),
    version    INTEGER NOT NULL CHECK (version >= 1),
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    updated_at INTEGER NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX rule_of_tenant ON rule (tenant, rule);
CREATE UNIQUE INDEX rule_of_cell ON rule (rule) WHERE tenant IS NULL;

-- The end of the last window that a scheduled rule looked at, rules of the cell included.
CREATE TABLE rule_window (
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    rule       BLOB    NOT NULL CHECK (length(rule) = 16),
    window_end INTEGER NOT NULL,
    PRIMARY KEY (tenant, rule)
) STRICT, WITHOUT ROWID;

-- What ever went into the outbox for one other region, which a keyed token stands for.
CREATE TABLE link_queue (
    tenant        BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    destination   BLOB    NOT NULL CHECK (length(destination) = 16),
    next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
    acknowledged  INTEGER NOT NULL CHECK (acknowledged >= 0),
    byte_count    INTEGER NOT NULL CHECK (byte_count >= 0),
    PRIMARY KEY (tenant, destination)
) STRICT, WITHOUT ROWID;

CREATE TABLE link_entry (
    tenant      BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    destination BLOB    NOT NULL CHECK (length(destination) = 16),
    sequence    INTEGER NOT NULL CHECK (sequence >= 1),
    at          INTEGER NOT NULL,
    sealed      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX link_entry_of_tenant ON link_entry (tenant, destination, sequence);

-- The tenant's export to the centre is on; segments that were made from `since` on wait for it.
CREATE TABLE export (
    tenant BLOB    NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenant,
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One a segment, kept when the segment is gone. Outcome 0: sent, 1: dropped because it waited too long.
CREATE TABLE egress (
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    segment    BLOB    NOT NULL CHECK (length(segment) = 16),
    sequence   INTEGER NOT NULL CHECK (sequence >= 0),
    at         INTEGER NOT NULL,
    outcome    INTEGER NOT NULL CHECK (outcome IN (0, 1)),
    row_count  INTEGER NOT NULL CHECK (row_count >= 0),
    fact_count INTEGER NOT NULL CHECK (fact_count >= 0),
    byte_count INTEGER NOT NULL CHECK (byte_count >= 0),
    sealed     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX egress_of_segment ON egress (tenant, segment);
CREATE UNIQUE INDEX egress_of_tenant ON egress (tenant, sequence);

-- Beside each leaf, with its number, in the same transaction; stays when the leaf was published.
CREATE TABLE audit (
    tenant   BLOB    CHECK (length(tenant) = 16) REFERENCES tenant,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at       INTEGER NOT NULL,
    sealed   BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX audit_of_tenant ON audit (tenant, sequence);
CREATE UNIQUE INDEX audit_of_cell ON audit (sequence) WHERE tenant IS NULL;

-- The lost frames of the tenant's stream that somebody has accepted as lost.
CREATE TABLE log_damage (
    tenant BLOB NOT NULL PRIMARY KEY CHECK (length(tenant) = 16) REFERENCES tenant,
    sealed BLOB NOT NULL
) STRICT;
