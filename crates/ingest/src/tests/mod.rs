//! Bytes in, rows and refusals out.

mod bodies;
mod body;
mod export;
mod formats;
mod json;
mod real;
mod windows;

use std::collections::BTreeSet;

use rows::arrow::array::{Array, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array};
use rows::arrow::datatypes::DataType;
use rows::{TableRows, types};

use crate::{Decoded, Format, RawSchema, SourceContext, decode};

/// The tenant id that the tests' envelopes carry.
pub(crate) const TENANT: &str = "aaaabbbb-0000-1111-2222-ccccdddd0000";

/// Decodes for a tenant that has nothing outside the schema.
pub(crate) fn run(format: Format, body: &[u8]) -> Decoded {
    run_with(format, body, &RawSchema::new(), &[])
}

pub(crate) fn run_with(
    format: Format,
    body: &[u8],
    known_raw: &RawSchema,
    controllers: &[&str],
) -> Decoded {
    let controllers: BTreeSet<String> = controllers.iter().map(|c| (*c).to_owned()).collect();
    let tenant = (format == Format::DefenderExport).then_some(TENANT);
    let context = SourceContext {
        envelope_tenant: tenant,
        known_raw,
        domain_controllers: &controllers,
        raw_table: None,
        time_column: None,
    };
    decode(format, body, &context).unwrap()
}

/// An export record of `table`.
pub(crate) fn record(table: &str, properties: &str) -> String {
    format!(
        r#"{{"time":"2026-07-18T15:02:23.0616003Z","tenantId":"{TENANT}","operationName":"Publish","category":"AdvancedHunting-{table}","properties":{properties},"Tenant":"DefaultTenant"}}"#
    )
}

/// The only row that one export record makes.
pub(crate) fn row(table: &str, properties: &str) -> Decoded {
    let decoded = run(Format::DefenderExport, record(table, properties).as_bytes());
    assert_eq!(decoded.rejected, [], "{properties}");
    assert_eq!(decoded.batches.len(), 1);
    decoded
}

/// One cell as text: `null`, a number, `true`, or the text in quotes.
pub(crate) fn cell(rows: &TableRows, column: &str, at: usize) -> String {
    let Some((index, field)) = rows.batch.schema_ref().column_with_name(column) else {
        return "no column".to_owned();
    };
    let array = rows.batch.column(index);
    if array.is_null(at) {
        return "null".to_owned();
    }
    let any = array.as_any();
    let kind = types::column_type(field).unwrap();
    match field.data_type() {
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(at)),
        DataType::Boolean => any
            .downcast_ref::<BooleanArray>()
            .unwrap()
            .value(at)
            .to_string(),
        DataType::Int32 => any
            .downcast_ref::<Int32Array>()
            .unwrap()
            .value(at)
            .to_string(),
        DataType::Float64 => any
            .downcast_ref::<Float64Array>()
            .unwrap()
            .value(at)
            .to_string(),
        DataType::Int64 => {
            let value = any.downcast_ref::<Int64Array>().unwrap().value(at);
            if kind == model::ColumnType::DateTime {
                model::Ticks(value).to_string()
            } else {
                value.to_string()
            }
        }
        other => panic!("{other}"),
    }
}

/// A text cell without quotes.
pub(crate) fn text(rows: &TableRows, column: &str, at: usize) -> String {
    let index = rows.batch.schema_ref().index_of(column).unwrap();
    let array = rows.batch.column(index).as_string::<i32>();
    if array.is_null(at) {
        "null".to_owned()
    } else {
        array.value(at).to_owned()
    }
}

/// The rows of one table.
pub(crate) fn table<'d>(decoded: &'d Decoded, name: &str) -> &'d TableRows {
    decoded
        .batches
        .iter()
        .find(|b| b.table.as_str() == name)
        .unwrap_or_else(|| panic!("no {name}"))
}

/// Codes of the refusals.
pub(crate) fn codes(decoded: &Decoded) -> Vec<&'static str> {
    decoded.rejected.iter().map(|r| r.code.as_str()).collect()
}
