//! Types: which convert into which, and the nodes that do it.

use model::ColumnType;

use crate::resolved::{Expr, ExprKind, Value};

/// Whether it counts: `int`, `long`, `real`, `decimal`.
pub(super) fn is_number(ty: ColumnType) -> bool {
    rank(ty).is_some()
}

/// Whether it is whole: `int`, `long`.
pub(super) fn is_integer(ty: ColumnType) -> bool {
    matches!(ty, ColumnType::Int | ColumnType::Long)
}

fn rank(ty: ColumnType) -> Option<u8> {
    Some(match ty {
        ColumnType::Int => 0,
        ColumnType::Long => 1,
        ColumnType::Real => 2,
        ColumnType::Decimal => 3,
        _ => return None,
    })
}

/// The wider of two number types.
pub(super) fn wider(a: ColumnType, b: ColumnType) -> Option<ColumnType> {
    Some(if rank(a)? >= rank(b)? { a } else { b })
}

/// `expr` as a `to`: itself, a converted literal, or a cast.
pub(super) fn cast(expr: Expr, to: ColumnType) -> Expr {
    if expr.ty == to {
        return expr;
    }
    if let Some(value) = expr.as_literal().and_then(|value| converted(value, to)) {
        return Expr::literal(value, expr.span);
    }
    Expr {
        span: expr.span,
        ty: to,
        kind: ExprKind::Cast(Box::new(expr)),
    }
}

/// The literals whose conversion is plain; the rest are the engine's business.
fn converted(value: &Value, to: ColumnType) -> Option<Value> {
    match (value, to) {
        (Value::Null(_), to) => Some(Value::missing(to)),
        (Value::Int(n), ColumnType::Long) => Some(Value::Long(i64::from(*n))),
        (Value::Int(n), ColumnType::Real) => Some(Value::Real(f64::from(*n))),
        (Value::Long(n), ColumnType::Real) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "as the language converts a long"
            )]
            let real = *n as f64;
            Some(Value::Real(real))
        }
        (Value::Long(n), ColumnType::Int) => i32::try_from(*n).ok().map(Value::Int),
        (Value::String(text), ColumnType::Guid) => super::literals::guid(text).map(Value::Guid),
        (Value::String(text), ColumnType::DateTime) => {
            super::literals::datetime(text).map(Value::DateTime)
        }
        (Value::Long(n), ColumnType::String) => Some(Value::String(n.to_string().into())),
        _ => None,
    }
}

/// Whether it is a literal `long` that is an `int` too. Such a literal is made an `int` when it meets
/// an `int` column: converting the column instead would hide it from statistics.
pub(super) fn is_small(expr: &Expr) -> bool {
    matches!(expr.as_literal(), Some(Value::Long(n)) if i32::try_from(*n).is_ok())
}

/// The type that all of `types` become in `iff`, `case`, `coalesce` and their kin.
pub(super) fn common(types: &[ColumnType]) -> Option<ColumnType> {
    let mut found: Option<ColumnType> = None;
    for ty in types
        .iter()
        .copied()
        .filter(|ty| *ty != ColumnType::Dynamic)
    {
        found = Some(match found {
            None => ty,
            Some(so_far) if so_far == ty => ty,
            Some(so_far) => wider(so_far, ty)?,
        });
    }
    Some(found.unwrap_or(ColumnType::Dynamic))
}
