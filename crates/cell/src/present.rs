//! Rows of an answer as text: JSON cells, JSON lines, CSV.
//!
//! | type | JSON | CSV |
//! |---|---|---|
//! | datetime | string, ISO 8601 with seven digits and `Z` | the same |
//! | timespan | string, `[-][d.]hh:mm:ss[.fffffff]` | the same |
//! | dynamic | the value itself | its JSON; a string without quotes |
//! | real | number; NaN and the infinities are strings | the same |
//! | decimal, guid, string | string | the text |
//! | bool, int, long | as in JSON | the same |
//! | null | `null` | nothing |
//!
//! The Kusto type of a cell is its column's; the batches are laid out as `rows::types` says. A cell
//! whose layout is another is written as null rather than guessed at.
//!
//! CSV is RFC 4180. A text that a spreadsheet would take for a formula is not changed: these are the
//! bytes that were asked for.

use std::fmt::Write as _;

use model::{ColumnType, Span100ns, Ticks, limits};
use rows::RecordBatch;
use rows::arrow::array::{
    Array, BooleanArray, Decimal256Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use rows::arrow::datatypes::i256;
use serde_json::value::RawValue;

use crate::HuntColumn;

/// Rows that are encoded at a time when an answer is streamed.
pub const ROWS_PER_CHUNK: usize = 4096;

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell<'a> {
    Null,
    Bool(bool),
    Long(i64),
    Real(f64),
    Text(&'a str),
    DateTime(i64),
    TimeSpan(i64),
    Dynamic(&'a str),
    Decimal(i256),
}

/// A column of a batch with its type.
enum Cells<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int32Array),
    Long(&'a Int64Array),
    DateTime(&'a Int64Array),
    TimeSpan(&'a Int64Array),
    Real(&'a Float64Array),
    Text(&'a StringArray),
    Dynamic(&'a StringArray),
    /// As the engine computes with them, wider than they are stored.
    Decimal(&'a Decimal256Array),
    Unknown,
}

impl<'a> Cells<'a> {
    fn of(array: &'a dyn Array, column_type: ColumnType) -> Self {
        let any = array.as_any();
        let long = || any.downcast_ref::<Int64Array>();
        let text = || any.downcast_ref::<StringArray>();
        let found = match column_type {
            ColumnType::Bool => any.downcast_ref().map(Self::Bool),
            ColumnType::Int => any.downcast_ref().map(Self::Int),
            ColumnType::Long => long().map(Self::Long),
            ColumnType::DateTime => long().map(Self::DateTime),
            ColumnType::TimeSpan => long().map(Self::TimeSpan),
            ColumnType::Real => any.downcast_ref().map(Self::Real),
            ColumnType::String | ColumnType::Guid => text().map(Self::Text),
            ColumnType::Dynamic => text().map(Self::Dynamic),
            ColumnType::Decimal => any.downcast_ref().map(Self::Decimal),
        };
        found.unwrap_or(Self::Unknown)
    }

    fn at(&self, row: usize) -> Cell<'a> {
        fn get<A: Array>(array: &A, row: usize) -> Option<&A> {
            (row < array.len() && array.is_valid(row)).then_some(array)
        }
        let found = match self {
            Self::Bool(a) => get(*a, row).map(|a| Cell::Bool(a.value(row))),
            Self::Int(a) => get(*a, row).map(|a| Cell::Long(a.value(row).into())),
            Self::Long(a) => get(*a, row).map(|a| Cell::Long(a.value(row))),
            Self::DateTime(a) => get(*a, row).map(|a| Cell::DateTime(a.value(row))),
            Self::TimeSpan(a) => get(*a, row).map(|a| Cell::TimeSpan(a.value(row))),
            Self::Real(a) => get(*a, row).map(|a| Cell::Real(a.value(row))),
            Self::Text(a) => (row < a.len() && a.is_valid(row)).then(|| Cell::Text(a.value(row))),
            Self::Dynamic(a) => {
                (row < a.len() && a.is_valid(row)).then(|| Cell::Dynamic(a.value(row)))
            }
            Self::Decimal(a) => get(*a, row).map(|a| Cell::Decimal(a.value(row))),
            Self::Unknown => None,
        };
        found.unwrap_or(Cell::Null)
    }
}

/// A run of rows of an answer: what is encoded at a time.
struct Run<'a> {
    columns: Vec<Cells<'a>>,
    rows: usize,
}

impl<'a> Run<'a> {
    fn of(columns: &[HuntColumn], batch: &'a RecordBatch) -> Self {
        let cells = columns.iter().zip(batch.columns());
        Self {
            columns: cells
                .map(|(c, array)| Cells::of(array, c.column_type))
                .collect(),
            rows: batch.num_rows(),
        }
    }

    fn cells(&self, row: usize) -> impl Iterator<Item = Cell<'a>> + '_ {
        self.columns.iter().map(move |column| column.at(row))
    }
}

/// The rows as a JSON array with one array of cells per row.
pub fn json_rows(columns: &[HuntColumn], batches: &[RecordBatch]) -> String {
    let mut out = String::from("[");
    for batch in batches {
        let run = Run::of(columns, batch);
        for row in 0..run.rows {
            if out.len() > 1 {
                out.push(',');
            }
            out.push('[');
            for (i, cell) in run.cells(row).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(cell, &mut out);
            }
            out.push(']');
        }
    }
    out.push(']');
    out
}

/// One JSON object per row and line.
pub fn ndjson(columns: &[HuntColumn], batch: &RecordBatch) -> String {
    let quoted = |column: &HuntColumn| {
        let mut name = String::new();
        write_text(&column.name, &mut name);
        name
    };
    let names: Vec<String> = columns.iter().map(quoted).collect();
    let run = Run::of(columns, batch);
    let mut out = String::new();
    for row in 0..run.rows {
        out.push('{');
        for (i, (name, cell)) in names.iter().zip(run.cells(row)).enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(name);
            out.push(':');
            write_json(cell, &mut out);
        }
        out.push_str("}\n");
    }
    out
}

/// The header line of CSV.
pub fn csv_header(columns: &[HuntColumn]) -> String {
    let mut out = String::new();
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_field(&column.name, &mut out);
    }
    out.push_str("\r\n");
    out
}

/// One line of CSV per row, without the header.
pub fn csv(columns: &[HuntColumn], batch: &RecordBatch) -> String {
    let run = Run::of(columns, batch);
    let (mut out, mut text) = (String::new(), String::new());
    for row in 0..run.rows {
        for (i, cell) in run.cells(row).enumerate() {
            if i > 0 {
                out.push(',');
            }
            text.clear();
            write_plain(cell, &mut text);
            write_field(&text, &mut out);
        }
        out.push_str("\r\n");
    }
    out
}

fn write_json(cell: Cell<'_>, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match cell {
        Cell::Null => write!(out, "null"),
        Cell::Bool(b) => write!(out, "{b}"),
        Cell::Long(n) => write!(out, "{n}"),
        Cell::Real(x) if x.is_finite() => write!(out, "{x:?}"),
        Cell::Real(x) => write!(out, "\"{}\"", not_finite(x)),
        Cell::DateTime(t) => write!(out, "\"{}\"", Ticks(t)),
        Cell::TimeSpan(t) => write!(out, "\"{}\"", Span100ns(t)),
        Cell::Decimal(n) => {
            let mut text = String::new();
            write_decimal(n, &mut text);
            write!(out, "\"{text}\"")
        }
        Cell::Text(text) => {
            write_text(text, out);
            Ok(())
        }
        Cell::Dynamic(text) => {
            write_dynamic(text, out);
            Ok(())
        }
    };
}

fn write_plain(cell: Cell<'_>, out: &mut String) {
    match cell {
        Cell::Null => {}
        Cell::Text(text) => out.push_str(text),
        Cell::Decimal(n) => write_decimal(n, out),
        Cell::Real(x) if !x.is_finite() => out.push_str(not_finite(x)),
        Cell::DateTime(t) => {
            let _ = write!(out, "{}", Ticks(t));
        }
        Cell::TimeSpan(t) => {
            let _ = write!(out, "{}", Span100ns(t));
        }
        Cell::Dynamic(text) => match serde_json::from_str::<String>(text) {
            Ok(string) => out.push_str(&string),
            Err(_) => write_dynamic(text, out),
        },
        Cell::Bool(_) | Cell::Long(_) | Cell::Real(_) => write_json(cell, out),
    }
}

/// How deep the arrays and bags of a JSON text lie in one another.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = depth.max(deepest);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The JSON text of a dynamic as one line; text that is not JSON is the string itself.
fn write_dynamic(text: &str, out: &mut String) {
    // LIMIT: shown as its text. Most are too short to be deep.
    let most = limits::HUNT_DYNAMIC_DEPTH_MAX;
    if text.len() > 2 * most && depth(text) > most {
        write_text(text, out);
        return;
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if !raw.get().contains(['\n', '\r']) => out.push_str(raw.get()),
        // Line breaks stand only between tokens: inside a string JSON does not allow them.
        Ok(raw) => out.extend(raw.get().chars().filter(|c| !matches!(c, '\n' | '\r'))),
        Err(_) => write_text(text, out),
    }
}

fn not_finite(x: f64) -> &'static str {
    match (x.is_nan(), x.is_sign_negative()) {
        (true, _) => "NaN",
        (false, true) => "-Infinity",
        (false, false) => "Infinity",
    }
}

/// Digits of a decimal after its point, as `rows::types` lays it out.
const DECIMAL_SCALE: usize = 17;

fn write_decimal(value: i256, out: &mut String) {
    let digits = value.to_string();
    let digits = match digits.strip_prefix('-') {
        Some(digits) => {
            out.push('-');
            digits
        }
        None => &digits,
    };
    let digits = format!("{digits:0>width$}", width = DECIMAL_SCALE + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DECIMAL_SCALE);
    out.push_str(whole);
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
}

fn write_text(text: &str, out: &mut String) {
    // A string always serialises.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn write_field(text: &str, out: &mut String) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}
