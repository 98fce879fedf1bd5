//! JSON values into typed cells.
//!
//! Senders of the same table disagree: a number may come as text, a bool as `0`, an object as JSON
//! inside a string, and a missing value as null or as an empty string. What can be read without
//! loss is read; what cannot is left missing and handed back, so that the caller keeps its original
//! form.

use std::borrow::Cow;

use model::{ColumnType, Ticks, limits};
use rows::TableBuilder;

use crate::json::{self, Kind, Value};

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The cell has it, or it was missing.
    Done,
    /// It does not convert; the cell stays missing and the original must be kept.
    Kept,
}

/// Puts `value` into a cell of the current row.
pub(crate) fn set(
    builder: &mut TableBuilder,
    column: usize,
    column_type: ColumnType,
    value: Value<'_>,
    scratch: &mut String,
) -> Outcome {
    if value.is_missing() {
        return Outcome::Done;
    }
    let done = match column_type {
        ColumnType::String => match value.kind {
            Kind::Object | Kind::Array => builder.set_text(column, &compact(value)),
            _ => builder.set_text(column, value.text_in(scratch)),
        },
        ColumnType::Dynamic => match dynamic(value) {
            Some(text) => builder.set_text(column, &text),
            None => return Outcome::Done,
        },
        ColumnType::Int | ColumnType::Long => {
            integer(value, scratch).is_some_and(|n| builder.set_long(column, n))
        }
        ColumnType::DateTime => time(value, scratch).is_some_and(|t| builder.set_ticks(column, t)),
        ColumnType::Bool => boolean(value, scratch).is_some_and(|b| builder.set_bool(column, b)),
        ColumnType::Real => real(value, scratch).is_some_and(|n| builder.set_real(column, n)),
        ColumnType::Guid => guid(value, scratch).is_some_and(|g| builder.set_text(column, &g)),
        // No table has such a column; a later schema's would be kept as sent.
        ColumnType::TimeSpan | ColumnType::Decimal => false,
    };
    // A blank string says as little as an empty one, whatever the column's type.
    if done || (value.kind == Kind::String && value.text.trim().is_empty()) {
        Outcome::Done
    } else {
        Outcome::Kept
    }
}

/// A column outside the schema: the value's own JSON, nothing guessed.
pub(crate) fn set_raw(builder: &mut TableBuilder, column: usize, value: Value<'_>) -> Outcome {
    if value.kind == Kind::Null || builder.set_text(column, &compact(value)) {
        Outcome::Done
    } else {
        Outcome::Kept
    }
}

/// An instant: text of RFC 3339's shape with 0 to 9 fraction digits, with or without a zone.
pub(crate) fn time(value: Value<'_>, scratch: &mut String) -> Option<Ticks> {
    match value.kind {
        Kind::String => Ticks::parse(value.text_in(scratch)),
        _ => None,
    }
}

/// An instant in any of the forms that exporters write: as [`time`] reads it, or a number since 1970,
/// also as text. Seconds, milliseconds, microseconds and nanoseconds are told apart by their size.
pub(crate) fn any_time(value: Value<'_>, scratch: &mut String) -> Option<Ticks> {
    let text = match value.kind {
        Kind::Number => value.text,
        Kind::String => value.text_in(scratch).trim(),
        _ => return None,
    };
    Ticks::parse(text).or_else(|| since_1970(text))
}

/// A count since 1970: its fraction is read digit by digit, because a float of today's seconds has
/// no room for microseconds.
fn since_1970(text: &str) -> Option<Ticks> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok().filter(|n| *n >= 0)?;
    if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Up to the year 5138 in seconds; what is larger counts something smaller.
    let (per_second, digits) = match whole {
        0..=99_999_999_999 => (1, 9),
        100_000_000_000..=99_999_999_999_999 => (1_000, 6),
        100_000_000_000_000..=99_999_999_999_999_999 => (1_000_000, 3),
        _ => (1_000_000_000, 0),
    };
    let nanos_per = 1_000_000_000 / per_second;
    let part: String = fraction
        .chars()
        .chain("0".repeat(digits).chars())
        .take(digits)
        .collect();
    let part: i64 = if digits == 0 { 0 } else { part.parse().ok()? };
    let nanos = (whole % per_second) * nanos_per + part;
    Ticks::from_unix(whole / per_second, u32::try_from(nanos).ok()?)
}

/// 2^53: below it a float says exactly which integer was meant.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An integer without loss: digits, a number that happens to be whole, or either as text.
pub(crate) fn integer(value: Value<'_>, scratch: &mut String) -> Option<i64> {
    let text = match value.kind {
        Kind::Number => value.text,
        Kind::String => value.text_in(scratch).trim(),
        _ => return None,
    };
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    // `12.0` and `1e3` are whole.
    let float: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and below 2^53, checked"
    )]
    (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
}

fn real(value: Value<'_>, scratch: &mut String) -> Option<f64> {
    let text = match value.kind {
        Kind::Number => value.text,
        Kind::String => value.text_in(scratch).trim(),
        _ => return None,
    };
    text.parse().ok()
}

fn boolean(value: Value<'_>, scratch: &mut String) -> Option<bool> {
    let text = match value.kind {
        Kind::True => return Some(true),
        Kind::False => return Some(false),
        Kind::Number => value.text,
        Kind::String => value.text_in(scratch).trim(),
        _ => return None,
    };
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Lower-case `8-4-4-4-12`, from that, from 32 bare digits, or from either in braces.
fn guid(value: Value<'_>, scratch: &mut String) -> Option<String> {
    if value.kind != Kind::String {
        return None;
    }
    let text = value.text_in(scratch).trim();
    let text = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let hyphens: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    if !(hyphens.is_empty() || hyphens == [8, 13, 18, 23]) {
        return None;
    }
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.iter().all(char::is_ascii_hexdigit) {
        return None;
    }
    let mut out = String::with_capacity(36);
    for (n, c) in digits.into_iter().enumerate() {
        if [8, 12, 16, 20].contains(&n) {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    Some(out)
}

/// A dynamic cell's JSON text; `None` for a value that is missing.
///
/// Two encodings are in use: native JSON, and JSON text in a string. An object, an array or a
/// quoted string inside a string is the second; any other string is text of its own (a bare number
/// in a string is more likely an id than a number).
fn dynamic(value: Value<'_>) -> Option<Cow<'_, str>> {
    if value.kind != Kind::String {
        return Some(Cow::Owned(compact(value)));
    }
    let text = value.text();
    let trimmed = text.trim();
    if trimmed == "null" {
        return None;
    }
    if trimmed.starts_with(['{', '[', '"'])
        && let Some((inner, depth)) = json::parse(trimmed)
        && depth as usize <= limits::JSON_DEPTH_MAX
    {
        return Some(Cow::Owned(compact(inner)));
    }
    Some(Cow::Owned(compact(value)))
}

fn compact(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.text.len() + 2);
    value.write_compact(&mut out);
    out
}
