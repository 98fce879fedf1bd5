//! Plugins that extend rows by those of another table: `ipv4_lookup`, `ipv6_lookup`,
//! `geo_line_lookup` and `geo_polygon_lookup`.
//!
//! The other table is computed once; for each row, the numbers of the rows that fit are found
//! ([`ExprKind::LookedUp`]), one row is made for each, and the rest is a join by number.

use model::{ColumnType, Span};

use super::carry::{self, hidden};
use super::columns::{identity, projected};
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, call_name, column, plain_name};
use crate::codes;
use crate::resolved::{
    BagExpansion, Expanded, Expr, ExprKind, Field, JoinKind, LookupBy, Op, Relation, Value,
    WindowFn,
};
use crate::syntax::{Kind, Node, span};

/// What is looked up, and what becomes of it.
struct Lookup {
    by: LookupBy,
    keys: Vec<Expr>,
    returns_unmatched: bool,
    /// A column of the other table that is left out.
    without: Option<usize>,
}

/// What a plugin of places was told beside tables and columns.
#[derive(Default)]
struct Options {
    radius: Option<Node>,
    returns_unmatched: bool,
    returns_key: bool,
}

impl Resolver<'_> {
    /// One of the plugins, by its name.
    pub(super) fn lookup_plugin(
        &mut self,
        name: &str,
        input: Relation,
        args: &[Node],
        at: Span,
    ) -> Fallible<Relation> {
        match name {
            "geo_line_lookup" => self.geo_lookup(LookupBy::Line, input, args, at),
            "geo_polygon_lookup" => self.geo_lookup(LookupBy::Polygon, input, args, at),
            "ipv6_lookup" => {
                let width = input.columns.len();
                let found = self.ip_lookup(input, args, at)?;
                Ok(left_last(found, width, at))
            }
            _ => self.ip_lookup(input, args, at),
        }
    }

    /// `geo_polygon_lookup(table, shape, longitude, latitude)`: the rows of the table whose shape has
    /// the place. The shape may stand behind the place, as in older texts.
    fn geo_lookup(
        &mut self,
        by: LookupBy,
        input: Relation,
        args: &[Node],
        at: Span,
    ) -> Fallible<Relation> {
        let plain: Vec<&Node> = args.iter().filter(|a| a.kind() != Kind::Named).collect();
        let [table, a, b, c, extra @ ..] = plain.as_slice() else {
            let message =
                "the plugin wants a table, its column of shapes, a longitude and a latitude";
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        };
        let options = self.geo_options(args, extra)?;
        let right = self.table(table)?;
        let is_shape = |node: &Node| {
            let name = plain_name(node);
            let mut fields = right.columns.iter();
            fields.any(|f| !f.hidden && *f.name == *name && f.ty == ColumnType::Dynamic)
        };
        let (shape, longitude, latitude) = if !is_shape(a) && is_shape(c) {
            (c, a, b)
        } else {
            (a, b, c)
        };
        let shape_at = self.column_argument(Some(shape), &right, at)?;
        if right.columns.get(shape_at).map(|f| f.ty) != Some(ColumnType::Dynamic) {
            let message = "the plugin wants a dynamic column of shapes";
            return Err(self.error(codes::NOT_DYNAMIC, span(shape), message));
        }
        let row = Row {
            columns: &input.columns,
        };
        let mut keys = Vec::new();
        for node in [longitude, latitude] {
            keys.push(cast(self.expr(node, row)?, ColumnType::Real));
        }
        if let Some(radius) = &options.radius {
            let radius = self.expr(radius, Row::NONE)?;
            keys.push(cast(radius, ColumnType::Real));
        } else if by == LookupBy::Line {
            let message = "the plugin wants a radius in metres";
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        }
        let mut before = right.columns.iter().take(shape_at);
        let hidden_before = before.by_ref().filter(|f| f.hidden).count();
        let right = super::without_hidden(right);
        let shape_at = shape_at - hidden_before;
        let right = self.keyed(&right, shape_at, at);
        let how = Lookup {
            by,
            keys,
            returns_unmatched: options.returns_unmatched,
            without: (!options.returns_key).then_some(shape_at),
        };
        looked_up(input, right, how, at)
    }

    /// Options by name; without a name a flag says whether to return what matches nothing, and the
    /// first number is the radius.
    fn geo_options(&mut self, args: &[Node], extra: &[&Node]) -> Fallible<Options> {
        let mut options = Options::default();
        for node in extra {
            match node.text().to_string().trim() {
                "true" => options.returns_unmatched = true,
                "false" => options.returns_unmatched = false,
                _ if options.radius.is_none() => options.radius = Some((*node).clone()),
                // A hint for the service's own join.
                _ => {}
            }
        }
        for named in args.iter().filter(|a| a.kind() == Kind::Named) {
            let Some(value) = named.children().nth(1) else {
                continue;
            };
            let is_true = value.text().to_string().trim() == "true";
            match call_name(named).as_str() {
                "radius" => options.radius = Some(value),
                "return_unmatched" => options.returns_unmatched = is_true,
                "return_lookup_key" => options.returns_key = is_true,
                "join_hint" => {}
                name => {
                    let message = format!("unknown option `{name}`");
                    let help = "options are `radius`, `return_unmatched`, `return_lookup_key`, `join_hint`";
                    return Err(self.error_help(codes::UNKNOWN_OPTION, span(named), message, help));
                }
            }
        }
        Ok(options)
    }

    /// `ipv4_lookup(table, address, network)`: the networks' rows beside those of the addresses.
    fn ip_lookup(&mut self, input: Relation, args: &[Node], at: Span) -> Fallible<Relation> {
        let plain: Vec<&Node> = args.iter().filter(|a| a.kind() != Kind::Named).collect();
        let [table, address, network, extra @ ..] = plain.as_slice() else {
            let message = "the plugin wants a table, a column with addresses and one with networks";
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        };
        let keeps = |node: &Node| node.text().to_string().ends_with("true");
        let named = args
            .iter()
            .find(|a| a.kind() == Kind::Named && call_name(a) == "return_unmatched");
        // The first network that fits is no longer the one if it must have equal columns, too.
        let is_flag = |node: &Node| node.kind() == Kind::Literal;
        if let Some(key) = extra.iter().find(|n| !is_flag(n)) {
            return Err(self.error_help(
                codes::FORM_NOT_YET,
                span(key),
                "the plugin compares no further columns",
                "keep the networks that may fit in the lookup table, or use the plugin on each part of the rows",
            ));
        }
        let returns_unmatched = named.is_some_and(keeps) || extra.last().is_some_and(|n| keeps(n));
        let right = self.table(table)?;
        let row = Row {
            columns: &input.columns,
        };
        let address = self.expr(address, row)?;
        let address = cast(address, ColumnType::String);
        let network_at = self.column_argument(Some(network), &right, at)?;
        let right = super::without_hidden(right);
        let networks = self.keyed(&right, network_at, at);
        let how = Lookup {
            by: LookupBy::Network,
            keys: vec![address],
            returns_unmatched,
            without: None,
        };
        looked_up(input, networks, how, at)
    }

    /// The right side, computed once: its key as text, then a number, then its columns.
    fn keyed(&mut self, right: &Relation, key: usize, at: Span) -> Relation {
        let zero = Expr::literal(Value::Long(0), at);
        let no = Expr::literal(Value::Bool(false), at);
        let width = right.columns.len();
        let number = hidden("$i", ColumnType::Long);
        let numbered = carry::windowed(
            right.clone(),
            WindowFn::RowNumber,
            vec![zero, no],
            number,
            at,
        );
        let ty = right.columns.get(key).map_or(ColumnType::String, |f| f.ty);
        let mut exprs = vec![
            cast(column(key, ty, at), ColumnType::String),
            column(width, ColumnType::Long, at),
        ];
        let mut columns = vec![
            hidden("$x", ColumnType::String),
            hidden("$i", ColumnType::Long),
        ];
        exprs.extend(identity(right, at));
        columns.extend(right.columns.iter().cloned());
        self.shared_relation(projected(numbered, exprs, columns, at), at)
    }
}

