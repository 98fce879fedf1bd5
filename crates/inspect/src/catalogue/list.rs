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

const ID: Holds = Holds::Bytes(16);
const DIGEST: Holds = Holds::Bytes(32);

pub(super) const TABLES: &[(&str, &[(&str, Holds)])] = &[
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
