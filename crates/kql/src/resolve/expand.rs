//! `mv-expand`.

use model::ColumnType;

use super::columns::{identity, projected};
use super::names::{Suggested, Taken, suggested};
use super::{Broken, Fallible, Resolver, Row, child, first_word, items, words};
use crate::codes;
use crate::resolved::{BagExpansion, Expanded, Expr, Field, Op, Relation};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    pub(super) fn mv_expand(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        self.expand_rows(input, node)
    }

    /// `mv-expand`, and the first half of `mv-apply`.
    pub(super) fn expand_rows(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut bags = BagExpansion::Bag;
        let mut index_name = None;
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            let value = super::last_name(&said).unwrap_or_default();
            match said.first().map(String::as_str) {
                Some("kind" | "bagexpansion") if value == "array" => bags = BagExpansion::Array,
                Some("kind" | "bagexpansion") if value == "bag" => bags = BagExpansion::Bag,
                Some("with_itemindex") => index_name = Some(value),
                _ => {
                    let name = first_word(node);
                    let message = format!("`{name}` has no option `{}`", said.join(" "));
                    return Err(self.error(codes::UNKNOWN_OPTION, span(&option), message));
                }
            }
        }
        // The old spelling stops at 128 rows.
        let mut rows_max = (first_word(node) == "mvexpand").then_some(128);
        if let Some(clause) = child(node, Kind::Clause) {
            rows_max = Some(self.rows(clause.children().next())?);
        } else if words(node).iter().any(|w| w == "limit") {
            let limit = items(node).filter(|c| c.kind() != Kind::ExpandItem).last();
            rows_max = Some(self.rows(limit)?);
        }
        let (prepared, expanded) = self.expanded_columns(input, node)?;
        let mut columns = prepared.columns.clone();
        for item in &expanded {
            if let Some(field) = columns.get_mut(item.column) {
                field.ty = item.to;
            }
        }
        if let Some(name) = &index_name {
            let mut taken = Taken::new(columns.iter().map(|f| &*f.name));
            let name = taken.unique(name);
            columns.push(Field::new(name, ColumnType::Long));
        }
        Ok(Relation {
            op: Op::MvExpand {
                input: Box::new(prepared),
                columns: expanded,
                bags,
                item_index: index_name.is_some(),
                rows_max,
            },
            columns,
            span: at,
        })
    }

    /// The input with what is to be expanded as columns of it.
    pub(super) fn expanded_columns(
        &mut self,
        input: Relation,
        node: &Node,
    ) -> Fallible<(Relation, Vec<Expanded>)> {
        let at = span(node);
        let row = Row {
            columns: &input.columns,
        };
        let mut exprs = identity(&input, at);
        let mut columns = input.columns.clone();
        let mut expanded: Vec<Expanded> = Vec::new();
        let mut taken = Taken::new(columns.iter().map(|f| &*f.name));
        for item in items(node).filter(|c| c.kind() == Kind::ExpandItem) {
            let Item {
                given,
                value,
                expr,
                to,
            } = self.expand_item(&item, row)?;
            let name = match (given, suggested(&value, false)) {
                (Some(name), _) | (None, Suggested::Column(name) | Suggested::Derived(name)) => {
                    name
                }
                (None, Suggested::Nothing) => taken.numbered("Column"),
            };
            let existing = columns.iter().position(|f| !f.hidden && *f.name == *name);
            let free = existing.filter(|at| expanded.iter().all(|e| e.column != *at));
            let position = free.unwrap_or(columns.len());
            let slot = free.and_then(|at| Some((columns.get_mut(at)?, exprs.get_mut(at)?)));
            if let Some((field, old)) = slot {
                field.ty = ColumnType::Dynamic;
                *old = expr;
            } else {
                let name = if existing.is_some() {
                    taken.numbered(&name)
                } else {
                    name
                };
                taken.take(&name);
                columns.push(Field::new(name, ColumnType::Dynamic));
                exprs.push(expr);
            }
            expanded.push(Expanded {
                column: position,
                to,
            });
        }
        if expanded.is_empty() {
            return Err(Broken);
        }
        let is_identity = exprs.len() == input.columns.len()
            && exprs
                .iter()
                .enumerate()
                .all(|(position, e)| e.kind == crate::resolved::ExprKind::Column(position));
        let prepared = if is_identity {
            input
        } else {
            projected(input, exprs, columns, at)
        };
        Ok((prepared, expanded))
    }

    fn expand_item(&mut self, item: &Node, row: Row<'_>) -> Fallible<Item> {
        let Some(value) = item.children().next() else {
            return Err(Broken);
        };
        let (given, value) = self.named(&value)?;
        let to = match child(item, Kind::ToType).and_then(|t| t.children().next()) {
            Some(ty) => self.type_of(&ty)?,
            None => ColumnType::Dynamic,
        };
        let expr = self.expr(&value, row)?;
        if expr.ty != ColumnType::Dynamic {
            let name = item.parent().map_or_else(String::new, |n| first_word(&n));
            let message = format!(
                "`{name}` wants a dynamic value, and this is of type `{}`",
                expr.ty
            );
            let help = "read text as JSON with `parse_json(…)`";
            return Err(self.error_help(codes::NOT_DYNAMIC, expr.span, message, help));
        }
        Ok(Item {
            given,
            value,
            expr,
            to,
        })
    }
}

/// One item of the list: its given name, what is expanded, and the type of the elements.
struct Item {
    given: Option<String>,
    value: Node,
    expr: Expr,
    to: ColumnType,
}
