//! `summarize`: aggregates are collected while their expressions are read, so that
//! `round(avg(x), 2)` is an aggregate and a projection over it.

use model::{ColumnType, Span};

use super::calls::{accepts, arguments, visible};
use super::names::{self, Suggested, Taken, suggested};
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, call_name, child, column, plain_name};
use crate::codes;
use crate::functions::{self, AggregateFn, Function, Meaning};
use crate::resolved::{Aggregate, Expr, ExprKind, Field, Op, Relation, Value};
use crate::signatures;
use crate::syntax::{Kind, Node, span};

/// The aggregates met so far.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    input: Vec<Field>,
    /// Columns before the first aggregate's: those after `by`.
    by: usize,
    aggregates: Vec<Aggregate>,
}

impl Collector {
    /// Over rows with these columns, after so many keys.
    pub(super) fn new(input: &[Field], by: usize) -> Self {
        Self {
            input: input.to_vec(),
            by,
            aggregates: Vec::new(),
        }
    }

    /// The aggregates so far read the rows for which the column is true.
    fn only(&mut self, counts: Option<usize>, at: Span) {
        let Some(position) = counts else { return };
        for aggregate in &mut self.aggregates {
            let condition = column(position, ColumnType::Bool, at);
            aggregate.filter = Some(both(aggregate.filter.take(), condition, at));
        }
    }

    /// How many aggregates were met.
    pub(super) fn len(&self) -> usize {
        self.aggregates.len()
    }

    /// Takes the number of rows.
    pub(super) fn add_count(&mut self, at: Span) {
        self.aggregates.push(row_count(at));
    }

    /// The one aggregate, once per condition; gives its type.
    pub(super) fn repeat(
        &mut self,
        conditions: impl Iterator<Item = Expr>,
        at: Span,
    ) -> ColumnType {
        let one = self.aggregates.pop().unwrap_or_else(|| row_count(at));
        let ty = one.outputs.first().copied().unwrap_or(ColumnType::Long);
        self.aggregates = conditions
            .map(|condition| Aggregate {
                filter: Some(both(one.filter.clone(), condition, at)),
                ..one.clone()
            })
            .collect();
        ty
    }

    /// The summary: the keys, then the outputs of the aggregates.
    pub(super) fn summary(self, input: Relation, by: Vec<Expr>, at: Span) -> Relation {
        let types = by.iter().map(|e| e.ty).chain(
            self.aggregates
                .iter()
                .flat_map(|a| a.outputs.iter().copied()),
        );
        let columns = types
            .enumerate()
            .map(|(position, ty)| Field::new(format!("summary_{position}"), ty))
            .collect();
        Relation {
            op: Op::Summarize {
                input: Box::new(input),
                by,
                aggregates: self.aggregates,
            },
            columns,
            span: at,
        }
    }

    /// Carried copies: any value of a group is as good as another.
    fn carry(&mut self, at: Span) -> Vec<(Field, Expr)> {
        let copies = super::carry::copies(&self.input);
        let mut out = Vec::new();
        for (position, field) in copies {
            let value = column(position, field.ty, at);
            let outputs = self.take(Aggregate {
                function: AggregateFn::TakeAny,
                args: vec![value],
                filter: None,
                outputs: vec![field.ty],
                span: at,
            });
            out.extend(outputs.into_iter().map(|expr| (field.clone(), expr)));
        }
        out
    }

    pub(super) fn has_column(&self, name: &str) -> bool {
        let row = Row {
            columns: &self.input,
        };
        super::scalar::find_column(row, name).is_some()
    }

    pub(super) fn column_names(&self) -> Vec<String> {
        let visible = self.input.iter().filter(|f| !f.hidden);
        visible.map(|f| f.name.to_string()).collect()
    }

    /// Takes an aggregate and gives its outputs as columns of the summary.
    fn take(&mut self, aggregate: Aggregate) -> Vec<Expr> {
        let before: usize = self.aggregates.iter().map(|a| a.outputs.len()).sum();
        let start = self.by + before;
        let outputs = aggregate
            .outputs
            .iter()
            .enumerate()
            .map(|(at, ty)| column(start + at, *ty, aggregate.span))
            .collect();
        self.aggregates.push(aggregate);
        outputs
    }
}

/// One column of the result, before its name is settled.
pub(super) struct Output {
    pub(super) name: Naming,
    pub(super) expr: Expr,
}

