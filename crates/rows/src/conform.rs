//! Bringing a batch to the schema of its table.
//!
//! Batches written at different times may lack columns that came later. [`conform`] reorders by
//! name and fills what is missing; it never drops a value silently: a column that the target does
//! not have is the caller's choice, a column of another type is an error.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::types;

/// `batch` with exactly the columns of `target`, in its order.
pub fn conform(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == target {
        return Ok(batch.clone());
    }
    let rows = batch.num_rows();
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef, ArrowError> {
        match batch.schema_ref().index_of(field.name()) {
            Err(_) => Ok(types::missing(field, rows)),
            Ok(at) if batch.column(at).data_type() == field.data_type() => {
                Ok(batch.column(at).clone())
            }
            Ok(at) => Err(ArrowError::SchemaError(format!(
                "column `{}` is {} where {} is expected",
                field.name(),
                batch.column(at).data_type(),
                field.data_type()
            ))),
        }
    };
    let columns = target
        .fields()
        .iter()
        .map(column)
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(target.clone(), columns, &options)
}
