//! `top-nested`: the first values per level, each level within the values of the level before.
//!
//! A level is a summary by its own key and those before it, over the rows whose earlier keys were
//! kept; the rows of each group of earlier keys are sorted by the aggregate, and the first are kept.
//! What `with others` makes of the rows that were not kept is in `others.rs`.

use model::{ColumnType, Span};

use super::aggregate::Collector;
use super::carry;
use super::columns::{identity, projected};
use super::graph_scope::children;
use super::names::{Taken, suggested};
use super::{Broken, Fallible, Resolver, Row, column, first_word, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, ExprKind, Field, JoinKind, Op, Relation, SortKey};
use crate::syntax::{Kind, Node, span};

/// One level as written.
pub(super) struct Level {
    /// How many values are kept; all without.
    pub(super) rows: Option<u64>,
    key: Node,
    key_name: Option<String>,
    /// What `with others` says.
    others: Option<Node>,
    /// The same as a value of the key's type.
    pub(super) label: Option<Expr>,
    pub(super) aggregate: Node,
    ascending: bool,
}

impl Resolver<'_> {
    pub(super) fn top_nested(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        if carry::has_keys(&input.columns) {
            return Err(self.error_help(
                codes::FORM_NOT_YET,
                at,
                "`top-nested` inside of `mv-apply` and `partition` is not supported yet",
                "make the column that parts the rows the first level: `top-nested of column by count(), top-nested …`",
            ));
        }
        let mut levels = Vec::new();
        for level in node.children().filter(|c| c.kind() == Kind::TopLevel) {
            levels.push(self.level(&level)?);
        }
        // The keys become columns of their own before the input's.
        let row = Row {
            columns: &input.columns,
        };
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut names = Vec::new();
        for (number, level) in levels.iter_mut().enumerate() {
            let expr = self.expr(&level.key, row)?;
            self.refuse_dynamic(&expr, "group by")?;
            if let Some(others) = &level.others {
                level.label = Some(self.others_label(others, expr.ty)?);
            }
            let name = level
                .key_name
                .clone()
                .or_else(|| suggested(&level.key, false).text().map(str::to_owned))
                .unwrap_or_else(|| format!("Column{}", number + 1));
            columns.push(carry::hidden(&format!("$t{number}"), expr.ty));
            exprs.push(expr);
            names.push(name);
        }
        let keys = exprs.len();
        exprs.extend(
            identity(&input, at)
                .into_iter()
                .filter(|e| !matches!(e.kind, ExprKind::Column(p) if is_hidden(&input, p))),
        );
        columns.extend(input.columns.iter().filter(|f| !f.hidden).cloned());
        let keyed = projected(input, exprs, columns, at);
        let per_level = if levels.iter().any(|l| l.label.is_some()) {
            15
        } else {
            6
        };
        self.count_relations(1 + levels.len() * per_level, at)?;
        // Rows of a table are read again for each level; kept in memory they would be too many.
        let base = if reads_again(&keyed) {
            keyed
        } else {
            self.shared_relation(keyed, at)
        };
        self.nested_levels(&levels, &names, &base, keys, at)
    }

    fn nested_levels(
        &mut self,
        levels: &[Level],
        names: &[String],
        base: &Relation,
        keys: usize,
        at: Span,
    ) -> Fallible<Relation> {
        // Keys and aggregates down to each level.
        let mut found: Vec<Relation> = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut taken = Taken::default();
        let key_types: Vec<ColumnType> = base.columns.iter().take(keys).map(|f| f.ty).collect();
        for (number, level) in levels.iter().enumerate() {
            let depth = number + 1;
            let rows = match found.last() {
                None => base.clone(),
                Some(before) => keyed_join(
                    base.clone(),
                    before.clone(),
                    JoinKind::LeftSemi,
                    &on_keys(&key_types, number, false, at),
                    at,
                ),
            };
            let (summary, name) = self.nested_summary(level, rows, &key_types, depth, at)?;
            let top = first_of_each(summary, level, number, at);
            let key = names.get(number).cloned().unwrap_or_default();
            let name = name.unwrap_or_else(|| format!("aggregated_{key}"));
            let ty = top.columns.get(depth).map_or(ColumnType::Long, |f| f.ty);
            let key_type = key_types.get(number).copied().unwrap_or(ColumnType::String);
            fields.push(Field::new(taken.unique(&key), key_type));
            fields.push(Field::new(taken.unique(&name), ty));
            let joined = match found.last() {
                None => with_pair(top, 0, at),
                Some(before) => {
                    let on = on_keys(&key_types, number, true, at);
                    let width = before.columns.len();
                    let both = keyed_join(before.clone(), top, JoinKind::Inner, &on, at);
                    beside(both, width, number, at)
                }
            };
            found.push(self.shared_relation(joined, at));
        }
        let all = self.with_others(levels, base, &found, at)?;
        let all = in_levels(all, levels, at);
        let mut exprs = identity(&all, at);
        exprs.truncate(fields.len());
        Ok(projected(all, exprs, fields, at))
    }

    /// The summary of a level by the first `depth` keys, and the name given to its aggregate.
    fn nested_summary(
        &mut self,
        level: &Level,
        rows: Relation,
        key_types: &[ColumnType],
        depth: usize,
        at: Span,
    ) -> Fallible<(Relation, Option<String>)> {
        let by: Vec<Expr> = key_types
            .iter()
            .take(depth)
            .enumerate()
            .map(|(position, ty)| column(position, *ty, at))
            .collect();
        let mut collector = Collector::new(&rows.columns, depth);
        let made = self.aggregate_item(&level.aggregate, &mut collector, &[])?;
        let Some(output) = made.into_iter().next() else {
            return Err(Broken);
        };
        let name = output.given();
        let mut exprs = by.clone();
        exprs.push(output.expr);
        let columns = exprs
            .iter()
            .enumerate()
            .map(|(position, e)| Field::new(format!("level_{position}"), e.ty))
            .collect();
        let summary = collector.summary(rows, by, at);
        Ok((projected(summary, exprs, columns, at), name))
    }

    fn level(&mut self, node: &Node) -> Fallible<Level> {
        let clauses = node.children().filter(|c| c.kind() == Kind::Clause);
        let (others, rows): (Vec<Node>, Vec<Node>) = clauses.partition(|c| first_word(c) == "with");
        let value = |clauses: &[Node]| clauses.first().and_then(|c| c.children().next());
        let rows = match value(&rows) {
            Some(rows) => Some(self.rows(Some(rows))?),
            None => None,
        };
        let mut operands = node.children().filter(|c| c.kind() != Kind::Clause);
        let (Some(key), Some(aggregate)) = (operands.next(), operands.next()) else {
            return Err(Broken);
        };
        let (key_name, key) = self.named(&key)?;
        Ok(Level {
            rows,
            key,
            key_name,
            others: value(&others),
            label: None,
            aggregate,
            ascending: words(node).iter().any(|w| w == "asc"),
        })
    }

    /// The relation, computed once.
    pub(super) fn shared_relation(&mut self, relation: Relation, at: Span) -> Relation {
        let columns = relation.columns.clone();
        let shared = self.share(relation);
        Relation {
            op: Op::Shared(shared),
            columns,
            span: at,
        }
    }
}

