//! Where rows come from: tables, functions, literals.

use model::{ColumnType, Span};

use super::names::Taken;
use super::types::cast;
use super::{Binding, Broken, Fallible, Resolver, Row, call_name, child, plain_name, words};
use crate::codes;
use crate::not_yet;
use crate::resolved::{Expr, Field, Op, Relation, SharedId, Value};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    /// A table: name, call, literal or pipeline.
    pub(super) fn table(&mut self, node: &Node) -> Fallible<Relation> {
        // What is collected or named around a table does not reach into it.
        let aggregates = self.aggregates.take();
        let windows = self.windows.take();
        self.row_depth += 1;
        let result = self.table_here(node);
        self.row_depth -= 1;
        self.aggregates = aggregates;
        self.windows = windows;
        result
    }

    pub(super) fn table_here(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        match node.kind() {
            Kind::Pipeline => self.pipeline(node),
            Kind::Paren => match node.children().next() {
                Some(inner) => self.table_here(&inner),
                None => Err(Broken),
            },
            Kind::Name | Kind::BracketName => self.named_table(&plain_name(node), at),
            Kind::Call => self.table_call(node),
            Kind::DataTable => self.datatable(node),
            Kind::ExternalData => self.external(node),
            Kind::Path if self.is_pattern(node) => self.pattern_table(node),
            Kind::Path if !self.begins_with_table(node) => Err(self.error(
                codes::FORBIDDEN,
                at,
                "a query reads the tables of its own tenant only",
            )),
            Kind::Path => Err(self.error_help(
                codes::NOT_A_TABLE,
                at,
                "a part of a table is no table",
                "columns are chosen with `| project column`, rows with `| take 1`",
            )),
            // A comment as in SQL reads as two signs.
            Kind::Chain if node.text().to_string().contains("--") => Err(self.error_help(
                codes::NOT_A_TABLE,
                at,
                "expected a table",
                "a comment begins with `//`",
            )),
            _ => Err(self.error(codes::NOT_A_TABLE, at, "expected a table")),
        }
    }

    /// Whether a path begins with a table's name.
    fn begins_with_table(&self, node: &Node) -> bool {
        let base = node.children().next();
        base.is_some_and(|base| base.kind() == Kind::Name && self.is_tabular(&base))
    }

    /// As [`Self::table`], for a query inside of an expression.
    pub(super) fn subquery(&mut self, node: &Node) -> Fallible<Relation> {
        let relation = self.table(node)?;
        if super::carry::has_keys(&relation.columns) {
            return Err(self.error_help(
                codes::FORM_NOT_YET,
                span(node),
                "the rows of a part cannot be read inside of an expression",
                "put their values beside the rows with `join`, or compute them before with `summarize … by`",
            ));
        }
        Ok(super::without_hidden(relation))
    }

    pub(super) fn share(&mut self, relation: Relation) -> SharedId {
        // The same definition used again is the same relation.
        if let Some(known) = self.shared.iter().position(|r| *r == relation) {
            return SharedId(known);
        }
        self.shared.push(relation);
        SharedId(self.shared.len() - 1)
    }

    pub(super) fn named_table(&mut self, name: &str, at: Span) -> Fallible<Relation> {
        match self.lookup(name).as_deref() {
            Some(Binding::Table { relation, cost }) => {
                self.count_again(*cost, at)?;
                return Ok(relation.clone());
            }
            Some(Binding::Function { lambda, env_len }) => {
                return self.table_function(name, lambda, *env_len, &[], at);
            }
            Some(Binding::Poisoned) => return Err(Broken),
            Some(Binding::Scalar { .. } | Binding::Pattern { .. }) => {
                let message = format!("`{name}` is no table, and a table is wanted");
                return Err(self.error(codes::NOT_A_TABLE, at, message));
            }
            None => {}
        }
        match self.source(name, at) {
            Some(relation) => {
                self.count_relations(1, at)?;
                self.count_columns(relation.columns.len(), at)?;
                Ok(relation)
            }
            None => Err(self.unknown_table(name, at)),
        }
    }

    /// `table(name)`: inside of a function also a table that a `let` after the function made.
    fn table_called(&mut self, name: &str, at: Span) -> Fallible<Relation> {
        if self.lookup(name).is_none() && self.schema.table(name).is_none() {
            let mut later = self.later.iter().rev();
            let found = later.find(|(known, _)| **known == *name);
            let found = found.map(|(_, binding)| binding.clone());
            if let Some(Binding::Table { relation, cost }) = found.as_deref() {
                self.count_again(*cost, at)?;
                return Ok(relation.clone());
            }
        }
        self.named_table(name, at)
    }

    pub(super) fn source(&self, name: &str, at: Span) -> Option<Relation> {
        let shape = self.schema.table(name)?;
        let mut columns: Vec<Field> = shape
            .columns
            .iter()
            .map(|(name, ty)| Field::new(name.clone(), *ty))
            .collect();
        columns.extend(self.stored.iter().cloned());
        Some(Relation {
            op: Op::Source {
                table: shape.name,
                columns: columns.iter().map(|f| f.name.clone()).collect(),
            },
            columns,
            span: at,
        })
    }

    pub(super) fn unknown_table(&mut self, name: &str, at: Span) -> Broken {
        let tables = self.schema.tables();
        let own: Vec<_> = self.env.iter().map(|(name, _)| name.clone()).collect();
        let known = own
            .iter()
            .map(|n| &**n)
            .chain(tables.iter().map(String::as_str));
        let similar = suggest::similar(name, known);
        let message = format!("unknown table `{name}`");
        if let Some(help) = super::habits::table(name) {
            return self.error_help(codes::UNKNOWN_TABLE, at, message, help);
        }
        match similar {
            Some(similar) => self.error_help(
                codes::UNKNOWN_TABLE,
                at,
                message,
                format!("a table with a similar name exists: `{similar}`"),
            ),
            None => self.error(codes::UNKNOWN_TABLE, at, message),
        }
    }

    pub(super) fn table_call(&mut self, node: &Node) -> Fallible<Relation> {
        let name = call_name(node);
        let at = span(node);
        let args = super::calls::arguments(node);
        if let Some(binding) = self.lookup(&name)
            && let Binding::Function { lambda, env_len } = &*binding
        {
            return self.table_function(&name, lambda, *env_len, &args, at);
        }
        if matches!(self.lookup(&name).as_deref(), Some(Binding::Pattern { .. })) {
            return self.pattern_table(node);
        }
        match (name.as_str(), args.as_slice()) {
            ("materialize", [inner]) => {
                let relation = self.table(inner)?;
                let columns = relation.columns.clone();
                let shared = self.share(relation);
                Ok(Relation {
                    op: Op::Shared(shared),
                    columns,
                    span: at,
                })
            }
            ("table", [inner]) => {
                if let Some(Value::String(table)) = self.expr(inner, Row::NONE)?.as_literal() {
                    self.table_called(&table.clone(), span(inner))
                } else {
                    let message = "the table's name must be a string literal";
                    Err(self.error(codes::NOT_CONSTANT, span(inner), message))
                }
            }
            (known, _) if super::invoke::is_service_function(known) => {
                self.service_table(known, at).ok_or(Broken)
            }
            (known, _) if not_yet::FUNCTIONS.contains(&known) => {
                let message = format!("the function `{known}` is not supported yet");
                Err(self.error(codes::FUNCTION_NOT_YET, at, message))
            }
            (known, _) if not_yet::FORBIDDEN.contains(&known) => Err(self.error(
                codes::FORBIDDEN,
                at,
                "a query reads the tables of its own tenant only",
            )),
            _ => {
                let message = format!("unknown function `{name}`, or it gives no table");
                Err(self.error(codes::UNKNOWN_FUNCTION, at, message))
            }
        }
    }

    pub(super) fn datatable(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let Some(decls) = child(node, Kind::ColumnDecls) else {
            return Err(Broken);
        };
        let declared = self.declared_columns(&decls)?;
        let mut values = Vec::new();
        let nodes: Vec<Node> = node
            .children()
            .filter(|c| c.kind() != Kind::ColumnDecls)
            .collect();
        for (position, value) in nodes.iter().enumerate() {
            // The least long has no positive: only here its digits are read with their sign.
            let expr = if value.text() == "-9223372036854775808" {
                Expr::literal(Value::Long(i64::MIN), span(value))
            } else {
                self.expr(value, Row::NONE)?
            };
            let ty = position
                .checked_rem(declared.len())
                .and_then(|column| declared.get(column))
                .map_or(expr.ty, |(_, ty)| *ty);
            values.push(self.cell(expr, ty)?);
        }
        let width = declared.len();
        let fills = if width == 0 {
            values.is_empty()
        } else {
            values.len() % width == 0
        };
        if !fills {
            let message = format!(
                "{} values do not fill rows of {width} columns",
                values.len()
            );
            return Err(self.error(codes::BAD_ROWS, at, message));
        }
        let rows = match width {
            0 => Vec::new(),
            width => values.chunks(width).map(<[Value]>::to_vec).collect(),
        };
        self.count_relations(1, at)?;
        self.count_expressions(rows.len() * width, at)?;
        Ok(Relation {
            op: Op::Values { rows },
            columns: declared
                .into_iter()
                .map(|(name, ty)| Field::new(name, ty))
                .collect(),
            span: at,
        })
    }

    /// Rows from an address that the operator allows.
    fn external(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let Some(decls) = child(node, Kind::ColumnDecls) else {
            return Err(Broken);
        };
        let declared = self.declared_columns(&decls)?;
        let mut addresses = Vec::new();
        for value in node.children().filter(|c| c.kind() != Kind::ColumnDecls) {
            if value.kind() == Kind::Skipped || value.kind() == Kind::OperatorOption {
                continue;
            }
            let expr = self.expr(&value, Row::NONE)?;
            let Some(Value::String(address)) = expr.as_literal() else {
                let message = "an address must be a string literal";
                return Err(self.error(codes::NOT_CONSTANT, expr.span, message));
            };
            // What stands after a semicolon is a key or a token of the service's own storage.
            let address = address.split(';').next().unwrap_or_default();
            if !self.schema.external(address) {
                return Err(self.error_help(
                    codes::EXTERNAL_ADDRESS,
                    expr.span,
                    "`externaldata` reads no address that is not on the operator's list",
                    "ask the operator to allow and pin it, or write the values into a `datatable`",
                ));
            }
            addresses.push(address.into());
        }
        self.count_relations(1, at)?;
        Ok(Relation {
            op: Op::External {
                addresses,
                properties: super::tabular::properties(&words(node)),
            },
            columns: declared
                .into_iter()
                .map(|(name, ty)| Field::new(name, ty))
                .collect(),
            span: at,
        })
    }

    /// A value of a datatable in its column's type.
    pub(super) fn cell(&mut self, expr: Expr, ty: ColumnType) -> Fallible<Value> {
        let at = expr.span;
        let converted = match (ty, expr.as_literal()) {
            (ColumnType::Dynamic, Some(value)) if value.ty() != ColumnType::Dynamic => {
                let mut json = String::new();
                super::literals::json_value(value, &mut json);
                Expr::literal(
                    if json == "null" {
                        Value::Null(ColumnType::Dynamic)
                    } else {
                        Value::Dynamic(json.into())
                    },
                    at,
                )
            }
            _ => cast(expr, ty),
        };
        match converted.as_literal() {
            Some(value) => Ok(value.clone()),
            None => Err(self.error(
                codes::NOT_CONSTANT,
                at,
                format!("a `datatable` holds literals, and this is not one of type `{ty}`"),
            )),
        }
    }

    /// `(name: type, …)`.
    pub(super) fn declared_columns(&mut self, decls: &Node) -> Fallible<Vec<(String, ColumnType)>> {
        let mut out = Vec::new();
        let mut taken = Taken::default();
        for decl in decls.children().filter(|c| c.kind() == Kind::ColumnDecl) {
            let Some(name) = decl.children().next() else {
                return Err(Broken);
            };
            let name = self.declared(&name)?;
            let type_name = words(&decl).get(1).cloned().unwrap_or_default();
            let Some(ty) = ColumnType::parse(&type_name) else {
                let help = "types are bool, datetime, decimal, dynamic, guid, int, long, real, string, timespan";
                let message = format!("unknown type `{type_name}`");
                return Err(self.error_help(codes::UNKNOWN_TYPE, span(&decl), message, help));
            };
            if !taken.take(&name) {
                return Err(self.duplicate(&name, span(&decl)));
            }
            out.push((name, ty));
        }
        Ok(out)
    }
}
