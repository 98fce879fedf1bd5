//! What can be named at the end of an unfinished text: for completions.
//!
//! Resolves what there is, leaves out what cannot be understood, and reports nothing.

use std::rc::Rc;

use model::{ColumnType, Ticks};

use super::{Binding, Resolver, child};
use crate::resolved::{Field, Relation};
use crate::schema::SchemaSource;
use crate::syntax::{Kind, Node, Syntax};

/// A name that a statement defines.
#[derive(Clone, Debug)]
pub(crate) enum Defined {
    Scalar(ColumnType),
    Table,
    /// Its parameters as written.
    Function(String),
    /// Its definition is wrong.
    Unknown,
}

/// What can be named.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Columns of the pipeline so far.
    pub(crate) columns: Vec<Field>,
    /// Names of `let` and `as`, the newest last.
    pub(crate) names: Vec<(String, Defined)>,
}

/// The scope after the last operator of the text's query that can be understood.
pub(crate) fn scope(syntax: &Syntax, schema: &dyn SchemaSource) -> Scope {
    let mut resolver = Resolver::new(schema, Ticks(0));
    let mut columns = Vec::new();
    for statement in syntax.root().children() {
        match statement.kind() {
            Kind::Let => resolver.let_statement(&statement),
            Kind::Query => {
                if let Some(node) = statement.children().next() {
                    columns = resolver.columns_so_far(&node);
                }
            }
            _ => {}
        }
    }
    columns.retain(|f| !f.hidden);
    let names = resolver
        .env
        .iter()
        .map(|(name, binding)| (name.to_string(), defined(binding)))
        .collect();
    Scope { columns, names }
}

fn defined(binding: &Rc<Binding>) -> Defined {
    match &**binding {
        Binding::Scalar { expr, .. } => Defined::Scalar(expr.ty),
        Binding::Table { .. } => Defined::Table,
        Binding::Function { lambda, .. } => {
            let params = child(lambda, Kind::Params).map(|p| p.text().to_string());
            let params = params.unwrap_or_default();
            Defined::Function(params.split_whitespace().collect::<Vec<_>>().join(" "))
        }
        Binding::Pattern { .. } | Binding::Poisoned => Defined::Unknown,
    }
}

impl Resolver<'_> {
    /// The columns after the last operator that can be understood.
    fn columns_so_far(&mut self, node: &Node) -> Vec<Field> {
        if node.kind() != Kind::Pipeline {
            return self.table(node).map_or_else(|_| Vec::new(), |r| r.columns);
        }
        let mut parts = node.children().filter(|c| c.kind() != Kind::Skipped);
        let Some(first) = parts.next() else {
            return Vec::new();
        };
        let is_leading = matches!(first.kind(), Kind::Operator | Kind::OpaqueOperator);
        let begun = if is_leading {
            self.leading(&first)
        } else {
            self.table(&first)
        };
        let Ok(mut relation) = begun else {
            return Vec::new();
        };
        for operator in parts {
            // Only its columns go on, so that a long pipeline costs no more than its length.
            let columns = relation.columns.clone();
            let span = relation.span;
            if let Ok(next) = self.operator(relation, &operator) {
                relation = next;
            } else {
                relation = Relation {
                    op: crate::resolved::Op::Values { rows: Vec::new() },
                    columns,
                    span,
                };
            }
        }
        relation.columns
    }
}