impl Output {
    /// The name, if the query gives one.
    pub(super) fn given(&self) -> Option<String> {
        match &self.name {
            Naming::Given(name, _) => Some(name.clone()),
            Naming::Suggested(..) | Naming::Carried(_) => None,
        }
    }
}

pub(super) enum Naming {
    Given(String, Span),
    Suggested(Suggested, Span),
    /// A hidden column that travels along.
    Carried(Field),
}

impl Resolver<'_> {
    pub(super) fn summarize(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let by_list = child(node, Kind::ByList);
        let (input, counts) = match &by_list {
            None => self.of_every_part(input, at)?,
            Some(_) => (input, None),
        };
        let row = Row {
            columns: &input.columns,
        };
        let mut outputs = Vec::new();
        let mut by = Vec::new();
        let mut broken = false;
        let mut by_columns = Vec::new();
        for item in by_list.iter().flat_map(super::items) {
            match self.by_item(&item, row) {
                Ok((name, expr)) => {
                    by_columns.extend(named_column(&item, &expr, row));
                    outputs.push(Output {
                        name,
                        expr: column(by.len(), expr.ty, expr.span),
                    });
                    by.push(expr);
                }
                Err(Broken) => broken = true,
            }
        }
        let mut carried = Vec::new();
        for key in super::carry::keys(&input.columns, at) {
            let ExprKind::Column(position) = key.kind else {
                continue;
            };
            let field = input.columns.get(position).cloned().ok_or(Broken)?;
            carried.push((field, column(by.len(), key.ty, at)));
            by.push(key);
        }
        let mut collector = Collector::new(&input.columns, by.len());
        for item in super::items(node) {
            if item.kind() == Kind::ByList {
                continue;
            }
            if let Ok(more) = self.aggregate_item(&item, &mut collector, &by_columns) {
                outputs.extend(more);
            } else {
                broken = true;
                self.poison(&item);
            }
        }
        collector.only(counts, at);
        carried.extend(collector.carry(at));
        outputs.extend(carried.into_iter().map(|(field, expr)| Output {
            name: Naming::Carried(field),
            expr,
        }));
        let columns = self.summary_columns(&outputs)?;
        if broken {
            return Err(Broken);
        }
        self.count_relations(2, at)?;
        Ok(assembled(
            input,
            by,
            collector.aggregates,
            outputs,
            columns,
            at,
        ))
    }

    pub(super) fn by_item(&mut self, item: &Node, row: Row<'_>) -> Fallible<(Naming, Expr)> {
        let (name, value) = self.named(item)?;
        let expr = self.expr(&value, row)?;
        let expr = self.as_key(expr, "group by")?;
        let name = match name {
            Some(name) => Naming::Given(name, span(item)),
            None => Naming::Suggested(suggested(&value, false), span(item)),
        };
        Ok((name, expr))
    }

    /// As a key of groups or order: what stands in a hidden bag is made a string.
    pub(super) fn as_key(&mut self, expr: Expr, what: &str) -> Fallible<Expr> {
        if self.open_spans.contains(&expr.span) {
            return Ok(cast(expr, ColumnType::String));
        }
        self.refuse_dynamic(&expr, what)?;
        Ok(expr)
    }

    /// Groups and order are over scalars.
    pub(super) fn refuse_dynamic(&mut self, expr: &Expr, what: &str) -> Fallible<()> {
        if expr.ty != ColumnType::Dynamic {
            return Ok(());
        }
        Err(self.error_help(
            codes::DYNAMIC_KEY,
            expr.span,
            format!("cannot {what} a dynamic value"),
            "convert it, for example with `tostring(…)`",
        ))
    }

    /// An item of a summary; `by_columns` are the columns that are keys.
    pub(super) fn aggregate_item(
        &mut self,
        item: &Node,
        collector: &mut Collector,
        by_columns: &[usize],
    ) -> Fallible<Vec<Output>> {
        let (given, value) = self.given_names(item)?;
        let at = span(item);
        if let Some(call) = several(&value) {
            let mut outputs = self.several_outputs(&call, collector, by_columns)?;
            for (output, name) in outputs.iter_mut().zip(given) {
                output.name = Naming::Given(name, at);
            }
            return Ok(outputs);
        }
        let before = collector.aggregates.len();
        self.aggregates = Some(collector.clone());
        let expr = self.expr(&value, Row::NONE);
        if let Some(after) = self.aggregates.take() {
            *collector = after;
        }
        let expr = expr?;
        if collector.aggregates.len() == before
            && !matches!(expr.kind, ExprKind::Literal(_) | ExprKind::ToScalar(_))
        {
            return Err(self.error(
                codes::NOT_AGGREGATED,
                at,
                "an expression without an aggregate stands in `summarize`",
            ));
        }
        let name = match given.into_iter().next() {
            Some(name) => Naming::Given(name, at),
            None => Naming::Suggested(suggested(&value, true), at),
        };
        Ok(vec![Output { name, expr }])
    }

    /// The names given to an item, and its value.
    fn given_names(&mut self, item: &Node) -> Fallible<(Vec<String>, Node)> {
        if let Some(list) = child(item, Kind::NameList) {
            let names = list.children().map(|n| plain_name(&n)).collect();
            let value = item.children().nth(1).ok_or(Broken)?;
            return Ok((names, value));
        }
        let (name, value) = self.named(item)?;
        Ok((name.into_iter().collect(), value))
    }

    /// `arg_max`, `take_any` and `percentiles` standing alone may give several columns.
    fn several_outputs(
        &mut self,
        node: &Node,
        collector: &mut Collector,
        by_columns: &[usize],
    ) -> Fallible<Vec<Output>> {
        let name = call_name(node);
        let at = span(node);
        let args = arguments(node);
        let Some(function) = functions::aggregate_named(&name) else {
            return Err(Broken);
        };
        self.note_spelling(function, &name, at);
        let Meaning::Aggregate(meaning, _) = function.meaning else {
            return Err(Broken);
        };
        let input = collector.input.clone();
        let row = Row { columns: &input };
        if matches!(
            meaning,
            AggregateFn::Percentile | AggregateFn::WeightedPercentile
        ) {
            return self.percentiles(function, &args, at, row, collector);
        }
        let mut exprs: Vec<(Suggested, Expr)> = Vec::new();
        // `*` leaves out columns that stand by themselves, not those that an expression reads.
        let mut chosen = by_columns.to_vec();
        for arg in &args {
            if arg.kind() == Kind::All {
                let others = visible(row, span(arg))
                    .filter(|(_, e)| !matches!(e.kind, ExprKind::Column(p) if chosen.contains(&p)));
                exprs.extend(others.map(|(name, expr)| (Suggested::Derived(name), expr)));
            } else {
                let name = match suggested(arg, false) {
                    Suggested::Column(name) => Suggested::Derived(name),
                    other => other,
                };
                let expr = self.expr(arg, row)?;
                chosen.extend(named_column(arg, &expr, row));
                exprs.push((name, expr));
            }
        }
        let (mut suggestions, args): (Vec<Suggested>, Vec<Expr>) = exprs.into_iter().unzip();
        let Some(signature) = signatures::of(function).first() else {
            return Err(Broken);
        };
        // `arg_max(t, *)` over `t` alone returns `t`; `take_any(*)` of nothing but keys nothing.
        if !args.is_empty() && !accepts(signature, &args, false) || args.is_empty() {
            return Err(self.bad_arguments(function, &args, at));
        }
        name_outputs(&name, meaning, &mut suggestions);
        let outputs = collector.take(Aggregate {
            function: meaning,
            outputs: args.iter().map(|e| e.ty).collect(),
            args,
            filter: None,
            span: at,
        });
        Ok(outputs
            .into_iter()
            .zip(suggestions)
            .map(|(expr, name)| Output {
                name: Naming::Suggested(name, at),
                expr,
            })
            .collect())
    }

    fn percentiles(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
        collector: &mut Collector,
    ) -> Fallible<Vec<Output>> {
        let mut exprs = Vec::new();
        for arg in args {
            exprs.push(self.expr(arg, row)?);
        }
        let fits = signatures::of(function)
            .iter()
            .any(|s| accepts(s, &exprs, false));
        if !fits {
            return Err(self.bad_arguments(function, &exprs, at));
        }
        let Meaning::Aggregate(meaning, _) = function.meaning else {
            return Err(Broken);
        };
        let values = 1 + usize::from(meaning == AggregateFn::WeightedPercentile);
        let ranks: Vec<Expr> = exprs
            .split_off(values.min(exprs.len()))
            .into_iter()
            .map(|e| cast(e, ColumnType::Real))
            .collect();
        for rank in &ranks {
            if rank.as_literal().is_none() {
                let message = "a percentile must be a constant number";
                return Err(self.error(codes::NOT_CONSTANT, rank.span, message));
            }
            self.check_tail(meaning, rank)?;
        }
        if let Some(weight) = exprs.get_mut(1) {
            *weight = cast(weight.clone(), ColumnType::Long);
        }
        if let Some(value) = exprs.first_mut() {
            *value = ranked(value.clone());
        }
        let ty = exprs.first().ok_or(Broken)?.ty;
        let of = args
            .first()
            .map_or(Suggested::Nothing, |arg| suggested(arg, false));
        let suggestions: Vec<Suggested> = args
            .iter()
            .skip(values)
            .map(|rank| {
                let rank = names::rank_text(rank);
                let name = names::percentile_name(of.text().unwrap_or_default(), &rank);
                Suggested::Derived(name)
            })
            .collect();
        let outputs = collector.take(Aggregate {
            function: meaning,
            outputs: vec![ty; ranks.len()],
            args: exprs.into_iter().chain(ranks).collect(),
            filter: None,
            span: at,
        });
        Ok(outputs
            .into_iter()
            .zip(suggestions)
            .map(|(expr, name)| Output {
                name: Naming::Suggested(name, at),
                expr,
            })
            .collect())
    }

    /// One aggregate inside of an expression.
    pub(super) fn aggregate_call(
        &mut self,
        function: &'static Function,
        name: &str,
        args: &[Node],
        at: Span,
    ) -> Fallible<Expr> {
        let Some(mut collector) = self.aggregates.take() else {
            return Err(Broken);
        };
        let input = collector.input.clone();
        let row = Row { columns: &input };
        let found = self.plain_aggregate(function, name, args, at, row);
        let result = found.map(|aggregate| collector.take(aggregate));
        self.aggregates = Some(collector);
        result?.into_iter().next().ok_or(Broken)
    }

    fn plain_aggregate(
        &mut self,
        function: &'static Function,
        name: &str,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Aggregate> {
        let Meaning::Aggregate(meaning, is_filtered) = function.meaning else {
            return Err(Broken);
        };
        let mut exprs = Vec::new();
        let mut broken = false;
        for arg in args {
            match self.expr(arg, row) {
                Ok(expr) => exprs.push(expr),
                Err(Broken) => broken = true,
            }
        }
        if broken {
            return Err(Broken);
        }
        let fits = |exprs: &[Expr]| {
            let mut all = signatures::of(function).iter();
            all.find(|s| accepts(s, exprs, false))
        };
        let mut signature = fits(&exprs);
        if signature.is_none() {
            // What stands in a hidden bag may be a number.
            for expr in &mut exprs {
                if self.open_spans.contains(&expr.span) {
                    *expr = cast(expr.clone(), ColumnType::Real);
                }
            }
            signature = fits(&exprs);
        }
        let Some(signature) = signature else {
            return Err(self.bad_arguments(function, &exprs, at));
        };
        if let Some(value) = exprs.first_mut()
            && matches!(
                meaning,
                AggregateFn::Percentile | AggregateFn::WeightedPercentile
            )
        {
            *value = ranked(value.clone());
        }
        let (mut args, ty) = self.converted(signature, exprs, at)?;
        let mut filter = None;
        if is_filtered {
            let position = match meaning {
                AggregateFn::Count => 0,
                AggregateFn::Covariance | AggregateFn::Covariancep => 2,
                _ => 1,
            };
            if position < args.len() {
                filter = Some(args.remove(position));
            }
        }
        let is_row = matches!(meaning, AggregateFn::ArgMax | AggregateFn::ArgMin);
        if is_row && args.len() > 1 {
            return Err(self.error(
                codes::BAD_ARGUMENTS,
                at,
                format!("`{name}` gives several columns and cannot stand inside of an expression"),
            ));
        }
        Ok(Aggregate {
            function: meaning,
            args: self.literal_tail(meaning, args)?,
            filter,
            outputs: vec![ty],
            span: at,
        })
    }

    /// Sizes, accuracies and percentiles are known before the query runs.
    fn literal_tail(&mut self, meaning: AggregateFn, args: Vec<Expr>) -> Fallible<Vec<Expr>> {
        let wants_real = matches!(
            meaning,
            AggregateFn::Percentile
                | AggregateFn::PercentilesArray
                | AggregateFn::WeightedPercentile
                | AggregateFn::WeightedPercentilesArray
        );
        let values = match meaning {
            AggregateFn::WeightedPercentile
            | AggregateFn::WeightedPercentilesArray
            | AggregateFn::Covariance
            | AggregateFn::Covariancep
            | AggregateFn::Tdigest => 2,
            _ => 1,
        };
        let mut out = Vec::with_capacity(args.len());
        for (position, arg) in args.into_iter().enumerate() {
            let is_real = wants_real && position >= values && super::types::is_number(arg.ty);
            let arg = if is_real {
                cast(arg, ColumnType::Real)
            } else {
                arg
            };
            if position >= values && meaning != AggregateFn::TakeAny && arg.as_literal().is_none() {
                let message = "this argument must be a literal";
                return Err(self.error(codes::NOT_CONSTANT, arg.span, message));
            }
            if position >= values {
                self.check_tail(meaning, &arg)?;
            }
            out.push(arg);
        }
        Ok(out)
    }

    /// Settles the names of the result.
    fn summary_columns(&mut self, outputs: &[Output]) -> Fallible<Vec<Field>> {
        let mut taken = Taken::default();
        let mut columns = Vec::new();
        let mut unnamed = 0;
        let mut result = Ok(());
        let mut declared = Taken::default();
        for output in outputs {
            let name = match &output.name {
                Naming::Carried(field) => {
                    columns.push(field.clone());
                    continue;
                }
                Naming::Given(name, at) | Naming::Suggested(Suggested::Column(name), at) => {
                    if !declared.take(name) {
                        result = Err(self.duplicate(name, *at));
                    }
                    // Giving way to a name that an aggregate brought is no mistake.
                    taken.unique(name)
                }
                Naming::Suggested(Suggested::Derived(name), _) => taken.unique(name),
                Naming::Suggested(Suggested::Nothing, _) => {
                    unnamed += 1;
                    taken.unique(&format!("Column{unnamed}"))
                }
            };
            columns.push(Field::new(name, output.expr.ty));
        }
        result.map(|()| columns)
    }

    pub(super) fn duplicate(&mut self, name: &str, at: Span) -> Broken {
        self.error_help(
            codes::DUPLICATE_COLUMN,
            at,
            format!("column `{name}` is named twice"),
            "give one of them another name",
        )
    }
}

