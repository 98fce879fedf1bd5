//! Results as text: JSON, newline-delimited JSON, CSV, an aligned table.
//!
//! Instants are ISO 8601 with seven digits and `Z`, timespans `[-][d.]hh:mm:ss[.fffffff]`, dynamics
//! JSON values, NaN and the infinities strings.

use model::{Span100ns, Ticks};

use crate::json::{Json, write_real, write_text};
use crate::kernels::args::Cell;
use crate::kernels::convert;
use crate::result::HuntResult;

/// Characters of a cell that an aligned table shows.
const TABLE_CELL_CHARS_MAX: usize = 80;

/// Appends a value as JSON.
pub fn json_value(cell: Cell<'_>, out: &mut String) {
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
pub fn ndjson(result: &HuntResult) -> String {
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
pub fn json(result: &HuntResult) -> String {
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
pub fn text_value(cell: Cell<'_>, out: &mut String) {
    match cell {
        Cell::Dynamic(text) => Json::of_column(text).write(out),
        Cell::Bool(b) => out.push_str(if b { "true" } else { "false" }),
        other => convert::display(other, out),
    }
}

/// RFC 4180 with a header line.
pub fn csv(result: &HuntResult) -> String {
    let field = |text: &str, out: &mut String| {
        if text.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&text.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(text);
        }
    };
    let mut out = String::new();
    for (i, (name, _)) in result.columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        field(name, &mut out);
    }
    out.push_str("\r\n");
    let mut text = String::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            for (i, cell) in batch.cells(row).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                text.clear();
                text_value(cell, &mut text);
                field(&text, &mut out);
            }
            out.push_str("\r\n");
        }
    }
    out
}

/// Columns aligned with blanks, a line under the header; long and many-lined cells are cut.
pub fn table(result: &HuntResult) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![result.columns.iter().map(|(n, _)| n.to_string()).collect()];
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            lines.push(batch.cells(row).map(short).collect());
        }
    }
    let mut widths = vec![0; result.columns.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        push_line(line, &widths, &mut out);
        if i == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            push_line(&rule, &widths, &mut out);
        }
    }
    out
}

fn push_line(line: &[String], widths: &[usize], out: &mut String) {
    use std::fmt::Write as _;
    let start = out.len();
    for (cell, width) in line.iter().zip(widths) {
        let _ = write!(out, "{cell:width$}  ");
    }
    let end = out.trim_end_matches(' ').len().max(start);
    out.truncate(end);
    out.push('\n');
}

fn short(cell: Cell<'_>) -> String {
    let mut text = String::new();
    text_value(cell, &mut text);
    let mut shown: String = text
        .chars()
        .take(TABLE_CELL_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
