//! Calls: built-in functions by their signatures, functions of the query by inlining.

use std::rc::Rc;
use std::sync::Arc;

use model::{ColumnType, Span, limits};

use super::habits::Likely;
use super::operations::{call, fold};
use super::stored;
use super::types::{cast, common, is_integer, is_number, wider};
use super::{Binding, Broken, Fallible, Resolver, Row, call_name, child, plain_name};
use crate::codes;
use crate::functions::{self, Function, Meaning, ScalarFn, Special};
use crate::not_yet;
use crate::resolved::{Expr, ExprKind, Op, Relation, Value};
use crate::signatures::{self, Accepts, Gives, Signature, Times};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn call(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let name = call_name(node);
        let at = span(node);
        let args = arguments(node);
        if let Some(binding) = self.lookup(&name)
            && let Binding::Function { lambda, env_len } = &*binding
        {
            return self.scalar_function(&name, lambda, *env_len, &args, at, row);
        }
        if let Some(done) = self.graph_call(&name, &args, at) {
            return done;
        }
        if self.aggregates.is_some()
            && let Some(function) = functions::aggregate_named(&name)
        {
            self.note_spelling(function, &name, at);
            return self.aggregate_call(function, &name, &args, at);
        }
        let Some(function) = functions::scalar(&name) else {
            return Err(self.unknown_function(node, &name));
        };
        self.note_spelling(function, &name, at);
        match function.meaning {
            Meaning::Special(special) => self.special(special, function, &args, at, row),
            Meaning::Call(ScalarFn::Case) => self.case(&args, at, row),
            Meaning::Window(window) => self.window_call(window, function, &args, at, row),
            _ => {
                let exprs = self.exprs(&args, function, row)?;
                self.built_in(function, exprs, &args, at)
            }
        }
    }

    pub(super) fn unknown_function(&mut self, node: &Node, name: &str) -> Broken {
        let at = node
            .children()
            .next()
            .map_or_else(|| span(node), |n| span(&n));
        if functions::aggregate_named(name).is_some() {
            let is_key = node.ancestors().any(|n| n.kind() == Kind::ByList);
            let (place, help) = if is_key {
                (
                    "after `by`",
                    "aggregates stand before `by`, the keys of groups after it",
                )
            } else {
                (
                    "outside of `summarize`",
                    "aggregate with `summarize`, then use the column",
                )
            };
            let message = format!("the aggregate `{name}` stands {place}");
            return self.error_help(codes::AGGREGATE_PLACE, at, message, help);
        }
        if not_yet::FORBIDDEN.contains(&name) {
            return self.error(
                codes::FORBIDDEN,
                at,
                "a query reads the tables of its own tenant only",
            );
        }
        if name.starts_with("current_principal") {
            let message = format!("the function `{name}` is not supported yet");
            let help = "a query does not know who runs it: detection rules run by themselves";
            return self.error_help(codes::FUNCTION_NOT_YET, at, message, help);
        }
        if not_yet::FUNCTIONS.contains(&name) || name.starts_with("series_") {
            return self.error(
                codes::FUNCTION_NOT_YET,
                at,
                format!("the function `{name}` is not supported yet"),
            );
        }
        if let Some(help) = super::habits::function(name) {
            let message = format!("unknown function `{name}`");
            return self.error_help(codes::UNKNOWN_FUNCTION, at, message, help);
        }
        if is_inside_of(node, name) {
            let message = format!("unknown function `{name}`");
            let help = "a function cannot call itself; it sees what is defined before it";
            return self.error_help(codes::UNKNOWN_FUNCTION, at, message, help);
        }
        let known = functions::all().map(|f| f.name);
        let functions = self
            .env
            .iter()
            .filter(|(_, binding)| matches!(**binding, Binding::Function { .. }));
        let own: Vec<Arc<str>> = functions.map(|(name, _)| name.clone()).collect();
        let similar = suggest::similar(name, known.chain(own.iter().map(|n| &**n)));
        let message = format!("unknown function `{name}`");
        match similar {
            Some(similar) => self.error_help(
                codes::UNKNOWN_FUNCTION,
                at,
                message,
                format!("a function with a similar name exists: `{similar}`"),
            ),
            None => self.error(codes::UNKNOWN_FUNCTION, at, message),
        }
    }

    /// The arguments, each judged though another is wrong. `typeof(…)` becomes a null of the type.
    pub(super) fn exprs(
        &mut self,
        args: &[Node],
        function: &Function,
        row: Row<'_>,
    ) -> Fallible<Vec<Expr>> {
        let mut out = Vec::with_capacity(args.len());
        let mut broken = false;
        let takes_star = matches!(function.name, "pack_array" | "estimate_data_size");
        let is_part = |position: usize| position == 0 && function.name.starts_with("datetime_");
        for (position, arg) in args.iter().enumerate() {
            let outer = self.likely;
            if is_part(position) {
                self.likely = Some((span(arg), Likely::Text));
            }
            let expr = match arg.kind() {
                Kind::TypeOf => self
                    .type_of(arg)
                    .map(|ty| Expr::literal(Value::Null(ty), span(arg))),
                Kind::All if takes_star => {
                    out.extend(visible(row, span(arg)).map(|(_, expr)| expr));
                    continue;
                }
                _ => self.expr(arg, row),
            };
            self.likely = outer;
            match expr {
                Ok(expr) => out.push(expr),
                Err(Broken) => broken = true,
            }
        }
        if broken { Err(Broken) } else { Ok(out) }
    }

    /// The type that `typeof(…)` names.
    pub(super) fn type_of(&mut self, node: &Node) -> Fallible<ColumnType> {
        let words = super::words(node);
        let name = words.get(2).map_or("", String::as_str);
        ColumnType::parse(name).ok_or_else(|| {
            let message = format!("unknown type `{name}`");
            self.error_help(
                codes::UNKNOWN_TYPE,
                span(node),
                message,
                "types are bool, datetime, decimal, dynamic, guid, int, long, real, string, timespan",
            )
        })
    }

    pub(super) fn built_in(
        &mut self,
        function: &'static Function,
        exprs: Vec<Expr>,
        nodes: &[Node],
        at: Span,
    ) -> Fallible<Expr> {
        // What is dynamic already is not read again.
        if function.meaning == Meaning::Call(ScalarFn::ParseJson)
            && let [only] = exprs.as_slice()
            && only.ty == ColumnType::Dynamic
        {
            return Ok(Expr {
                span: at,
                ..only.clone()
            });
        }
        for signature in signatures::of(function) {
            let has_type = nodes.last().is_some_and(|n| n.kind() == Kind::TypeOf);
            let is_choice = function.meaning == Meaning::Call(ScalarFn::Iff);
            if !accepts(signature, &exprs, has_type)
                || (signature.gives == Gives::Common && !is_choice && !are_alike(&exprs))
            {
                continue;
            }
            let (args, gives) = self.converted(signature, exprs, at)?;
            return self.finished(function, args, gives, at);
        }
        Err(self.bad_arguments(function, &exprs, at))
    }

    fn finished(
        &mut self,
        function: &'static Function,
        args: Vec<Expr>,
        gives: ColumnType,
        at: Span,
    ) -> Fallible<Expr> {
        let first_text = match args.first().and_then(Expr::as_literal) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        if let Meaning::Call(scalar) = function.meaning {
            if let Some(known) = functions::WITHOUT_DATA.iter().find(|f| **f == scalar) {
                self.without_data.insert(known.as_str());
            }
            if let Some([(_, ty), ..]) = functions::tuple(scalar) {
                let tuple = made(function, args, gives, at);
                return Ok(element(tuple, 0, *ty, at));
            }
        }
        if let Meaning::Call(scalar) = function.meaning {
            self.check_arguments(function, scalar, &args, at)?;
        }
        match (function.meaning, first_text) {
            (Meaning::Call(ScalarFn::RangeArray), _) if args.len() == 2 && steps_in_time(&args) => {
                const HOUR: i64 = 36_000_000_000;
                let hour = Value::TimeSpan(model::Span100ns(HOUR));
                let mut args = args;
                args.push(Expr::literal(hour, at));
                return Ok(made(function, args, gives, at));
            }
            // Of the parts of the calendar only weeks come out as a real: so does the engine.
            (Meaning::Call(ScalarFn::DatetimeDiff), Some(part))
                if part.eq_ignore_ascii_case("week") =>
            {
                return Ok(cast(made(function, args, gives, at), ColumnType::Real));
            }
            _ => {}
        }
        Ok(made(function, args, gives, at))
    }

    /// Remembers an old spelling of a function: what is said about the call names it so.
    pub(super) fn note_spelling(&mut self, function: &'static Function, name: &str, at: Span) {
        match function.synonyms.iter().find(|known| **known == name) {
            Some(written) => self.spellings.insert(at, written),
            // Another text may have had an old spelling at the same place.
            None => self.spellings.remove(&at),
        };
    }

    pub(super) fn bad_arguments(
        &mut self,
        function: &Function,
        exprs: &[Expr],
        at: Span,
    ) -> Broken {
        let name = self.spellings.get(&at).copied().unwrap_or(function.name);
        let types: Vec<&str> = exprs.iter().map(|e| e.ty.as_str()).collect();
        let message = format!("`{name}` does not take ({})", types.join(", "));
        let usage = signatures::usage(function, name);
        let combined = match (name, exprs) {
            ("dcount" | "count_distinct", [_, second]) if second.ty == ColumnType::String => {
                "; combinations of columns are counted with `dcount(strcat(a, \"|\", b))`"
            }
            _ => "",
        };
        self.error_help(
            codes::BAD_ARGUMENTS,
            at,
            message,
            format!("it is called as {usage}{combined}"),
        )
    }

    /// The arguments in the types that the signature wants, and the result's type.
    pub(super) fn converted(
        &mut self,
        signature: &Signature,
        exprs: Vec<Expr>,
        at: Span,
    ) -> Fallible<(Vec<Expr>, ColumnType)> {
        let kinds = expanded(signature, exprs.len()).unwrap_or_default();
        let (widest, common) = shared_types(&exprs, &kinds);
        // Of numbers no `int` comes out, as of their operators.
        let widest = match widest {
            ColumnType::Int => ColumnType::Long,
            wider => wider,
        };
        let mut named = ColumnType::String;
        let mut first = ColumnType::Dynamic;
        let mut args = Vec::with_capacity(exprs.len());
        for (position, (expr, kind)) in exprs.into_iter().zip(kinds).enumerate() {
            let expr = match kind {
                Accepts::TypeName => {
                    named = expr.ty;
                    continue;
                }
                Accepts::Type(ty) => cast(expr, ty),
                Accepts::Text | Accepts::Stringish => cast(expr, ColumnType::String),
                Accepts::Regex => {
                    let expr = cast(expr, ColumnType::String);
                    self.check_regex(&expr)?;
                    expr
                }
                Accepts::Integer => cast(expr, ColumnType::Long),
                Accepts::Number => {
                    let wanted = if signature.gives == Gives::Widest {
                        widest
                    } else {
                        expr.ty
                    };
                    cast(expr, wanted)
                }
                Accepts::Common => cast(expr, common),
                _ => expr,
            };
            if position == 0 {
                first = expr.ty;
            }
            args.push(expr);
        }
        let gives = match signature.gives {
            Gives::Type(ty) => ty,
            Gives::Widest => widest,
            Gives::Common => common,
            Gives::TypeName => named,
            Gives::Promoted if first == ColumnType::Int => ColumnType::Long,
            Gives::Mean if is_integer(first) => ColumnType::Real,
            Gives::First | Gives::Row | Gives::Any | Gives::Promoted | Gives::Mean => first,
        };
        self.count_expressions(args.len(), at)?;
        Ok((args, gives))
    }

    /// `case(condition, value, …, else)`.
    fn case(&mut self, args: &[Node], at: Span, row: Row<'_>) -> Fallible<Expr> {
        let Some(function) = functions::scalar("case") else {
            return Err(Broken);
        };
        let exprs = self.exprs(args, function, row)?;
        let is_condition =
            |position: usize| position.is_multiple_of(2) && position + 1 < exprs.len();
        let values: Vec<ColumnType> = exprs
            .iter()
            .enumerate()
            .filter(|(position, _)| !is_condition(*position))
            .map(|(_, e)| e.ty)
            .collect();
        let conditions_fit = exprs
            .iter()
            .enumerate()
            .filter(|(position, _)| is_condition(*position))
            .all(|(_, e)| e.ty == ColumnType::Bool);
        if exprs.len() < 3 || exprs.len() % 2 == 0 || !conditions_fit {
            return Err(self.bad_arguments(function, &exprs, at));
        }
        let ty = common(&values).unwrap_or(ColumnType::Dynamic);
        let count = exprs.len();
        let args = exprs
            .into_iter()
            .enumerate()
            .map(|(position, e)| {
                let is_condition = position % 2 == 0 && position + 1 < count;
                if is_condition { e } else { cast(e, ty) }
            })
            .collect();
        Ok(call(ScalarFn::Case, args, ty, at))
    }

    fn special(
        &mut self,
        special: Special,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        match special {
            Special::Now | Special::Ago => self.instant(special, function, args, at, row),
            Special::IngestionTime => Ok(stored::read(
                row,
                stored::INGESTED_AT,
                ColumnType::DateTime,
                at,
            )),
            Special::RowId => Ok(stored::read(row, stored::ROW_ID, ColumnType::String, at)),
            Special::ColumnIfExists => self.column_if_exists(function, args, at, row),
            Special::ToScalar => self.one_value(function, args, at),
            Special::PackAll => {
                let pairs: Vec<(String, Expr)> = visible(row, at).collect();
                if pairs.is_empty() {
                    return Ok(Expr::literal(Value::Dynamic("{}".into()), at));
                }
                let bag = self.bag(pairs, at)?;
                let ignores_empty = match args.first() {
                    Some(arg) => self.expr(arg, row)?.as_literal() == Some(&Value::Bool(true)),
                    None => false,
                };
                match bag.kind {
                    ExprKind::Call { args, .. } if ignores_empty => {
                        Ok(call(ScalarFn::PackPresent, args, ColumnType::Dynamic, at))
                    }
                    kind => Ok(Expr { kind, ..bag }),
                }
            }
            Special::Random => self.random(function, args, at, row),
            Special::ColumnNamesOf => self.column_names_of(function, args, at),
            Special::Assert => self.assertion(function, args, at, row),
            Special::BinAuto => self.bin_auto(function, args, at, row),
            Special::BagPackColumns => {
                let mut pairs = Vec::new();
                for arg in args {
                    let expr = self.expr(arg, row)?;
                    pairs.push((plain_name(arg), expr));
                }
                self.bag(pairs, at)
            }
        }
    }

    /// `bin` or `bin_at` with what `set` said.
    fn bin_auto(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let mut exprs = self.exprs(args, function, row)?;
        let [_] = exprs.as_slice() else {
            return Err(self.bad_arguments(function, &exprs, at));
        };
        let Some(size) = self.settings.bin_size.clone() else {
            let message = "the query says no size of bins";
            let help = "begin it with `set query_bin_auto_size = 1h;`";
            return Err(self.error_help(codes::BAD_ARGUMENTS, at, message, help));
        };
        exprs.push(Expr { span: at, ..size });
        let from = self.settings.bin_at.clone();
        exprs.extend(from.map(|from| Expr { span: at, ..from }));
        let name = if exprs.len() == 2 { "bin" } else { "bin_at" };
        let inner = functions::scalar(name).ok_or(Broken)?;
        self.built_in(inner, exprs, args, at)
    }

    /// What nobody can foretell follows from the query's instant and the row's values, so that the
    /// same query over the same rows gives the same.
    fn random(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        self.applied += 1;
        let seed = self
            .now
            .0
            .wrapping_add(i64::try_from(self.applied).unwrap_or(0));
        let mut values = vec![Expr::literal(Value::Long(seed), at)];
        values.extend(visible(row, at).map(|(_, expr)| expr));
        if function.name == "new_guid" {
            return Ok(call(ScalarFn::RandomGuid, values, ColumnType::Guid, at));
        }
        let real = call(ScalarFn::RandomReal, values, ColumnType::Real, at);
        let Some(below) = args.first() else {
            return Ok(real);
        };
        let below = cast(self.expr(below, row)?, ColumnType::Real);
        let product = call(ScalarFn::Multiply, vec![real, below], ColumnType::Real, at);
        // A real all the same: 0.0, 1.0 and so on.
        Ok(cast(cast(product, ColumnType::Long), ColumnType::Real))
    }

    fn column_names_of(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
    ) -> Fallible<Expr> {
        let [arg] = args else {
            return Err(self.bad_arguments(function, &[], at));
        };
        let relation = self.subquery(arg)?;
        let mut json = String::from("[");
        for field in &relation.columns {
            if json.len() > 1 {
                json.push(',');
            }
            super::literals::json_value(&Value::String(field.name.clone()), &mut json);
        }
        json.push(']');
        Ok(Expr::literal(Value::Dynamic(json.into()), at))
    }

    fn bag(&mut self, pairs: Vec<(String, Expr)>, at: Span) -> Fallible<Expr> {
        self.count_expressions(pairs.len() * 2, at)?;
        let args = pairs
            .into_iter()
            .flat_map(|(name, expr)| [Expr::literal(Value::String(name.into()), at), expr])
            .collect();
        Ok(call(ScalarFn::BagPack, args, ColumnType::Dynamic, at))
    }

    fn instant(
        &mut self,
        special: Special,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let now = Expr::literal(Value::DateTime(self.now), at);
        let exprs = self.exprs(args, function, row)?;
        let Some(signature) = signatures::of(function).first() else {
            return Err(Broken);
        };
        if !accepts(signature, &exprs, false) {
            if let [only] = exprs.as_slice()
                && let Some(help) = super::habits::span_wanted(only.ty)
            {
                let message = format!("`{}` does not take ({})", function.name, only.ty);
                return Err(self.error_help(codes::BAD_ARGUMENTS, at, message, help));
            }
            return Err(self.bad_arguments(function, &exprs, at));
        }
        let Some(span) = exprs.into_iter().next() else {
            return Ok(now);
        };
        let function = if special == Special::Ago {
            ScalarFn::Subtract
        } else {
            ScalarFn::Add
        };
        let span = cast(span, ColumnType::TimeSpan);
        Ok(fold(call(
            function,
            vec![now, span],
            ColumnType::DateTime,
            at,
        )))
    }

    fn column_if_exists(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let [name, default] = args else {
            return Err(self.bad_arguments(function, &[], at));
        };
        let name = if let Some(Value::String(name)) = self.expr(name, row)?.as_literal() {
            name.clone()
        } else {
            let message = "the column's name must be a string literal";
            return Err(self.error(codes::NOT_CONSTANT, span(name), message));
        };
        let default = self.expr(default, row)?;
        Ok(match super::scalar::find_column(row, &name) {
            Some(position) => {
                let ty = row.columns.get(position).map_or(default.ty, |f| f.ty);
                super::column(position, ty, at)
            }
            None => default,
        })
    }

    fn one_value(
        &mut self,
        function: &'static Function,
        args: &[Node],
        at: Span,
    ) -> Fallible<Expr> {
        let [arg] = args else {
            return Err(self.bad_arguments(function, &[], at));
        };
        if !self.is_tabular(arg) {
            return self.expr(arg, Row::NONE);
        }
        let relation = self.subquery(arg)?;
        if let Some(value) = one_constant(&relation) {
            return Ok(Expr::literal(value.clone(), at));
        }
        let Some(first) = relation.columns.iter().position(|f| !f.hidden) else {
            if self.awaits_columns() {
                // The tables that it reads are those of the query all the same.
                self.share(relation);
                return Ok(Expr::literal(Value::Null(ColumnType::Dynamic), at));
            }
            return Err(self.error(codes::NOT_A_SCALAR, at, "the table has no column"));
        };
        let field = relation.columns.get(first).cloned().ok_or(Broken)?;
        let ty = field.ty;
        let one = Relation {
            span: relation.span,
            op: Op::Project {
                exprs: vec![super::column(first, ty, at)],
                input: Box::new(relation),
            },
            columns: vec![field],
        };
        let first_row = Relation {
            span: one.span,
            columns: one.columns.clone(),
            op: Op::Take {
                input: Box::new(one),
                rows: 1,
            },
        };
        let shared = self.share(first_row);
        Ok(Expr {
            kind: ExprKind::ToScalar(shared),
            ty,
            span: at,
        })
    }

    // Functions of the query.

    pub(super) fn scalar_function(
        &mut self,
        name: &str,
        lambda: &Node,
        env_len: usize,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Expr> {
        let bound = self.bind_params(name, lambda, None, args, at, row)?;
        let body = self.within(env_len, bound, at, |resolver| {
            let last = resolver.body(lambda)?;
            resolver.expr(&last, Row::NONE)
        })?;
        Ok(Expr { span: at, ..body })
    }

    /// `invoke`: a function of the query with the input as its first argument.
    pub(super) fn applied_function(
        &mut self,
        name: &str,
        lambda: &Node,
        env_len: usize,
        input: Relation,
        args: &[Node],
        at: Span,
    ) -> Fallible<Relation> {
        let bound = self.bind_params(name, lambda, Some(input), args, at, Row::NONE)?;
        self.within(env_len, bound, at, |resolver| {
            let last = resolver.body(lambda)?;
            resolver.table(&last)
        })
    }

    pub(super) fn table_function(
        &mut self,
        name: &str,
        lambda: &Node,
        env_len: usize,
        args: &[Node],
        at: Span,
    ) -> Fallible<Relation> {
        let bound = self.bind_params(name, lambda, None, args, at, Row::NONE)?;
        self.within(env_len, bound, at, |resolver| {
            let last = resolver.body(lambda)?;
            resolver.table(&last)
        })
    }

    /// Runs `inside` with the definitions that the function saw, and its parameters.
    pub(super) fn within<T>(
        &mut self,
        env_len: usize,
        bound: Vec<(Arc<str>, Rc<Binding>)>,
        at: Span,
        inside: impl FnOnce(&mut Self) -> Fallible<T>,
    ) -> Fallible<T> {
        // LIMIT: functions inlined in each other count as nesting.
        if self.calls >= limits::QUERY_DEPTH_MAX / 4 {
            let message = format!(
                "functions call each other more than {} levels deep",
                limits::QUERY_DEPTH_MAX / 4
            );
            return Err(self.error(codes::TOO_DEEP, at, message));
        }
        self.calls += 1;
        let tail = self.env.split_off(env_len.min(self.env.len()));
        self.env.extend(bound);
        let known = self.later.len();
        self.later.extend(tail);
        let result = inside(self);
        self.env.truncate(env_len);
        self.env.extend(self.later.drain(known..));
        self.calls -= 1;
        result
    }

    /// Takes the definitions of a function's body and gives its last expression.
    pub(super) fn body(&mut self, lambda: &Node) -> Fallible<Node> {
        let Some(body) = child(lambda, Kind::Body) else {
            return Err(Broken);
        };
        let mut last = None;
        for statement in body.children() {
            match statement.kind() {
                Kind::Let => self.let_statement(&statement),
                Kind::Query => last = statement.children().next(),
                _ => {}
            }
        }
        last.ok_or_else(|| self.error(codes::EXPECTED, span(&body), "the function has no result"))
    }

    fn bind_params(
        &mut self,
        name: &str,
        lambda: &Node,
        mut first: Option<Relation>,
        args: &[Node],
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Vec<(Arc<str>, Rc<Binding>)>> {
        let params: Vec<Node> = child(lambda, Kind::Params)
            .map(|p| p.children().collect())
            .unwrap_or_default();
        if args.len() + usize::from(first.is_some()) > params.len() {
            let message = format!(
                "`{name}` takes {} arguments, not {}",
                params.len(),
                args.len()
            );
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        }
        let mut bound = Vec::new();
        let mut positional = args.iter().filter(|a| a.kind() != Kind::Named);
        for param in &params {
            let Some(param_name) = param.children().next().map(|n| plain_name(&n)) else {
                return Err(Broken);
            };
            if let Some(relation) = first.take() {
                let Some(columns) = child(param, Kind::ColumnDecls) else {
                    let message = format!("the first parameter of `{name}` is no table");
                    return Err(self.error(codes::BAD_ARGUMENTS, at, message));
                };
                let relation = self.as_declared(relation, &columns, at)?;
                self.warn_undeclared(lambda, &relation, &columns);
                let binding = self.table_binding(relation, self.pipeline);
                bound.push((param_name.as_str().into(), Rc::new(binding)));
                continue;
            }
            let named = args
                .iter()
                .filter(|a| a.kind() == Kind::Named)
                .find(|a| {
                    a.children()
                        .next()
                        .is_some_and(|n| plain_name(&n) == param_name)
                })
                .and_then(|a| a.children().nth(1));
            let arg = named.or_else(|| positional.next().cloned());
            let binding = self.bind_param(name, &param_name, param, arg, at, row)?;
            if let (Binding::Table { relation, .. }, Some(columns)) =
                (&binding, child(param, Kind::ColumnDecls))
            {
                self.warn_undeclared(lambda, relation, &columns);
            }
            bound.push((param_name.as_str().into(), Rc::new(binding)));
        }
        Ok(bound)
    }

    fn bind_param(
        &mut self,
        name: &str,
        param_name: &str,
        param: &Node,
        arg: Option<Node>,
        at: Span,
        row: Row<'_>,
    ) -> Fallible<Binding> {
        let missing = format!("`{name}` wants its argument `{param_name}`");
        if let Some(columns) = child(param, Kind::ColumnDecls) {
            let Some(arg) = arg else {
                return Err(self.error(codes::BAD_ARGUMENTS, at, missing));
            };
            let before = self.spelled_out();
            let relation = self.table(&arg)?;
            let relation = self.as_declared(relation, &columns, span(&arg))?;
            return Ok(self.table_binding(relation, before));
        }
        let expr = match arg {
            Some(arg) => self.expr(&arg, row)?,
            None => match param.children().nth(1) {
                Some(default) => self.expr(&default, Row::NONE)?,
                None => return Err(self.error(codes::BAD_ARGUMENTS, at, missing)),
            },
        };
        let type_name = super::words(param).get(1).cloned().unwrap_or_default();
        let Some(ty) = ColumnType::parse(&type_name) else {
            let message = format!("unknown type `{type_name}`");
            let help = match type_name.to_ascii_lowercase().as_str() {
                "integer" | "int32" | "number" => "whole numbers are `long`, small ones `int`",
                "text" | "varchar" | "str" => "texts are `string`",
                _ => {
                    "types are bool, datetime, decimal, dynamic, guid, int, long, real, string, timespan"
                }
            };
            return Err(self.error_help(codes::UNKNOWN_TYPE, span(param), message, help));
        };
        // A number becomes whatever number is declared.
        let is_converted = is_number(expr.ty) && is_number(ty);
        if !fits(expr.ty, ty) && !is_converted {
            let message = format!(
                "`{param_name}` of `{name}` is a `{ty}`, not a `{}`",
                expr.ty
            );
            return Err(self.error(codes::BAD_ARGUMENTS, expr.span, message));
        }
        self.scalar_binding(cast(expr, ty), Some(self.row_depth))
    }

    /// A table argument, which has at least the columns that the parameter declares.
    fn as_declared(&mut self, relation: Relation, decls: &Node, at: Span) -> Fallible<Relation> {
        let wanted = self.declared_columns(decls)?;
        if super::words(decls).iter().any(|w| w == "*") {
            return Ok(relation);
        }
        for (name, ty) in wanted {
            let row = Row {
                columns: &relation.columns,
            };
            let found = super::scalar::find_column(row, &name);
            let Some(field) = found.and_then(|position| row.columns.get(position)) else {
                return Err(self.unknown_name(&name, at, row));
            };
            if field.ty != ty {
                let message = format!(
                    "column `{name}` is a `{}`, and a `{ty}` is wanted",
                    field.ty
                );
                return Err(self.error(codes::BAD_ARGUMENTS, at, message));
            }
        }
        Ok(relation)
    }
}

/// The first value of a table that is one row of constants: `print 3`.
fn one_constant(relation: &Relation) -> Option<&Value> {
    let Op::Project { input, exprs } = &relation.op else {
        return None;
    };
    match &input.op {
        Op::Values { rows } if rows.len() == 1 => exprs.first()?.as_literal(),
        _ => None,
    }
}

/// One value of a function that gives several.
pub(super) fn element(tuple: Expr, position: i64, ty: ColumnType, at: Span) -> Expr {
    let path = Expr {
        kind: ExprKind::Path {
            base: Box::new(tuple),
            key: crate::resolved::PathKey::Index(position),
        },
        ty: ColumnType::Dynamic,
        span: at,
    };
    cast(path, ty)
}

/// The function of several columns that `node` calls.
pub(super) fn tuple_call(node: &Node) -> Option<&'static [(&'static str, ColumnType)]> {
    if node.kind() != Kind::Call {
        return None;
    }
    match functions::scalar(&call_name(node))?.meaning {
        Meaning::Call(function) => functions::tuple(function),
        _ => None,
    }
}

