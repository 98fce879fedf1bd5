//! Column-wise building of a table's rows by decoders.
//!
//! A [`TableBuilder`] starts with a table's known columns, in documented order; columns that the
//! schema does not know are added as they appear, typed `dynamic`, and end up after the known ones
//! sorted by name. `_source_fields` comes last. A column not set in a row is missing in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use model::{ColumnType, Table, TableName, Ticks};

use crate::{hidden, types};

/// Bytes of identities that are kept in one piece: what grows beyond would be copied to grow.
const PIECE_BYTES: usize = 256 << 10;

/// What identifies each row of a batch to its source: one byte string a row.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    pieces: Vec<Piece>,
    rows: usize,
}

/// The identities of some rows in a row, each to its end.
#[derive(Debug, Clone, Default)]
struct Piece {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Piece {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

impl Identities {
    /// Adds the identity of the next row.
    pub fn push(&mut self, identity: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(identity));
    }

    /// Adds an identity that `write` appends.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_full = |piece: &Piece| piece.bytes.len() >= PIECE_BYTES;
        if self.pieces.last().is_none_or(is_full) {
            self.pieces.push(Piece::default());
        }
        if let Some(piece) = self.pieces.last_mut() {
            write(&mut piece.bytes);
            piece.ends.push(piece.bytes.len());
            self.rows += 1;
        }
    }

    /// The identities in row order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().flat_map(Piece::iter)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// Decoded rows of one table, before the cell stamps and places them.
#[derive(Debug, Clone)]
pub struct TableRows {
    /// The table.
    pub table: TableName,
    /// Whether the schema knows the table.
    pub known: bool,
    /// Known columns, then raw columns by name, then `_source_fields`.
    pub batch: RecordBatch,
    /// For each row, the index of the record in the request that made it.
    pub record: Vec<u64>,
    /// For each row, what identifies it to its source.
    pub identity: Identities,
}

#[derive(Debug)]
enum Cells {
    Bool(BooleanBuilder),
    Int(Int32Builder),
    /// Long, datetime and timespan.
    Long(Int64Builder),
    Real(Float64Builder),
    /// String: missing is empty.
    Text(StringBuilder),
    /// Dynamic and guid: missing is null.
    OptionalText(StringBuilder),
}

#[derive(Debug)]
struct ColumnBuilder {
    field: Field,
    cells: Cells,
    /// Rows that have a value, the current one included once set.
    filled: usize,
}

impl ColumnBuilder {
    fn new(field: Field, column_type: ColumnType) -> Self {
        let cells = match column_type {
            ColumnType::Bool => Cells::Bool(BooleanBuilder::new()),
            ColumnType::Int => Cells::Int(Int32Builder::new()),
            ColumnType::Long | ColumnType::DateTime | ColumnType::TimeSpan => {
                Cells::Long(Int64Builder::new())
            }
            ColumnType::Real => Cells::Real(Float64Builder::new()),
            ColumnType::String => Cells::Text(StringBuilder::new()),
            // No table has a decimal column; if one comes, its text is kept exactly.
            ColumnType::Dynamic | ColumnType::Guid | ColumnType::Decimal => {
                Cells::OptionalText(StringBuilder::new())
            }
        };
        Self {
            field,
            cells,
            filled: 0,
        }
    }

    /// Brings the column to `rows` rows with missing values.
    fn pad(&mut self, rows: usize) {
        let n = rows.saturating_sub(self.filled);
        if n == 0 {
            return;
        }
        match &mut self.cells {
            Cells::Bool(b) => b.append_nulls(n),
            Cells::Int(b) => b.append_nulls(n),
            Cells::Long(b) => b.append_nulls(n),
            Cells::Real(b) => b.append_nulls(n),
            Cells::Text(b) => (0..n).for_each(|_| b.append_value("")),
            Cells::OptionalText(b) => b.append_nulls(n),
        }
        self.filled = rows;
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        self.filled = 0;
        match &mut self.cells {
            Cells::Bool(b) => Arc::new(b.finish()),
            Cells::Int(b) => Arc::new(b.finish()),
            Cells::Long(b) => Arc::new(b.finish()),
            Cells::Real(b) => Arc::new(b.finish()),
            Cells::Text(b) | Cells::OptionalText(b) => Arc::new(b.finish()),
        }
    }
}

/// Builds the rows of one table.
#[derive(Debug)]
pub struct TableBuilder {
    table: TableName,
    known: bool,
    columns: Vec<ColumnBuilder>,
    raw: BTreeMap<String, usize>,
    source_fields: ColumnBuilder,
    rows: usize,
    record: Vec<u64>,
    identity: Identities,
}

impl TableBuilder {
    /// For a table of the schema.
    pub fn known(table: &Table) -> Self {
        let column = |c: &model::Column| {
            ColumnBuilder::new(types::field(&c.name, c.column_type), c.column_type)
        };
        Self::with(
            table.name.clone(),
            true,
            table.columns.iter().map(column).collect(),
        )
    }

