//! How each Kusto type lies in memory and on disk.
//!
//! | type | Arrow | null |
//! |---|---|---|
//! | bool | `Boolean` | yes |
//! | datetime, timespan | `Int64`, ticks of 100 ns | yes |
//! | int, long, real | `Int32`, `Int64`, `Float64` | yes |
//! | string | `Utf8` | never: a missing string is empty |
//! | dynamic | `Utf8`, JSON text | yes |
//! | guid | `Utf8`, lower-case `8-4-4-4-12` | yes |
//! | decimal | `Decimal128(34, 17)` | yes |
//!
//! Several types share a layout, so a field's metadata names its Kusto type under [`KQL_TYPE`].
//! Ticks rather than Arrow timestamps: Kusto's years 1 to 9999 do not fit nanoseconds, and
//! microseconds lose ticks (docs/decisions).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::{Column, ColumnType, Table};

/// The metadata key under which a field carries its Kusto type.
pub const KQL_TYPE: &str = "kql.type";

/// The Arrow type of a Kusto type.
pub const fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::DateTime | ColumnType::TimeSpan | ColumnType::Long => DataType::Int64,
        ColumnType::Int => DataType::Int32,
        ColumnType::Real => DataType::Float64,
        ColumnType::String | ColumnType::Dynamic | ColumnType::Guid => DataType::Utf8,
        ColumnType::Decimal => DataType::Decimal128(34, 17),
    }
}

/// The field of a column.
pub fn field(name: &str, column_type: ColumnType) -> Field {
    let nullable = column_type != ColumnType::String;
    Field::new(name, data_type(column_type), nullable).with_metadata(HashMap::from([(
        KQL_TYPE.to_owned(),
        column_type.as_str().to_owned(),
    )]))
}

/// The Kusto type that a field carries, if it is one of ours.
pub fn column_type(field: &Field) -> Option<ColumnType> {
    ColumnType::parse(field.metadata().get(KQL_TYPE)?)
}

/// The schema of a known table: its columns in documented order.
pub fn table_schema(table: &Table) -> SchemaRef {
    let field_of = |c: &Column| field(&c.name, c.column_type);
    Arc::new(Schema::new(
        table.columns.iter().map(field_of).collect::<Vec<_>>(),
    ))
}

/// `rows` values of a column that nothing was said about: empty strings, or nulls.
pub fn missing(field: &Field, rows: usize) -> ArrayRef {
    if field.is_nullable() || field.data_type() != &DataType::Utf8 {
        return new_null_array(field.data_type(), rows);
    }
    // `rows + 1` offsets of zero over no bytes: empty strings without a null buffer.
    let offsets = OffsetBuffer::new_zeroed(rows);
    match StringArray::try_new(offsets, Buffer::from(Vec::<u8>::new()), None) {
        Ok(array) => Arc::new(array),
        Err(_) => new_null_array(field.data_type(), rows),
    }
}