/// The arguments of a call.
pub(super) fn arguments(node: &Node) -> Vec<Node> {
    child(node, Kind::Args)
        .map(|args| args.children().collect())
        .unwrap_or_default()
}

/// The visible columns of a row as named expressions.
pub(super) fn visible(row: Row<'_>, at: Span) -> impl Iterator<Item = (String, Expr)> {
    row.columns
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.hidden)
        .map(move |(position, f)| (f.name.to_string(), super::column(position, f.ty, at)))
}

fn made(function: &Function, mut args: Vec<Expr>, ty: ColumnType, at: Span) -> Expr {
    match function.meaning {
        Meaning::Cast(to) if args.len() == 1 => Expr {
            span: at,
            ..cast(args.remove(0), to)
        },
        Meaning::Call(function) => call(function, args, ty, at),
        // The other meanings never come here.
        _ => Expr::literal(Value::missing(ty), at),
    }
}

/// Whether a `range` without a step goes on by the hour.
fn steps_in_time(args: &[Expr]) -> bool {
    let is_time = |e: &Expr| matches!(e.ty, ColumnType::DateTime | ColumnType::TimeSpan);
    args.iter().all(is_time)
}

/// Whether values have one type that all of them become.
fn are_alike(exprs: &[Expr]) -> bool {
    let types: Vec<ColumnType> = exprs.iter().map(|e| e.ty).collect();
    common(&types).is_some()
}

