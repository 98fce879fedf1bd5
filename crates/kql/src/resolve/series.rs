//! `make-series`: a summary per bin of an axis, then its rows laid out as arrays.

use model::ColumnType;

use super::aggregate::{Collector, named_column};
use super::carry;
use super::columns::projected;
use super::names::{Taken, suggested};
use super::operations::call;
use super::types::{cast, is_number};
use super::{Broken, Fallible, Resolver, Row, child, column, first_word, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Axis, Expr, Field, Op, Relation, Value};
use crate::syntax::{Kind, Node, span};

/// The clauses after `on`.
struct AxisParts {
    name: String,
    /// Over the input.
    value: Expr,
    from: Option<Expr>,
    to: Option<Expr>,
    step: Expr,
    inclusive: bool,
}

impl Resolver<'_> {
    pub(super) fn make_series(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let nonempty = node
            .children()
            .filter(|c| c.kind() == Kind::OperatorOption)
            .any(|option| words(&option).last().is_some_and(|w| w == "nonempty"));
        let Some(axis_node) = child(node, Kind::SeriesAxis) else {
            return Err(Broken);
        };
        let mut parts = self.axis_parts(&input, &axis_node)?;
        let input = within_axis(input, &parts, at);
        if parts.inclusive {
            // After `in range` the bins are those of `bin()`: the first may begin before the start.
            parts.from = parts.from.map(|from| {
                let ty = from.ty;
                call(ScalarFn::Bin, vec![from, parts.step.clone()], ty, at)
            });
        }
        let row = Row {
            columns: &input.columns,
        };
        let mut names = Vec::new();
        let mut by = Vec::new();
        let mut by_columns = Vec::new();
        for item in child(node, Kind::ByList).iter().flat_map(super::items) {
            let (name, expr) = self.by_item(&item, row)?;
            names.push(name.text().unwrap_or_default());
            by_columns.extend(named_column(&item, &expr, row));
            by.push(expr);
        }
        for (position, field) in carry::carried(&input.columns) {
            names.push(field.name.to_string());
            by.push(column(position, field.ty, at));
        }
        let keys = by.len();
        by.push(binned(&parts, at));
        let mut collector = Collector::new(&input.columns, by.len());
        let mut outputs: Vec<(String, Expr)> = Vec::new();
        let mut defaults = Vec::new();
        for item in node.children().filter(|c| c.kind() == Kind::SeriesItem) {
            let Some(value) = item.children().next() else {
                return Err(Broken);
            };
            let made = self.aggregate_item(&value, &mut collector, &by_columns)?;
            let default = child(&item, Kind::Clause).and_then(|c| c.children().next());
            for output in made {
                let (name, expr) = output.into_parts();
                defaults.push(self.series_default(default.as_ref(), expr.ty)?);
                outputs.push((name.unwrap_or_default(), expr));
            }
        }
        self.count_relations(5, at)?;
        let by_types: Vec<ColumnType> = by.iter().map(|e| e.ty).collect();
        let summary = collector.summary(input, by, at);
        let laid = laid_out(summary, &by_types, &outputs, at);
        let axis = Axis {
            ty: parts.value.ty,
            from: parts.from,
            to: parts.to,
            step: parts.step,
            inclusive: parts.inclusive,
            nonempty,
        };
        let columns = series_columns(&names, &by_types, &outputs, &parts.name);
        let relation = Relation {
            op: Op::Series {
                input: Box::new(laid),
                keys,
                axis,
                defaults,
            },
            columns,
            span: at,
        };
        Ok(relation)
    }

    fn axis_parts(&mut self, input: &Relation, node: &Node) -> Fallible<AxisParts> {
        let at = span(node);
        let row = Row {
            columns: &input.columns,
        };
        let Some(value_node) = node.children().find(|c| c.kind() != Kind::Clause) else {
            return Err(Broken);
        };
        let (given, value_node) = self.named(&value_node)?;
        let mut value = self.expr(&value_node, row)?;
        if self.open_spans.contains(&value.span) && value.ty == ColumnType::Dynamic {
            // What stands in a bag has its type once the data told it.
            value = cast(value, self.axis_type(node)?);
        }
        let name = given
            .or_else(|| suggested(&value_node, false).text().map(str::to_owned))
            .unwrap_or_else(|| "Column1".to_owned());
        let is_time = matches!(value.ty, ColumnType::DateTime | ColumnType::TimeSpan);
        if !is_time && !is_number(value.ty) {
            let message = format!("an axis is of numbers or time, not of type `{}`", value.ty);
            return Err(self.error(codes::TYPE_MISMATCH, value.span, message));
        }
        let (mut from, mut to, mut step) = (None, None, None);
        let mut inclusive = false;
        for clause in node.children().filter(|c| c.kind() == Kind::Clause) {
            let Some(bound) = clause.children().next() else {
                return Err(Broken);
            };
            match first_word(&clause).as_str() {
                "from" => from = Some(self.axis_bound(&bound, value.ty)?),
                "to" => to = Some(self.axis_bound(&bound, value.ty)?),
                "step" => step = Some(self.axis_step(&bound, value.ty)?),
                _ => {
                    let args = super::calls::arguments(&bound);
                    let [first, last, width] = args.as_slice() else {
                        let message = "`in range` wants a start, an end and a step";
                        return Err(self.error(codes::EXPECTED, span(&clause), message));
                    };
                    from = Some(self.axis_bound(first, value.ty)?);
                    to = Some(self.axis_bound(last, value.ty)?);
                    step = Some(self.axis_step(width, value.ty)?);
                    inclusive = true;
                }
            }
        }
        let Some(step) = step else {
            return Err(self.error(codes::EXPECTED, at, "`make-series` wants `step`"));
        };
        Ok(AxisParts {
            name,
            value,
            from,
            to,
            step,
            inclusive,
        })
    }

    /// The type of an axis, as far as the step says it.
    fn axis_type(&mut self, node: &Node) -> Fallible<ColumnType> {
        let mut clauses = node.children().filter(|c| c.kind() == Kind::Clause);
        let step = clauses.find(|c| first_word(c) == "step");
        let step = step.and_then(|c| c.children().next());
        let is_numeric = match step {
            Some(step) => is_number(self.expr(&step, Row::NONE)?.ty),
            None => false,
        };
        Ok(if is_numeric {
            ColumnType::Real
        } else {
            ColumnType::DateTime
        })
    }

    fn axis_bound(&mut self, node: &Node, ty: ColumnType) -> Fallible<Expr> {
        let expr = self.expr(node, Row::NONE)?;
        if ty == ColumnType::DateTime && expr.ty == ColumnType::TimeSpan {
            let message = "an axis of instants goes to an instant, and this is a timespan";
            let help = "count from the present: `ago(7d)`, `now() - 1h`";
            return Err(self.error_help(codes::TYPE_MISMATCH, expr.span, message, help));
        }
        Ok(cast(expr, ty))
    }

    fn axis_step(&mut self, node: &Node, ty: ColumnType) -> Fallible<Expr> {
        let expr = self.expr(node, Row::NONE)?;
        let wanted = match ty {
            ColumnType::DateTime | ColumnType::TimeSpan => ColumnType::TimeSpan,
            number => number,
        };
        let fits = expr.ty == wanted || (is_number(expr.ty) && is_number(wanted));
        if !fits {
            let message = format!(
                "the step is of type `{}`, and `{wanted}` is wanted",
                expr.ty
            );
            return Err(self.error(codes::TYPE_MISMATCH, expr.span, message));
        }
        let step = cast(expr, wanted);
        let is_positive = match step.as_literal() {
            Some(Value::Int(n)) => *n > 0,
            Some(Value::Long(n)) => *n > 0,
            Some(Value::Real(x)) => *x > 0.0,
            Some(Value::TimeSpan(span)) => span.0 > 0,
            _ => true,
        };
        if !is_positive {
            let message = "the step of an axis must be greater than zero";
            return Err(self.error(codes::BAD_ARGUMENTS, step.span, message));
        }
        Ok(step)
    }

    /// What stands in a bin without rows: zero unless the query says otherwise.
    fn series_default(&mut self, node: Option<&Node>, ty: ColumnType) -> Fallible<Expr> {
        let at = node.map_or(model::Span::new(0, 0), span);
        match node {
            Some(node) => {
                let expr = self.expr(node, Row::NONE)?;
                Ok(cast(expr, ty))
            }
            None if is_number(ty) || ty == ColumnType::TimeSpan => {
                let zero = Expr::literal(Value::Long(0), at);
                Ok(cast(zero, ty))
            }
            None => Ok(Expr::literal(Value::missing(ty), at)),
        }
    }
}