impl Naming {
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Carried(_) => None,
            Self::Given(name, _) => Some(name.clone()),
            Self::Suggested(suggestion, _) => suggestion.text().map(str::to_owned),
        }
    }
}

/// What percentiles are taken of: an estimate is no exact number, and no `int` comes out.
fn ranked(value: Expr) -> Expr {
    match value.ty {
        ColumnType::Decimal => cast(value, ColumnType::Real),
        ColumnType::Int => cast(value, ColumnType::Long),
        _ => value,
    }
}

/// Today's spelling keeps the names; `any`, `argmax` and `argmin` put themselves before them. What
/// has no name is numbered.
fn name_outputs(function: &str, meaning: AggregateFn, suggestions: &mut [Suggested]) {
    let is_old = matches!(function, "any" | "argmax" | "argmin");
    let (prefix, is_row) = match meaning {
        AggregateFn::ArgMax => ("max", true),
        AggregateFn::ArgMin => ("min", true),
        _ => ("any", false),
    };
    let first = suggestions.first().and_then(Suggested::text);
    let first = first.unwrap_or_default().to_owned();
    let is_one = suggestions.len() == 1;
    for (position, suggestion) in suggestions.iter_mut().enumerate() {
        let name = match suggestion.text() {
            Some(_) if !is_old => continue,
            Some(name) if is_row && position > 0 => format!("{prefix}_{first}_{name}"),
            Some(name) => format!("{prefix}_{name}"),
            None if position == 0 && (is_row || (is_old && is_one)) => format!("{prefix}_"),
            None if is_row => format!("{prefix}_{first}_arg{position}"),
            None => format!("{prefix}_arg{position}"),
        };
        *suggestion = Suggested::Derived(name);
    }
}

