//! Values: how they compare, sort, and become each other.

use std::cmp::Ordering;

use kql::resolved::Value;
use model::{ColumnType, Span100ns, Ticks};

use crate::Unsupported;
use crate::dynamics::plain;
use crate::json::Json;

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

/// The same for groups, distinct rows and the keys of joins, where nulls are equal to each other,
/// and what is not a number too.
pub(crate) fn is_same(a: &Value, b: &Value) -> Result<bool, Unsupported> {
    if let (Value::Real(a), Value::Real(b)) = (a, b)
        && a.is_nan()
        && b.is_nan()
    {
        return Ok(true);
    }
    match (is_null(a), is_null(b)) {
        (true, true) => Ok(true),
        (false, false) if a.ty() == ColumnType::Dynamic => Ok(Json::of(a)? == Json::of(b)?),
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
        (Value::Bool(b), ColumnType::Real) => Value::Real(if *b { 1.0 } else { 0.0 }),
        (Value::Bool(b), ColumnType::String) => Value::String(bool_text(*b).into()),
        (Value::DateTime(t), ColumnType::String) => Value::String(t.to_string().into()),
        (Value::TimeSpan(t), ColumnType::String) => Value::String(t.to_string().into()),
        // A real is written as short as it can be read again; of those that are whole, or not
        // finite, the manual does not say how.
        (Value::Real(x), ColumnType::String) if x.is_finite() && x.fract() != 0.0 => {
            Value::String(x.to_string().into())
        }
        #[expect(clippy::cast_possible_truncation, reason = "a real is cut off")]
        (Value::Real(x), ColumnType::Long) if x.abs() < 1e15 => Value::Long(*x as i64),
        #[expect(clippy::cast_possible_truncation, reason = "a real is cut off")]
        (Value::Real(x), ColumnType::Int) if x.abs() < 1e9 => Value::Int(*x as i32),
        (Value::String(text), to) => read(text, to)?,
        (Value::Dynamic(_), to) => from_json(&Json::of(value)?, to)?,
        (value, ColumnType::Dynamic) => Json::of(value)?.value(),
        _ => return Err(Unsupported::new((value.ty(), to))),
    })
}

fn bool_text(b: bool) -> &'static str {
    if b { "True" } else { "False" }
}

/// What a text says, if it says something of the type.
fn read(text: &str, to: ColumnType) -> Result<Value, Unsupported> {
    let unknown = || Unsupported::new((text, to));
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    if text.trim() != text && to != ColumnType::Dynamic {
        // Whether blanks around a number matter nothing says.
        let trimmed = read(text.trim(), to)?;
        return if is_null(&trimmed) {
            Ok(trimmed)
        } else {
            Err(unknown())
        };
    }
    Ok(match to {
        ColumnType::Long => {
            let digits = is_whole_number(text).then(|| text.parse().ok()).flatten();
            digits.map_or(Value::Null(to), Value::Long)
        }
        ColumnType::Int => {
            let digits = is_whole_number(text).then(|| text.parse().ok()).flatten();
            digits.map_or(Value::Null(to), Value::Int)
        }
        ColumnType::Real if is_whole_number(&text.replacen('.', "", 1)) => {
            Value::Real(text.parse().map_err(|_| unknown())?)
        }
        ColumnType::Bool => match text.to_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ if is_whole_number(text) => {
                Value::Bool(text.contains(|c: char| c.is_ascii_digit() && c != '0'))
            }
            _ if has_digit && !is_no_number(text) => return Err(unknown()),
            _ => Value::Null(to),
        },
        // Only as `tostring` writes it.
        ColumnType::DateTime if text.len() == 28 => {
            Value::DateTime(Ticks::parse(text).ok_or_else(unknown)?)
        }
        ColumnType::Real if is_no_number(text) => Value::Null(to),
        ColumnType::Real | ColumnType::DateTime if !has_digit => Value::Null(to),
        ColumnType::Dynamic => Json::Text(text.to_owned()).value(),
        _ => return Err(unknown()),
    })
}