/// Only rows on the axis.
fn within_axis(input: Relation, parts: &AxisParts, at: model::Span) -> Relation {
    let bool_call = |function, args: Vec<Expr>| call(function, args, ColumnType::Bool, at);
    let mut conditions = vec![bool_call(ScalarFn::Isnotnull, vec![parts.value.clone()])];
    if let Some(from) = &parts.from {
        conditions.push(bool_call(
            ScalarFn::GreaterOrEqual,
            vec![parts.value.clone(), from.clone()],
        ));
    }
    if let Some(to) = &parts.to {
        let function = if parts.inclusive {
            ScalarFn::LessOrEqual
        } else {
            ScalarFn::Less
        };
        conditions.push(bool_call(function, vec![parts.value.clone(), to.clone()]));
    }
    let predicate = match conditions.len() {
        1 => conditions.remove(0),
        _ => bool_call(ScalarFn::And, conditions),
    };
    Relation {
        columns: input.columns.clone(),
        op: Op::Filter {
            input: Box::new(input),
            predicate,
        },
        span: at,
    }
}

/// The start of a row's bin.
fn binned(parts: &AxisParts, at: model::Span) -> Expr {
    let (value, step) = (parts.value.clone(), parts.step.clone());
    let ty = value.ty;
    match &parts.from {
        Some(from) => call(ScalarFn::BinAt, vec![value, step, from.clone()], ty, at),
        None => call(ScalarFn::Bin, vec![value, step], ty, at),
    }
}

