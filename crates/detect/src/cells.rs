//! Typed access to the cells of a batch by column name.
//!
//! A batch's columns are looked at once ([`Rows::new`]); after that a cell is two array accesses.
//! Cells of a type that no table has are missing, not an error: a rule cannot see them.

use std::collections::HashMap;

use model::{ColumnType, RowId, ServiceName, TableName, Ticks};
use rows::arrow::array::{
    Array, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, StringArray,
};
use rows::{RecordBatch, hidden, types};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Text(&'a str),
    /// JSON text.
    Json(&'a str),
    Long(i64),
    Real(f64),
    Bool(bool),
    Time(Ticks),
}

#[derive(Debug)]
enum Column<'a> {
    Text(&'a StringArray),
    Json(&'a StringArray, usize),
    Long(&'a Int64Array),
    Time(&'a Int64Array),
    Int(&'a Int32Array),
    Real(&'a Float64Array),
    Bool(&'a BooleanArray),
}

/// The rows of one table, ready to be read.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) table: &'a TableName,
    pub(crate) batch: &'a RecordBatch,
    columns: HashMap<&'a str, Column<'a>>,
    /// Names of the visible columns, in the batch's order.
    pub(crate) names: Vec<&'a str>,
    /// How many columns hold JSON: each has a slot in a view's cache.
    pub(crate) json_columns: usize,
    ids: Option<&'a FixedSizeBinaryArray>,
    time: &'a str,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(table: &'a TableName, batch: &'a RecordBatch) -> Self {
        let mut columns = HashMap::with_capacity(batch.num_columns());
        let mut names = Vec::with_capacity(batch.num_columns());
        let mut json_columns = 0;
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name().as_str();
            let column_type = types::column_type(field);
            let Some(column) = column(name, column_type, array.as_any(), &mut json_columns) else {
                continue;
            };
            columns.insert(name, column);
            if !hidden::is_hidden(name) {
                names.push(name);
            }
        }
        let known = model::Schema::hunting().table(table.as_str());
        let time = match known.map(|t| t.time_column.as_deref()) {
            Some(Some(name)) => name,
            Some(None) => hidden::INGESTED_AT,
            None => "Timestamp",
        };
        Self {
            table,
            batch,
            columns,
            names,
            json_columns,
            ids: batch
                .column_by_name(hidden::ROW_ID)
                .and_then(|c| c.as_any().downcast_ref()),
            time,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The cell, unless the column is not there or has nothing in this row. Empty text is nothing.
    pub(crate) fn cell(&self, row: usize, name: &str) -> Option<Cell<'a>> {
        let column = self.columns.get(name)?;
        if row >= self.len() {
            return None;
        }
        match column {
            Column::Text(a) => filled(a, row).map(Cell::Text),
            Column::Json(a, _) => filled(a, row).map(Cell::Json),
            Column::Long(a) => a.is_valid(row).then(|| Cell::Long(a.value(row))),
            Column::Time(a) => a.is_valid(row).then(|| Cell::Time(Ticks(a.value(row)))),
            Column::Int(a) => a.is_valid(row).then(|| Cell::Long(a.value(row).into())),
            Column::Real(a) => a.is_valid(row).then(|| Cell::Real(a.value(row))),
            Column::Bool(a) => a.is_valid(row).then(|| Cell::Bool(a.value(row))),
        }
    }

    /// The text of a text column; empty if there is none.
    pub(crate) fn text(&self, row: usize, name: &str) -> &'a str {
        match self.cell(row, name) {
            Some(Cell::Text(text) | Cell::Json(text)) => text,
            _ => "",
        }
    }

    /// The number of a number column.
    pub(crate) fn long(&self, row: usize, name: &str) -> Option<i64> {
        match self.cell(row, name)? {
            Cell::Long(n) => Some(n),
            _ => None,
        }
    }

    /// The slot of a JSON column in a view's cache.
    pub(crate) fn json_slot(&self, name: &str) -> Option<usize> {
        match self.columns.get(name)? {
            Column::Json(_, slot) => Some(*slot),
            _ => None,
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.contains_key(name)
    }

    /// The row's id; `None` if the cell has not stamped the batch.
    pub(crate) fn id(&self, row: usize) -> Option<RowId> {
        let ids = self.ids.filter(|ids| row < ids.len())?;
        Some(RowId::from_bytes(ids.value(row).try_into().ok()?))
    }

    /// The row's own time, or when it was taken if it has none.
    pub(crate) fn at(&self, row: usize) -> Ticks {
        let time = |name| match self.cell(row, name) {
            Some(Cell::Time(t)) => Some(t),
            Some(Cell::Long(n)) => Some(Ticks(n)),
            _ => None,
        };
        time(self.time)
            .or_else(|| time(hidden::INGESTED_AT))
            .unwrap_or(Ticks::MIN)
    }

    /// When the cell took the row.
    pub(crate) fn ingested_at(&self, row: usize) -> Ticks {
        match self.cell(row, hidden::INGESTED_AT) {
            Some(Cell::Time(t)) => t,
            _ => self.at(row),
        }
    }

    /// The service that placed the row.
    pub(crate) fn service(&self, row: usize) -> Option<ServiceName> {
        ServiceName::new(self.text(row, hidden::SERVICE)).ok()
    }
}

fn filled(array: &StringArray, row: usize) -> Option<&str> {
    (array.is_valid(row))
        .then(|| array.value(row))
        .filter(|t| !t.is_empty())
}

fn column<'a>(
    name: &str,
    column_type: Option<ColumnType>,
    array: &'a dyn std::any::Any,
    json_columns: &mut usize,
) -> Option<Column<'a>> {
    if let Some(text) = array.downcast_ref::<StringArray>() {
        // Some tables keep a JSON object in a string column of this name.
        let json = column_type == Some(ColumnType::Dynamic) || name == "AdditionalFields";
        if !json {
            return Some(Column::Text(text));
        }
        *json_columns += 1;
        return Some(Column::Json(text, *json_columns - 1));
    }
    if let Some(long) = array.downcast_ref::<Int64Array>() {
        return Some(match column_type {
            Some(ColumnType::DateTime) => Column::Time(long),
            _ => Column::Long(long),
        });
    }
    None.or_else(|| array.downcast_ref().map(Column::Int))
        .or_else(|| array.downcast_ref().map(Column::Real))
        .or_else(|| array.downcast_ref().map(Column::Bool))
}