/// Whether a relation is a table's rows, with conditions and columns that are the same each time.
fn reads_again(relation: &Relation) -> bool {
    match &relation.op {
        Op::Source { .. } => true,
        Op::Filter { input, predicate } => is_fixed(predicate) && reads_again(input),
        Op::Project { input, exprs } => exprs.iter().all(is_fixed) && reads_again(input),
        _ => false,
    }
}

/// Whether a row always has the same value.
fn is_fixed(expr: &Expr) -> bool {
    let is_random = matches!(
        &expr.kind,
        ExprKind::Call {
            function: ScalarFn::RandomReal | ScalarFn::RandomGuid,
            ..
        }
    );
    !is_random && children(expr).into_iter().all(is_fixed)
}

fn is_hidden(input: &Relation, position: usize) -> bool {
    input.columns.get(position).is_some_and(|f| f.hidden)
}

/// The first `count` keys of both sides. After a level the left side has key and aggregate in turn.
pub(super) fn on_keys(
    types: &[ColumnType],
    count: usize,
    left_in_pairs: bool,
    at: Span,
) -> Vec<(Expr, Expr)> {
    let pair = |position: usize| position * 2;
    types
        .iter()
        .take(count)
        .enumerate()
        .map(|(position, ty)| {
            if left_in_pairs {
                (column(pair(position), *ty, at), column(position, *ty, at))
            } else {
                (column(position, *ty, at), column(pair(position), *ty, at))
            }
        })
        .collect()
}

