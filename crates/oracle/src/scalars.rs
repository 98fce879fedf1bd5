//! Expressions over one row.

use std::cmp::Ordering;

use kql::functions::ScalarFn;
use kql::resolved::{Expr, ExprKind, MemberOp, PathKey, Set, SharedId, Value};
use model::{ColumnType, Span100ns};

use crate::Unsupported;
use crate::dynamics::{of_dynamics, plain};
use crate::json::Json;
use crate::relations::Rows;
use crate::texts::{of_patterns, of_texts};
use crate::times::of_times;
use crate::values::{arithmetic, bin, compare, convert, is_null, is_same};

type Answer = Result<Value, Unsupported>;

/// The value of `expr` for a row; `shared` are the rows of the shared relations so far.
pub(crate) fn value(expr: &Expr, row: &[Value], shared: &[Rows]) -> Answer {
    match &expr.kind {
        ExprKind::Column(at) => row.get(*at).cloned().ok_or_else(|| Unsupported::new(at)),
        ExprKind::Literal(value) => Ok(value.clone()),
        ExprKind::Cast(inner) => convert(&value(inner, row, shared)?, expr.ty),
        ExprKind::Call { function, args } => call(*function, args, expr.ty, row, shared),
        ExprKind::Member {
            op,
            value: inner,
            set,
        } => member(*op, &value(inner, row, shared)?, set, row, shared),
        ExprKind::ToScalar(SharedId(at)) => {
            let first = shared.get(*at).and_then(|rows| rows.first()?.first());
            Ok(first.cloned().unwrap_or_else(|| Value::missing(expr.ty)))
        }
        ExprKind::Path { base, key } => path(&value(base, row, shared)?, key, row, shared),
        ExprKind::LookedUp { .. } => Err(Unsupported::new(&expr.kind)),
    }
}

/// Whether a condition holds: null does not.
pub(crate) fn holds(expr: &Expr, row: &[Value], shared: &[Rows]) -> Result<bool, Unsupported> {
    Ok(value(expr, row, shared)? == Value::Bool(true))
}

/// What is missing is null.
fn path(base: &Value, key: &PathKey, row: &[Value], shared: &[Rows]) -> Answer {
    let json = Json::of(base)?;
    let found = match key {
        PathKey::Property(name) => json.property(name),
        PathKey::Index(at) => json.element(*at),
        PathKey::Computed(expr) => match value(expr, row, shared)? {
            Value::String(name) => json.property(&name),
            Value::Long(at) => json.element(at),
            Value::Null(_) => Json::Null,
            other => return Err(Unsupported::new(other)),
        },
    };
    Ok(found.value())
}

fn call(
    function: ScalarFn,
    args: &[Expr],
    ty: ColumnType,
    row: &[Value],
    shared: &[Rows],
) -> Answer {
    let mut values = Vec::new();
    for arg in args {
        values.push(value(arg, row, shared)?);
    }
    match function {
        ScalarFn::And => Ok(conjunction(&values, false)),
        ScalarFn::Or => Ok(conjunction(&values, true)),
        ScalarFn::Case => Ok(case(&values)),
        ScalarFn::Coalesce => Ok(coalesce(&values, ty)),
        ScalarFn::MaxOf => extreme(&values, ty, Ordering::Greater),
        ScalarFn::MinOf => extreme(&values, ty, Ordering::Less),
        _ => {
            let found = match of_dynamics(function, &values)? {
                None => of_patterns(function, &values)?,
                found => found,
            };
            let found = match found {
                None => of_texts(function, &values).or_else(|| of_times(function, &values)),
                found => found,
            };
            found.map_or_else(|| core(function, &values, ty), Ok)
        }
    }
}

fn core(function: ScalarFn, values: &[Value], ty: ColumnType) -> Answer {
    match values {
        [a] => unary(function, a, ty),
        [a, b] => binary(function, a, b, ty),
        [a, b, c] => ternary(function, a, b, c, ty),
        _ => Err(Unsupported::new(function)),
    }
}

