//! Operators that take some rows or values: `sample`, `sample-distinct`, `top-hitters`, `consume`,
//! `reduce`.
//!
//! Which rows a sample takes is not said by the language: here the first ones.

use model::{ColumnType, Span};

use super::carry;
use super::columns::projected;
use super::names::suggested;
use super::{Broken, Fallible, Resolver, Row, child, column, items};
use crate::codes;
use crate::functions::AggregateFn;
use crate::resolved::{Aggregate, Expr, Field, JoinKind, Op, Relation, SortKey, Value};
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
        self.count_relations(4, at)?;
        let summary = grouped(input, expr, aggregates, columns, at);
        let weight = summary.columns.get(1).filter(|_| by_weight).map(|f| f.ty);
        Ok(first_of_part(summary, weight, Some(rows), at))
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
        let varying = varying_terms(&characters);
        let pattern = call(
            ScalarFn::ReplaceRegex,
            vec![text.clone(), literal(varying), literal("*".to_owned())],
            ColumnType::String,
            at,
        );
        self.count_relations(4, at)?;
        let is_source = self.reduce_kind(node)?;
        let keyed = |pattern: Expr, input: Relation| {
            let mut exprs = super::columns::identity(&input, at);
            let mut columns = input.columns.clone();
            columns.push(carry::hidden("$p", ColumnType::String));
            exprs.push(pattern);
            projected(input, exprs, columns, at)
        };
        let (input, pattern) = if is_source {
            let width = input.columns.len();
            let rows = self.shared_relation(keyed(pattern, input), at);
            (rows, column(width, ColumnType::String, at))
        } else {
            (input, pattern)
        };
        let rows = is_source.then(|| input.clone());
        let aggregate = |function, args: Vec<Expr>, ty| Aggregate {
            function,
            args,
            filter: None,
            outputs: vec![ty],
            span: at,
        };
        let aggregates = vec![
            aggregate(AggregateFn::Count, Vec::new(), ColumnType::Long),
            aggregate(AggregateFn::TakeAny, vec![text], ColumnType::String),
        ];
        let columns = vec![
            Field::new("Pattern", ColumnType::String),
            Field::new("Count", ColumnType::Long),
            Field::new("Representative", ColumnType::String),
        ];
        let summary = grouped(input, pattern, aggregates, columns, at);
        let Some(rows) = rows else {
            return Ok(first_of_part(summary, Some(ColumnType::Long), None, at));
        };
        Ok(beside_rows(rows, summary, at))
    }

    /// Whether `reduce kind=source` keeps the rows; what its options say is checked.
    fn reduce_kind(&mut self, node: &Node) -> Fallible<bool> {
        let mut is_source = false;
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = super::words(&option);
            let value = said.last().cloned().unwrap_or_default();
            match said.first().map(String::as_str) {
                Some("kind") if value == "source" => is_source = true,
                Some("kind") => {
                    let message = format!("`reduce` has no kind `{value}`");
                    let help = "`kind=source` keeps the rows";
                    let place = span(&option);
                    return Err(self.error_help(codes::UNKNOWN_OPTION, place, message, help));
                }
                Some("threshold")
                    if !value.parse().is_ok_and(|x: f64| (0.0..=1.0).contains(&x)) =>
                {
                    let message = "a threshold is a number from 0 to 1";
                    return Err(self.error(codes::BAD_ARGUMENTS, span(&option), message));
                }
                _ => {}
            }
        }
        Ok(is_source)
    }
}

/// What varies: a term with a digit in it; the given characters part terms as blanks do.
fn varying_terms(characters: &str) -> String {
    let set = regex::escape(characters);
    if set.is_empty() {
        r"[A-Za-z0-9_]*[0-9][A-Za-z0-9_]*".to_owned()
    } else {
        format!("[{set}]?[A-Za-z0-9_--{set}]*[0-9][A-Za-z0-9_--{set}]*")
    }
}

/// The rows, whose last column is their pattern, with what was found of the pattern.
fn beside_rows(rows: Relation, summary: Relation, at: Span) -> Relation {
    let width = rows.columns.len();
    let mut on = vec![(width.saturating_sub(1), 0)];
    for (position, field) in rows.columns.iter().enumerate() {
        let other = summary.columns.iter().position(|f| f == field);
        on.extend(
            other
                .filter(|_| carry::is_key(field))
                .map(|o| (position, o)),
        );
    }
    let on = on
        .into_iter()
        .filter_map(|(a, b)| {
            let ty = rows.columns.get(a)?.ty;
            Some((column(a, ty, at), column(b, ty, at)))
        })
        .collect();
    let before = width.saturating_sub(1);
    let both = super::join::joined(rows, summary, JoinKind::Inner, on, at);
    let order: Vec<usize> = (0..before).chain(width..width + 3).collect();
    super::nested::chosen(both, &order, at)
}

/// One row per value, and per part inside of a query in a query: the columns, then what travels along.
fn grouped(
    input: Relation,
    value: Expr,
    mut aggregates: Vec<Aggregate>,
    mut columns: Vec<Field>,
    at: Span,
) -> Relation {
    let shown = columns.len();
    let mut by = vec![value];
    let keys = carry::key_positions(&input.columns);
    for position in &keys {
        if let Some(field) = input.columns.get(*position) {
            by.push(column(*position, field.ty, at));
            columns.insert(by.len() - 1, field.clone());
        }
    }
    for (position, field) in carry::copies(&input.columns) {
        aggregates.push(Aggregate {
            function: AggregateFn::TakeAny,
            args: vec![column(position, field.ty, at)],
            filter: None,
            outputs: vec![field.ty],
            span: at,
        });
        columns.push(field);
    }
    let summary = Relation {
        op: Op::Summarize {
            input: Box::new(input),
            by,
            aggregates,
        },
        columns,
        span: at,
    };
    if keys.is_empty() {
        return summary;
    }
    // The value, what was counted, then keys and copies.
    let all = summary.columns.len();
    let order: Vec<usize> = std::iter::once(0)
        .chain(keys.len() + 1..keys.len() + shown)
        .chain(1..=keys.len())
        .chain(keys.len() + shown..all)
        .collect();
    super::nested::chosen(summary, &order, at)
}

/// The first rows, of each part; the heaviest first if the second column is a weight.
fn first_of_part(
    input: Relation,
    weight: Option<ColumnType>,
    rows: Option<u64>,
    at: Span,
) -> Relation {
    let mut keys = carry::by_part(&input.columns, at);
    let is_whole = keys.is_empty();
    keys.extend(weight.map(|ty| SortKey {
        expr: column(1, ty, at),
        descending: true,
        nulls_first: false,
    }));
    let ordered = if keys.is_empty() {
        input
    } else {
        Relation {
            columns: input.columns.clone(),
            op: Op::Sort {
                input: Box::new(input),
                keys,
            },
            span: at,
        }
    };
    match rows {
        Some(rows) if is_whole => taken(ordered, rows, at),
        Some(rows) => carry::take_each(ordered, rows, at),
        None => ordered,
    }
}

/// At most so many rows.
pub(super) fn taken(input: Relation, rows: u64, at: Span) -> Relation {
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
pub(super) fn consumed(input: Relation, at: Span) -> Relation {
    let nothing = taken(input, 0, at);
    projected(nothing, Vec::new(), Vec::new(), at)
}
