//! Comparison and arithmetic with Kusto's nulls, wrapping and signs.
//!
//! A null equals no value and differs from every value; two nulls give null. Longs wrap. `%` is
//! never negative. Dividing a long by zero gives null, a real IEEE's answer.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Arg, Call, Cell};
use super::time::in_range;
use super::{convert, decimals};
use crate::json::Json;

/// How two values of one type stand to each other; `None` with a null or a NaN.
pub(crate) fn order(a: Cell<'_>, b: Cell<'_>) -> Option<Ordering> {
    match (a, b) {
        (Cell::Bool(a), Cell::Bool(b)) => Some(a.cmp(&b)),
        (Cell::Long(a), Cell::Long(b))
        | (Cell::DateTime(a), Cell::DateTime(b))
        | (Cell::TimeSpan(a), Cell::TimeSpan(b)) => Some(a.cmp(&b)),
        (Cell::Real(a), Cell::Real(b)) => a.partial_cmp(&b),
        (Cell::Long(a), Cell::Real(b)) => convert::real_of_long(a).partial_cmp(&b),
        (Cell::Real(a), Cell::Long(b)) => a.partial_cmp(&convert::real_of_long(b)),
        (Cell::Text(a) | Cell::Guid(a), Cell::Text(b) | Cell::Guid(b)) => Some(a.cmp(b)),
        (Cell::Dynamic(a), Cell::Dynamic(b)) => {
            order_json(&Json::of_column(a), &Json::of_column(b))
        }
        _ => None,
    }
}

/// How two dynamic values stand to each other, if they can be compared.
pub(crate) fn order_json(a: &Json, b: &Json) -> Option<Ordering> {
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => Some(a.cmp(b)),
        (Json::Long(a), Json::Long(b)) => Some(a.cmp(b)),
        (Json::Text(a), Json::Text(b)) => Some(a.cmp(b)),
        (Json::Long(_) | Json::Real(_), Json::Long(_) | Json::Real(_)) => {
            convert::json_to_real(a)?.partial_cmp(&convert::json_to_real(b)?)
        }
        _ => None,
    }
}

/// Kusto's `==`.
pub(crate) fn equal(a: Cell<'_>, b: Cell<'_>) -> Option<bool> {
    match (a, b) {
        (Cell::Null, Cell::Null) => None,
        (Cell::Null, _) | (_, Cell::Null) => Some(false),
        (Cell::Dynamic(a), Cell::Dynamic(b)) => Some(Json::of_column(a) == Json::of_column(b)),
        (a, b) => Some(order(a, b) == Some(Ordering::Equal)),
    }
}

/// Kusto's `!=`.
fn unequal(a: Cell<'_>, b: Cell<'_>) -> Option<bool> {
    equal(a, b).map(|equal| !equal)
}

/// `<` and its kin: null with a null, false with a NaN.
fn ordered(a: Cell<'_>, b: Cell<'_>, holds: fn(Ordering) -> bool) -> Option<bool> {
    if a == Cell::Null || b == Cell::Null {
        return None;
    }
    Some(order(a, b).is_some_and(holds))
}

/// The comparison operators.
pub(crate) fn compare(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    if call.args.len() == 2 && call.arg(0)?.ty() == ColumnType::Decimal {
        return decimals::compare(function, call);
    }
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    let by =
        |holds: fn(Ordering) -> bool| call.bools(|row| ordered(a.cell(row), b.cell(row), holds));
    match function {
        F::Equal => call.bools(|row| equal(a.cell(row), b.cell(row))),
        F::NotEqual => call.bools(|row| unequal(a.cell(row), b.cell(row))),
        F::Less => by(Ordering::is_lt),
        F::LessOrEqual => by(Ordering::is_le),
        F::Greater => by(Ordering::is_gt),
        F::GreaterOrEqual => by(Ordering::is_ge),
        F::Between | F::NotBetween => {
            let high = call.arg(2)?;
            let inside = function == F::Between;
            call.bools(|row| {
                let value = a.cell(row);
                let low = ordered(value, b.cell(row), Ordering::is_ge);
                let high = ordered(value, high.cell(row), Ordering::is_le);
                match (low, high) {
                    (Some(false), _) | (_, Some(false)) => Some(!inside),
                    (Some(true), Some(true)) => Some(inside),
                    _ => None,
                }
            })
        }
        other => exec_err!("`{}` is not a comparison", other.as_str()),
    }
}