/// The first `width` columns after the others: so does the IPv6 plugin.
fn left_last(found: Relation, width: usize, at: Span) -> Relation {
    let mut fields: Vec<(usize, Field)> = found.columns.iter().cloned().enumerate().collect();
    fields.rotate_left(width.min(found.columns.len()));
    let exprs = fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = fields.into_iter().map(|(_, f)| f).collect();
    projected(found, exprs, columns, at)
}

/// The join of rows with what has their keys.
fn looked_up(input: Relation, right: Relation, how: Lookup, at: Span) -> Fallible<Relation> {
    let Op::Shared(among) = right.op else {
        return Err(Broken);
    };
    let width = input.columns.len();
    let mut exprs = identity(&input, at);
    exprs.push(Expr {
        kind: ExprKind::LookedUp {
            by: how.by,
            keys: how.keys,
            among,
        },
        ty: ColumnType::Dynamic,
        span: at,
    });
    let mut columns = input.columns.clone();
    columns.push(hidden("$i", ColumnType::Dynamic));
    let left = projected(input, exprs, columns, at);
    let mut columns = left.columns.clone();
    if let Some(field) = columns.last_mut() {
        field.ty = ColumnType::Long;
    }
    let left = Relation {
        op: Op::MvExpand {
            input: Box::new(left),
            columns: vec![Expanded {
                column: width,
                to: ColumnType::Long,
            }],
            bags: BagExpansion::Bag,
            item_index: false,
            rows_max: None,
        },
        columns,
        span: at,
    };
    let kind = if how.returns_unmatched {
        JoinKind::LeftOuter
    } else {
        JoinKind::Inner
    };
    let on = vec![(
        column(width, ColumnType::Long, at),
        column(1, ColumnType::Long, at),
    )];
    let both = super::join::joined(left, right, kind, on, at);
    let kept: Vec<(usize, Field)> = both
        .columns
        .iter()
        .enumerate()
        .filter(|(p, _)| *p < width || *p > width + 2)
        .filter(|(p, _)| how.without.is_none_or(|key| *p != width + 3 + key))
        .map(|(p, f)| (p, f.clone()))
        .collect();
    let exprs = kept.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = kept.into_iter().map(|(_, f)| f).collect();
    Ok(projected(both, exprs, columns, at))
}
