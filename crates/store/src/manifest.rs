//! What a segment's rows are and why they rest here.
//!
//! The manifest is sealed in the catalogue row of its segment: the table's name, the rule and the
//! event times are content. Its JSON form is version 1 of `docs/formats/segment.md`.

use model::{ColumnType, GeographyCode, RegionCode, RuleId, ServiceName, TableName, Ticks};
use residency::Placement;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Rows that share a table, a service, an ingestion day and the rule that placed them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PartitionKey {
    pub(crate) table: TableName,
    pub(crate) service: ServiceName,
    /// Ingestion day: days since 0001-01-01 UTC.
    pub(crate) day: i32,
    pub(crate) rule: RuleId,
    pub(crate) rule_version: u32,
    /// `a` (the tenant's geography) or `b` (the service's own rule), LOC-3 and LOC-4.
    pub(crate) basis: String,
    pub(crate) registry_version: u64,
}

impl PartitionKey {
    pub(crate) fn new(table: &TableName, placement: &Placement, ingested_at: Ticks) -> Self {
        Self {
            table: table.clone(),
            service: placement.service().clone(),
            day: ingested_at.day(),
            rule: placement.rule_id().clone(),
            rule_version: placement.rule_version(),
            basis: placement.basis().to_string(),
            registry_version: placement.registry_version(),
        }
    }

    /// Bytes for the keyed token under which the catalogue knows the partition.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        crypto::Fields::new("partition")
            .with(self.table.as_str().as_bytes())
            .with(self.service.as_str().as_bytes())
            .with(&self.day.to_le_bytes())
            .with(self.rule.as_str().as_bytes())
            .with(&self.rule_version.to_le_bytes())
            .with(self.basis.as_bytes())
            .with_u64(self.registry_version)
            .into_bytes()
    }
}

/// What is known of a segment without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the manifest.
    pub(crate) version: u16,
    #[serde(flatten)]
    pub(crate) partition: PartitionKey,
    pub(crate) region: RegionCode,
    pub(crate) geography: GeographyCode,
    /// Earliest and latest own time of its rows; nothing if the table has none or all are null.
    pub(crate) time: Option<(Ticks, Ticks)>,
    /// Columns outside the schema that the file has, with their types.
    pub(crate) raw_columns: Vec<(String, ColumnType)>,
    /// Highest log sequence number among its rows.
    pub(crate) sequence: u64,
    /// Bytes that the rows take in memory: a small file can hold very many.
    pub(crate) memory_bytes: u64,
}

impl Manifest {
    pub(crate) const VERSION: u16 = 1;

    /// The table.
    pub fn table(&self) -> &TableName {
        &self.partition.table
    }

    /// The service whose rule placed the rows.
    pub fn service(&self) -> &ServiceName {
        &self.partition.service
    }

    /// The rule that decided, its version and the clause it stands on.
    pub fn rule(&self) -> (&RuleId, u32, &str) {
        (
            &self.partition.rule,
            self.partition.rule_version,
            &self.partition.basis,
        )
    }

    /// Version of the registry that the tenant had accepted.
    pub fn registry_version(&self) -> u64 {
        self.partition.registry_version
    }

    /// Ingestion day, days since 0001-01-01.
    pub fn day(&self) -> i32 {
        self.partition.day
    }

    /// Earliest and latest own time of the rows.
    pub fn time(&self) -> Option<(Ticks, Ticks)> {
        self.time
    }

    /// Where it rests.
    pub fn region(&self) -> &RegionCode {
        &self.region
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and lists of them always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Self::to_bytes`] wrote; a newer program's is told apart from a damaged one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: u16,
        }
        let form = |_| Error::Form { what: "manifest" };
        let Version { version } = serde_json::from_slice(bytes).map_err(form)?;
        if version > Self::VERSION {
            return Err(Error::Format {
                what: "manifest",
                found: version,
                supported: Self::VERSION,
            });
        }
        serde_json::from_slice(bytes).map_err(form)
    }
}
