//! Operators that choose and order rows.

use model::{ColumnType, Span};

use super::carry;
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, items, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, Op, Relation, SortKey, Value, WindowFn};
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

    /// As [`Self::rows`], for operators that also take a number which only the data tells.
    fn rows_told(&mut self, node: Option<Node>) -> Fallible<Rows> {
        let Some(value) = &node else {
            return Err(Broken);
        };
        let expr = self.expr(value, Row::NONE)?;
        let is_number = matches!(expr.ty, ColumnType::Long | ColumnType::Int);
        match expr.as_literal() {
            None if is_number => Ok(Rows::Told(cast(expr, ColumnType::Long))),
            _ => self.rows(node).map(Rows::Known),
        }
    }

    pub(super) fn take(&mut self, input: Relation, node: &Node) -> Relation {
        // A number that is wrong leaves the columns as they are.
        match self.rows_told(items(node).next()) {
            Ok(rows) => first_rows(input, rows, span(node)),
            Err(Broken) => input,
        }
    }

    pub(super) fn top(&mut self, input: Relation, node: &Node) -> Relation {
        let rows = self.rows_told(items(node).next());
        let sorted = self.sort(input, node);
        match rows {
            Ok(rows) => first_rows(sorted, rows, span(node)),
            Err(Broken) => sorted,
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

/// A number of rows.
enum Rows {
    Known(u64),
    /// A scalar that reads no row.
    Told(Expr),
}

/// So many rows, of each part if there are parts.
fn first_rows(input: Relation, rows: Rows, at: Span) -> Relation {
    let rows = match rows {
        Rows::Told(count) => return numbered_up_to(input, count, at),
        Rows::Known(rows) => rows,
    };
    if carry::has_keys(&input.columns) {
        return carry::take_each(input, rows, at);
    }
    Relation {
        columns: input.columns.clone(),
        op: Op::Take {
            input: Box::new(input),
            rows,
        },
        span: at,
    }
}

/// The rows whose number is at most `count`.
fn numbered_up_to(input: Relation, count: Expr, at: Span) -> Relation {
    let width = input.columns.len();
    let one = Expr::literal(Value::Long(1), at);
    let no = Expr::literal(Value::Bool(false), at);
    let order = carry::hidden("$o", ColumnType::Long);
    let numbered = carry::windowed(input, WindowFn::RowNumber, vec![one, no], order, at);
    let number = super::column(width, ColumnType::Long, at);
    let predicate = super::operations::call(
        ScalarFn::LessOrEqual,
        vec![number, count],
        ColumnType::Bool,
        at,
    );
    let columns = numbered.columns.clone();
    let met = Relation {
        columns: columns.clone(),
        op: Op::Filter {
            input: Box::new(numbered),
            predicate,
        },
        span: at,
    };
    let mut exprs = super::columns::identity(&met, at);
    exprs.truncate(width);
    let columns = columns.into_iter().take(width).collect();
    super::columns::projected(met, exprs, columns, at)
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