    /// For a table outside the schema, which begins without columns.
    pub fn raw(table: TableName) -> Self {
        Self::with(table, false, Vec::new())
    }

    fn with(table: TableName, known: bool, columns: Vec<ColumnBuilder>) -> Self {
        let field = types::field(hidden::SOURCE_FIELDS, ColumnType::Dynamic);
        Self {
            table,
            known,
            columns,
            raw: BTreeMap::new(),
            source_fields: ColumnBuilder::new(field, ColumnType::Dynamic),
            rows: 0,
            record: Vec::new(),
            identity: Identities::default(),
        }
    }

    /// Rows finished so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The position of a raw column, added (with `column_type`) if it is new.
    pub fn raw_column(&mut self, name: &str, column_type: ColumnType) -> usize {
        if let Some(at) = self.raw.get(name) {
            return *at;
        }
        let at = self.columns.len();
        self.columns.push(ColumnBuilder::new(
            types::field(name, column_type),
            column_type,
        ));
        self.raw.insert(name.to_owned(), at);
        at
    }

    /// Sets a string, dynamic (JSON text) or guid cell of the current row. The first value of a
    /// cell stays; a second one and a value of another layout are refused with `false`.
    pub fn set_text(&mut self, column: usize, value: &str) -> bool {
        self.set(column, |cells| match cells {
            Cells::Text(b) | Cells::OptionalText(b) => {
                b.append_value(value);
                true
            }
            _ => false,
        })
    }

    /// Sets a long, int, datetime or timespan cell; `false` if it does not fit or is set already.
    pub fn set_long(&mut self, column: usize, value: i64) -> bool {
        self.set(column, |cells| match cells {
            Cells::Long(b) => {
                b.append_value(value);
                true
            }
            Cells::Int(b) => match i32::try_from(value) {
                Ok(value) => {
                    b.append_value(value);
                    true
                }
                Err(_) => false,
            },
            _ => false,
        })
    }

    /// Sets a datetime cell.
    pub fn set_ticks(&mut self, column: usize, value: Ticks) -> bool {
        self.set_long(column, value.0)
    }

    /// Sets a real cell.
    pub fn set_real(&mut self, column: usize, value: f64) -> bool {
        self.set(column, |cells| match cells {
            Cells::Real(b) => {
                b.append_value(value);
                true
            }
            _ => false,
        })
    }

    /// Sets a bool cell.
    pub fn set_bool(&mut self, column: usize, value: bool) -> bool {
        self.set(column, |cells| match cells {
            Cells::Bool(b) => {
                b.append_value(value);
                true
            }
            _ => false,
        })
    }

    /// Whether the current row already has a value in this column.
    pub fn is_set(&self, column: usize) -> bool {
        self.columns
            .get(column)
            .is_some_and(|c| c.filled > self.rows)
    }

    /// Sets `_source_fields` of the current row to a JSON object's text.
    pub fn set_source_fields(&mut self, json: &str) {
        let rows = self.rows;
        self.source_fields.pad(rows);
        if self.source_fields.filled == rows
            && let Cells::OptionalText(b) = &mut self.source_fields.cells
        {
            b.append_value(json);
            self.source_fields.filled = rows + 1;
        }
    }

    /// Ends the current row: it came from record `record` and is identified by what `identity` writes.
    pub fn end_row(&mut self, record: u64, identity: impl FnOnce(&mut Vec<u8>)) {
        self.rows += 1;
        self.record.push(record);
        self.identity.push_with(identity);
    }

    /// The rows so far; the builder begins anew with the same columns.
    pub fn finish(&mut self) -> Result<TableRows, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        // A cell set in a row that was never ended is dropped with that row.
        let raw_order: Vec<usize> = self.raw.values().copied().collect();
        let known = self.columns.len() - raw_order.len();
        let mut fields = Vec::with_capacity(self.columns.len() + 1);
        let mut arrays = Vec::with_capacity(self.columns.len() + 1);
        for at in (0..known).chain(raw_order) {
            if let Some(column) = self.columns.get_mut(at) {
                arrays.push(column.finish(rows).slice(0, rows));
                fields.push(column.field.clone());
            }
        }
        arrays.push(self.source_fields.finish(rows).slice(0, rows));
        fields.push(self.source_fields.field.clone());
        Ok(TableRows {
            table: self.table.clone(),
            known: self.known,
            batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?,
            record: std::mem::take(&mut self.record),
            identity: std::mem::take(&mut self.identity),
        })
    }

    fn set(&mut self, column: usize, append: impl FnOnce(&mut Cells) -> bool) -> bool {
        let rows = self.rows;
        let Some(column) = self.columns.get_mut(column) else {
            return false;
        };
        if column.filled > rows {
            return false;
        }
        column.pad(rows);
        let done = append(&mut column.cells);
        column.filled += usize::from(done);
        done
    }
}