/// The widest of the `number` arguments and the common type of the `common` ones.
fn shared_types(exprs: &[Expr], kinds: &[Accepts]) -> (ColumnType, ColumnType) {
    let of = |wanted: Accepts| {
        let pairs = exprs.iter().zip(kinds);
        pairs
            .filter(move |(_, kind)| **kind == wanted)
            .map(|(e, _)| e.ty)
    };
    let widest = of(Accepts::Number).reduce(|a, b| wider(a, b).unwrap_or(a));
    let commons: Vec<ColumnType> = of(Accepts::Common).collect();
    let common = common(&commons).unwrap_or(ColumnType::Dynamic);
    (widest.unwrap_or(ColumnType::Real), common)
}

/// One kind per argument, repetitions spelled out; `None` if the number does not fit.
fn expanded(signature: &Signature, count: usize) -> Option<Vec<Accepts>> {
    let mut kinds = Vec::with_capacity(count);
    for (position, (kind, times)) in signature.params.iter().enumerate() {
        let needed_after = signature
            .params
            .iter()
            .skip(position + 1)
            .filter(|(_, times)| matches!(times, Times::Once | Times::OnceOrMore))
            .count();
        let room = count.saturating_sub(kinds.len() + needed_after);
        let take = match times {
            Times::Once => 1,
            Times::Maybe => room.min(1),
            Times::Many => room,
            Times::OnceOrMore => room.max(1),
        };
        kinds.extend(std::iter::repeat_n(*kind, take));
    }
    (kinds.len() == count).then_some(kinds)
}

