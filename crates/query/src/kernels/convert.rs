//! Conversions between types, as `to<type>()` does them.
//!
//! Promises: what does not convert is null (a string: empty), never an error.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use model::{ColumnType, Span100ns, Ticks};

use super::args::{Arg, Call, Cell};
use super::{decimals, time};
use crate::json::{self, Json};
use crate::jsonscan;

#[expect(
    clippy::cast_precision_loss,
    reason = "a long as a real is the nearest real, as in Kusto"
)]
pub(crate) fn real_of_long(n: i64) -> f64 {
    n as f64
}

/// A count as a long.
pub(crate) fn long_of(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Toward zero; null for NaN and what does not fit.
pub(crate) fn long_of_real(x: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&x).then(|| saturated(x))
}

/// Toward zero, held inside the longs.
#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting the fraction is the point; the cast saturates"
)]
fn saturated(x: f64) -> i64 {
    x as i64
}

/// A real as a long: what does not fit is the nearest long; NaN is null.
fn long_from_real(x: f64) -> Option<i64> {
    (!x.is_nan()).then(|| saturated(x))
}

/// A long as an int wraps, a real as an int saturates.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the engine keeps the low 32 bits"
)]
fn int_of_long(n: i64) -> i64 {
    i64::from(n as i32)
}

fn int_from_real(x: f64) -> Option<i64> {
    Some(long_from_real(x)?.clamp(i64::from(i32::MIN), i64::from(i32::MAX)))
}

pub(crate) fn parse_long(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(u64::cast_signed);
    }
    text.parse().ok()
}

pub(crate) fn parse_real(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" if text == "INF" => None,
        "inf" | "+inf" | "infinity" | "+infinity" | "∞" => Some(f64::INFINITY),
        "-inf" | "-infinity" | "-∞" => Some(f64::NEG_INFINITY),
        lower
            if lower
                .bytes()
                .all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)) =>
        {
            lower.parse().ok()
        }
        _ => None,
    }
}

pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        // Unlike other numbers, not between blanks.
        (text == text.trim())
            .then(|| parse_long(text))?
            .map(|n| n != 0)
    }
}

/// A guid in any of its usual forms, as lower-case `8-4-4-4-12`.
pub(crate) fn parse_guid(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text
        .strip_prefix('{')
        .and_then(|t| t.strip_suffix('}'))
        .or_else(|| text.strip_prefix('(').and_then(|t| t.strip_suffix(')')))
        .unwrap_or(text);
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    if !dashes.is_empty() && dashes != [8, 13, 18, 23] {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.to_ascii_lowercase();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| digits.get(range).unwrap_or(""));
    Some(parts.join("-"))
}

/// A real as `tostring` writes it.
pub(crate) fn display_real(x: f64, out: &mut String) {
    use std::fmt::Write as _;
    if x.is_nan() {
        out.push_str("NaN");
    } else if x.is_infinite() {
        out.push_str(if x > 0.0 { "Infinity" } else { "-Infinity" });
    } else if x != 0.0 && !(1e-5..1e15).contains(&x.abs()) {
        // .NET's shortest form: `1E+20`, `1E-06`.
        let text = format!("{x:E}");
        let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        let _ = write!(out, "{digits}E{sign}{exponent:0>2}");
    } else {
        // A whole number shows that it is a real.
        let point = if x.fract() == 0.0 { ".0" } else { "" };
        let _ = write!(out, "{x}{point}");
    }
}

/// Any value as `tostring` writes it.
pub(crate) fn display(cell: Cell<'_>, out: &mut String) {
    use std::fmt::Write as _;
    match cell {
        Cell::Null => {}
        Cell::Bool(b) => out.push_str(if b { "True" } else { "False" }),
        Cell::Long(n) => {
            let _ = write!(out, "{n}");
        }
        Cell::Real(x) => display_real(x, out),
        Cell::Text(text) | Cell::Guid(text) => out.push_str(text),
        Cell::DateTime(t) => {
            let _ = write!(out, "{}", Ticks(t));
        }
        Cell::TimeSpan(t) => {
            let _ = write!(out, "{}", Span100ns(t));
        }
        Cell::Dynamic(text) => display_dynamic(text, out),
    }
}

fn display_dynamic(text: &str, out: &mut String) {
    match text.as_bytes().first() {
        // Strings, arrays, bags and reals take their one form; the rest has only one.
        Some(b'[' | b'{') if jsonscan::is_canonical(text) => out.push_str(text),
        Some(b'"' | b'[' | b'{' | b' ' | b'\n' | b'\r' | b'\t') => {
            Json::of_column(text).display(out);
        }
        _ => out.push_str(text),
    }
}

pub(crate) fn json_to_bool(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(b) => Some(*b),
        Json::Long(n) => Some(*n != 0),
        Json::Real(x) => Some(*x != 0.0),
        Json::Text(text) => parse_bool(text),
        _ => None,
    }
}

