//! Operators that choose and order rows.

use model::ColumnType;

use super::{Broken, Fallible, Resolver, Row, items, words};
use crate::codes;
use crate::resolved::{Op, Relation, SortKey, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn filter(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let Some(condition) = items(node).next() else {
            return Err(Broken);
        };
        let row = Row {
            columns: &input.columns,
        };
        // A condition that is wrong leaves the columns as they are: the rest can be judged.
        let Ok(predicate) = self.expr(&condition, row) else {
            return Ok(input);
        };
        if predicate.ty != ColumnType::Bool {
            let message = format!(
                "a condition is of type `bool`, and this is of type `{}`",
                predicate.ty
            );
            let _ = if predicate.ty == ColumnType::Dynamic {
                self.error_help(
                    codes::NOT_BOOL,
                    predicate.span,
                    message,
                    "convert it with `tobool(…)`",
                )
            } else {
                self.error(codes::NOT_BOOL, predicate.span, message)
            };
            return Ok(input);
        }
        Ok(Relation {
            columns: input.columns.clone(),
            op: Op::Filter {
                input: Box::new(input),
                predicate,
            },
            span: span(node),
        })
    }

    pub(super) fn distinct(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let is_all = items(node).any(|item| item.kind() == Kind::All);
        let projected = if is_all {
            super::without_hidden(input)
        } else {
            let relation = self.project(input, node);
            if let Op::Project { exprs, .. } = &relation.op {
                for expr in exprs {
                    self.refuse_dynamic(expr, "take distinct values of")?;
                }
            }
            relation
        };
        Ok(Relation {
            columns: projected.columns.clone(),
            op: Op::Distinct {
                input: Box::new(projected),
            },
            span: at,
        })
    }

    pub(super) fn rows(&mut self, node: Option<Node>) -> Fallible<u64> {
        let Some(node) = node else {
            return Err(Broken);
        };
        let expr = self.expr(&node, Row::NONE)?;
        let rows = match expr.as_literal() {
            Some(Value::Long(n)) => u64::try_from(*n).ok(),
            Some(Value::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        };
        rows.ok_or_else(|| {
            let message = "a number of rows must be a literal whole number";
            self.error(codes::NOT_CONSTANT, span(&node), message)
        })
    }

    pub(super) fn take(&mut self, input: Relation, node: &Node) -> Relation {
        // A number that is wrong leaves the columns as they are.
        let Ok(rows) = self.rows(items(node).next()) else {
            return input;
        };
        Relation {
            columns: input.columns.clone(),
            op: Op::Take {
                input: Box::new(input),
                rows,
            },
            span: span(node),
        }
    }

    pub(super) fn top(&mut self, input: Relation, node: &Node) -> Relation {
        let rows = self.rows(items(node).next());
        let sorted = self.sort(input, node);
        let Ok(rows) = rows else {
            return sorted;
        };
        Relation {
            columns: sorted.columns.clone(),
            op: Op::Take {
                input: Box::new(sorted),
                rows,
            },
            span: span(node),
        }
    }

    pub(super) fn sort(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut keys = Vec::new();
        for item in items(node).filter(|c| c.kind() == Kind::SortKey) {
            let Some(value) = item.children().next() else {
                continue;
            };
            let Ok((_, value)) = self.named(&value) else {
                continue;
            };
            let Ok(expr) = self.expr(&value, row) else {
                continue;
            };
            if self.refuse_dynamic(&expr, "order by").is_err() {
                continue;
            }
            let said = words(&item);
            let descending = !said.iter().any(|w| w == "asc");
            let nulls_first = match said.last().map(String::as_str) {
                Some("first") => true,
                Some("last") => false,
                _ => !descending,
            };
            keys.push(SortKey {
                expr,
                descending,
                nulls_first,
            });
        }
        Relation {
            columns: input.columns.clone(),
            op: Op::Sort {
                input: Box::new(input),
                keys,
            },
            span: span(node),
        }
    }
}
