//! Rows of several batches in order of their own time, a slice at a time.
//!
//! So that a time range is few row groups and pages. Only one slice is copied at once: a compaction
//! holds its rows once, not three times, and no column of a slice outgrows Arrow's 2 GiB.

use model::{Schema, TableName, Ticks};
use rows::arrow::array::{Array, AsArray};
use rows::arrow::compute::interleave_record_batch;
use rows::arrow::datatypes::{DataType, Int64Type, SchemaRef};
use rows::{RecordBatch, conform, hidden};

use crate::Error;
use crate::snapshot::union_schema;

/// Rows of a slice at most.
const SLICE_ROWS: usize = 8_192;
/// Bytes of a slice, if its rows are like the others.
const SLICE_BYTES: usize = 64 << 20;

/// Rows looked at to see whether a column always says the same.
const SAMPLED_ROWS: usize = 64;

/// Batches of one schema and the order of their rows.
pub(crate) struct Ordered {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// Batch and row.
    order: Vec<(usize, usize)>,
}

impl Ordered {
    /// The rows of `batches` by their own time; equal ones as they came, those without a time first.
    pub(crate) fn new(table: &TableName, batches: &[RecordBatch]) -> Result<Self, Error> {
        let schema = union_schema(batches.iter().map(RecordBatch::schema_ref));
        let batches = batches
            .iter()
            .map(|b| conform(b, &schema))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::Rows)?;
        let by = time_column(table)
            .filter(|name| schema.column_with_name(name).is_some())
            .unwrap_or_else(|| hidden::INGESTED_AT.to_owned());
        let mut keyed = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
        for (at, batch) in batches.iter().enumerate() {
            let times = batch.column_by_name(&by).map(|c| c.as_primitive_opt());
            let times = times.flatten();
            keyed.extend((0..batch.num_rows()).map(|row| (time(times, row), at, row)));
        }
        keyed.sort_unstable();
        let order = keyed.into_iter().map(|(_, at, row)| (at, row)).collect();
        Ok(Self {
            schema,
            batches,
            order,
        })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn rows(&self) -> usize {
        self.order.len()
    }

    /// Bytes of the rows in memory.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = self.batches.iter().map(RecordBatch::get_array_memory_size);
        bytes.sum()
    }

    /// The rows in order.
    pub(crate) fn slices(&self) -> impl Iterator<Item = Result<RecordBatch, Error>> + '_ {
        let row_bytes = self.bytes() / self.rows().max(1) + 1;
        let n = (SLICE_BYTES / row_bytes).clamp(1, SLICE_ROWS);
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        self.order
            .chunks(n)
            .map(move |part| interleave_record_batch(&batches, part).map_err(Error::Rows))
    }

    /// Text columns of which a few rows, spread over all, hold different values.
    ///
    /// Rows lie by time, so the least and the greatest of such a column span nearly everything in
    /// each row group and page: they would prune nothing, and finding them compares every value
    /// twice. Columns that are empty or always say the same are not among them.
    pub(crate) fn varied_text(&self) -> Vec<&str> {
        let fields = self.schema.fields().iter().enumerate();
        fields
            .filter(|(at, field)| *field.data_type() == DataType::Utf8 && self.varies(*at))
            .map(|(_, field)| field.name().as_str())
            .collect()
    }

    fn varies(&self, column: usize) -> bool {
        let mut first = None;
        let step = self.order.len() / SAMPLED_ROWS + 1;
        for (batch, row) in self.order.iter().step_by(step) {
            let values = self.batches.get(*batch).map(RecordBatch::columns);
            let Some(values) = values.and_then(|c| c.get(column)?.as_string_opt::<i32>()) else {
                continue;
            };
            let value = values.is_valid(*row).then(|| values.value(*row));
            match first {
                None => first = Some(value),
                Some(known) if known != value => return true,
                Some(_) => {}
            }
        }
        false
    }

    /// Least and greatest instant of a column; nothing if it is absent, of another type, or if a row
    /// has none: such a row must not be pruned away with a range.
    pub(crate) fn range(&self, column: &str) -> Option<(Ticks, Ticks)> {
        let mut range: Option<(i64, i64)> = None;
        for batch in self.batches.iter().filter(|b| b.num_rows() > 0) {
            let values = batch
                .column_by_name(column)?
                .as_primitive_opt::<Int64Type>()?;
            if values.null_count() > 0 {
                return None;
            }
            let least = rows::arrow::compute::min(values)?;
            let greatest = rows::arrow::compute::max(values)?;
            let (from, to) = range.unwrap_or((least, greatest));
            range = Some((from.min(least), to.max(greatest)));
        }
        range.map(|(from, to)| (Ticks(from), Ticks(to)))
    }
}

type Times<'a> = Option<&'a rows::arrow::array::PrimitiveArray<Int64Type>>;

fn time(times: Times<'_>, row: usize) -> Option<i64> {
    times.filter(|t| t.is_valid(row)).map(|t| t.value(row))
}

/// The column of a table's own time; raw tables have `Timestamp` if anything.
pub(crate) fn time_column(table: &TableName) -> Option<String> {
    match Schema::hunting().table(table.as_str()) {
        Some(known) => known.time_column.as_ref().map(ToString::to_string),
        None => Some("Timestamp".to_owned()),
    }
}
