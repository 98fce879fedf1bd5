//! `evaluate`: plugins. Each is spelled out in other operators.
//!
//! The columns of `bag_unpack` and `pivot` stand in the data: their input is a shared relation, and
//! a [`Probe`] says what to look for in it. Without what was found (or for what was not), a name
//! that is no column is a property of a hidden bag, and null.

use std::sync::Arc;

use model::{ColumnType, Span};

use super::aggregate::Collector;
use super::carry::{self, bag_name, hidden};
use super::columns::{identity, projected};
use super::names::Taken;
use super::operations::call;
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, call_name, child, column, items, plain_name, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{
    BagExpansion, Expanded, Expr, ExprKind, Field, Found, Op, Probe, ProbeKind, Relation, SharedId,
    Value, WindowFn,
};
use crate::syntax::{Kind, Node, span};

/// One row per plugin that works: name and what it does.
pub const PLUGINS: &[(&str, &str)] = &[
    (
        "active_users_count",
        "ids seen in enough periods before, per bin of time",
    ),
    (
        "activity_counts_metrics",
        "counts, distinct ids, new ids and all ids so far, per window",
    ),
    (
        "activity_engagement",
        "distinct ids of a window beside those of a longer one",
    ),
    (
        "activity_metrics",
        "distinct ids, new ids, and the share that came back, per window",
    ),
    ("bag_unpack", "the keys of a bag as columns"),
    (
        "dcount_intersect",
        "distinct values that several sketches have in common",
    ),
    (
        "geo_line_lookup",
        "rows extended by the lines that their place is near",
    ),
    (
        "geo_polygon_lookup",
        "rows extended by the polygons that have their place",
    ),
    (
        "ipv4_lookup",
        "rows extended by the network that their address is in",
    ),
    (
        "ipv6_lookup",
        "rows extended by the IPv6 network that their address is in",
    ),
    ("narrow", "one row per value"),
    (
        "new_activity_metrics",
        "ids first seen in a window, and how many stay in later ones",
    ),
    ("pivot", "the values of a column as columns"),
    ("preview", "the first rows"),
    ("rolling_percentile", "a percentile over a window of bins"),
    ("rows_near", "the rows around those that meet a condition"),
    ("session_count", "sessions that begin in each bin of time"),
    (
        "sliding_window_counts",
        "counts and distinct ids over a window that slides",
    ),
];

