//! Operators that choose and order rows.

use model::ColumnType;

use super::carry;
use super::{Broken, Fallible, Resolver, Row, items, words};
use crate::codes;
use crate::resolved::{Op, Relation, SortKey, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn filter(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let Some(condition) = items(node).next() else {
            return Err(Broken);
        };
        let at = span(node);
        let width = input.columns.len();
        let (input, predicate) = self.with_windows(input, at, |resolver, input| {
            let row = Row {
                columns: &input.columns,
            };
            resolver.expr(&condition, row)
        });
        // A condition that is wrong leaves the columns as they are: the rest can be judged.
        let Ok(predicate) = predicate else {
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
        let filtered = Relation {
            columns: input.columns.clone(),
            op: Op::Filter {
                input: Box::new(input),
                predicate,
            },
            span: at,
        };
        if filtered.columns.len() == width {
            return Ok(filtered);
        }
        Ok(carry::first_columns(filtered, width, at))
    }

    pub(super) fn distinct(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let is_all = items(node).any(|item| item.kind() == Kind::All);
        let projected = if is_all {
            without_uncarried(input)
        } else {
            let mut relation = self.project(input, node);
            if let Op::Project { exprs, .. } = &mut relation.op {
                for (expr, field) in exprs.iter_mut().zip(&mut relation.columns) {
                    if !field.hidden {
                        *expr = self.as_key(expr.clone(), "take distinct values of")?;
                        field.ty = expr.ty;
                    }
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
        if carry::has_keys(&input.columns) {
            return carry::take_each(input, rows, span(node));
        }
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
        if carry::has_keys(&sorted.columns) {
            return carry::take_each(sorted, rows, span(node));
        }
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
        // Inside of a query in a query, each part has an order of its own.
        let mut keys = carry::by_part(&input.columns, span(node));
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
            let Ok(expr) = self.as_key(expr, "order by") else {
                continue;
            };
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

/// Drops the hidden columns that do not travel.
fn without_uncarried(input: Relation) -> Relation {
    let at = input.span;
    let kept: Vec<_> = input
        .columns
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.hidden || carry::is_carried(f))
        .map(|(position, f)| (position, f.clone()))
        .collect();
    if kept.len() == input.columns.len() {
        return input;
    }
    let exprs = kept
        .iter()
        .map(|(position, f)| super::column(*position, f.ty, at))
        .collect();
    let columns = kept.into_iter().map(|(_, f)| f).collect();
    super::columns::projected(input, exprs, columns, at)
}