/// The column that an item or argument is, if it is nothing but one. Where the query calls the
/// column by another name (`TimeGenerated`), the one of the column's own name is not meant.
pub(super) fn named_column(item: &Node, expr: &Expr, row: Row<'_>) -> Option<usize> {
    let mut node = item.clone();
    while matches!(node.kind(), Kind::Named | Kind::Paren) {
        node = node.children().last()?;
    }
    let ExprKind::Column(position) = expr.kind else {
        return None;
    };
    let is_name = matches!(node.kind(), Kind::Name | Kind::BracketName);
    let is_own = *row.columns.get(position)?.name == *plain_name(&node);
    (is_name && is_own).then_some(position)
}

/// A call that may give several columns.
fn several(node: &Node) -> Option<Node> {
    match node.kind() {
        Kind::Paren => several(&node.children().next()?),
        Kind::Call => {
            let name = call_name(node);
            let is_several = matches!(
                name.as_str(),
                "arg_max"
                    | "arg_min"
                    | "argmax"
                    | "argmin"
                    | "take_any"
                    | "any"
                    | "percentile"
                    | "percentiles"
                    | "percentilew"
                    | "percentilesw"
            );
            is_several.then(|| node.clone())
        }
        _ => None,
    }
}

/// The summary, and a projection over it if it is not the result as it stands.
fn assembled(
    input: Relation,
    by: Vec<Expr>,
    aggregates: Vec<Aggregate>,
    outputs: Vec<Output>,
    columns: Vec<Field>,
    at: Span,
) -> Relation {
    let inner_types: Vec<ColumnType> = by
        .iter()
        .map(|e| e.ty)
        .chain(aggregates.iter().flat_map(|a| a.outputs.iter().copied()))
        .collect();
    let is_identity = outputs.len() == inner_types.len()
        && outputs
            .iter()
            .enumerate()
            .all(|(position, o)| o.expr.kind == ExprKind::Column(position));
    let summary = |columns| Relation {
        op: Op::Summarize {
            input: Box::new(input),
            by,
            aggregates,
        },
        columns,
        span: at,
    };
    // Distinct keys only: `summarize by a` has no aggregate and is fine as it is.
    if is_identity {
        return summary(columns);
    }
    let inner = inner_types
        .iter()
        .enumerate()
        .map(|(position, ty)| Field::new(format!("summary_{position}"), *ty))
        .collect();
    Relation {
        op: Op::Project {
            input: Box::new(summary(inner)),
            exprs: outputs.into_iter().map(|o| o.expr).collect(),
        },
        columns,
        span: at,
    }
}