/// `max_of` and `min_of`: nulls are passed over.
pub(crate) fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<ArrayRef> {
    if call.result == ColumnType::Decimal {
        return decimals::extreme(call, wanted);
    }
    let pick = |row: usize| {
        let mut best = Cell::Null;
        for arg in call.args {
            let value = arg.cell(row);
            if best == Cell::Null || order(value, best) == Some(wanted) {
                best = value;
            }
        }
        best
    };
    match call.result {
        ColumnType::Bool => call.bools(|row| match pick(row) {
            Cell::Bool(b) => Some(b),
            _ => None,
        }),
        ColumnType::Real => call.reals(|row| match pick(row) {
            Cell::Real(x) => Some(x),
            _ => None,
        }),
        ColumnType::String => call.texts(|row, out| convert::display(pick(row), out)),
        ColumnType::Guid | ColumnType::Dynamic => call.texts_or_null(|row, out| match pick(row) {
            Cell::Guid(text) | Cell::Dynamic(text) => {
                out.push_str(text);
                Some(())
            }
            _ => None,
        }),
        _ => call.longs(|row| match pick(row) {
            Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => Some(n),
            _ => None,
        }),
    }
}

/// `+ - * / %` and the sign.
pub(crate) fn arithmetic(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    if call.result == ColumnType::Decimal {
        return decimals::arithmetic(function, call);
    }
    let a = call.arg(0)?;
    if function == F::Negate {
        return match call.result {
            ColumnType::Real => call.reals(|row| a.real(row).map(|x| -x)),
            _ => call.longs(|row| a.long(row).map(i64::wrapping_neg)),
        };
    }
    let b = call.arg(1)?;
    let real = |arg: &Arg| arg.ty() == ColumnType::Real;
    match call.result {
        ColumnType::Real if !real(a) && !real(b) => {
            // A timespan over a timespan.
            call.reals(|row| real_of(function, a.real(row)?, b.real(row)?))
        }
        ColumnType::Real => call.reals(|row| real_of(function, a.real(row)?, b.real(row)?)),
        ColumnType::DateTime => {
            call.longs(|row| in_range(long_of(function, a.long(row)?, b.long(row)?)?))
        }
        ColumnType::TimeSpan if real(a) || real(b) => {
            call.longs(|row| convert::long_of_real(real_of(function, a.real(row)?, b.real(row)?)?))
        }
        _ => call.longs(|row| long_of(function, a.long(row)?, b.long(row)?)),
    }
}

fn long_of(function: F, a: i64, b: i64) -> Option<i64> {
    match function {
        F::Add => Some(a.wrapping_add(b)),
        F::Subtract => Some(a.wrapping_sub(b)),
        F::Multiply => Some(a.wrapping_mul(b)),
        F::Divide | F::Modulo if b == 0 => None,
        F::Divide => Some(a.wrapping_div(b)),
        F::Modulo => Some(a.wrapping_rem_euclid(b)),
        _ => None,
    }
}

fn real_of(function: F, a: f64, b: f64) -> Option<f64> {
    match function {
        F::Add => Some(a + b),
        F::Subtract => Some(a - b),
        F::Multiply => Some(a * b),
        F::Divide => Some(a / b),
        F::Modulo => Some(a.rem_euclid(b)),
        _ => None,
    }
}

/// `bin` and `bin_at`: rounded down to a multiple, counted from the year 1 or from a fixed point.
pub(crate) fn bin(call: &Call<'_>) -> Result<ArrayRef> {
    if call.result == ColumnType::Decimal {
        return decimals::bin(call);
    }
    let (value, size, at) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    if call.result == ColumnType::Real {
        return call.reals(|row| {
            let at = at.map_or(Some(0.0), |at| at.real(row))?;
            let size = size.real(row).filter(|size| *size > 0.0)?;
            Some(((value.real(row)? - at) / size).floor() * size + at)
        });
    }
    let is_instant = call.result == ColumnType::DateTime;
    let is_fixed = size.is_constant() && at.is_none_or(Arg::is_constant);
    if let Some(values) = value
        .longs()
        .filter(|_| is_fixed && call.result != ColumnType::Int)
    {
        let at = at.map_or(Some(0), |at| at.long(0));
        let binned = at.zip(size.long(0).filter(|size| *size > 0));
        let binned = binned.and_then(|(at, size)| bins_of(values, size, at, is_instant));
        if let Some(binned) = binned {
            return Ok(Arc::new(Int64Array::from(binned)));
        }
    }
    call.longs(|row| {
        let at = at.map_or(Some(0), |at| at.long(row))?;
        let size = size.long(row).filter(|size| *size > 0)?;
        bin_of(value.long(row)?, size, at, is_instant)
    })
}

fn bin_of(value: i64, size: i64, at: i64, is_instant: bool) -> Option<i64> {
    let binned = value.checked_sub(at)?.div_euclid(size).checked_mul(size)?;
    let binned = binned.checked_add(at)?;
    if is_instant {
        in_range(binned)
    } else {
        Some(binned)
    }
}

/// The bins of many values, of which neighbours often have the same. `None` if one has none.
fn bins_of(values: &[i64], size: i64, at: i64, is_instant: bool) -> Option<Vec<i64>> {
    let mut bins = Vec::with_capacity(values.len());
    let mut last = 0..0;
    for value in values {
        if !last.contains(value) {
            let start = bin_of(*value, size, at, is_instant)?;
            last = start..start.saturating_add(size);
        }
        bins.push(last.start);
    }
    Some(bins)
}
