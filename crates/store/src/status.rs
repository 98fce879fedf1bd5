//! What rests here, where exactly, and why: for residency reports and for people.

use access::{Granted, ResidencyRead};
use model::{RowId, SegmentId, TenantId, limits};
use rows::hidden;

use crate::Error;
use crate::manifest::{Manifest, PartitionKey};
use crate::open::Store;

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantHealth {
    /// It is.
    Good,
    /// Part of its log is damaged; reads and writes are refused so that nobody takes what is left
    /// for the whole.
    LogDamaged {
        /// Where in its log file.
        offset: u64,
    },
    /// A segment of the last days is damaged: repeats of its rows could not be told, so nothing is
    /// stored until it is put back; what else there is can be read.
    SegmentDamaged {
        /// The segment.
        segment: SegmentId,
    },
}

/// Rows of one partition and the rule that placed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The table.
    pub table: model::TableName,
    /// The service.
    pub service: model::ServiceName,
    /// Ingestion day, days since 0001-01-01.
    pub day: i32,
    /// The rule, its version, and the clause it stands on.
    pub rule: (model::RuleId, u32, String),
    /// Version of the registry that the tenant had accepted.
    pub registry_version: u64,
    /// Sealed files.
    pub segments: u64,
    /// Rows in them.
    pub segment_rows: u64,
    /// Bytes of them.
    pub segment_bytes: u64,
    /// Rows in the log that are not in a segment yet.
    pub log_rows: u64,
}

/// Where one row rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// In a sealed file.
    Segment {
        /// The file.
        segment: SegmentId,
        /// Why it rests here.
        manifest: Box<Manifest>,
    },
    /// In the log, not in a segment yet.
    Log {
        /// Its partition.
        partition: PartitionStatus,
    },
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Store {
    /// Whether a tenant is served.
    pub fn health(&self, tenant: TenantId) -> Result<TenantHealth, Error> {
        Ok(self.inner.tenant(tenant)?.health())
    }

    /// The partitions of the tenant in this region.
    pub fn partitions(&self, grant: &Granted<ResidencyRead>) -> Vec<PartitionStatus> {
        let rows = self.inner.memory.of(grant.tenant());
        rows.partitions
            .iter()
            .map(|(key, partition)| status(key, partition))
            .collect()
    }

    /// Where a row rests and why. Reads row ids only.
    pub fn find_row(
        &self,
        grant: &Granted<ResidencyRead>,
        row: RowId,
    ) -> Result<Option<Holding>, Error> {
        let rows = self.inner.memory.of(grant.tenant());
        for (key, partition) in &rows.partitions {
            for chunk in &partition.chunks {
                if hidden::row_ids(&chunk.batch).is_some_and(|mut ids| ids.any(|id| id == row)) {
                    return Ok(Some(Holding::Log {
                        partition: status(key, partition),
                    }));
                }
            }
            for file in &partition.segments {
                for batch in file.read(Some(&[hidden::ROW_ID]))? {
                    if hidden::row_ids(&batch).is_some_and(|mut ids| ids.any(|id| id == row)) {
                        return Ok(Some(Holding::Segment {
                            segment: file.row.segment,
                            manifest: Box::new(file.manifest.clone()),
                        }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Bytes after which memory is flushed.
    pub const fn memory_bytes_max() -> usize {
        limits::MEMTABLE_BYTES_MAX
    }
}

fn status(key: &PartitionKey, partition: &crate::memory::Partition) -> PartitionStatus {
    PartitionStatus {
        table: key.table.clone(),
        service: key.service.clone(),
        day: key.day,
        rule: (key.rule.clone(), key.rule_version, key.basis.clone()),
        registry_version: key.registry_version,
        segments: count(partition.segments.len()),
        segment_rows: partition.segments.iter().map(|s| s.row.rows).sum(),
        segment_bytes: partition.segments.iter().map(|s| s.row.bytes).sum(),
        log_rows: partition
            .chunks
            .iter()
            .map(|c| count(c.batch.num_rows()))
            .sum(),
    }
}