impl Resolver<'_> {
    pub(super) fn evaluate(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let Some(plugin) = items(node).find(|c| c.kind() == Kind::Call) else {
            return Err(self.error(
                codes::EXPECTED,
                at,
                "expected a plugin's name and arguments",
            ));
        };
        let name = call_name(&plugin);
        let args = super::calls::arguments(&plugin);
        self.count_relations(8, at)?;
        if let Some(done) = self.template(&input, &name, &args, at) {
            return done;
        }
        match name.as_str() {
            "bag_unpack" => self.bag_unpack(input, &args, child(node, Kind::ColumnDecls), at),
            "pivot" => {
                let schema = child(node, Kind::ColumnDecls);
                let schema = match &schema {
                    Some(schema) => Some(self.declared_columns(schema)?),
                    None => None,
                };
                self.pivot(input, &args, schema, at)
            }
            "narrow" => Ok(narrow(input, at)),
            "geo_line_lookup" | "geo_polygon_lookup" | "ipv4_lookup" | "ipv6_lookup" => {
                self.lookup_plugin(&name, input, &args, at)
            }
            "preview" => {
                if args.is_empty() {
                    let message = "`preview` wants a number of rows";
                    return Err(self.error(codes::BAD_ARGUMENTS, at, message));
                }
                let rows = self.rows(args.first().cloned())?;
                Ok(Relation {
                    columns: input.columns.clone(),
                    op: Op::Take {
                        input: Box::new(input),
                        rows,
                    },
                    span: at,
                })
            }
            _ => {
                let known: Vec<&str> = PLUGINS.iter().map(|(name, _)| *name).collect();
                let place = span(&plugin);
                let help = match crate::suggest::similar(&name, known.iter().copied()) {
                    Some(similar) => format!("a plugin with a similar name exists: `{similar}`"),
                    None => format!("plugins are {}", known.join(", ")),
                };
                let message = format!("the plugin `{name}` is not supported");
                Err(self.error_help(codes::FUNCTION_NOT_YET, place, message, help))
            }
        }
    }

    /// Registers a probe; gives what an earlier run found.
    fn probe(&mut self, shared: SharedId, column: usize, wanted: ProbeKind) -> Option<Found> {
        self.probes.push(Probe {
            shared,
            column,
            wanted,
        });
        self.found.get(self.probes.len() - 1).cloned()
    }

    /// The position of a column that an argument names.
    pub(super) fn column_argument(
        &mut self,
        arg: Option<&Node>,
        input: &Relation,
        at: Span,
    ) -> Fallible<usize> {
        let row = Row {
            columns: &input.columns,
        };
        let Some(arg) = arg else {
            return Err(self.error(codes::BAD_ARGUMENTS, at, "the plugin wants a column"));
        };
        let expr = self.expr(arg, row)?;
        match expr.kind {
            ExprKind::Column(position) => Ok(position),
            _ => Err(self.error(codes::EXPECTED, span(arg), "expected a column's name")),
        }
    }

    /// The position of the bag; a key of a bag unpacked before becomes a column for it.
    fn bag_argument(
        &mut self,
        arg: Option<&Node>,
        input: Relation,
        at: Span,
    ) -> Fallible<(Relation, usize)> {
        if let Some(arg) = arg.filter(|a| matches!(a.kind(), Kind::Name | Kind::BracketName)) {
            let row = Row {
                columns: &input.columns,
            };
            let expr = self.expr(arg, row)?;
            if self.open_spans.contains(&expr.span) && expr.ty == ColumnType::Dynamic {
                let width = input.columns.len();
                let mut exprs = identity(&input, at);
                let mut columns = input.columns.clone();
                columns.push(Field::new(plain_name(arg), ColumnType::Dynamic));
                exprs.push(expr);
                return Ok((projected(input, exprs, columns, at), width));
            }
        }
        let position = self.column_argument(arg, &input, at)?;
        Ok((input, position))
    }

    fn bag_unpack(
        &mut self,
        input: Relation,
        args: &[Node],
        schema: Option<Node>,
        at: Span,
    ) -> Fallible<Relation> {
        let (input, bag) = self.bag_argument(args.first(), input, at)?;
        let field = input.columns.get(bag).cloned().ok_or(Broken)?;
        if field.ty != ColumnType::Dynamic {
            let message = format!(
                "`bag_unpack` wants a dynamic column, and this is of type `{}`",
                field.ty
            );
            let help = "read text as JSON with `parse_json(…)`";
            return Err(self.error_help(codes::NOT_DYNAMIC, at, message, help));
        }
        let options = self.unpack_options(args)?;
        if let Some(schema) = schema {
            return self.unpack_declared(input, bag, &options, &schema, at);
        }
        let shared = self.shared_relation(input, at);
        let Op::Shared(id) = shared.op else {
            return Err(Broken);
        };
        let found = self.probe(id, bag, ProbeKind::Keys).unwrap_or_default();
        if options.conflict == Conflict::Refuse {
            self.refuse_conflict(&shared, bag, &found, &options, at)?;
        }
        self.applied += 1;
        let number = self.applied;
        Ok(unpacked(shared, bag, &found, &options, number, at))
    }

    fn unpack_options(&mut self, args: &[Node]) -> Fallible<UnpackOptions> {
        let mut options = UnpackOptions {
            prefix: String::new(),
            ignored: Vec::new(),
            conflict: Conflict::Refuse,
        };
        for (position, arg) in args.iter().enumerate().skip(1) {
            let (name, value) = if arg.kind() == Kind::Named {
                let mut parts = arg.children();
                let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                    return Err(Broken);
                };
                (plain_name(&name), value)
            } else {
                let name = UNPACK_OPTIONS.get(position).copied().unwrap_or_default();
                (name.to_owned(), arg.clone())
            };
            let expr = self.expr(&value, Row::NONE)?;
            match (name.as_str(), expr.as_literal()) {
                ("OutputColumnPrefix", Some(Value::String(text))) => {
                    options.prefix = text.to_string();
                }
                ("columnsConflict", Some(Value::String(text))) => {
                    options.conflict = match &**text {
                        "error" => Conflict::Refuse,
                        "replace_source" => Conflict::ReplaceSource,
                        "keep_source" => Conflict::KeepSource,
                        _ => {
                            let message = format!("unknown way out of a conflict `{text}`");
                            let help = "ways are `error`, `replace_source`, `keep_source`";
                            let place = span(&value);
                            let code = codes::UNKNOWN_OPTION;
                            return Err(self.error_help(code, place, message, help));
                        }
                    };
                }
                ("ignoredProperties", Some(Value::Dynamic(json))) => {
                    options.ignored = super::literals::strings_of_array(json);
                }
                _ => {
                    let message = "this argument of `bag_unpack` must be a literal";
                    return Err(self.error(codes::NOT_CONSTANT, span(&value), message));
                }
            }
        }
        Ok(options)
    }

    /// A key named like a column that is there would leave one of the two without its values.
    fn refuse_conflict(
        &mut self,
        shared: &Relation,
        bag: usize,
        found: &Found,
        options: &UnpackOptions,
        at: Span,
    ) -> Fallible<()> {
        let all = shared.columns.iter().enumerate();
        let others: Vec<_> = all.filter(|(p, f)| *p != bag && !f.hidden).collect();
        let clash = found.iter().find_map(|(key, _)| {
            let name = format!("{}{key}", options.prefix);
            let is_taken = others.iter().any(|(_, f)| *f.name == *name);
            (is_taken && !options.ignored.iter().any(|i| **i == **key)).then_some(name)
        });
        let Some(name) = clash else { return Ok(()) };
        Err(self.error_help(
            codes::DUPLICATE_COLUMN,
            at,
            format!("a bag has the key `{name}`, and so is a column called"),
            "say which stays with `columnsConflict='replace_source'` or `'keep_source'`, or give the new columns a prefix",
        ))
    }

    /// `bag_unpack(bag): (name: type, …)`: exactly these columns; `*` stands for the others.
    fn unpack_declared(
        &mut self,
        input: Relation,
        bag: usize,
        options: &UnpackOptions,
        schema: &Node,
        at: Span,
    ) -> Fallible<Relation> {
        let wanted = self.declared_columns(schema)?;
        let keeps_others = words(schema).iter().any(|w| w == "*");
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for (position, field) in input.columns.iter().enumerate() {
            let named = wanted.iter().any(|(name, _)| **name == *field.name);
            if position != bag && (field.hidden || (keeps_others && !named)) {
                exprs.push(column(position, field.ty, at));
                columns.push(field.clone());
            }
        }
        for (name, ty) in wanted {
            let existing = input
                .columns
                .iter()
                .position(|f| !f.hidden && *f.name == *name)
                .filter(|p| *p != bag);
            let key = name.strip_prefix(&*options.prefix).unwrap_or(&name);
            let property = cast(carry::property(bag, key, at), ty);
            let expr = match existing.and_then(|p| Some((p, input.columns.get(p)?.ty))) {
                Some((position, from)) => {
                    let source = cast(column(position, from, at), ty);
                    if options.conflict == Conflict::KeepSource {
                        source
                    } else {
                        call(ScalarFn::Coalesce, vec![property, source], ty, at)
                    }
                }
                None => property,
            };
            exprs.push(expr);
            columns.push(Field::new(name.as_str(), ty));
        }
        Ok(projected(input, exprs, columns, at))
    }

    /// `pivot(column, aggregate, keys…)`: one column per value. The columns may be declared, and must
    /// then be those that come out.
    fn pivot(
        &mut self,
        input: Relation,
        args: &[Node],
        schema: Option<Vec<(String, ColumnType)>>,
        at: Span,
    ) -> Fallible<Relation> {
        let pivot = self.column_argument(args.first(), &input, at)?;
        let field = input.columns.get(pivot).cloned().ok_or(Broken)?;
        let key = cast(column(pivot, field.ty, at), ColumnType::String);
        let mut exprs = identity(&input, at);
        let mut columns = input.columns.clone();
        exprs.push(key);
        columns.push(hidden("$p", ColumnType::String));
        let text_at = input.columns.len();
        let keyed = projected(input, exprs, columns, at);
        let shared = self.shared_relation(keyed, at);
        let Op::Shared(id) = shared.op else {
            return Err(Broken);
        };
        let known = self.probe(id, text_at, ProbeKind::Values);
        let is_known = known.is_some();
        let values = known.unwrap_or_default();
        let mut by = Vec::new();
        let mut used = std::collections::BTreeSet::from([pivot]);
        if let Some(aggregate) = args.get(1) {
            for node in aggregate.descendants() {
                let name = plain_name(&node);
                used.extend(shared.columns.iter().position(|f| *f.name == *name));
            }
        }
        if args.len() > 2 {
            for arg in args.iter().skip(2) {
                by.push(self.column_argument(Some(arg), &shared, at)?);
            }
        } else {
            let others = shared.columns.iter().enumerate();
            by.extend(
                others
                    .filter(|(p, f)| !f.hidden && !used.contains(p))
                    .map(|(p, _)| p),
            );
        }
        let made = self.pivoted(shared, &by, args.get(1), text_at, &values, at)?;
        match schema {
            Some(schema) => self.pivoted_as(made, &schema, is_known, at),
            None => Ok(made),
        }
    }

    /// The declared columns of those that came out, and no other. What comes out is not known at
    /// first; the declaration is believed until then.
    fn pivoted_as(
        &mut self,
        made: Relation,
        schema: &[(String, ColumnType)],
        is_known: bool,
        at: Span,
    ) -> Fallible<Relation> {
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut absent = None;
        for (name, ty) in schema {
            let is_same = |f: &Field| !f.hidden && *f.name == **name && f.ty == *ty;
            let position = made.columns.iter().position(is_same);
            exprs.push(match position {
                Some(position) => column(position, *ty, at),
                None => super::aggregate::missing(*ty, at),
            });
            if position.is_none() {
                absent = absent.or(Some(format!("no column `{name}: {ty}` comes out")));
            }
            columns.push(Field::new(name.as_str(), *ty));
        }
        let count = made.columns.iter().filter(|f| !f.hidden).count();
        if count != schema.len() {
            absent = absent.or(Some(format!("{count} columns come out")));
        }
        // What the values are called is the data's: a message does not tell it.
        match absent.filter(|_| is_known) {
            Some(why) => Err(self.error_help(
                codes::TYPE_MISMATCH,
                at,
                format!("`pivot` does not give the columns that are declared: {why}"),
                "declare the keys and every value that occurs, or leave the declaration out",
            )),
            None => Ok(projected(made, exprs, columns, at)),
        }
    }

    fn pivoted(
        &mut self,
        shared: Relation,
        by: &[usize],
        aggregate: Option<&Node>,
        text_at: usize,
        values: &Found,
        at: Span,
    ) -> Fallible<Relation> {
        let mut collector = Collector::new(&shared.columns, by.len());
        match aggregate {
            Some(node) => {
                let made = self.aggregate_item(node, &mut collector, &[])?;
                if made.len() != 1 || collector.len() != 1 {
                    let message = "`pivot` wants one aggregate";
                    return Err(self.error(codes::BAD_ARGUMENTS, span(node), message));
                }
            }
            None => collector.add_count(at),
        }
        let keys: Vec<Expr> = by
            .iter()
            .filter_map(|p| Some(column(*p, shared.columns.get(*p)?.ty, at)))
            .collect();
        let mut taken = Taken::default();
        let mut columns: Vec<Field> = by
            .iter()
            .filter_map(|p| shared.columns.get(*p).cloned())
            .collect();
        for field in &columns {
            taken.take(&field.name);
        }
        let only = |value: &Arc<str>| {
            let text = column(text_at, ColumnType::String, at);
            let literal = Expr::literal(Value::String(value.clone()), at);
            call(ScalarFn::Equal, vec![text, literal], ColumnType::Bool, at)
        };
        let ty = collector.repeat(values.iter().map(|(value, _)| only(value)), at);
        for (value, _) in values {
            columns.push(Field::new(taken.unique(value), ty));
        }
        let summary = collector.summary(shared, keys, at);
        let summary = Relation {
            columns: columns.clone(),
            ..summary
        };
        // Names that turned out to be no value are null, not unknown.
        self.applied += 1;
        let mut exprs = identity(&summary, at);
        exprs.push(Expr::literal(Value::Null(ColumnType::Dynamic), at));
        columns.push(hidden(&bag_name(self.applied, ""), ColumnType::Dynamic));
        Ok(projected(summary, exprs, columns, at))
    }
}