/// The keys, the axis and the aggregates as they come out of their expressions.
fn laid_out(
    summary: Relation,
    by: &[ColumnType],
    outputs: &[(String, Expr)],
    at: model::Span,
) -> Relation {
    let mut exprs: Vec<Expr> = by
        .iter()
        .enumerate()
        .map(|(position, ty)| column(position, *ty, at))
        .collect();
    exprs.extend(outputs.iter().map(|(_, e)| e.clone()));
    let columns = exprs
        .iter()
        .enumerate()
        .map(|(position, e)| Field::new(format!("series_{position}"), e.ty))
        .collect();
    projected(summary, exprs, columns, at)
}

fn series_columns(
    names: &[String],
    by: &[ColumnType],
    outputs: &[(String, Expr)],
    axis: &str,
) -> Vec<Field> {
    let mut taken = Taken::default();
    let mut columns = Vec::new();
    let mut unnamed = 0;
    let mut field = |name: &str, ty: ColumnType| {
        let name = match name {
            "" => {
                unnamed += 1;
                taken.unique(&format!("Column{unnamed}"))
            }
            name => taken.unique(name),
        };
        let hidden = name.starts_with('$');
        columns.push(Field {
            hidden,
            ..Field::new(name, ty)
        });
    };
    for (name, ty) in names.iter().zip(by) {
        field(name, *ty);
    }
    for (name, _) in outputs {
        field(name, ColumnType::Dynamic);
    }
    field(axis, ColumnType::Dynamic);
    columns
}

impl super::aggregate::Output {
    fn into_parts(self) -> (Option<String>, Expr) {
        (self.name.text(), self.expr)
    }
}