/// `and` (`or` if `decides`): a value that decides wins, else a null, else the other.
fn conjunction(values: &[Value], decides: bool) -> Value {
    if values.contains(&Value::Bool(decides)) {
        Value::Bool(decides)
    } else if values.iter().any(is_null) {
        Value::Null(ColumnType::Bool)
    } else {
        Value::Bool(!decides)
    }
}

/// Conditions and values in turn, then the value that is left.
fn case(values: &[Value]) -> Value {
    for pair in values.chunks(2) {
        match pair {
            [Value::Bool(true), value] | [value] => return value.clone(),
            _ => {}
        }
    }
    Value::Null(ColumnType::Bool)
}

fn coalesce(values: &[Value], ty: ColumnType) -> Value {
    let mut there = values
        .iter()
        .filter(|v| !is_null(v) && !text(v).is_empty() || is_number(v));
    there.next().cloned().unwrap_or_else(|| Value::missing(ty))
}

fn is_number(value: &Value) -> bool {
    !is_null(value) && value.ty() != ColumnType::String
}

fn extreme(values: &[Value], ty: ColumnType, wanted: Ordering) -> Answer {
    let mut best = Value::Null(ty);
    for value in values.iter().filter(|v| !is_null(v)) {
        if is_null(&best) || compare(value, &best)? == Some(wanted) {
            best = value.clone();
        }
    }
    Ok(best)
}

fn unary(function: ScalarFn, a: &Value, ty: ColumnType) -> Answer {
    let is_empty = is_null(a) || matches!(a, Value::String(text) if text.is_empty());
    Ok(match function {
        ScalarFn::Isnull => Value::Bool(is_null(a)),
        ScalarFn::Isnotnull => Value::Bool(!is_null(a)),
        ScalarFn::Isempty => Value::Bool(is_empty),
        ScalarFn::Isnotempty => Value::Bool(!is_empty),
        ScalarFn::Not => match a {
            Value::Bool(b) => Value::Bool(!b),
            _ => Value::Null(ty),
        },
        ScalarFn::Negate => {
            let zero = convert(&Value::Int(0), a.ty())?;
            arithmetic('-', &zero, a, ty)?
        }
        ScalarFn::Abs => match a {
            Value::Long(n) => Value::Long(n.wrapping_abs()),
            Value::Real(n) => Value::Real(n.abs()),
            Value::Null(_) => Value::Null(ty),
            Value::TimeSpan(n) => Value::TimeSpan(Span100ns(n.0.wrapping_abs())),
            _ => return Err(Unsupported::new(function)),
        },
        // Away from zero at a half.
        ScalarFn::Round => match a {
            Value::Real(x) => Value::Real(x.round()),
            Value::Null(_) => Value::Null(ty),
            _ => return Err(Unsupported::new((function, a.ty()))),
        },
        ScalarFn::Strlen => Value::Long(count(text(a).chars().count())),
        ScalarFn::Toupper => Value::String(text(a).to_uppercase().into()),
        ScalarFn::Tolower => Value::String(text(a).to_lowercase().into()),
        ScalarFn::Reverse => Value::String(text(a).chars().rev().collect::<String>().into()),
        _ => return Err(Unsupported::new(function)),
    })
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn binary(function: ScalarFn, a: &Value, b: &Value, ty: ColumnType) -> Answer {
    match function {
        ScalarFn::Add => return arithmetic('+', a, b, ty),
        ScalarFn::Subtract => return arithmetic('-', a, b, ty),
        ScalarFn::Multiply => return arithmetic('*', a, b, ty),
        ScalarFn::Divide => return arithmetic('/', a, b, ty),
        ScalarFn::Modulo => return arithmetic('%', a, b, ty),
        ScalarFn::Bin => return bin(a, b, ty),
        ScalarFn::Substring => return Ok(substring(a, b, &Value::Null(ColumnType::Long))),
        _ => {}
    }
    if let Some(ordering) = ordered(function) {
        return comparison(function, a, b, ordering);
    }
    let (hay, needle) = (text(a), text(b));
    let (low, small) = (hay.to_lowercase(), needle.to_lowercase());
    let holds = match function {
        ScalarFn::EqualCi => low == small,
        ScalarFn::NotEqualCi => low != small,
        ScalarFn::Contains => low.contains(&small),
        ScalarFn::NotContains => !low.contains(&small),
        ScalarFn::ContainsCs => hay.contains(&needle),
        ScalarFn::NotContainsCs => !hay.contains(&needle),
        ScalarFn::StartsWith => low.starts_with(&small),
        ScalarFn::NotStartsWith => !low.starts_with(&small),
        ScalarFn::StartsWithCs => hay.starts_with(&needle),
        ScalarFn::NotStartsWithCs => !hay.starts_with(&needle),
        ScalarFn::EndsWith => low.ends_with(&small),
        ScalarFn::NotEndsWith => !low.ends_with(&small),
        ScalarFn::EndsWithCs => hay.ends_with(&needle),
        ScalarFn::NotEndsWithCs => !hay.ends_with(&needle),
        ScalarFn::Has => has(&low, &small, true, true),
        ScalarFn::NotHas => !has(&low, &small, true, true),
        ScalarFn::HasCs => has(&hay, &needle, true, true),
        ScalarFn::NotHasCs => !has(&hay, &needle, true, true),
        ScalarFn::HasPrefix => has(&low, &small, true, false),
        ScalarFn::NotHasPrefix => !has(&low, &small, true, false),
        ScalarFn::HasSuffix => has(&low, &small, false, true),
        ScalarFn::NotHasSuffix => !has(&low, &small, false, true),
        _ => return Err(Unsupported::new(function)),
    };
    Ok(Value::Bool(holds))
}

/// The orderings of left to right for which a comparison holds.
fn ordered(function: ScalarFn) -> Option<&'static [Ordering]> {
    Some(match function {
        ScalarFn::Equal => &[Ordering::Equal],
        ScalarFn::NotEqual => &[Ordering::Less, Ordering::Greater],
        ScalarFn::Less => &[Ordering::Less],
        ScalarFn::LessOrEqual => &[Ordering::Less, Ordering::Equal],
        ScalarFn::Greater => &[Ordering::Greater],
        ScalarFn::GreaterOrEqual => &[Ordering::Greater, Ordering::Equal],
        _ => return None,
    })
}