/// A literal used where a column without a value stands.
pub(super) fn missing(ty: ColumnType, at: Span) -> Expr {
    Expr::literal(Value::missing(ty), at)
}

/// Both conditions, the first if there is any.
fn both(first: Option<Expr>, second: Expr, at: Span) -> Expr {
    let Some(first) = first else { return second };
    let and = functions::ScalarFn::And;
    super::operations::call(and, vec![first, second], ColumnType::Bool, at)
}

fn row_count(at: Span) -> Aggregate {
    Aggregate {
        function: AggregateFn::Count,
        args: Vec::new(),
        filter: None,
        outputs: vec![ColumnType::Long],
        span: at,
    }
}

impl Resolver<'_> {
    /// `count`: the number of rows, of each part.
    pub(super) fn count(&mut self, input: Relation, name: &str, at: Span) -> Fallible<Relation> {
        let (input, counts) = self.of_every_part(input, at)?;
        Ok(counted(input, name, counts, at))
    }
}

/// The number of rows of each part that has any.
pub(super) fn count(input: Relation, name: &str, at: Span) -> Relation {
    counted(input, name, None, at)
}

fn counted(input: Relation, name: &str, counts: Option<usize>, at: Span) -> Relation {
    let by = super::carry::keys(&input.columns, at);
    let mut collector = Collector::new(&input.columns, by.len());
    collector.add_count(at);
    collector.only(counts, at);
    let carried = collector.carry(at);
    let mut exprs = vec![column(by.len(), ColumnType::Long, at)];
    let mut columns = vec![Field::new(name, ColumnType::Long)];
    let keys = input.columns.clone();
    for (position, key) in by.iter().enumerate() {
        if let ExprKind::Column(from) = key.kind
            && let Some(field) = keys.get(from)
        {
            exprs.push(column(position, key.ty, at));
            columns.push(field.clone());
        }
    }
    for (field, expr) in carried {
        exprs.push(expr);
        columns.push(field);
    }
    let is_plain = exprs.len() == 1;
    let summary = collector.summary(input, by, at);
    if is_plain {
        return Relation { columns, ..summary };
    }
    super::columns::projected(summary, exprs, columns, at)
}