pub(crate) fn json_to_long(value: &Json) -> Option<i64> {
    match value {
        Json::Bool(b) => Some(i64::from(*b)),
        Json::Long(n) => Some(*n),
        Json::Real(x) => long_from_real(*x),
        Json::Text(text) => parse_long(text),
        _ => None,
    }
}

pub(crate) fn json_to_int(value: &Json) -> Option<i64> {
    match value {
        Json::Real(x) => int_from_real(*x),
        other => json_to_long(other).map(int_of_long),
    }
}

pub(crate) fn json_to_real(value: &Json) -> Option<f64> {
    match value {
        Json::Bool(b) => Some(f64::from(u8::from(*b))),
        Json::Long(n) => Some(real_of_long(*n)),
        Json::Real(x) => Some(*x),
        Json::Text(text) => parse_real(text),
        _ => None,
    }
}

pub(crate) fn json_to_datetime(value: &Json) -> Option<i64> {
    match value {
        Json::Long(n) => time::in_range(*n),
        Json::Text(text) => time::parse_datetime(text),
        _ => None,
    }
}

pub(crate) fn json_to_timespan(value: &Json) -> Option<i64> {
    match value {
        Json::Long(n) => Some(*n),
        Json::Text(text) => time::parse_timespan(text),
        _ => None,
    }
}

/// The cast kernel: argument 0 to the promised type.
pub(crate) fn cast(call: &Call<'_>) -> Result<ArrayRef> {
    let arg = call.arg(0)?;
    match call.result {
        ColumnType::Bool => call.bools(|row| to_bool(arg.cell(row))),
        ColumnType::Int => call.longs(|row| match arg.cell(row) {
            Cell::Real(x) => int_from_real(x),
            Cell::Text(text) => parse_long(text),
            Cell::Dynamic(text) => json_to_int(&Json::of_column(text)),
            other => to_long(other).map(int_of_long),
        }),
        ColumnType::Long if arg.ty() == ColumnType::Decimal => {
            call.longs(|row| decimals::to_long(arg.decimal(row)?))
        }
        ColumnType::Long => call.longs(|row| to_long(arg.cell(row))),
        ColumnType::Real => call.reals(|row| to_real(arg.cell(row))),
        ColumnType::DateTime => call.longs(|row| match arg.cell(row) {
            Cell::DateTime(t) => Some(t),
            Cell::Long(t) => time::in_range(t),
            Cell::Real(t) => time::in_range(long_of_real(t)?),
            Cell::Text(text) => time::parse_datetime(text),
            Cell::Dynamic(text) => json_to_datetime(&Json::of_column(text)),
            _ => None,
        }),
        ColumnType::TimeSpan => call.longs(|row| match arg.cell(row) {
            Cell::TimeSpan(t) | Cell::Long(t) => Some(t),
            Cell::Real(t) => long_of_real(t),
            Cell::Text(text) => time::parse_timespan(text),
            Cell::Dynamic(text) => json_to_timespan(&Json::of_column(text)),
            _ => None,
        }),
        ColumnType::Guid => call.texts_or_null(|row, out| {
            match arg.cell(row) {
                Cell::Guid(text) => out.push_str(text),
                Cell::Text(text) => out.push_str(&parse_guid(text)?),
                Cell::Dynamic(text) => match Json::of_column(text) {
                    Json::Text(text) => out.push_str(&parse_guid(&text)?),
                    _ => return None,
                },
                _ => return None,
            }
            Some(())
        }),
        ColumnType::Dynamic => to_dynamic(call, arg),
        ColumnType::Decimal => call.decimals(|row| decimals::of_arg(arg, row)),
        ColumnType::String => call.texts(|row, out| match arg.decimal(row) {
            Some(value) => out.push_str(&decimals::display(value)),
            None => display(arg.cell(row), out),
        }),
    }
}

fn to_bool(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(b) => Some(b),
        Cell::Long(n) => Some(n != 0),
        Cell::Real(x) => Some(x != 0.0),
        Cell::Text(text) => parse_bool(text),
        Cell::Dynamic(text) => json_to_bool(&Json::of_column(text)),
        _ => None,
    }
}

fn to_long(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Bool(b) => Some(i64::from(b)),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => Some(n),
        Cell::Real(x) => long_from_real(x),
        Cell::Text(text) => parse_long(text),
        Cell::Dynamic(text) => json_to_long(&Json::of_column(text)),
        _ => None,
    }
}

fn to_real(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Bool(b) => Some(f64::from(u8::from(b))),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => Some(real_of_long(n)),
        Cell::Real(x) => Some(x),
        Cell::Text(text) => parse_real(text),
        Cell::Dynamic(text) => json_to_real(&Json::of_column(text)),
        _ => None,
    }
}

/// A scalar inside a dynamic, without parsing.
fn to_dynamic(call: &Call<'_>, arg: &Arg) -> Result<ArrayRef> {
    call.texts_or_null(|row, out| {
        match arg.cell(row) {
            Cell::Null => return None,
            Cell::Dynamic(text) => out.push_str(text),
            Cell::Text(text) | Cell::Guid(text) => json::write_text(text, out),
            _ => arg.json(row)?.write(out),
        }
        Some(())
    })
}
