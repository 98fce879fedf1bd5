//! Joins: keys may be null and then match; a missing side is null, its strings empty.

use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Expr as Plan, Extension, LogicalPlan, lit};
use kql::resolved::{Expr, JoinKind, Relation};
use model::ColumnType;

use super::exprs::{missing, named, or_else};
use super::{Lowered, Lowering, Scope, plans};
use crate::error::Error;
use crate::nodes::Unique;

/// Which sides of a join reach the output, and which of them may be missing.
struct Sides {
    join: JoinType,
    left: bool,
    right: bool,
    left_missing: bool,
    right_missing: bool,
}

fn sides(kind: JoinKind) -> Sides {
    let (join, left, right) = match kind {
        JoinKind::InnerUnique | JoinKind::Inner => (JoinType::Inner, true, true),
        JoinKind::LeftOuter => (JoinType::Left, true, true),
        JoinKind::RightOuter => (JoinType::Right, true, true),
        JoinKind::FullOuter => (JoinType::Full, true, true),
        JoinKind::LeftAnti => (JoinType::LeftAnti, true, false),
        JoinKind::RightAnti => (JoinType::RightAnti, false, true),
        JoinKind::LeftSemi => (JoinType::LeftSemi, true, false),
        JoinKind::RightSemi => (JoinType::RightSemi, false, true),
    };
    Sides {
        join,
        left,
        right,
        left_missing: matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter),
        right_missing: matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter),
    }
}

impl Lowering<'_> {
    pub(crate) fn join(
        &mut self,
        relation: &Relation,
        left: Lowered,
        right: Lowered,
        kind: JoinKind,
        on: &[(Expr, Expr)],
    ) -> Result<Lowered, Error> {
        let sides = sides(kind);
        let (left_keys, right_keys): (Vec<&Expr>, Vec<&Expr>) =
            on.iter().map(|(l, r)| (l, r)).unzip();
        let (mut left_plan, left_keys) = self.with_keys(&left, &left_keys)?;
        let (right_plan, right_keys) = self.with_keys(&right, &right_keys)?;
        if kind == JoinKind::InnerUnique {
            let keys = left_keys
                .iter()
                .map(|key| Plan::Column(key.clone()))
                .collect();
            let node = Arc::new(Unique {
                input: left_plan,
                keys,
            });
            left_plan = LogicalPlan::Extension(Extension { node });
        }
        let on = left_keys.into_iter().zip(right_keys);
        let plan = plans::joined(left_plan, right_plan, sides.join, on)?;
        let mut outputs: Vec<(&String, bool)> = Vec::new();
        if sides.left {
            outputs.extend(left.columns.iter().map(|name| (name, sides.left_missing)));
        }
        if sides.right {
            outputs.extend(right.columns.iter().map(|name| (name, sides.right_missing)));
        }
        let mut exprs = Vec::with_capacity(outputs.len());
        for ((name, may_miss), field) in outputs.into_iter().zip(&relation.columns) {
            let value = named(name);
            exprs.push(if may_miss && field.ty == ColumnType::String {
                or_else(value, missing(field.ty)?)
            } else {
                value
            });
        }
        self.project(plan, exprs, relation)
    }

    /// The side with its keys as further columns; a join without keys gets one that always matches.
    fn with_keys(
        &mut self,
        side: &Lowered,
        keys: &[&Expr],
    ) -> Result<(LogicalPlan, Vec<Column>), Error> {
        let scope = Scope(&side.columns);
        let mut exprs: Vec<Plan> = side.columns.iter().map(|name| named(name)).collect();
        let mut names = Vec::with_capacity(keys.len());
        for key in keys {
            let name = self.next_name();
            exprs.push(self.expr(key, &scope)?.alias(&name));
            names.push(Column::new_unqualified(name));
        }
        if keys.is_empty() {
            let name = self.next_name();
            exprs.push(lit(1_i64).alias(&name));
            names.push(Column::new_unqualified(name));
        }
        Ok((plans::projected(side.plan.clone(), exprs)?, names))
    }
}
