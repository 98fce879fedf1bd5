//! Queries over parts of the rows: `mv-apply` and `partition`.
//!
//! Both run their query over all parts at once, see [`super::carry`].

use model::ColumnType;

use super::carry::{self, copy_name, hidden, key_name};
use super::columns::{identity, projected};
use super::{Broken, Fallible, Resolver, Row, child, column, items, plain_name};
use crate::codes;
use crate::resolved::{Expr, Field, Relation, Value, WindowFn};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn mv_apply(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let Some(query) = child(node, Kind::SubPipeline) else {
            return Err(Broken);
        };
        self.applied += 1;
        let number = self.applied;
        let outer: Vec<Field> = input.columns.clone();
        let copied = with_copies(input, number, at);
        self.count_relations(4, at)?;
        let prepared = self.expand_rows(copied, node)?;
        let replaced = replaced_in_place(node, &outer);
        let result = self.of_parts(prepared, &query, at)?;
        let position_of = |name: &str, is_hidden: bool| {
            let mut all = result.columns.iter();
            all.position(|f| f.hidden == is_hidden && *f.name == *name)
        };
        if position_of(&key_name(number), true).is_none() {
            return Err(self.lost_parts(&query));
        }
        // Outer columns first: those that the query put out under the same name are the query's.
        let mut order: Vec<(usize, Field)> = Vec::new();
        for (at, field) in outer.iter().enumerate() {
            if field.hidden {
                let same = result.columns.iter().position(|f| f == field);
                order.extend(same.map(|p| (p, field.clone())));
                continue;
            }
            // What was expanded in its own place comes where the query has it: after the others.
            if replaced.contains(&*field.name) {
                continue;
            }
            let found = position_of(&field.name, false);
            let found = found.or_else(|| position_of(&copy_name(number, at), true));
            let Some(position) = found else { continue };
            let ty = result.columns.get(position).map_or(field.ty, |f| f.ty);
            order.push((position, Field::new(field.name.clone(), ty)));
        }
        for (position, field) in result.columns.iter().enumerate() {
            let known = order.iter().any(|(p, _)| *p == position);
            if !field.hidden && !known {
                order.push((position, field.clone()));
            }
        }
        let exprs = order.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
        let columns = order.into_iter().map(|(_, f)| f).collect();
        Ok(projected(result, exprs, columns, at))
    }

    fn lost_parts(&mut self, query: &Node) -> Broken {
        self.error_help(
            codes::FORM_NOT_YET,
            span(query),
            "this query in a query loses the part that its rows belong to",
            "inside of `mv-apply` and `partition`, go on from the rows of the part only: `as` names them",
        )
    }

    /// The operators of a query over each part of `input`, which begins at `begin`.
    fn of_parts(
        &mut self,
        input: Relation,
        query: &Node,
        begin: model::Span,
    ) -> Fallible<Relation> {
        self.parts.push(begin);
        let result = self.operators_of(input, query);
        self.parts.pop();
        result
    }

    /// The operators of a query in brackets, one after the other.
    pub(super) fn operators_of(&mut self, input: Relation, query: &Node) -> Fallible<Relation> {
        let mut relation = input;
        for operator in query.children() {
            let at = span(&operator);
            if !matches!(operator.kind(), Kind::Operator | Kind::OpaqueOperator) {
                let message = "a query in a query begins with an operator";
                return Err(self.error(codes::FORM_NOT_YET, at, message));
            }
            self.count_relations(1, at)?;
            relation = self.operator(relation, &operator)?;
        }
        let (_, depth) = super::measure(&relation);
        self.check_depth(depth, span(query))?;
        Ok(relation)
    }

    pub(super) fn partition(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let (Some(name), Some(query)) = (
            items(node).find(|c| matches!(c.kind(), Kind::Name | Kind::BracketName)),
            child(node, Kind::SubPipeline),
        ) else {
            return Err(Broken);
        };
        let row = Row {
            columns: &input.columns,
        };
        let key = self.expr(&name, row)?;
        self.refuse_dynamic(&key, "partition by")?;
        self.applied += 1;
        let number = self.applied;
        self.count_relations(4, at)?;
        // The rows of a partition stand together, in the order they had.
        let order = hidden("$o", ColumnType::Long);
        let one = Expr::literal(Value::Long(1), at);
        let no = Expr::literal(Value::Bool(false), at);
        let width = input.columns.len();
        let numbered = carry::windowed(input, WindowFn::RowNumber, vec![one, no], order, at);
        let mut exprs = identity(&numbered, at);
        let mut columns = numbered.columns.clone();
        columns.push(hidden(&key_name(number), key.ty));
        exprs.push(key);
        let keyed = projected(numbered, exprs, columns, at);
        let ordering = vec![
            keyed.columns.last().map_or_else(
                || column(width + 1, ColumnType::Long, at),
                |f| column(width + 1, f.ty, at),
            ),
            column(width, ColumnType::Long, at),
        ];
        let sorted = carry::sorted(keyed, ordering, at);
        let result = self.of_parts(sorted, &query, at)?;
        let key = key_name(number);
        if !result.columns.iter().any(|f| f.hidden && *f.name == *key) {
            return Err(self.lost_parts(&query));
        }
        let kept: Vec<(usize, Field)> = result
            .columns
            .iter()
            .enumerate()
            .filter(|(_, f)| !(f.hidden && (*f.name == *key || &*f.name == "$o")))
            .map(|(position, f)| (position, f.clone()))
            .collect();
        let exprs = kept.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
        let columns = kept.into_iter().map(|(_, f)| f).collect();
        Ok(projected(result, exprs, columns, at))
    }
}

/// Outer columns that are expanded under their own name.
fn replaced_in_place(node: &Node, outer: &[Field]) -> std::collections::BTreeSet<String> {
    items(node)
        .filter(|c| c.kind() == Kind::ExpandItem)
        .filter_map(|item| {
            let value = item.children().next()?;
            match value.kind() {
                Kind::Name | Kind::BracketName => Some(plain_name(&value)),
                Kind::Named => Some(plain_name(&value.children().next()?)),
                _ => None,
            }
        })
        .filter(|name| outer.iter().any(|f| !f.hidden && *f.name == **name))
        .collect()
}

/// The input, the number of each row as a hidden key, and hidden copies of its visible columns.
fn with_copies(input: Relation, number: usize, at: model::Span) -> Relation {
    let one = Expr::literal(Value::Long(1), at);
    let no = Expr::literal(Value::Bool(false), at);
    let width = input.columns.len();
    let key = hidden(&key_name(number), ColumnType::Long);
    let numbered = carry::windowed_by(
        input,
        WindowFn::RowNumber,
        vec![one, no],
        Vec::new(),
        key,
        at,
    );
    let mut exprs = identity(&numbered, at);
    let mut columns = numbered.columns.clone();
    for (position, field) in numbered.columns.iter().enumerate().take(width) {
        if !field.hidden {
            exprs.push(column(position, field.ty, at));
            columns.push(hidden(&copy_name(number, position), field.ty));
        }
    }
    projected(numbered, exprs, columns, at)
}
