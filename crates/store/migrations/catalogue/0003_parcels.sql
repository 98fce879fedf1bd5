-- A parcel for the centre, byte for byte as it is sent, from before it is sent until the centre has
-- acknowledged it. `receipt` is the gate's receipt of it, sealed on its own.
CREATE TABLE parcel (
    tenant     BLOB    NOT NULL CHECK (length(tenant) = 16) REFERENCES tenant,
    segment    BLOB    NOT NULL CHECK (length(segment) = 16),
    at         INTEGER NOT NULL,
    fact_count INTEGER NOT NULL CHECK (fact_count >= 0),
    byte_count INTEGER NOT NULL CHECK (byte_count >= 0),
    receipt    BLOB    NOT NULL,
    sealed     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX parcel_of_segment ON parcel (tenant, segment);

-- What the centre signed when it had the parcel; NULL if none left, or if it never did.
ALTER TABLE egress ADD COLUMN acknowledged BLOB;

-- What is kept over a restart, replaced as a whole. 1: what belongs to the tenant, 2: the centre's
-- newest snapshot, which is no tenant's. NULLs are distinct in the first index, hence the second.
CREATE TABLE kept (
    tenant  BLOB    CHECK (length(tenant) = 16) REFERENCES tenant,
    kind    INTEGER NOT NULL CHECK (kind IN (1, 2)),
    version INTEGER NOT NULL CHECK (version >= 1),
    sealed  BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX kept_of_tenant ON kept (tenant, kind);
CREATE UNIQUE INDEX kept_of_cell ON kept (kind) WHERE tenant IS NULL;
