//! Results as text, for tests: JSON, newline-delimited JSON, cells as people read them.
//!
//! Instants are ISO 8601 with seven digits and `Z`, timespans `[-][d.]hh:mm:ss[.fffffff]`, dynamics
//! JSON values, NaN and the infinities strings.

use model::{Span100ns, Ticks};

use crate::json::{Json, write_real, write_text};
use crate::kernels::args::Cell;
use crate::kernels::convert;
use crate::result::HuntResult;

/// Appends a value as JSON.
pub(super) fn json_value(cell: Cell<'_>, out: &mut String) {
    use std::fmt::Write as _;
    let _ = match cell {
        Cell::Null => write!(out, "null"),
        Cell::Bool(b) => write!(out, "{b}"),
        Cell::Long(n) => write!(out, "{n}"),
        Cell::Real(x) => {
            write_real(x, out);
            Ok(())
        }
        Cell::Text(text) | Cell::Guid(text) => {
            write_text(text, out);
            Ok(())
        }
        Cell::DateTime(t) => write!(out, "\"{}\"", Ticks(t)),
        Cell::TimeSpan(t) => write!(out, "\"{}\"", Span100ns(t)),
        Cell::Dynamic(text) => {
            // One line and one form, whatever the sender wrote.
            Json::of_column(text).write(out);
            Ok(())
        }
    };
}

/// Appends one row as a JSON object.
fn json_row<'a>(names: &[String], cells: impl Iterator<Item = Cell<'a>>, out: &mut String) {
    out.push('{');
    for (i, (name, cell)) in names.iter().zip(cells).enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        json_value(cell, out);
    }
    out.push('}');
}

/// The names as JSON strings.
fn quoted_names(result: &HuntResult) -> Vec<String> {
    let quoted = |name: &str| {
        let mut out = String::new();
        write_text(name, &mut out);
        out
    };
    result
        .columns
        .iter()
        .map(|(name, _)| quoted(name))
        .collect()
}

/// One JSON object per row, each on its own line.
pub(super) fn ndjson(result: &HuntResult) -> String {
    let names = quoted_names(result);
    let mut out = String::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            json_row(&names, batch.cells(row), &mut out);
            out.push('\n');
        }
    }
    out
}

/// A JSON array with one object per row.
pub(super) fn json(result: &HuntResult) -> String {
    let names = quoted_names(result);
    let mut out = String::from("[");
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            if out.len() > 1 {
                out.push(',');
            }
            json_row(&names, batch.cells(row), &mut out);
        }
    }
    out.push(']');
    out
}

/// A value as people read it: strings without quotes, null as nothing.
pub(super) fn text_value(cell: Cell<'_>, out: &mut String) {
    match cell {
        Cell::Dynamic(text) => Json::of_column(text).write(out),
        Cell::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        other => convert::display(other, out),
    }
}