/// The arguments of `bag_unpack` by position.
const UNPACK_OPTIONS: &[&str] = &[
    "",
    "OutputColumnPrefix",
    "columnsConflict",
    "ignoredProperties",
];

/// What `bag_unpack` was told.
struct UnpackOptions {
    prefix: String,
    ignored: Vec<String>,
    conflict: Conflict,
}

/// What becomes of a key named like a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conflict {
    Refuse,
    ReplaceSource,
    KeepSource,
}

/// The columns but the bag, then those found in it; the bag stays, hidden.
fn unpacked(
    shared: Relation,
    bag: usize,
    found: &Found,
    options: &UnpackOptions,
    number: usize,
    at: Span,
) -> Relation {
    let mut exprs: Vec<Option<Expr>> = Vec::new();
    let mut columns = Vec::new();
    for (position, field) in shared.columns.iter().enumerate() {
        // The bag's place is kept for a property of the same name.
        let expr = (position != bag).then(|| column(position, field.ty, at));
        exprs.push(expr);
        columns.push(field.clone());
    }
    for (key, ty) in found {
        if options.ignored.iter().any(|i| **i == **key) {
            continue;
        }
        let name = format!("{}{key}", options.prefix);
        let expr = cast(carry::property(bag, key, at), *ty);
        let existing = columns.iter().position(|f| !f.hidden && *f.name == *name);
        let slot = existing.and_then(|p| Some((p, exprs.get_mut(p)?, columns.get_mut(p)?)));
        if let Some((position, slot, field)) = slot {
            if position == bag || options.conflict != Conflict::KeepSource {
                *slot = Some(expr);
                field.ty = *ty;
            }
        } else {
            exprs.push(Some(expr));
            columns.push(Field::new(name, *ty));
        }
    }
    let (mut kept, mut fields): (Vec<Expr>, Vec<Field>) = exprs
        .into_iter()
        .zip(columns)
        .filter_map(|(expr, field)| Some((expr?, field)))
        .unzip();
    kept.push(column(bag, ColumnType::Dynamic, at));
    fields.push(hidden(
        &bag_name(number, &options.prefix),
        ColumnType::Dynamic,
    ));
    projected(shared, kept, fields, at)
}