pub(super) fn accepts(signature: &Signature, exprs: &[Expr], has_type: bool) -> bool {
    let wants_type = signature
        .params
        .iter()
        .any(|(kind, _)| *kind == Accepts::TypeName);
    let Some(kinds) = expanded(signature, exprs.len()) else {
        return false;
    };
    wants_type == has_type
        && exprs
            .iter()
            .zip(kinds)
            .all(|(e, kind)| accepts_one(kind, e.ty))
}

fn accepts_one(kind: Accepts, ty: ColumnType) -> bool {
    use ColumnType::{DateTime, Dynamic, String, TimeSpan};
    match kind {
        Accepts::Any | Accepts::Text | Accepts::Common | Accepts::TypeName => true,
        Accepts::Stringish | Accepts::Regex => matches!(ty, String | Dynamic),
        Accepts::Type(wanted) => fits(ty, wanted),
        Accepts::Integer => is_integer(ty) || ty == Dynamic,
        Accepts::Number => is_number(ty),
        Accepts::Summable => is_number(ty) || matches!(ty, DateTime | TimeSpan),
        Accepts::Orderable | Accepts::NotDynamic => ty != Dynamic,
        Accepts::Array => ty == Dynamic,
        Accepts::Table => false,
    }
}

/// Whether a value of type `ty` may stand where `wanted` is declared.
fn fits(ty: ColumnType, wanted: ColumnType) -> bool {
    ty == wanted
        || (ty == ColumnType::Dynamic && wanted != ColumnType::Bool)
        || wider(ty, wanted) == Some(wanted)
        || (is_integer(ty) && is_integer(wanted))
        || (ty == ColumnType::Decimal && wanted == ColumnType::Real)
}

/// Whether the node is part of what a `let` gives this name.
fn is_inside_of(node: &Node, name: &str) -> bool {
    let mut above = node.parent();
    while let Some(at) = above {
        let own = at.children().next().filter(|_| at.kind() == Kind::Let);
        if own.is_some_and(|own| own.text() == name) {
            return true;
        }
        above = at.parent();
    }
    false
}