/// A null equals no value and differs from every value; whether two nulls are equal, and whether a
/// null is less or greater than anything, is null. What is not a number differs from everything.
fn comparison(function: ScalarFn, a: &Value, b: &Value, holds: &[Ordering]) -> Answer {
    let differs = function == ScalarFn::NotEqual;
    let is_equality = differs || function == ScalarFn::Equal;
    Ok(match (is_null(a), is_null(b)) {
        (false, false) => match compare(a, b)? {
            Some(ordering) => Value::Bool(holds.contains(&ordering)),
            None => Value::Bool(differs),
        },
        (true, true) => Value::Null(ColumnType::Bool),
        _ if is_equality => Value::Bool(differs),
        _ => Value::Null(ColumnType::Bool),
    })
}

fn ternary(function: ScalarFn, a: &Value, b: &Value, c: &Value, ty: ColumnType) -> Answer {
    match function {
        ScalarFn::Iff => Ok(if *a == Value::Bool(true) { b } else { c }.clone()),
        ScalarFn::Substring => Ok(substring(a, b, c)),
        // As `bin`, counted from a fixed point.
        ScalarFn::BinAt => {
            if [a, b, c].iter().any(|v| is_null(v)) {
                return Ok(Value::Null(ty));
            }
            let distance = arithmetic('-', a, c, b.ty())?;
            arithmetic('+', c, &bin(&distance, b, b.ty())?, ty)
        }
        ScalarFn::Between | ScalarFn::NotBetween => {
            let inside = conjunction(
                &[
                    binary(ScalarFn::GreaterOrEqual, a, b, ColumnType::Bool)?,
                    binary(ScalarFn::LessOrEqual, a, c, ColumnType::Bool)?,
                ],
                false,
            );
            if function == ScalarFn::Between {
                Ok(inside)
            } else {
                unary(ScalarFn::Not, &inside, ColumnType::Bool)
            }
        }
        _ => Err(Unsupported::new(function)),
    }
}

