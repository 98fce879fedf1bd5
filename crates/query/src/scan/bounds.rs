//! What conditions say about a table's time.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// `time op at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeBound {
    op: Operator,
    at: i64,
}

/// How a bound stands to a range of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meets {
    /// No time of the range meets it.
    None,
    /// Some may.
    Some,
    /// All do.
    All,
}

impl TimeBound {
    /// What a condition says of column `time`, if that is all it says.
    pub(crate) fn of(filter: &Expr, time: &str) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
            return None;
        };
        let (column, op, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => (column, Some(*op), value),
            (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap(), value),
            _ => return None,
        };
        let known = |op: &Operator| {
            matches!(
                op,
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::Eq
            )
        };
        match (value, op.filter(known)) {
            (ScalarValue::Int64(Some(at)), Some(op)) if column.name == time => {
                Some(Self { op, at: *at })
            }
            _ => None,
        }
    }

    /// How it stands to times of `from..=to`, none of which is missing.
    pub(crate) fn meets(self, from: i64, to: i64) -> Meets {
        let at = self.at;
        let (all, none) = match self.op {
            Operator::Lt => (to < at, from >= at),
            Operator::LtEq => (to <= at, from > at),
            Operator::Gt => (from > at, to <= at),
            Operator::GtEq => (from >= at, to < at),
            Operator::Eq => (from == at && to == at, at < from || at > to),
            _ => (false, false),
        };
        match (all, none) {
            (true, _) => Meets::All,
            (_, true) => Meets::None,
            _ => Meets::Some,
        }
    }
}
