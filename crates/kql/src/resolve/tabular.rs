//! Tables: sources and the operators of a pipeline.

use model::{ColumnType, Span};

use super::names::{Suggested, Taken, suggested};
use super::types::cast;
use super::{
    Binding, Broken, Fallible, Resolver, Row, call_name, child, column, first_word, measure,
    plain_name, words,
};
use crate::codes;
use crate::not_yet;
use crate::operators::Operator;
use crate::resolved::{
    BagExpansion, Expanded, Expr, Field, Op, Relation, Render, SharedId, SortKey, Value,
};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

/// The operands of an operator: its nodes without options and what was skipped.
pub(super) fn items(node: &Node) -> impl Iterator<Item = Node> + use<> {
    node.children()
        .filter(|c| !matches!(c.kind(), Kind::OperatorOption | Kind::Skipped))
}

/// Words that cannot name a new column unless they are in brackets: the engine refuses them, and a
/// query that works here should work there.
const RESERVED: &[&str] = &[
    "and",
    "asc",
    "between",
    "bool",
    "contains",
    "contains_cs",
    "date",
    "datetime",
    "decimal",
    "desc",
    "double",
    "dynamic",
    "endswith",
    "false",
    "first",
    "has",
    "has_all",
    "has_any",
    "hasprefix",
    "hassuffix",
    "in",
    "int",
    "last",
    "like",
    "long",
    "missing",
    "or",
    "project",
    "real",
    "startswith",
    "string",
    "time",
    "timespan",
    "true",
    "union",
];