/// From a position, from the end if it is negative; so many characters, or all.
fn substring(value: &Value, start: &Value, length: &Value) -> Value {
    let letters: Vec<char> = text(value).chars().collect();
    let Value::Long(start) = start else {
        return Value::String("".into());
    };
    let start = if *start < 0 {
        count(letters.len()) + start
    } else {
        *start
    };
    // Before the first character there is nothing.
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let length = match length {
        Value::Long(n) => usize::try_from(*n).unwrap_or(0),
        _ => usize::MAX,
    };
    let part: String = letters.into_iter().skip(start).take(length).collect();
    Value::String(part.into())
}

/// Whether the needle stands in the text with borders of terms where they are asked for: a border is
/// an end of the text, or next to a character that is neither letter nor digit.
fn has(text: &str, needle: &str, before: bool, after: bool) -> bool {
    let is_border = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    let letters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = needle.chars().collect();
    (0..=letters.len()).any(|at| {
        let end = at + wanted.len();
        let is_there = letters
            .get(at..end)
            .is_some_and(|part| part == wanted.as_slice());
        let previous = at.checked_sub(1).and_then(|at| letters.get(at)).copied();
        is_there
            && (!before || is_border(previous))
            && (!after || is_border(letters.get(end).copied()))
    })
}

fn member(op: MemberOp, value: &Value, set: &Set, row: &[Value], shared: &[Rows]) -> Answer {
    let mut members = Vec::new();
    match set {
        Set::Exprs(exprs) => {
            for expr in exprs {
                members.push(self::value(expr, row, shared)?);
            }
        }
        Set::Shared(SharedId(at)) => {
            let rows = shared.get(*at).ok_or_else(|| Unsupported::new(at))?;
            members.extend(rows.iter().filter_map(|row| row.first().cloned()));
        }
        Set::Array(array) => match Json::of(&self::value(array, row, shared)?)? {
            Json::Array(elements) => {
                for element in elements {
                    members.push(element_as(&element, value)?);
                }
            }
            other => return Err(Unsupported::new((op, other))),
        },
    }
    let folds = matches!(op, MemberOp::InCi | MemberOp::NotInCi);
    let is_member = |member: &Value| -> Result<bool, Unsupported> {
        if folds {
            return Ok(text(value).to_lowercase() == text(member).to_lowercase());
        }
        Ok(!is_null(value) && is_same(value, member)?)
    };
    let has_term = |term: &Value| {
        has(
            &text(value).to_lowercase(),
            &text(term).to_lowercase(),
            true,
            true,
        )
    };
    let mut found = false;
    for member in &members {
        found |= is_member(member)?;
    }
    Ok(Value::Bool(match op {
        MemberOp::In | MemberOp::InCi => found,
        MemberOp::NotIn | MemberOp::NotInCi => !found,
        MemberOp::HasAny => members.iter().any(has_term),
        MemberOp::HasAll => members.iter().all(has_term),
    }))
}

/// An element that a text is compared with. Whether a text is equal to a number, and the empty one to
/// a null, nothing says.
fn element_as(element: &Json, value: &Value) -> Answer {
    let is_known = !matches!(value, Value::String(text) if **text == plain(element));
    match element {
        Json::Text(text) => Ok(Value::String(text.as_str().into())),
        _ if is_known && value.ty() == ColumnType::String => Ok(Value::Null(ColumnType::String)),
        other => Err(Unsupported::new(other)),
    }
}

/// A text; of what is none, nothing. (What is joined or searched the resolver has made texts.)
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        _ => String::new(),
    }
}
