//! Every table and column that a catalogue may have, and what may stand in it.
//!
//! Written down here from the format's description, not taken from `store`: a column that is added
//! there is a finding until somebody has thought about it here.

/// What a column holds.
#[derive(Debug)]
pub(super) enum Holds {
    /// A count, a time, an enum, a version.
    Number,
    NumberOrNull,
    /// A random id, a keyed token, a hash or a digest of so many bytes.
    Bytes(usize),
    BytesOrNull(usize),
    /// One of the program's own words.
    Word(&'static [&'static str]),
    /// The code of the directory's region.
    Region,
    /// The code of the directory's geography.
    Geography,
    /// A code of the form that regions have: one of the cells that send to the centre.
    Code,
    /// Everything else.
    Sealed,
    SealedOrNull,
}

impl Holds {
    pub(super) fn may_be_null(&self) -> bool {
        matches!(
            self,
            Self::NumberOrNull | Self::BytesOrNull(_) | Self::SealedOrNull
        )
    }
}

/// A table's name and its columns.
type Table = (&'static str, &'static [(&'static str, Holds)]);

/// What a database of one kind has.
#[derive(Debug)]
pub(crate) struct Flavour {
    /// The file's `application_id`.
    pub(super) id: i64,
    /// The newest format that the lists describe.
    pub(super) format: i64,
    pub(super) tables: &'static [Table],
    /// Indexes and the statements that make them.
    pub(super) indexes: &'static [(&'static str, &'static str)],
}

/// A region's catalogue: `BWCA`.
pub(crate) const CATALOGUE: Flavour = Flavour {
    id: 0x4257_4341,
    format: 3,
    tables: TABLES,
    indexes: INDEXES,
};

/// The centre's database: `BWCE`.
pub(crate) const CENTRE: Flavour = Flavour {
    id: 0x4257_4345,
    format: 1,
    tables: CENTRE_TABLES,
    indexes: CENTRE_INDEXES,
};

const ID: Holds = Holds::Bytes(16);
const DIGEST: Holds = Holds::Bytes(32);

const TABLES: &[Table] = &[
    (
        "meta",
        &[
            ("id", Holds::Number),
            ("region", Holds::Region),
            ("geography", Holds::Geography),
            ("writer_epoch", Holds::Number),
            ("next_cell_leaf", Holds::Number),
            ("commits_failed", Holds::Number),
            ("created_at", Holds::Number),
            ("opened_at", Holds::Number),
        ],
    ),
    (
        "tenant",
        &[
            ("tenant", ID),
            ("stream", ID),
            ("home", Holds::Number),
            ("key_table_generation", Holds::Number),
            ("first_record_at", Holds::NumberOrNull),
            ("next_leaf", Holds::Number),
        ],
    ),
    (
        "tenant_document",
        &[
            ("tenant", ID),
            ("version", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "tenant_raw_schema",
        &[("tenant", ID), ("sealed", Holds::Sealed)],
    ),
    (
        "source",
        &[
            ("source", ID),
            ("tenant", ID),
            ("disabled", Holds::Number),
            ("stored", Holds::Number),
            ("raw", Holds::Number),
            ("duplicate", Holds::Number),
            ("rejected", Holds::Number),
            ("wrong_region", Holds::Number),
            ("last_stored_at", Holds::NumberOrNull),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "token",
        &[
            ("token", ID),
            ("hash", DIGEST),
            ("tenant", Holds::BytesOrNull(16)),
            ("created_at", Holds::Number),
            ("expires_at", Holds::Number),
            ("revoked_at", Holds::NumberOrNull),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "segment",
        &[
            ("segment", ID),
            ("tenant", ID),
            ("partition", ID),
            ("level", Holds::Number),
            ("row_count", Holds::Number),
            ("byte_count", Holds::Number),
            ("digest", DIGEST),
            ("data_key", ID),
            ("ingested_from", Holds::Number),
            ("ingested_to", Holds::Number),
            ("created_at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "flushed",
        &[
            ("tenant", ID),
            ("partition", ID),
            ("flushed_sequence", Holds::Number),
        ],
    ),
    (
        "registry",
        &[
            ("version", Holds::Number),
            ("digest", DIGEST),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "leaf",
        &[
            ("tenant", Holds::BytesOrNull(16)),
            ("sequence", Holds::Number),
            ("at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "detection",
        &[
            ("tenant", ID),
            ("cursor", Holds::NumberOrNull),
            ("rules_version", Holds::Number),
            ("next_incident", Holds::Number),
            ("next_activity", Holds::Number),
        ],
    ),
    (
        "detection_state",
        &[
            ("tenant", ID),
            ("kind", Holds::Number),
            ("version", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "alert",
        &[
            ("tenant", ID),
            ("alert", ID),
            ("created_at", Holds::Number),
            ("severity", Holds::Number),
            ("linked", Holds::Number),
            ("incident", Holds::NumberOrNull),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "incident",
        &[
            ("tenant", ID),
            ("number", Holds::Number),
            ("version", Holds::Number),
            ("created_at", Holds::Number),
            ("updated_at", Holds::Number),
            ("status", Holds::Number),
            ("severity", Holds::Number),
            ("assigned", Holds::BytesOrNull(16)),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "activity",
        &[
            ("tenant", ID),
            ("incident", Holds::Number),
            ("sequence", Holds::Number),
            ("at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "rule",
        &[
            ("tenant", Holds::BytesOrNull(16)),
            ("rule", ID),
            ("version", Holds::Number),
            ("kind", Holds::Number),
            ("enabled", Holds::Number),
            ("updated_at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "rule_window",
        &[("tenant", ID), ("rule", ID), ("window_end", Holds::Number)],
    ),
    (
        "link_queue",
        &[
            ("tenant", ID),
            ("destination", ID),
            ("next_sequence", Holds::Number),
            ("acknowledged", Holds::Number),
            ("byte_count", Holds::Number),
        ],
    ),
    (
        "link_entry",
        &[
            ("tenant", ID),
            ("destination", ID),
            ("sequence", Holds::Number),
            ("at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    ("export", &[("tenant", ID), ("since", Holds::Number)]),
    (
        "egress",
        &[
            ("tenant", ID),
            ("segment", ID),
            ("sequence", Holds::Number),
            ("at", Holds::Number),
            ("outcome", Holds::Number),
            ("row_count", Holds::Number),
            ("fact_count", Holds::Number),
            ("byte_count", Holds::Number),
            ("sealed", Holds::Sealed),
            ("acknowledged", Holds::SealedOrNull),
        ],
    ),
    (
        "parcel",
        &[
            ("tenant", ID),
            ("segment", ID),
            ("at", Holds::Number),
            ("fact_count", Holds::Number),
            ("byte_count", Holds::Number),
            ("receipt", Holds::Sealed),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "kept",
        &[
            ("tenant", Holds::BytesOrNull(16)),
            ("kind", Holds::Number),
            ("version", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "audit",
        &[
            ("tenant", Holds::BytesOrNull(16)),
            ("sequence", Holds::Number),
            ("at", Holds::Number),
            ("sealed", Holds::Sealed),
        ],
    ),
    ("log_damage", &[("tenant", ID), ("sealed", Holds::Sealed)]),
    // The migration library's: what the program's own versions did.
    (
        "_sqlx_migrations",
        &[
            ("version", Holds::Number),
            (
                "description",
                Holds::Word(&["first", "detection", "parcels"]),
            ),
            ("installed_on", Holds::Number),
            ("success", Holds::Number),
            ("checksum", Holds::Bytes(48)),
            ("execution_time", Holds::Number),
        ],
    ),
];

const INDEXES: &[(&str, &str)] = &[
    (
        "source_of_tenant",
        "CREATE INDEX source_of_tenant ON source (tenant, source)",
    ),
    (
        "token_of_tenant",
        "CREATE INDEX token_of_tenant ON token (tenant, token)",
    ),
    (
        "segment_of_tenant",
        "CREATE INDEX segment_of_tenant ON segment (tenant, segment)",
    ),
    (
        "leaf_of_tenant",
        "CREATE UNIQUE INDEX leaf_of_tenant ON leaf (tenant, sequence)",
    ),
    (
        "leaf_of_cell",
        "CREATE UNIQUE INDEX leaf_of_cell ON leaf (sequence) WHERE tenant IS NULL",
    ),
    (
        "detection_state_of_tenant",
        "CREATE UNIQUE INDEX detection_state_of_tenant ON detection_state (tenant, kind)",
    ),
    (
        "alert_of_tenant",
        "CREATE UNIQUE INDEX alert_of_tenant ON alert (tenant, alert)",
    ),
    (
        "alert_by_time",
        "CREATE INDEX alert_by_time ON alert (tenant, created_at, alert)",
    ),
    (
        "alert_of_incident",
        "CREATE INDEX alert_of_incident ON alert (tenant, incident, created_at, alert)",
    ),
    (
        "incident_of_tenant",
        "CREATE UNIQUE INDEX incident_of_tenant ON incident (tenant, number)",
    ),
    (
        "activity_of_tenant",
        "CREATE UNIQUE INDEX activity_of_tenant ON activity (tenant, sequence)",
    ),
    (
        "activity_of_incident",
        "CREATE INDEX activity_of_incident ON activity (tenant, incident, sequence)",
    ),
    (
        "rule_of_tenant",
        "CREATE UNIQUE INDEX rule_of_tenant ON rule (tenant, rule)",
    ),
    (
        "rule_of_cell",
        "CREATE UNIQUE INDEX rule_of_cell ON rule (rule) WHERE tenant IS NULL",
    ),
    (
        "link_entry_of_tenant",
        "CREATE UNIQUE INDEX link_entry_of_tenant ON link_entry (tenant, destination, sequence)",
    ),
    (
        "egress_of_segment",
        "CREATE UNIQUE INDEX egress_of_segment ON egress (tenant, segment)",
    ),
    (
        "egress_of_tenant",
        "CREATE UNIQUE INDEX egress_of_tenant ON egress (tenant, sequence)",
    ),
    (
        "audit_of_tenant",
        "CREATE UNIQUE INDEX audit_of_tenant ON audit (tenant, sequence)",
    ),
    (
        "audit_of_cell",
        "CREATE UNIQUE INDEX audit_of_cell ON audit (sequence) WHERE tenant IS NULL",
    ),
    (
        "parcel_of_segment",
        "CREATE UNIQUE INDEX parcel_of_segment ON parcel (tenant, segment)",
    ),
    (
        "kept_of_tenant",
        "CREATE UNIQUE INDEX kept_of_tenant ON kept (tenant, kind)",
    ),
    (
        "kept_of_cell",
        "CREATE UNIQUE INDEX kept_of_cell ON kept (kind) WHERE tenant IS NULL",
    ),
];

const CENTRE_TABLES: &[Table] = &[
    (
        "meta",
        &[
            ("id", Holds::Number),
            ("region", Holds::Region),
            ("geography", Holds::Geography),
            ("created_at", Holds::Number),
            ("allow_list_version", Holds::NumberOrNull),
            ("allow_list_digest", Holds::BytesOrNull(32)),
            ("snapshot_number", Holds::Number),
            ("snapshot_published", Holds::NumberOrNull),
            ("sealed_snapshot", Holds::SealedOrNull),
        ],
    ),
    (
        "migration",
        &[("version", Holds::Number), ("checksum", DIGEST)],
    ),
    (
        "batch",
        &[
            ("region", Holds::Code),
            ("batch", ID),
            ("epoch", Holds::Number),
            ("digest", DIGEST),
            ("received_at", Holds::Number),
            ("facts", Holds::Number),
            ("sealed", Holds::SealedOrNull),
        ],
    ),
    (
        "contributor",
        &[
            ("epoch", Holds::Number),
            ("region", Holds::Code),
            ("contributor", ID),
        ],
    ),
    (
        "indicator",
        &[
            ("epoch", Holds::Number),
            ("indicator", ID),
            ("owner_groups", Holds::Number),
            ("counted", Holds::Number),
            ("first_day", Holds::NumberOrNull),
            ("typical_count", Holds::NumberOrNull),
            ("sealed", Holds::Sealed),
        ],
    ),
    (
        "seen",
        &[
            ("epoch", Holds::Number),
            ("indicator", ID),
            ("contributor", ID),
            ("first_day", Holds::Number),
            ("count", Holds::Number),
        ],
    ),
    (
        "technique",
        &[
            ("epoch", Holds::Number),
            ("indicator", ID),
            ("number", Holds::Number),
            ("sub", Holds::Number),
            ("owner_groups", Holds::Number),
            ("counted", Holds::Number),
        ],
    ),
    (
        "technique_seen",
        &[
            ("epoch", Holds::Number),
            ("indicator", ID),
            ("number", Holds::Number),
            ("sub", Holds::Number),
            ("contributor", ID),
        ],
    ),
    (
        "total",
        &[
            ("epoch", Holds::Number),
            ("region", Holds::Code),
            ("batches", Holds::Number),
            ("facts", Holds::Number),
            ("indicators", Holds::Number),
        ],
    ),
];

const CENTRE_INDEXES: &[(&str, &str)] = &[
    (
        "batch_by_epoch",
        "CREATE INDEX batch_by_epoch ON batch (epoch)",
    ),
    (
        "batch_with_parcel",
        "CREATE INDEX batch_with_parcel ON batch (received_at) WHERE sealed IS NOT NULL",
    ),
];
