//! `top-nested … with others`: what the rows come to whose values are not among the first.
//!
//! A row drops out at the first level whose value of it was not kept. The rows that drop out at a
//! level come to one row per group of the values kept above it. There the level itself and each one
//! below it shows its label and its aggregate over these rows if it has `with others`, and nothing
//! otherwise. So a level without `with others` shows nothing above one that has it, and the deepest
//! aggregate covers all rows of the group that are shown nowhere else.
//!
//! Nothing drops out, nothing is added: a level that keeps all values has no row of others.

use model::{ColumnType, Span};

use super::aggregate::{Collector, missing};
use super::carry::hidden;
use super::columns::{identity, projected};
use super::nested::{Level, chosen, keyed_join, on_keys};
use super::operations::call;
use super::types::{cast, is_number, is_small, wider};
use super::{Broken, Fallible, Resolver, Row, column};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, Field, JoinKind, Op, Relation, Value};
use crate::syntax::{Node, span};

impl Resolver<'_> {
    /// The label of a level's others, in the type of the level's values.
    pub(super) fn others_label(&mut self, node: &Node, wanted: ColumnType) -> Fallible<Expr> {
        let label = self.expr(node, Row::NONE)?;
        let fits = label.ty == wanted
            || matches!(label.ty, ColumnType::Dynamic)
            || wanted == ColumnType::String
            || (wanted == ColumnType::Int && is_small(&label))
            || (is_number(wanted) && wider(label.ty, wanted) == Some(wanted));
        if !fits {
            let message = format!(
                "the label of the others is of type `{}`, and the values are of type `{wanted}`",
                label.ty
            );
            return Err(self.error_help(
                codes::TYPE_MISMATCH,
                span(node),
                message,
                "convert the values, for example with `tostring(…)`",
            ));
        }
        Ok(cast(label, wanted))
    }

    /// The rows of the last level; if a level has a label, with those of the others and a last column
    /// that says which come first: the deeper the level at which their rows dropped out, the earlier.
    pub(super) fn with_others(
        &mut self,
        levels: &[Level],
        base: &Relation,
        found: &[Relation],
        at: Span,
    ) -> Fallible<Relation> {
        let Some(last) = found.last() else {
            return Err(Broken);
        };
        if levels.iter().all(|l| l.label.is_none()) {
            return Ok(last.clone());
        }
        let mut inputs = vec![numbered(last.clone(), 0, at)];
        for number in (0..levels.len()).rev() {
            if let Some(rest) = self.dropped(levels, base, found, number, at)? {
                inputs.push(numbered(rest, inputs.len(), at));
            }
        }
        Ok(Relation {
            columns: inputs.first().map_or_else(Vec::new, |r| r.columns.clone()),
            op: Op::Union { inputs },
            span: at,
        })
    }

    /// What the rows come to that drop out at level `number`, in the columns of the last level.
    /// Nothing if none can, or if neither this level nor one below it has a label.
    fn dropped(
        &mut self,
        levels: &[Level],
        base: &Relation,
        found: &[Relation],
        number: usize,
        at: Span,
    ) -> Fallible<Option<Relation>> {
        let below = levels.get(number..).unwrap_or_default();
        let keeps_all = below.first().is_none_or(|l| l.rows.is_none());
        if keeps_all || below.iter().all(|l| l.label.is_none()) {
            return Ok(None);
        }
        let Some(last) = found.last() else {
            return Err(Broken);
        };
        let types: Vec<ColumnType> = base.columns.iter().map(|f| f.ty).collect();
        let above = number.checked_sub(1).and_then(|n| found.get(n));
        let kept = found.get(number).ok_or(Broken)?;
        let mut rows = base.clone();
        if let Some(above) = above {
            let on = on_keys(&types, number, false, at);
            rows = keyed_join(rows, above.clone(), JoinKind::LeftSemi, &on, at);
        }
        let on = on_keys(&types, number + 1, false, at);
        let rows = keyed_join(rows, kept.clone(), JoinKind::LeftAnti, &on, at);

        // The group's keys, then label and aggregate of this level and of those below it.
        let keys: Vec<Expr> = (0..number)
            .filter_map(|position| Some(column(position, *types.get(position)?, at)))
            .collect();
        let mut collector = Collector::new(&rows.columns, number);
        let mut exprs = keys.clone();
        let shown = last.columns.get(number * 2..).unwrap_or_default();
        for (level, pair) in below.iter().zip(shown.chunks_exact(2)) {
            let [key, value] = pair else { continue };
            if let Some(label) = &level.label {
                let made = self.aggregate_item(&level.aggregate, &mut collector, &[])?;
                exprs.push(label.clone());
                exprs.extend(made.into_iter().next().map(|output| output.expr));
            } else {
                exprs.extend([missing(key.ty, at), missing(value.ty, at)]);
            }
        }
        collector.add_count(at);
        let summary = some_rows(collector.summary(rows, keys, at), at);
        let columns = exprs.iter().map(|e| hidden("$o", e.ty)).collect();
        let summed = projected(summary, exprs, columns, at);
        let Some(above) = above else {
            return Ok(Some(summed));
        };
        let on = on_keys(&types, number, true, at);
        let both = keyed_join(above.clone(), summed, JoinKind::Inner, &on, at);
        let positions: Vec<usize> = (0..number * 2)
            .chain(number * 3..both.columns.len())
            .collect();
        Ok(Some(chosen(both, &positions, at)))
    }
}

/// Without the group of no rows that a summary without keys has; the last column counts the rows.
fn some_rows(summary: Relation, at: Span) -> Relation {
    let count = column(
        summary.columns.len().saturating_sub(1),
        ColumnType::Long,
        at,
    );
    let none = Expr::literal(Value::Long(0), at);
    let predicate = call(ScalarFn::Greater, vec![count, none], ColumnType::Bool, at);
    Relation {
        columns: summary.columns.clone(),
        op: Op::Filter {
            input: Box::new(summary),
            predicate,
        },
        span: at,
    }
}

/// The columns under names of one kind, and the part's number after them.
fn numbered(part: Relation, number: usize, at: Span) -> Relation {
    let mut exprs = identity(&part, at);
    let mut columns: Vec<Field> = exprs
        .iter()
        .enumerate()
        .map(|(position, e)| Field::new(format!("level_{position}"), e.ty))
        .collect();
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    exprs.push(Expr::literal(Value::Long(number), at));
    columns.push(Field::new("part", ColumnType::Long));
    projected(part, exprs, columns, at)
}