/// One row per value: its row's number from 0, its column's name, the value as text.
fn narrow(input: Relation, at: Span) -> Relation {
    let zero = Expr::literal(Value::Long(0), at);
    let no = Expr::literal(Value::Bool(false), at);
    let width = input.columns.len();
    let visible: Vec<(usize, Field)> = input
        .columns
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.hidden)
        .map(|(p, f)| (p, f.clone()))
        .collect();
    let number = hidden("$i", ColumnType::Long);
    let numbered = carry::windowed(input, WindowFn::RowNumber, vec![zero, no], number, at);
    let pairs = visible
        .iter()
        .map(|(p, f)| {
            let name = Expr::literal(Value::String(f.name.clone()), at);
            let value = cast(column(*p, f.ty, at), ColumnType::String);
            call(
                ScalarFn::PackArray,
                vec![name, value],
                ColumnType::Dynamic,
                at,
            )
        })
        .collect();
    let packed = projected(
        numbered,
        vec![
            column(width, ColumnType::Long, at),
            call(ScalarFn::PackArray, pairs, ColumnType::Dynamic, at),
        ],
        vec![
            Field::new("Row", ColumnType::Long),
            Field::new("pair", ColumnType::Dynamic),
        ],
        at,
    );
    let expanded = Relation {
        columns: packed.columns.clone(),
        op: Op::MvExpand {
            input: Box::new(packed),
            columns: vec![Expanded {
                column: 1,
                to: ColumnType::Dynamic,
            }],
            bags: BagExpansion::Bag,
            item_index: false,
            rows_max: None,
        },
        span: at,
    };
    let part = |position: i64| {
        let path = Expr {
            kind: ExprKind::Path {
                base: Box::new(column(1, ColumnType::Dynamic, at)),
                key: crate::resolved::PathKey::Index(position),
            },
            ty: ColumnType::Dynamic,
            span: at,
        };
        cast(path, ColumnType::String)
    };
    projected(
        expanded,
        vec![column(0, ColumnType::Long, at), part(0), part(1)],
        vec![
            Field::new("Row", ColumnType::Long),
            Field::new("Column", ColumnType::String),
            Field::new("Value", ColumnType::String),
        ],
        at,
    )
}
