//! Hidden columns: part of every stored row, of no table's shape. KQL reads `_ingested_at` and `_row_id`
//! through functions and `_source_fields` by its name (`spec/kql/stored-columns.md`).
//!
//! | column | Arrow | meaning |
//! |---|---|---|
//! | `_row_id` | `FixedSizeBinary(16)` | identity under the tenant's key (architecture §5.3) |
//! | `_ingested_at` | `Int64` ticks | when the cell took the row; retention goes by it |
//! | `_service` | `Utf8` | the service whose rule placed the row |
//! | `_source` | `FixedSizeBinary(16)` | the source it came from |
//! | `_source_fields` | `Utf8`, JSON | the source's own names and values, or what did not convert |
//!
//! A decoder fills `_source_fields`; the cell stamps the other four.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use model::{ColumnType, RowId, ServiceName, SourceId, Ticks};

use crate::types;

/// Identity of the row.
pub const ROW_ID: &str = "_row_id";
/// When the cell took the row.
pub const INGESTED_AT: &str = "_ingested_at";
/// The service that placed the row.
pub const SERVICE: &str = "_service";
/// Where the row came from.
pub const SOURCE: &str = "_source";
/// The source's own fields.
pub const SOURCE_FIELDS: &str = "_source_fields";

/// The names, in the order in which they follow a table's own columns.
pub const ALL: [&str; 5] = [SOURCE_FIELDS, ROW_ID, INGESTED_AT, SERVICE, SOURCE];

/// Whether no table lists this column.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('_') && ALL.contains(&name)
}

/// The field of a hidden column; `None` for other names.
pub fn field(name: &str) -> Option<Field> {
    Some(match name {
        ROW_ID | SOURCE => Field::new(name, DataType::FixedSizeBinary(16), false),
        INGESTED_AT => types::field(name, ColumnType::DateTime).with_nullable(false),
        SERVICE => types::field(name, ColumnType::String),
        SOURCE_FIELDS => types::field(name, ColumnType::Dynamic),
        _ => return None,
    })
}

/// What the cell knows of every row of a batch.
#[derive(Debug, Clone)]
pub struct Stamp<'a> {
    /// When the cell took the rows.
    pub ingested_at: Ticks,
    /// The service that placed them.
    pub service: &'a ServiceName,
    /// Where they came from.
    pub source: SourceId,
    /// One id a row.
    pub row_ids: &'a [RowId],
}

/// Appends the four stamped columns to a decoder's batch.
pub fn stamp(batch: &RecordBatch, stamp: &Stamp<'_>) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let ids: Vec<u8> = stamp.row_ids.iter().flat_map(|id| *id.as_bytes()).collect();
    let source: Vec<u8> = std::iter::repeat_n(*stamp.source.as_bytes(), rows)
        .flatten()
        .collect();
    let stamped: [(&str, ArrayRef); 4] = [
        (ROW_ID, sixteen(ids)?),
        (
            INGESTED_AT,
            Arc::new(Int64Array::from(vec![stamp.ingested_at.0; rows])),
        ),
        (
            SERVICE,
            Arc::new(StringArray::from_iter_values(
                std::iter::repeat_n(stamp.service, rows).map(ServiceName::as_str),
            )),
        ),
        (SOURCE, sixteen(source)?),
    ];
    let mut fields = batch.schema().fields().to_vec();
    let mut columns = batch.columns().to_vec();
    for (name, column) in stamped {
        fields.push(Arc::new(field(name).ok_or_else(|| {
            ArrowError::SchemaError(format!("{name} is not a hidden column"))
        })?));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The row ids of a stored batch.
pub fn row_ids(batch: &RecordBatch) -> Option<impl Iterator<Item = RowId> + '_> {
    let column = batch.column_by_name(ROW_ID)?;
    let ids = column.as_any().downcast_ref::<FixedSizeBinaryArray>()?;
    Some(
        ids.iter()
            .filter_map(|id| Some(RowId::from_bytes(id?.try_into().ok()?))),
    )
}

fn sixteen(bytes: Vec<u8>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(FixedSizeBinaryArray::try_new(
        16,
        Buffer::from(bytes),
        None,
    )?))
}
