//! Decimals: 17 digits after the point, 59 before it.
//!
//! The engine's decimals float; 17 places hold what a query is likely to say exactly, and versions
//! (`parse_version`) have 25 digits before the point.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal256Array};
use datafusion::arrow::datatypes::{DataType, i256};
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Arg, Call, Cell};
use crate::json::Json;

pub(crate) const PRECISION: u8 = 76;
pub(crate) const SCALE: i8 = 17;
/// Digits after the point.
const PLACES: usize = 17;

/// The Arrow type of a column while a query runs.
pub(crate) fn data_type(ty: ColumnType) -> DataType {
    match ty {
        ColumnType::Decimal => DataType::Decimal256(PRECISION, SCALE),
        other => rows::types::data_type(other),
    }
}

fn one() -> i256 {
    i256::from_i128(100_000_000_000_000_000)
}

/// The decimal that a text says; digits beyond the 17th are rounded away.
pub(crate) fn parse(text: &str) -> Option<i256> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !is_number(whole) || !is_number(part) {
        return None;
    }
    let mut all = format!("{whole}{part}");
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let wanted = point + i64::try_from(PLACES).ok()?;
    let length = i64::try_from(all.len()).ok()?;
    let mut round_up = false;
    if wanted < 0 {
        "0".clone_into(&mut all);
    } else if wanted < length {
        let cut = usize::try_from(wanted).ok()?;
        round_up = all.as_bytes().get(cut).is_some_and(|d| *d >= b'5');
        all.truncate(cut);
    } else {
        let zeros = usize::try_from(wanted - length).ok().filter(|z| *z < 100)?;
        all.push_str(&"0".repeat(zeros));
    }
    let all = if all.is_empty() { "0" } else { &all };
    let mut value = i256::from_string(all)?;
    if round_up {
        value = value.checked_add(i256::ONE)?;
    }
    if negative {
        value = value.wrapping_neg();
    }
    Some(value)
}

pub(crate) fn of_long(n: i64) -> Option<i256> {
    i256::from_i128(i128::from(n)).checked_mul(one())
}

pub(crate) fn of_real(x: f64) -> Option<i256> {
    if !x.is_finite() {
        return None;
    }
    parse(&format!("{x}"))
}

/// The digits, without zeros at the end.
pub(crate) fn display(value: i256) -> String {
    let text = value.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits.to_owned()),
        None => ("", text),
    };
    let padded = format!("{digits:0>width$}", width = PLACES + 1);
    let (whole, part) = padded
        .split_at_checked(padded.len() - PLACES)
        .unwrap_or(("0", ""));
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

pub(crate) fn to_real(value: i256) -> f64 {
    display(value).parse().unwrap_or(f64::NAN)
}

/// Toward zero.
pub(crate) fn to_long(value: i256) -> Option<i64> {
    let whole = value.checked_div(one())?;
    i64::try_from(whole.to_i128()?).ok()
}

/// The value of an argument of any type as a decimal.
pub(crate) fn of_arg(arg: &Arg, row: usize) -> Option<i256> {
    if let Some(value) = arg.decimal(row) {
        return Some(value);
    }
    match arg.cell(row) {
        Cell::Bool(b) => of_long(i64::from(b)),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => of_long(n),
        Cell::Real(x) => of_real(x),
        Cell::Text(text) => parse(text),
        Cell::Dynamic(text) => of_json(&Json::of_column(text)),
        Cell::Guid(_) | Cell::Null => None,
    }
}

pub(crate) fn of_json(value: &Json) -> Option<i256> {
    match value {
        Json::Bool(b) => of_long(i64::from(*b)),
        Json::Long(n) => of_long(*n),
        Json::Real(x) => of_real(*x),
        Json::Text(text) => parse(text),
        _ => None,
    }
}