pub(super) fn keyed_join(
    left: Relation,
    right: Relation,
    kind: JoinKind,
    on: &[(Expr, Expr)],
    at: Span,
) -> Relation {
    let mut columns = left.columns.clone();
    if kind == JoinKind::Inner {
        let more = right.columns.iter().enumerate();
        columns.extend(more.map(|(p, f)| carry::hidden(&format!("$r{p}"), f.ty)));
    }
    Relation {
        op: Op::Join {
            left: Box::new(left),
            right: Box::new(right),
            kind,
            on: on.to_vec(),
        },
        columns,
        span: at,
    }
}

/// The first rows of each group of the earlier keys, by the aggregate.
fn first_of_each(summary: Relation, level: &Level, number: usize, at: Span) -> Relation {
    let key = |position: usize| {
        let ty = summary
            .columns
            .get(position)
            .map_or(ColumnType::String, |f| f.ty);
        column(position, ty, at)
    };
    let groups: Vec<Expr> = (0..number).map(key).collect();
    let mut keys: Vec<SortKey> = groups
        .iter()
        .map(|expr| SortKey {
            expr: expr.clone(),
            descending: false,
            nulls_first: true,
        })
        .collect();
    keys.push(SortKey {
        expr: key(number + 1),
        descending: !level.ascending,
        nulls_first: level.ascending,
    });
    let sorted = Relation {
        columns: summary.columns.clone(),
        op: Op::Sort {
            input: Box::new(summary.clone()),
            keys,
        },
        span: at,
    };
    match level.rows {
        Some(rows) => carry::take_each_by(sorted, groups, rows, at),
        None => sorted,
    }
}

/// Each level by its aggregate, then by its key; what [`Resolver::with_others`] added comes last.
fn in_levels(all: Relation, levels: &[Level], at: Span) -> Relation {
    let mut keys = Vec::new();
    if let Some(part) = all.columns.get(levels.len() * 2) {
        keys.push(SortKey {
            expr: column(levels.len() * 2, part.ty, at),
            descending: false,
            nulls_first: true,
        });
    }
    for (number, level) in levels.iter().enumerate() {
        for (position, descending) in [(number * 2 + 1, !level.ascending), (number * 2, true)] {
            if let Some(field) = all.columns.get(position) {
                keys.push(SortKey {
                    expr: column(position, field.ty, at),
                    descending,
                    nulls_first: !descending,
                });
            }
        }
    }
    Relation {
        columns: all.columns.clone(),
        op: Op::Sort {
            input: Box::new(all),
            keys,
        },
        span: at,
    }
}

/// Key `number` and the aggregate after the keys.
fn with_pair(top: Relation, number: usize, at: Span) -> Relation {
    let last = top.columns.len().saturating_sub(1);
    chosen(top, &[number, last], at)
}

/// The columns of the levels before, then the new key and aggregate.
fn beside(both: Relation, width: usize, number: usize, at: Span) -> Relation {
    let last = both.columns.len().saturating_sub(1);
    let mut positions: Vec<usize> = (0..width).collect();
    positions.extend([width + number, last]);
    chosen(both, &positions, at)
}

pub(super) fn chosen(input: Relation, positions: &[usize], at: Span) -> Relation {
    let fields: Vec<(usize, Field)> = positions
        .iter()
        .filter_map(|p| Some((*p, input.columns.get(*p)?.clone())))
        .collect();
    let exprs = fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = fields.into_iter().map(|(_, f)| f).collect();
    projected(input, exprs, columns, at)
}