impl Resolver<'_> {
    /// A table: name, call, literal or pipeline.
    pub(super) fn table(&mut self, node: &Node) -> Fallible<Relation> {
        // What is collected or named around a table does not reach into it.
        let aggregates = self.aggregates.take();
        self.row_depth += 1;
        let result = self.table_here(node);
        self.row_depth -= 1;
        self.aggregates = aggregates;
        result
    }

    fn table_here(&mut self, node: &Node) -> Fallible<Relation> {
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
            Kind::ExternalData => Err(self.error_help(
                codes::FORM_NOT_YET,
                Span::new(at.start, at.start + 12),
                "`externaldata` is not supported yet",
                "write the values into a `datatable`, or send them as a table of the tenant",
            )),
            Kind::Path => Err(self.error(
                codes::FORBIDDEN,
                at,
                "a query reads the tables of its own tenant only",
            )),
            _ => Err(self.error(codes::NOT_A_TABLE, at, "expected a table")),
        }
    }

    /// As [`Self::table`], for a query inside of an expression.
    pub(super) fn subquery(&mut self, node: &Node) -> Fallible<Relation> {
        let relation = self.table(node)?;
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

    fn named_table(&mut self, name: &str, at: Span) -> Fallible<Relation> {
        match self.lookup(name).as_deref() {
            Some(Binding::Table { relation, size }) => {
                self.count_relations(*size, at)?;
                return Ok(relation.clone());
            }
            Some(Binding::Function { lambda, env_len }) => {
                return self.table_function(name, lambda, *env_len, &[], at);
            }
            Some(Binding::Poisoned) => return Err(Broken),
            Some(Binding::Scalar { .. }) => {
                let message = format!("`{name}` is a scalar, and a table is wanted");
                return Err(self.error(codes::NOT_A_TABLE, at, message));
            }
            None => {}
        }
        match self.source(name, at) {
            Some(relation) => {
                self.count_relations(1, at)?;
                Ok(relation)
            }
            None => Err(self.unknown_table(name, at)),
        }
    }

    pub(super) fn source(&self, name: &str, at: Span) -> Option<Relation> {
        let shape = self.schema.table(name)?;
        let mut columns: Vec<Field> = shape
            .columns
            .iter()
            .map(|(name, ty)| Field::new(name.clone(), *ty))
            .collect();
        if self.wants_ingestion_time {
            columns.push(Field {
                name: "_ingested_at".into(),
                ty: ColumnType::DateTime,
                hidden: true,
            });
        }
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

    fn table_call(&mut self, node: &Node) -> Fallible<Relation> {
        let name = call_name(node);
        let at = span(node);
        let args = super::calls::arguments(node);
        if let Some(binding) = self.lookup(&name)
            && let Binding::Function { lambda, env_len } = &*binding
        {
            return self.table_function(&name, lambda, *env_len, &args, at);
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
                    self.named_table(&table.clone(), span(inner))
                } else {
                    let message = "the table's name must be a string literal";
                    Err(self.error(codes::NOT_CONSTANT, span(inner), message))
                }
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

    fn datatable(&mut self, node: &Node) -> Fallible<Relation> {
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
        Ok(Relation {
            op: Op::Values { rows },
            columns: declared
                .into_iter()
                .map(|(name, ty)| Field::new(name, ty))
                .collect(),
            span: at,
        })
    }

    /// A value of a datatable in its column's type.
    fn cell(&mut self, expr: Expr, ty: ColumnType) -> Fallible<Value> {
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

    // Pipelines.

    fn pipeline(&mut self, node: &Node) -> Fallible<Relation> {
        let mut parts = node.children().filter(|c| c.kind() != Kind::Skipped);
        let Some(first) = parts.next() else {
            return Err(Broken);
        };
        let is_leading = matches!(first.kind(), Kind::Operator | Kind::OpaqueOperator);
        let mut relation = if is_leading {
            self.leading(&first)?
        } else {
            self.table(&first)?
        };
        let (_, mut depth) = measure(&relation);
        for operator in parts {
            let at = span(&operator);
            depth += 1;
            self.check_depth(depth, at)?;
            self.count_relations(1, at)?;
            relation = self.operator(relation, &operator)?;
            // Joins and unions bring a depth of their own.
            if matches!(
                relation.op,
                Op::Join { .. } | Op::Union { .. } | Op::Project { .. }
            ) {
                (_, depth) = measure(&relation);
                self.check_depth(depth, at)?;
            }
        }
        Ok(relation)
    }

    /// An operator that begins a pipeline.
    fn leading(&mut self, node: &Node) -> Fallible<Relation> {
        let name = first_word(node);
        let at = span(node);
        match Operator::named(&name) {
            Some(Operator::Print) => self.print(node),
            Some(Operator::Range) => self.range(node),
            Some(Operator::Union) => self.union(None, node),
            _ => Err(self.operator_not_yet(&name, at)),
        }
    }

    fn operator_not_yet(&mut self, name: &str, at: Span) -> Broken {
        let length = u32::try_from(name.len()).unwrap_or_default();
        self.error(
            codes::OPERATOR_NOT_YET,
            Span::new(at.start, at.start + length),
            format!("the operator `{name}` is not supported yet"),
        )
    }

    fn operator(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let name = first_word(node);
        let at = span(node);
        let Some(operator) = Operator::named(&name) else {
            return Err(Broken);
        };
        if !operator.is_supported() {
            return Err(self.operator_not_yet(&name, at));
        }
        match operator {
            Operator::Where => self.filter(input, node),
            Operator::Project => Ok(self.project(input, node)),
            Operator::Serialize if items(node).next().is_none() => Ok(input),
            Operator::Extend | Operator::Serialize => Ok(self.extend(input, node)),
            Operator::ProjectAway => Ok(self.project_away(input, node)),
            Operator::ProjectKeep => Ok(self.project_keep(input, node)),
            Operator::ProjectRename => self.project_rename(input, node),
            Operator::ProjectReorder => Ok(self.project_reorder(input, node)),
            Operator::Summarize => self.summarize(input, node),
            Operator::Distinct => self.distinct(input, node),
            Operator::Take => Ok(self.take(input, node)),
            Operator::Top => Ok(self.top(input, node)),
            Operator::Sort => Ok(self.sort(input, node)),
            Operator::Count => {
                let name = child(node, Kind::Name).map(|n| plain_name(&n));
                let name = name.as_deref().unwrap_or("Count");
                Ok(super::aggregate::count(input, name, at))
            }
            Operator::Join => self.join(input, node, false),
            Operator::Lookup => self.join(input, node, true),
            Operator::Union => self.union(Some(input), node),
            Operator::MvExpand => self.mv_expand(input, node),
            Operator::GetSchema => Ok(get_schema(&input, at)),
            Operator::As => self.name_input(input, node),
            Operator::Render => {
                self.render = Some(render(node));
                Ok(input)
            }
            _ => Err(self.error(
                codes::FORM_NOT_YET,
                at,
                format!("`{name}` cannot stand after a bar"),
            )),
        }
    }

    /// `name = value` or a value alone.
    pub(super) fn named(&mut self, item: &Node) -> Fallible<(Option<String>, Node)> {
        if item.kind() != Kind::Named {
            return Ok((None, item.clone()));
        }
        let mut parts = item.children();
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            return Err(Broken);
        };
        if name.kind() == Kind::NameList {
            let message = "several names for one value are supported in `summarize` only";
            return Err(self.error(codes::FORM_NOT_YET, span(&name), message));
        }
        let declared = self.declared(&name)?;
        let is_word = name.kind() == Kind::Name && name.text() == declared.as_str();
        if is_word && RESERVED.contains(&declared.as_str()) {
            return Err(self.error_help(
                codes::EXPECTED,
                span(&name),
                format!("`{declared}` is a word of the language and cannot name a column"),
                format!("write it as `['{declared}']`"),
            ));
        }
        Ok((Some(declared), value))
    }

    /// Remembers that the column an item would make is not there.
    pub(super) fn poison(&mut self, item: &Node) {
        match item.kind() {
            Kind::Named => {
                for name in item.children().take(1) {
                    let names = if name.kind() == Kind::NameList {
                        name.children().map(|n| plain_name(&n)).collect()
                    } else {
                        vec![plain_name(&name)]
                    };
                    self.poisoned.extend(names);
                }
            }
            _ => {
                if let Some(name) = suggested(item, true).text() {
                    self.poisoned.insert(name.to_owned());
                }
            }
        }
    }

    fn filter(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let Some(condition) = items(node).next() else {
            return Err(Broken);
        };
        let row = Row {
            columns: &input.columns,
        };
        // A condition that is wrong leaves the columns as they are: the rest can be judged.
        let Ok(predicate) = self.expr(&condition, row) else {
            return Ok(input);
        };
        if predicate.ty != ColumnType::Bool {
            let message = format!(
                "a condition is of type `bool`, and this is of type `{}`",
                predicate.ty
            );
            let _ = if predicate.ty == ColumnType::Dynamic {
                self.error_help(
                    codes::NOT_BOOL,
                    predicate.span,
                    message,
                    "convert it with `tobool(…)`",
                )
            } else {
                self.error(codes::NOT_BOOL, predicate.span, message)
            };
            return Ok(input);
        }
        Ok(Relation {
            columns: input.columns.clone(),
            op: Op::Filter {
                input: Box::new(input),
                predicate,
            },
            span: span(node),
        })
    }

    fn project(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut taken = Taken::default();
        let mut unnamed = 0;
        for item in items(node) {
            let Ok((given, value)) = self.named(&item) else {
                self.poison(&item);
                continue;
            };
            let suggestion = match given {
                Some(name) => Suggested::Column(name),
                None => suggested(&value, false),
            };
            let name = match suggestion {
                Suggested::Column(name) => {
                    if !taken.take(&name) {
                        let _ = self.duplicate(&name, span(&item));
                    }
                    name
                }
                Suggested::Derived(name) => taken.unique(&name),
                Suggested::Nothing => {
                    unnamed += 1;
                    taken.unique(&format!("Column{unnamed}"))
                }
            };
            match self.expr(&value, row) {
                Ok(expr) => {
                    columns.push(Field::new(name, expr.ty));
                    exprs.push(expr);
                }
                Err(Broken) => {
                    self.poisoned.insert(name);
                }
            }
        }
        projected(input, exprs, columns, span(node))
    }

    fn extend(&mut self, input: Relation, node: &Node) -> Relation {
        let at = span(node);
        let row = Row {
            columns: &input.columns,
        };
        let mut exprs: Vec<Expr> = input
            .columns
            .iter()
            .enumerate()
            .map(|(position, f)| column(position, f.ty, at))
            .collect();
        let mut columns = input.columns.clone();
        let mut known = Taken::new(input.columns.iter().map(|f| &*f.name));
        let mut given_here = Taken::default();
        for item in items(node) {
            let Ok((given, value)) = self.named(&item) else {
                self.poison(&item);
                continue;
            };
            let name = match given {
                Some(name) => {
                    if !given_here.take(&name) {
                        let _ = self.duplicate(&name, span(&item));
                    }
                    name
                }
                None => match suggested(&value, false) {
                    // A derived name takes the column of that name over.
                    Suggested::Derived(name) => {
                        given_here.take(&name);
                        name
                    }
                    Suggested::Column(name) => {
                        if !given_here.take(&name) {
                            let _ = self.duplicate(&name, span(&item));
                        }
                        name
                    }
                    Suggested::Nothing => known.numbered("Column"),
                },
            };
            let Ok(expr) = self.expr(&value, row) else {
                self.poisoned.insert(name);
                continue;
            };
            let field = Field::new(name.as_str(), expr.ty);
            let existing = columns.iter().position(|f| !f.hidden && *f.name == *name);
            let slot = existing.and_then(|at| Some((columns.get_mut(at)?, exprs.get_mut(at)?)));
            if let Some((old_field, old_expr)) = slot {
                *old_field = field;
                *old_expr = expr;
            } else {
                known.take(&name);
                columns.push(field);
                exprs.push(expr);
            }
        }
        projected(input, exprs, columns, at)
    }

    fn print(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut taken = Taken::default();
        for (position, item) in items(node).enumerate() {
            let (given, value) = self.named(&item)?;
            let name = match given {
                Some(name) => {
                    if !taken.take(&name) {
                        let _ = self.duplicate(&name, span(&item));
                    }
                    name
                }
                None => taken.unique(&format!("print_{position}")),
            };
            if let Ok(expr) = self.expr(&value, Row::NONE) {
                columns.push(Field::new(name, expr.ty));
                exprs.push(expr);
            } else {
                self.poisoned.insert(name);
            }
        }
        let one_row = Relation {
            op: Op::Values {
                rows: vec![Vec::new()],
            },
            columns: Vec::new(),
            span: at,
        };
        self.count_relations(2, at)?;
        Ok(projected(one_row, exprs, columns, at))
    }

    fn range(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let parts: Vec<Node> = items(node).collect();
        let [name, from, to, step] = parts.as_slice() else {
            return Err(Broken);
        };
        let name = self.declared(name)?;
        let (from, to, step) = (
            self.expr(from, Row::NONE)?,
            self.expr(to, Row::NONE)?,
            self.expr(step, Row::NONE)?,
        );
        let ty = match (from.ty, to.ty, step.ty) {
            (ColumnType::DateTime, ColumnType::DateTime, ColumnType::TimeSpan) => {
                ColumnType::DateTime
            }
            (ColumnType::TimeSpan, ColumnType::TimeSpan, ColumnType::TimeSpan) => {
                ColumnType::TimeSpan
            }
            (a, b, c) => {
                let widest = super::types::wider(a, b).and_then(|ab| super::types::wider(ab, c));
                let Some(ty) = widest else {
                    let message = format!("`range` does not go from `{a}` to `{b}` by `{c}`");
                    return Err(self.error(codes::TYPE_MISMATCH, at, message));
                };
                if ty == ColumnType::Int {
                    ColumnType::Long
                } else {
                    ty
                }
            }
        };
        let step = match ty {
            ColumnType::DateTime | ColumnType::TimeSpan => step,
            number => cast(step, number),
        };
        self.count_relations(1, at)?;
        Ok(Relation {
            op: Op::Range {
                from: cast(from, ty),
                to: cast(to, ty),
                step,
            },
            columns: vec![Field::new(name, ty)],
            span: at,
        })
    }

    // Choosing columns.

    /// The positions that a name or pattern means.
    fn pattern(&mut self, node: &Node, row: Row<'_>) -> Fallible<Vec<usize>> {
        let at = span(node);
        let node = match node.kind() {
            Kind::SortKey => node.children().next().ok_or(Broken)?,
            _ => node.clone(),
        };
        if node.kind() == Kind::Wildcard {
            let pattern = node.text().to_string();
            let pattern = pattern.trim();
            let found: Vec<usize> = row
                .columns
                .iter()
                .enumerate()
                .filter(|(_, f)| !f.hidden && matches_pattern(pattern, &f.name))
                .map(|(position, _)| position)
                .collect();
            if found.is_empty() {
                let message = format!("no column matches `{pattern}`");
                return Err(self.error(codes::UNKNOWN_COLUMN, at, message));
            }
            return Ok(found);
        }
        if !matches!(node.kind(), Kind::Name | Kind::BracketName) {
            return Err(self.error(codes::EXPECTED, at, "expected a column's name"));
        }
        let name = plain_name(&node);
        match super::scalar::find_column(row, &name) {
            Some(position) => Ok(vec![position]),
            None => Err(self.unknown_name(&name, at, row)),
        }
    }

    fn project_away(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut away = std::collections::BTreeSet::new();
        for item in items(node) {
            away.extend(self.pattern(&item, row).unwrap_or_default());
        }
        let kept = (0..input.columns.len())
            .filter(|p| !away.contains(p))
            .collect();
        chosen(input, kept, span(node))
    }

    fn project_keep(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut kept = std::collections::BTreeSet::new();
        for item in items(node) {
            kept.extend(self.pattern(&item, row).unwrap_or_default());
        }
        kept.extend(input.columns.iter().position(|f| f.hidden));
        chosen(input, kept.into_iter().collect(), span(node))
    }

    fn project_reorder(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut order: Vec<usize> = Vec::new();
        let mut placed = std::collections::BTreeSet::new();
        for item in items(node) {
            let mut found = self.pattern(&item, row).unwrap_or_default();
            let direction = words(&item).into_iter().next_back().unwrap_or_default();
            if item.kind() == Kind::SortKey {
                let name = |position: &usize| input.columns.get(*position).map(|f| f.name.clone());
                found.sort_by_key(name);
                if direction.ends_with("desc") {
                    found.reverse();
                }
            }
            order.extend(found.into_iter().filter(|p| placed.insert(*p)));
        }
        order.extend((0..input.columns.len()).filter(|p| !placed.contains(p)));
        chosen(input, order, span(node))
    }

    fn project_rename(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let row = Row {
            columns: &input.columns,
        };
        let mut columns = input.columns.clone();
        for item in items(node) {
            let (Some(name), old) = self.named(&item)? else {
                let message = "`project-rename` wants `new = old`";
                return Err(self.error(codes::EXPECTED, span(&item), message));
            };
            let Ok(found) = self.pattern(&old, row) else {
                self.poisoned.insert(name);
                continue;
            };
            if let Some(field) = found.first().and_then(|p| columns.get_mut(*p)) {
                field.name = name.as_str().into();
            }
        }
        let mut taken = Taken::default();
        for field in &columns {
            if !taken.take(&field.name) {
                return Err(self.duplicate(&field.name, span(node)));
            }
        }
        let at = span(node);
        let exprs = identity(&input, at);
        Ok(projected(input, exprs, columns, at))
    }

    // Rows.

    fn distinct(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let is_all = items(node).any(|item| item.kind() == Kind::All);
        let projected = if is_all {
            super::without_hidden(input)
        } else {
            let relation = self.project(input, node);
            if let Op::Project { exprs, .. } = &relation.op {
                for expr in exprs {
                    self.refuse_dynamic(expr, "take distinct values of")?;
                }
            }
            relation
        };
        Ok(Relation {
            columns: projected.columns.clone(),
            op: Op::Distinct {
                input: Box::new(projected),
            },
            span: at,
        })
    }

    fn rows(&mut self, node: Option<Node>) -> Fallible<u64> {
        let Some(node) = node else {
            return Err(Broken);
        };
        let expr = self.expr(&node, Row::NONE)?;
        let rows = match expr.as_literal() {
            Some(Value::Long(n)) => u64::try_from(*n).ok(),
            Some(Value::Int(n)) => u64::try_from(*n).ok(),
            _ => None,
        };
        rows.ok_or_else(|| {
            let message = "a number of rows must be a literal whole number";
            self.error(codes::NOT_CONSTANT, span(&node), message)
        })
    }

    fn take(&mut self, input: Relation, node: &Node) -> Relation {
        // A number that is wrong leaves the columns as they are.
        let Ok(rows) = self.rows(items(node).next()) else {
            return input;
        };
        Relation {
            columns: input.columns.clone(),
            op: Op::Take {
                input: Box::new(input),
                rows,
            },
            span: span(node),
        }
    }

    fn top(&mut self, input: Relation, node: &Node) -> Relation {
        let rows = self.rows(items(node).next());
        let sorted = self.sort(input, node);
        let Ok(rows) = rows else {
            return sorted;
        };
        Relation {
            columns: sorted.columns.clone(),
            op: Op::Take {
                input: Box::new(sorted),
                rows,
            },
            span: span(node),
        }
    }

    fn sort(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut keys = Vec::new();
        for item in items(node).filter(|c| c.kind() == Kind::SortKey) {
            let Some(value) = item.children().next() else {
                continue;
            };
            let Ok((_, value)) = self.named(&value) else {
                continue;
            };
            let Ok(expr) = self.expr(&value, row) else {
                continue;
            };
            if self.refuse_dynamic(&expr, "order by").is_err() {
                continue;
            }
            let said = words(&item);
            let descending = !said.iter().any(|w| w == "asc");
            let nulls_first = match said.last().map(String::as_str) {
                Some("first") => true,
                Some("last") => false,
                _ => !descending,
            };
            keys.push(SortKey {
                expr,
                descending,
                nulls_first,
            });
        }
        Relation {
            columns: input.columns.clone(),
            op: Op::Sort {
                input: Box::new(input),
                keys,
            },
            span: span(node),
        }
    }

    // Expanding.

    fn mv_expand(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut bags = BagExpansion::Bag;
        let mut index_name = None;
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            let value = said.last().cloned().unwrap_or_default();
            match said.first().map(String::as_str) {
                Some("kind" | "bagexpansion") if value == "array" => bags = BagExpansion::Array,
                Some("kind" | "bagexpansion") if value == "bag" => bags = BagExpansion::Bag,
                Some("with_itemindex") => index_name = Some(value),
                _ => {
                    let message = format!("`mv-expand` has no option `{}`", said.join(" "));
                    return Err(self.error(codes::UNKNOWN_OPTION, span(&option), message));
                }
            }
        }
        // The old spelling stops at 128 rows.
        let mut rows_max = (first_word(node) == "mvexpand").then_some(128);
        if words(node).iter().any(|w| w == "limit") {
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
    fn expanded_columns(
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
            let Some(value) = item.children().next() else {
                continue;
            };
            let (given, value) = self.named(&value)?;
            let to = match child(&item, Kind::ToType).and_then(|t| t.children().next()) {
                Some(ty) => self.type_of(&ty)?,
                None => ColumnType::Dynamic,
            };
            let expr = self.expr(&value, row)?;
            if expr.ty != ColumnType::Dynamic {
                let message = format!(
                    "`mv-expand` wants a dynamic value, and this is of type `{}`",
                    expr.ty
                );
                let help = "read text as JSON with `parse_json(…)`";
                return Err(self.error_help(codes::NOT_DYNAMIC, expr.span, message, help));
            }
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

    /// `as name`: the input under a name for the operators that follow.
    fn name_input(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let said = words(node);
        let Some(name) = said.last().filter(|_| said.len() > 1) else {
            return Err(self.error(codes::EXPECTED, span(node), "expected a name"));
        };
        let binding = super::table_binding(input.clone());
        self.env
            .push((name.as_str().into(), std::rc::Rc::new(binding)));
        Ok(input)
    }
}

/// Every column as it is.
pub(super) fn identity(input: &Relation, at: Span) -> Vec<Expr> {
    input
        .columns
        .iter()
        .enumerate()
        .map(|(position, f)| column(position, f.ty, at))
        .collect()
}

pub(super) fn projected(
    input: Relation,
    exprs: Vec<Expr>,
    columns: Vec<Field>,
    span: Span,
) -> Relation {
    Relation {
        op: Op::Project {
            input: Box::new(input),
            exprs,
        },
        columns,
        span,
    }
}

/// The columns at `positions`, in that order.
fn chosen(input: Relation, positions: Vec<usize>, at: Span) -> Relation {
    let fields: Vec<(usize, Field)> = positions
        .into_iter()
        .filter_map(|p| Some((p, input.columns.get(p)?.clone())))
        .collect();
    let exprs = fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = fields.into_iter().map(|(_, f)| f).collect();
    projected(input, exprs, columns, at)
}

/// Whether `name` is of the form of `pattern`, where `*` stands for any text.
pub(super) fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

fn get_schema(input: &Relation, at: Span) -> Relation {
    let rows = input
        .columns
        .iter()
        .filter(|f| !f.hidden)
        .enumerate()
        .map(|(ordinal, f)| {
            vec![
                Value::String(f.name.clone()),
                Value::Int(i32::try_from(ordinal).unwrap_or_default()),
                Value::String(engine_type(f.ty).into()),
                Value::String(f.ty.as_str().into()),
            ]
        })
        .collect();
    Relation {
        op: Op::Values { rows },
        columns: vec![
            Field::new("ColumnName", ColumnType::String),
            Field::new("ColumnOrdinal", ColumnType::Int),
            Field::new("DataType", ColumnType::String),
            Field::new("ColumnType", ColumnType::String),
        ],
        span: at,
    }
}

/// The name that `getschema` gives the type in the service's own runtime.
fn engine_type(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Bool => "System.SByte",
        ColumnType::DateTime => "System.DateTime",
        ColumnType::Decimal => "System.Data.SqlTypes.SqlDecimal",
        ColumnType::Dynamic => "System.Object",
        ColumnType::Guid => "System.Guid",
        ColumnType::Int => "System.Int32",
        ColumnType::Long => "System.Int64",
        ColumnType::Real => "System.Double",
        ColumnType::String => "System.String",
        ColumnType::TimeSpan => "System.TimeSpan",
    }
}

/// `render kind with (name = value, …)`.
fn render(node: &Node) -> Render {
    let said = words(node);
    let mut properties = Vec::new();
    for (position, word) in said.iter().enumerate() {
        if word == "=" {
            let name = position.checked_sub(1).and_then(|p| said.get(p));
            if let (Some(name), Some(value)) = (name, said.get(position + 1)) {
                let value = super::literals::string(value)
                    .ok()
                    .filter(|_| value.starts_with(['"', '\'', '@']))
                    .unwrap_or_else(|| value.clone());
                properties.push((name.clone(), value));
            }
        }
    }
    Render {
        kind: said.get(1).cloned().unwrap_or_default(),
        properties,
    }
}
