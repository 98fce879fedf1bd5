//! Functions over numbers.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use model::ColumnType;

use super::args::{Call, Cell};
use super::convert;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    if call.result == ColumnType::Decimal {
        return super::decimals::arithmetic(function, call);
    }
    let a = call.arg(0)?;
    let of_real = |f: fn(f64) -> f64| call.reals(|row| a.real(row).map(f));
    let finite = |f: fn(f64) -> f64| call.reals(|row| a.real(row).map(f));
    match function {
        F::Sqrt => finite(f64::sqrt),
        F::Exp => of_real(f64::exp),
        F::Exp2 => of_real(f64::exp2),
        F::Exp10 => of_real(|x| 10_f64.powf(x)),
        F::Log => logarithm(call, f64::ln),
        F::Log2 => logarithm(call, f64::log2),
        F::Log10 => logarithm(call, f64::log10),
        F::Sin => of_real(f64::sin),
        F::Cos => of_real(f64::cos),
        F::Tan => of_real(f64::tan),
        F::Asin => of_real(f64::asin),
        F::Acos => of_real(f64::acos),
        F::Atan => of_real(f64::atan),
        F::Sign => of_real(|x| {
            if x == 0.0 || x.is_nan() {
                0.0
            } else {
                x.signum()
            }
        }),
        F::Pow => with_second(call, f64::powf),
        F::Atan2 => with_second(call, f64::atan2),
        F::Isnan => call.bools(|row| Some(a.real(row)?.is_nan())),
        F::Isinf => call.bools(|row| Some(a.real(row)?.is_infinite())),
        F::Isfinite => call.bools(|row| Some(a.real(row)?.is_finite())),
        F::Abs | F::Round | F::Ceiling if call.result == ColumnType::Real => {
            round_real(function, call)
        }
        F::Abs => call.longs(|row| a.long(row).map(i64::wrapping_abs)),
        F::Ceiling => call.longs(|row| a.long(row)),
        F::Round => call.longs(|row| {
            let digits = call.optional(1).map_or(Some(0), |arg| arg.long(row))?;
            round_long(a.long(row)?, digits)
        }),
        F::BinaryNot => call.longs(|row| a.long(row).map(|n| !n)),
        F::BinaryAnd => bits(call, |a, b| Some(a & b)),
        F::BinaryOr => bits(call, |a, b| Some(a | b)),
        F::BinaryXor => bits(call, |a, b| Some(a ^ b)),
        F::BinaryShiftLeft => bits(call, |a, n| {
            u32::try_from(n).ok().map(|n| a.wrapping_shl(n))
        }),
        F::BinaryShiftRight => bits(call, |a, n| {
            u32::try_from(n).ok().map(|n| a.wrapping_shr(n))
        }),
        F::Tohex => tohex(call),
        F::FormatBytes => format_bytes(call),
        other => exec_err!("`{}` is not a function over numbers", other.as_str()),
    }
}

/// Of a negative number there is none.
fn logarithm(call: &Call<'_>, f: fn(f64) -> f64) -> Result<ArrayRef> {
    let value = call.arg(0)?;
    call.reals(|row| value.real(row).filter(|x| *x >= 0.0 || x.is_nan()).map(f))
}

fn with_second(call: &Call<'_>, f: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    call.reals(|row| Some(f(a.real(row)?, b.real(row)?)))
}

fn bits(call: &Call<'_>, f: fn(i64, i64) -> Option<i64>) -> Result<ArrayRef> {
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    call.longs(|row| f(a.long(row)?, b.long(row)?))
}

fn round_real(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::Abs => call.reals(|row| a.real(row).map(f64::abs)),
        F::Ceiling => call.reals(|row| a.real(row).map(f64::ceil)),
        _ => call.reals(|row| {
            let digits = call.optional(1).map_or(Some(0), |arg| arg.long(row))?;
            Some(round_to(a.real(row)?, digits))
        }),
    }
}

/// Half away from zero, at a number of decimal digits.
pub(crate) fn round_to(x: f64, digits: i64) -> f64 {
    let digits = i32::try_from(digits.clamp(-300, 300)).unwrap_or(0);
    if digits == 0 {
        return x.round();
    }
    let scale = 10_f64.powi(digits.abs());
    let rounded = if digits > 0 {
        (x * scale).round() / scale
    } else {
        (x / scale).round() * scale
    };
    if rounded.is_finite() { rounded } else { x }
}

fn round_long(n: i64, digits: i64) -> Option<i64> {
    if digits >= 0 {
        return Some(n);
    }
    let scale = 10_i64.checked_pow(u32::try_from(-digits).ok()?)?;
    let half = scale / 2 * n.signum();
    n.checked_add(half)?.checked_div(scale)?.checked_mul(scale)
}

fn tohex(call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    call.texts(|row, out| {
        use std::fmt::Write as _;
        let Some(n) = a.long(row) else { return };
        let width = call
            .optional(1)
            .and_then(|arg| arg.long(row))
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
            .min(64);
        let _ = write!(out, "{n:0width$x}");
    })
}

const UNITS: [&str; 7] = ["Bytes", "KB", "MB", "GB", "TB", "PB", "EB"];

fn format_bytes(call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    call.texts(|row, out| {
        use std::fmt::Write as _;
        let size = match a.cell(row) {
            Cell::Long(n) => convert::real_of_long(n),
            Cell::Real(x) => x,
            _ => return,
        };
        let digits = call.optional(1).and_then(|arg| arg.long(row)).unwrap_or(0);
        let unit = call
            .optional(2)
            .map(|arg| arg.text(row))
            .and_then(|wanted| {
                UNITS
                    .iter()
                    .position(|unit| unit.eq_ignore_ascii_case(wanted))
            });
        let mut scaled = size;
        let mut at = 0;
        while at < unit.unwrap_or(UNITS.len() - 1) && (unit.is_some() || scaled.abs() >= 1024.0) {
            scaled /= 1024.0;
            at += 1;
        }
        let unit = UNITS.get(at).copied().unwrap_or_default();
        let _ = write!(out, "{} {unit}", round_to(scaled, digits));
    })
}
