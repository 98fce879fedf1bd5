//! `assert()`: a condition that must hold before the query runs.
//!
//! It is judged here, over constants alone: comparisons, `between`, `in`, and what asks whether
//! there is a value, joined by `and`, `or` and `not()`.

use std::cmp::Ordering;

use model::{ColumnType, Span};

use super::{Fallible, Resolver, Row, weigh};
use crate::codes;
use crate::functions::{Function, ScalarFn};
use crate::resolved::{Expr, ExprKind, MemberOp, Set, Value};
use crate::syntax::Node;

impl Resolver<'_> {
    pub(super) fn assertion(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let exprs = self.exprs(args, function, row)?;
        let [condition, message] = exprs.as_slice() else {
            return Err(self.bad_arguments(function, &exprs, at));
        };
        let (ColumnType::Bool, Some(Value::String(text))) = (condition.ty, message.as_literal())
        else {
            return Err(self.bad_arguments(function, &exprs, at));
        };
        match judged(condition) {
            Some(true) => Ok(Expr::literal(Value::Bool(true), at)),
            Some(false) => {
                let text = format!("the assertion does not hold: {text}");
                Err(self.error(codes::BAD_ARGUMENTS, at, text))
            }
            None => {
                let help = if weigh(condition).reads_row {
                    "it cannot ask about rows: drop those with `where`"
                } else {
                    "compare constants, joined by `and`, `or` and `not()`"
                };
                let message = "the condition of `assert` must be known before the query runs";
                Err(self.error_help(codes::NOT_CONSTANT, condition.span, message, help))
            }
        }
    }
}

/// Whether a condition over constants holds; nothing if that cannot be told here.
fn judged(condition: &Expr) -> Option<bool> {
    let ExprKind::Call { function, args } = &condition.kind else {
        return match &condition.kind {
            ExprKind::Literal(Value::Bool(holds)) => Some(*holds),
            ExprKind::Member { op, value, set } => is_member(*op, value, set),
            _ => None,
        };
    };
    let order = |a: usize, b: usize| compared(args.get(a)?, args.get(b)?);
    match function {
        ScalarFn::And => all_of(args, true),
        ScalarFn::Or => all_of(args, false),
        ScalarFn::Not => Some(!judged(args.first()?)?),
        ScalarFn::Equal => Some(order(0, 1)?.is_eq()),
        ScalarFn::NotEqual => Some(order(0, 1)?.is_ne()),
        ScalarFn::Less => Some(order(0, 1)?.is_lt()),
        ScalarFn::LessOrEqual => Some(order(0, 1)?.is_le()),
        ScalarFn::Greater => Some(order(0, 1)?.is_gt()),
        ScalarFn::GreaterOrEqual => Some(order(0, 1)?.is_ge()),
        ScalarFn::Between => Some(order(0, 1)?.is_ge() && order(0, 2)?.is_le()),
        ScalarFn::NotBetween => Some(order(0, 1)?.is_lt() || order(0, 2)?.is_gt()),
        ScalarFn::Isempty => Some(is_missing(args.first()?.as_literal()?, true)),
        ScalarFn::Isnotempty => Some(!is_missing(args.first()?.as_literal()?, true)),
        ScalarFn::Isnull => Some(is_missing(args.first()?.as_literal()?, false)),
        ScalarFn::Isnotnull => Some(!is_missing(args.first()?.as_literal()?, false)),
        _ => None,
    }
}

/// Whether all conditions hold, or (`wanted` false) any.
fn all_of(conditions: &[Expr], wanted: bool) -> Option<bool> {
    let mut is_known = true;
    for condition in conditions {
        match judged(condition) {
            Some(holds) if holds == wanted => {}
            Some(holds) => return Some(holds),
            None => is_known = false,
        }
    }
    is_known.then_some(wanted)
}

fn is_member(op: MemberOp, value: &Expr, set: &Set) -> Option<bool> {
    let Set::Exprs(members) = set else {
        return None;
    };
    let negated = match op {
        MemberOp::In => false,
        MemberOp::NotIn => true,
        _ => return None,
    };
    for member in members {
        if compared(value, member)?.is_eq() {
            return Some(!negated);
        }
    }
    Some(negated)
}

fn is_missing(value: &Value, or_empty: bool) -> bool {
    match value {
        Value::Null(_) => true,
        Value::String(text) => or_empty && text.is_empty(),
        _ => false,
    }
}

fn compared(left: &Expr, right: &Expr) -> Option<Ordering> {
    match (constant(left)?, constant(right)?) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (Value::Long(a), Value::Long(b)) => Some(a.cmp(&b)),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(&b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(&b)),
        (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(&b)),
        (Value::TimeSpan(a), Value::TimeSpan(b)) => Some(a.0.cmp(&b.0)),
        (Value::Guid(a), Value::Guid(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

fn constant(expr: &Expr) -> Option<Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Some(value.clone()),
        ExprKind::Call {
            function: ScalarFn::Strlen,
            args,
        } => match args.first()?.as_literal()? {
            Value::String(text) => Some(Value::Long(i64::try_from(text.chars().count()).ok()?)),
            _ => None,
        },
        _ => None,
    }
}
