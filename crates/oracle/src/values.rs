//! Values: how they compare, sort, and become each other.

use std::cmp::Ordering;

use kql::resolved::Value;
use model::{ColumnType, Span100ns};

use crate::Unsupported;

/// Whether it is the null of its type.
pub(crate) fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null(_))
}

/// The order of two values of one type that are not null: numbers and instants by size, texts by
/// code points, `false` before `true`. NaN has no order.
pub(crate) fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, Unsupported> {
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Long(a), Value::Long(b)) => Some(a.cmp(b)),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b),
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        (Value::TimeSpan(a), Value::TimeSpan(b)) => Some(a.cmp(b)),
        _ => return Err(Unsupported::new((a.ty(), b.ty()))),
    })
}

/// The same for groups, distinct rows and the keys of joins, where nulls are equal to each other.
pub(crate) fn is_same(a: &Value, b: &Value) -> Result<bool, Unsupported> {
    match (is_null(a), is_null(b)) {
        (true, true) => Ok(true),
        (false, false) => Ok(compare(a, b)? == Some(Ordering::Equal)),
        _ => Ok(false),
    }
}

/// [`is_same`] of several, position by position.
pub(crate) fn are_same(a: &[Value], b: &[Value]) -> Result<bool, Unsupported> {
    for (a, b) in a.iter().zip(b) {
        if !is_same(a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `to<type>(value)`.
pub(crate) fn convert(value: &Value, to: ColumnType) -> Result<Value, Unsupported> {
    if value.ty() == to {
        return Ok(value.clone());
    }
    if is_null(value) {
        return Ok(Value::missing(to));
    }
    Ok(match (value, to) {
        (Value::Int(n), ColumnType::Long) => Value::Long(i64::from(*n)),
        (Value::Int(n), ColumnType::Real) => Value::Real(f64::from(*n)),
        (Value::Long(n), ColumnType::Int) => i32::try_from(*n).map_or(Value::Null(to), Value::Int),
        #[expect(
            clippy::cast_precision_loss,
            reason = "that is what the conversion does"
        )]
        (Value::Long(n), ColumnType::Real) => Value::Real(*n as f64),
        (Value::Bool(b), ColumnType::Long) => Value::Long(i64::from(*b)),
        (Value::Bool(b), ColumnType::Int) => Value::Int(i32::from(*b)),
        (Value::Int(n), ColumnType::Bool) => Value::Bool(*n != 0),
        (Value::Long(n), ColumnType::Bool) => Value::Bool(*n != 0),
        (Value::Int(n), ColumnType::String) => Value::String(n.to_string().into()),
        (Value::Long(n), ColumnType::String) => Value::String(n.to_string().into()),
        (Value::Bool(b), ColumnType::String) => Value::String(b.to_string().into()),
        (Value::String(text), ColumnType::Long) => {
            let digits = is_whole_number(text).then(|| text.parse().ok()).flatten();
            digits.map_or(Value::Null(to), Value::Long)
        }
        _ => return Err(Unsupported::new((value.ty(), to))),
    })
}

/// Digits, maybe after a minus.
fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `a + b` and its kin, of two numbers of one type, or with instants and durations. Integers wrap.
pub(crate) fn arithmetic(
    sign: char,
    a: &Value,
    b: &Value,
    ty: ColumnType,
) -> Result<Value, Unsupported> {
    if is_null(a) || is_null(b) {
        return Ok(Value::Null(ty));
    }
    let span = |n| Value::TimeSpan(Span100ns(n));
    Ok(match (a, b) {
        (Value::Int(a), Value::Int(b)) => match integers(sign, i64::from(*a), i64::from(*b)) {
            #[expect(clippy::cast_possible_truncation, reason = "an int wraps around")]
            Some(n) => Value::Int(n as i32),
            None => Value::Null(ty),
        },
        (Value::Long(a), Value::Long(b)) => {
            integers(sign, *a, *b).map_or(Value::Null(ty), Value::Long)
        }
        (Value::Real(a), Value::Real(b)) => Value::Real(match sign {
            '+' => a + b,
            '-' => a - b,
            '*' => a * b,
            '/' => a / b,
            _ => return Err(Unsupported::new(sign)),
        }),
        (Value::DateTime(a), Value::DateTime(b)) if sign == '-' => span(a.0.wrapping_sub(b.0)),
        (Value::DateTime(a), Value::TimeSpan(b)) => Value::DateTime(model::Ticks(match sign {
            '+' => a.0.wrapping_add(b.0),
            '-' => a.0.wrapping_sub(b.0),
            _ => return Err(Unsupported::new(sign)),
        })),
        (Value::TimeSpan(a), Value::TimeSpan(b)) => span(match sign {
            '+' => a.0.wrapping_add(b.0),
            '-' => a.0.wrapping_sub(b.0),
            _ => return Err(Unsupported::new(sign)),
        }),
        _ => return Err(Unsupported::new((a.ty(), sign, b.ty()))),
    })
}

/// Of a division by zero: nothing. A remainder is never negative.
fn integers(sign: char, a: i64, b: i64) -> Option<i64> {
    match sign {
        '+' => Some(a.wrapping_add(b)),
        '-' => Some(a.wrapping_sub(b)),
        '*' => Some(a.wrapping_mul(b)),
        '/' if b != 0 => Some(a.wrapping_div(b)),
        '%' if b != 0 => Some(a.wrapping_rem_euclid(b)),
        _ => None,
    }
}

/// `bin(value, size)`: the greatest multiple that is not above; null if the size is not positive.
pub(crate) fn bin(value: &Value, size: &Value, ty: ColumnType) -> Result<Value, Unsupported> {
    if is_null(value) || is_null(size) {
        return Ok(Value::Null(ty));
    }
    let down = |n: i64, size: i64| (size > 0).then(|| n.wrapping_sub(n.rem_euclid(size)));
    Ok(match (value, size) {
        (Value::Int(n), Value::Int(size)) => down(i64::from(*n), i64::from(*size))
            .and_then(|n| i32::try_from(n).ok())
            .map_or(Value::Null(ty), Value::Int),
        (Value::Long(n), Value::Long(size)) => down(*n, *size).map_or(Value::Null(ty), Value::Long),
        (Value::DateTime(t), Value::TimeSpan(size)) => {
            down(t.0, size.0).map_or(Value::Null(ty), |n| Value::DateTime(model::Ticks(n)))
        }
        (Value::TimeSpan(t), Value::TimeSpan(size)) => {
            down(t.0, size.0).map_or(Value::Null(ty), |n| Value::TimeSpan(Span100ns(n)))
        }
        _ => return Err(Unsupported::new((value.ty(), "bin"))),
    })
}
