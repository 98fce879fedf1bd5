//! Operators that take some rows or values: `sample`, `sample-distinct`, `top-hitters`, `consume`,
//! `reduce`.
//!
//! Which rows a sample takes is not said by the language: here the first ones.

use model::ColumnType;

use super::columns::projected;
use super::names::suggested;
use super::{Broken, Fallible, Resolver, Row, child, column, items};
use crate::codes;
use crate::functions::AggregateFn;
use crate::resolved::{Aggregate, Expr, Field, Op, Relation, SortKey, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    /// `sample-distinct n of column` and `top-hitters n of column by weight`.
    pub(super) fn rows_of(
        &mut self,
        input: Relation,
        node: &Node,
        by_weight: bool,
    ) -> Fallible<Relation> {
        let at = span(node);
        let mut operands = items(node).filter(|c| c.kind() != Kind::ByList);
        let rows = self.rows(operands.next())?;
        let Some(value) = operands.next() else {
            return Err(Broken);
        };
        let row = Row {
            columns: &input.columns,
        };
        let (given, value) = self.named(&value)?;
        let expr = self.expr(&value, row)?;
        self.refuse_dynamic(&expr, "take distinct values of")?;
        let name = given
            .or_else(|| suggested(&value, false).text().map(str::to_owned))
            .unwrap_or_else(|| "Column1".to_owned());
        let mut aggregates = Vec::new();
        let mut columns = vec![Field::new(name.as_str(), expr.ty)];
        if by_weight {
            let (aggregate, suffix) = self.weight(node, row)?;
            let ty = aggregate
                .outputs
                .first()
                .copied()
                .unwrap_or(ColumnType::Long);
            columns.push(Field::new(suffix, ty));
            aggregates.push(aggregate);
        }
        self.count_relations(3, at)?;
        let summary = Relation {
            op: Op::Summarize {
                input: Box::new(input),
                by: vec![expr],
                aggregates,
            },
            columns,
            span: at,
        };
        let ordered = if by_weight {
            let ty = summary.columns.get(1).map_or(ColumnType::Long, |f| f.ty);
            let key = SortKey {
                expr: column(1, ty, at),
                descending: true,
                nulls_first: false,
            };
            Relation {
                columns: summary.columns.clone(),
                op: Op::Sort {
                    input: Box::new(summary),
                    keys: vec![key],
                },
                span: at,
            }
        } else {
            summary
        };
        Ok(taken(ordered, rows, at))
    }

    /// What `top-hitters` counts by, and how its column is called.
    fn weight(&mut self, node: &Node, row: Row<'_>) -> Fallible<(Aggregate, String)> {
        let at = span(node);
        let Some(item) = child(node, Kind::ByList).and_then(|by| items(&by).next()) else {
            let count = Aggregate {
                function: AggregateFn::Count,
                args: Vec::new(),
                filter: None,
                outputs: vec![ColumnType::Long],
                span: at,
            };
            let value = items(node).nth(1);
            let name = value.map_or_else(String::new, |v| {
                suggested(&v, false).text().unwrap_or_default().to_owned()
            });
            return Ok((count, format!("approximate_count_{name}")));
        };
        let (_, value) = self.named(&item)?;
        let expr = self.expr(&value, row)?;
        if !super::types::is_number(expr.ty) {
            let message = "`top-hitters` weighs by a number";
            return Err(self.error(codes::TYPE_MISMATCH, expr.span, message));
        }
        let ty = match expr.ty {
            ColumnType::Int => ColumnType::Long,
            ty => ty,
        };
        let name = suggested(&value, false)
            .text()
            .unwrap_or_default()
            .to_owned();
        let sum = Aggregate {
            function: AggregateFn::Sum,
            args: vec![expr],
            filter: None,
            outputs: vec![ty],
            span: at,
        };
        Ok((sum, format!("approximate_sum_{name}")))
    }

    /// `reduce by text`: texts whose words are alike, as patterns. Words with digits are what varies.
    pub(super) fn reduce(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        use super::operations::call;
        use crate::functions::ScalarFn;
        let at = span(node);
        let row = Row {
            columns: &input.columns,
        };
        let Some(value) = items(node).next() else {
            return Err(Broken);
        };
        let expr = self.expr(&value, row)?;
        let text = super::types::cast(expr, ColumnType::String);
        let characters = node
            .children()
            .filter(|c| c.kind() == Kind::OperatorOption)
            .find(|o| super::first_word(o) == "characters")
            .and_then(|o| super::words(&o).last().cloned())
            .and_then(|w| super::literals::string(&w).ok())
            .unwrap_or_default();
        let literal = |text: String| Expr::literal(Value::String(text.into()), at);
        // A term with a digit in it; the given characters part terms as blanks do.
        let set = regex::escape(&characters);
        let varying = if characters.is_empty() {
            r"[A-Za-z0-9_]*[0-9][A-Za-z0-9_]*".to_owned()
        } else {
            format!("[{set}]?[A-Za-z0-9_--{set}]*[0-9][A-Za-z0-9_--{set}]*")
        };
        let pattern = call(
            ScalarFn::ReplaceRegex,
            vec![text.clone(), literal(varying), literal("*".to_owned())],
            ColumnType::String,
            at,
        );
        self.count_relations(3, at)?;
        let aggregate = |function, args: Vec<Expr>, ty| Aggregate {
            function,
            args,
            filter: None,
            outputs: vec![ty],
            span: at,
        };
        let summary = Relation {
            op: Op::Summarize {
                input: Box::new(input),
                by: vec![pattern],
                aggregates: vec![
                    aggregate(AggregateFn::Count, Vec::new(), ColumnType::Long),
                    aggregate(AggregateFn::TakeAny, vec![text], ColumnType::String),
                ],
            },
            columns: vec![
                Field::new("Pattern", ColumnType::String),
                Field::new("Count", ColumnType::Long),
                Field::new("Representative", ColumnType::String),
            ],
            span: at,
        };
        let key = SortKey {
            expr: column(1, ColumnType::Long, at),
            descending: true,
            nulls_first: false,
        };
        Ok(Relation {
            columns: summary.columns.clone(),
            op: Op::Sort {
                input: Box::new(summary),
                keys: vec![key],
            },
            span: at,
        })
    }
}

/// At most so many rows.
pub(super) fn taken(input: Relation, rows: u64, at: model::Span) -> Relation {
    Relation {
        columns: input.columns.clone(),
        op: Op::Take {
            input: Box::new(input),
            rows,
        },
        span: at,
    }
}

/// No rows and no columns that matter: `consume` throws its input away.
pub(super) fn consumed(input: Relation, at: model::Span) -> Relation {
    let nothing = taken(input, 0, at);
    projected(nothing, Vec::new(), Vec::new(), at)
}