/// `+ - * / %` and the sign, of two decimals.
pub(crate) fn arithmetic(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    if matches!(function, F::Negate | F::Abs | F::Ceiling | F::Round) {
        return call.decimals(|row| {
            let value = of_arg(a, row)?;
            match function {
                F::Negate => Some(value.wrapping_neg()),
                F::Abs => Some(value.wrapping_abs()),
                _ => {
                    let digits = call.optional(1).and_then(|d| d.long(row)).unwrap_or(0);
                    rounded(value, digits, function == F::Ceiling)
                }
            }
        });
    }
    let b = call.arg(1)?;
    call.decimals(|row| {
        let (a, b) = (of_arg(a, row)?, of_arg(b, row)?);
        match function {
            F::Add => a.checked_add(b),
            F::Subtract => a.checked_sub(b),
            F::Multiply => a.checked_mul(b)?.checked_div(one()),
            F::Divide => a.checked_mul(one())?.checked_div(b),
            F::Modulo => {
                let rest = a.checked_rem(b)?;
                if rest.is_negative() {
                    rest.checked_add(b.wrapping_abs())
                } else {
                    Some(rest)
                }
            }
            _ => None,
        }
    })
}

/// Half away from zero, or up.
fn rounded(value: i256, digits: i64, up: bool) -> Option<i256> {
    let places = i64::try_from(PLACES).ok()?.checked_sub(digits)?;
    let places = usize::try_from(places.max(0)).ok().filter(|p| *p < 60)?;
    let unit = i256::from_string(&format!("1{}", "0".repeat(places)))?;
    let half = unit.checked_div(i256::from_i128(2))?;
    let rest = value.checked_rem(unit)?;
    let down = value.checked_sub(rest)?;
    let is_up = if up {
        rest > i256::ZERO
    } else {
        rest.wrapping_abs() >= half && places > 0
    };
    if !is_up {
        return Some(down);
    }
    if value.is_negative() {
        down.checked_sub(unit)
    } else {
        down.checked_add(unit)
    }
}

/// `==`, `<` and their kin of two decimals.
pub(crate) fn compare(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    if !matches!(
        function,
        F::Equal | F::NotEqual | F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual
    ) {
        return exec_err!("`{}` does not compare two decimals", function.as_str());
    }
    call.bools(|row| match (a.decimal(row), b.decimal(row)) {
        (Some(a), Some(b)) => Some(match function {
            F::Equal => a == b,
            F::NotEqual => a != b,
            F::Less => a < b,
            F::LessOrEqual => a <= b,
            F::Greater => a > b,
            _ => a >= b,
        }),
        (None, None) => None,
        _ if function == F::Equal => Some(false),
        _ if function == F::NotEqual => Some(true),
        _ => None,
    })
}

/// A column of decimals.
pub(crate) fn column(values: Vec<Option<i256>>) -> Result<ArrayRef> {
    let array = Decimal256Array::from(values).with_precision_and_scale(PRECISION, SCALE)?;
    Ok(Arc::new(array))
}

/// `max_of` and `min_of`: nulls are passed over.
pub(crate) fn extreme(call: &Call<'_>, wanted: std::cmp::Ordering) -> Result<ArrayRef> {
    call.decimals(|row| {
        let values = call.args.iter().filter_map(|arg| of_arg(arg, row));
        values.reduce(|best, value| {
            if value.cmp(&best) == wanted {
                value
            } else {
                best
            }
        })
    })
}

/// `bin` and `bin_at`: rounded down to a multiple, counted from a fixed point.
pub(crate) fn bin(call: &Call<'_>) -> Result<ArrayRef> {
    let (value, size, at) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    call.decimals(|row| {
        let at = at.map_or(Some(i256::ZERO), |at| of_arg(at, row))?;
        let size = of_arg(size, row).filter(|size| *size > i256::ZERO)?;
        let from = of_arg(value, row)?.checked_sub(at)?;
        let rest = from.checked_rem(size)?;
        let rest = if rest.is_negative() {
            rest.checked_add(size)?
        } else {
            rest
        };
        from.checked_sub(rest)?.checked_add(at)
    })
}

/// Up to four parts of a version, eight digits each.
pub(crate) fn parse_version(call: &Call<'_>) -> Result<ArrayRef> {
    use std::fmt::Write as _;
    let version = call.arg(0)?;
    call.decimals(|row| {
        let parts: Vec<&str> = version.text(row).split('.').collect();
        if parts.len() > 4 || parts.iter().any(|p| p.is_empty() || p.len() > 8) {
            return None;
        }
        let mut digits = String::new();
        for at in 0..4 {
            let part: u64 = parts.get(at).map_or(Some(0), |p| p.parse().ok())?;
            let _ = write!(digits, "{part:08}");
        }
        parse(&digits)
    })
}