/// A sign that stands in no number, however it is written, or several points.
fn is_no_number(text: &str) -> bool {
    let may_stand = |c: char| c.is_ascii_hexdigit() || "+-.,_xX ".contains(c);
    let several_points = text.matches('.').count() > 1 && !text.contains(['+', ',']);
    several_points || !text.chars().all(may_stand)
}

/// Of a scalar as of that scalar, but that a bool is written small and a number is cut to an `int`;
/// arrays and bags are only texts.
fn from_json(json: &Json, to: ColumnType) -> Result<Value, Unsupported> {
    Ok(match (json, to) {
        (json, ColumnType::String) => Value::String(plain(json).into()),
        (Json::Null | Json::Array(_) | Json::Bag(_), to) => Value::Null(to),
        (Json::Text(text), to) => read(text, to)?,
        (Json::Bool(b), to) => convert(&Value::Bool(*b), to)?,
        #[expect(clippy::cast_possible_truncation, reason = "the low bits stay")]
        (Json::Long(n), ColumnType::Int) => Value::Int(*n as i32),
        (Json::Long(n), to) => convert(&Value::Long(*n), to)?,
        (Json::Real(x), ColumnType::Bool) => Value::Bool(*x != 0.0),
        (Json::Real(x), to) => convert(&Value::Real(*x), to)?,
    })
}

/// `to typeof(…)` of `mv-expand`: numbers are numbers, a string has the text of whatever there is,
/// and what is something else is missing.
pub(crate) fn element(json: &Json, to: ColumnType) -> Result<Value, Unsupported> {
    let is_number = matches!(json, Json::Long(_) | Json::Real(_));
    let fits = match to {
        ColumnType::Dynamic => return Ok(json.value()),
        ColumnType::String => true,
        ColumnType::Long | ColumnType::Int | ColumnType::Real => is_number,
        ColumnType::Bool => matches!(json, Json::Bool(_)),
        _ => return Err(Unsupported::new(to)),
    };
    if fits {
        from_json(json, to)
    } else {
        Ok(Value::missing(to))
    }
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
        (Value::DateTime(a), Value::TimeSpan(b)) => Value::DateTime(Ticks(match sign {
            '+' => a.0.wrapping_add(b.0),
            '-' => a.0.wrapping_sub(b.0),
            _ => return Err(Unsupported::new(sign)),
        })),
        #[expect(clippy::cast_precision_loss, reason = "a ratio is a real")]
        (Value::TimeSpan(a), Value::TimeSpan(b)) if sign == '/' => {
            Value::Real(a.0 as f64 / b.0 as f64)
        }
        (Value::TimeSpan(a), Value::TimeSpan(b)) => span(match sign {
            '+' => a.0.wrapping_add(b.0),
            '-' => a.0.wrapping_sub(b.0),
            _ => return Err(Unsupported::new(sign)),
        }),
        (Value::TimeSpan(a), Value::Long(b)) | (Value::Long(b), Value::TimeSpan(a))
            if sign == '*' =>
        {
            span(a.0.wrapping_mul(*b))
        }
        (Value::TimeSpan(a), Value::DateTime(b)) if sign == '+' => {
            Value::DateTime(Ticks(a.0.wrapping_add(b.0)))
        }
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
        (Value::Real(x), Value::Real(size)) if x.is_finite() && *size > 0.0 => {
            Value::Real((x / size).floor() * size)
        }
        (Value::DateTime(t), Value::TimeSpan(size)) => {
            down(t.0, size.0).map_or(Value::Null(ty), |n| Value::DateTime(Ticks(n)))
        }
        (Value::TimeSpan(t), Value::TimeSpan(size)) => {
            down(t.0, size.0).map_or(Value::Null(ty), |n| Value::TimeSpan(Span100ns(n)))
        }
        _ => return Err(Unsupported::new((value.ty(), "bin"))),
    })
}
