//! Scalar expressions: names, literals, access, and the way to calls and operations.

use model::{ColumnType, limits};

use super::carry;
use super::{Binding, Broken, Fallible, Resolver, Row, call_name, column, plain_name};
use crate::codes;
use crate::resolved::{Expr, ExprKind, PathKey, Value};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    /// A scalar expression over `row`.
    pub(super) fn expr(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let at = span(node);
        self.count_expressions(1, at)?;
        match node.kind() {
            Kind::Name | Kind::BracketName => self.name(node, row),
            Kind::Literal => self.literal(node),
            Kind::DynamicLiteral => match super::literals::dynamic(node) {
                Ok(value) => Ok(Expr::literal(value, at)),
                Err(message) => Err(self.error(codes::BAD_LITERAL, at, message)),
            },
            Kind::Paren => self.inner(node, row),
            Kind::Chain => self.chain(node, row),
            Kind::Unary => self.unary(node, row),
            Kind::Path => self.path(node, row),
            Kind::Call => self.call(node, row),
            Kind::All => {
                let message = "`*` cannot stand here";
                let help = "rows are counted with `count()`; all columns are meant by leaving `project` out";
                Err(self.error_help(codes::EXPECTED, at, message, help))
            }
            Kind::Pipeline | Kind::DataTable | Kind::ExternalData => Err(self.error_help(
                codes::NOT_A_SCALAR,
                at,
                "a table stands where a scalar is wanted",
                "take one value of it with `toscalar()`",
            )),
            // An argument's name says nothing here but what a column may be called.
            Kind::Named => match node.children().nth(1) {
                Some(value) => self.expr(&value, row),
                None => Err(Broken),
            },
            Kind::TypeOf => Err(self.error(codes::EXPECTED, at, "`typeof()` cannot stand here")),
            _ => Err(self.error(codes::EXPECTED, at, "expected an expression")),
        }
    }

    fn inner(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let Some(inner) = node.children().next() else {
            return Err(Broken);
        };
        let expr = self.expr(&inner, row)?;
        Ok(Expr {
            span: span(node),
            ..expr
        })
    }

    pub(super) fn literal(&mut self, node: &Node) -> Fallible<Expr> {
        let at = span(node);
        if super::literals::is_now(node) {
            return Ok(Expr::literal(Value::DateTime(self.now), at));
        }
        match super::literals::literal(node) {
            Ok(value) => Ok(Expr::literal(value, at)),
            Err(message) if message.starts_with("unknown escape") => Err(self.error_help(
                codes::BAD_LITERAL,
                at,
                message,
                "double the backslash, or write the string as `@\"…\"`",
            )),
            Err(message) => Err(self.error(codes::BAD_LITERAL, at, message)),
        }
    }

    fn name(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let name = plain_name(node);
        let at = span(node);
        if let Some(position) = find_column(row, &name) {
            let ty = row
                .columns
                .get(position)
                .map_or(ColumnType::String, |f| f.ty);
            return Ok(column(position, ty, at));
        }
        if let Some(binding) = self.lookup(&name) {
            return self.bound(&name, &binding, at);
        }
        if let Some((position, key)) = carry::open_property(row.columns, &name) {
            self.open_spans.insert(at);
            return Ok(carry::property(position, &key, at));
        }
        if let Some(stored) = super::stored::named(row, &name, at) {
            return Ok(stored);
        }
        if let Some(collector) = &self.aggregates
            && collector.has_column(&name)
        {
            return Err(self.error_help(
                codes::NOT_AGGREGATED,
                at,
                format!("column `{name}` stands outside of an aggregate"),
                "put it after `by`, or into an aggregate such as `take_any()`",
            ));
        }
        Err(self.unknown_name(&name, at, row))
    }

    fn bound(&mut self, name: &str, binding: &Binding, at: model::Span) -> Fallible<Expr> {
        match binding {
            Binding::Scalar {
                expr,
                size,
                row_depth,
            } => {
                self.count_expressions(*size, at)?;
                if row_depth.is_some_and(|depth| depth != self.row_depth) {
                    return Err(self.error(
                        codes::FORM_NOT_YET,
                        at,
                        format!(
                            "`{name}` depends on a row of another query, which is not supported yet"
                        ),
                    ));
                }
                Ok(Expr {
                    span: at,
                    ..expr.clone()
                })
            }
            Binding::Table { .. } | Binding::Pattern { .. } => Err(self.error_help(
                codes::NOT_A_SCALAR,
                at,
                format!("`{name}` is a table, and a scalar is wanted"),
                "take one value of it with `toscalar()`",
            )),
            // A function without parameters needs no brackets.
            Binding::Function { lambda, env_len } => {
                self.scalar_function(name, lambda, *env_len, &[], at, Row::NONE)
            }
            Binding::Poisoned => Err(Broken),
        }
    }

    /// Reports a name that nothing here has, unless its definition was reported already.
    pub(super) fn unknown_name(&mut self, name: &str, at: model::Span, row: Row<'_>) -> Broken {
        if self.poisoned.contains(name) {
            return Broken;
        }
        if let Some(broken) = self.refuse_stored(name, at) {
            return broken;
        }
        let collected: Vec<String> = self
            .aggregates
            .as_ref()
            .map(super::aggregate::Collector::column_names)
            .unwrap_or_default();
        let visible = row.columns.iter().filter(|f| !f.hidden).map(|f| &*f.name);
        let similar = suggest::similar(
            name,
            visible
                .chain(collected.iter().map(String::as_str))
                .chain(self.env.iter().map(|(known, _)| &**known)),
        );
        let has_columns = !row.columns.is_empty() || !collected.is_empty();
        let (code, what) = if has_columns {
            (codes::UNKNOWN_COLUMN, "column")
        } else {
            (codes::UNKNOWN_NAME, "name")
        };
        let message = format!("unknown {what} `{name}`");
        match similar {
            Some(similar) => {
                let is_variable = self.env.iter().any(|(known, _)| **known == *similar);
                let what = if is_variable { "variable" } else { "column" };
                let help = format!("a {what} with a similar name exists: `{similar}`");
                self.error_help(code, at, message, help)
            }
            None => match super::habits::name(name)
                .or_else(|| self.element_help(name))
                .or_else(|| self.likely(name, at))
                .or_else(|| few_columns(row))
            {
                Some(help) => self.error_help(code, at, message, help),
                None => self.error(code, at, message),
            },
        }
    }

    /// What to do about a name that nothing has, by its place.
    fn likely(&self, name: &str, at: model::Span) -> Option<String> {
        let (place, likely) = self.likely?;
        let is_there = place.start <= at.start && at.end <= place.end;
        is_there.then(|| likely.help(name))
    }

    fn unary(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let at = span(node);
        let Some(inner) = node.children().next() else {
            return Err(Broken);
        };
        let expr = self.expr(&inner, row)?;
        if super::first_word(node) == "+" {
            // The same operands as `-`, and nothing is done to them.
            self.negate(expr.clone(), "+", at)?;
            return Ok(Expr { span: at, ..expr });
        }
        self.negate(expr, "-", at)
    }

    fn path(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let mut parts = node.children();
        let Some(base_node) = parts.next() else {
            return Err(Broken);
        };
        let name = plain_name(&base_node);
        if base_node.kind() == Kind::Name && matches!(name.as_str(), "$left" | "$right") {
            return Err(self.error_help(
                codes::UNKNOWN_NAME,
                span(&base_node),
                format!("`{name}` stands outside of a join's condition"),
                "write the column's name alone",
            ));
        }
        if base_node.kind() == Kind::Call
            && matches!(
                call_name(&base_node).as_str(),
                "cluster" | "database" | "workspace" | "app"
            )
        {
            return Err(self.error(
                codes::FORBIDDEN,
                span(node),
                "a query reads the tables of its own tenant only",
            ));
        }
        let parts: Vec<Node> = parts.collect();
        if parts.len() > limits::QUERY_DEPTH_MAX {
            let message = format!("the path has more than {} parts", limits::QUERY_DEPTH_MAX);
            return Err(self.error(codes::TOO_DEEP, span(node), message));
        }
        let mut parts = parts.into_iter().peekable();
        let qualified = parts.peek().and_then(|part| {
            let at = span(node);
            let step = super::scan::qualified(row, &base_node, part, at);
            step.or_else(|| self.inner_nodes(&base_node, part, at))
        });
        let mut base = match qualified {
            Some(column) => {
                parts.next();
                column
            }
            None => self.expr(&base_node, row)?,
        };
        for part in parts {
            let at = span(&part).cover(base.span);
            base = self.as_parts(base)?;
            let key = self.path_key(&part, row)?;
            base = Expr {
                kind: ExprKind::Path {
                    base: Box::new(base),
                    key,
                },
                ty: ColumnType::Dynamic,
                span: at,
            };
        }
        Ok(base)
    }

    /// `base` as something that has parts.
    fn as_parts(&mut self, base: Expr) -> Fallible<Expr> {
        match base.ty {
            ColumnType::Dynamic => Ok(base),
            ColumnType::String => {
                let at = base.span;
                Err(self.error_help(
                    codes::NOT_DYNAMIC,
                    at,
                    "a string has no parts",
                    "read it as JSON first: `parse_json(…)`",
                ))
            }
            ty => {
                let at = base.span;
                Err(self.error(
                    codes::NOT_DYNAMIC,
                    at,
                    format!("a value of type `{ty}` has no parts"),
                ))
            }
        }
    }

    fn path_key(&mut self, part: &Node, row: Row<'_>) -> Fallible<PathKey> {
        let Some(key) = part.children().next() else {
            return Err(Broken);
        };
        // `.[name]` is an expression in brackets, `.name` and `.['name']` are properties.
        let is_computed = super::words(part).iter().any(|w| w == "[");
        if part.kind() == Kind::Member
            && !is_computed
            && matches!(key.kind(), Kind::Name | Kind::BracketName)
        {
            return Ok(PathKey::Property(plain_name(&key).into()));
        }
        if part.kind() == Kind::Member && key.kind() == Kind::Call {
            let message = format!("`{}` cannot be called on a value", call_name(&key));
            return Err(self.error(codes::UNKNOWN_FUNCTION, span(&key), message));
        }
        // The key is a scalar of its own: an aggregate inside of it would belong to nothing.
        let expr = self.expr(&key, row)?;
        Ok(match (&expr.kind, expr.ty) {
            (ExprKind::Literal(Value::String(name)), _) => PathKey::Property(name.clone()),
            (ExprKind::Literal(Value::Long(n)), _) => PathKey::Index(*n),
            (_, ColumnType::String | ColumnType::Long) => PathKey::Computed(Box::new(expr)),
            (_, ColumnType::Int) => {
                PathKey::Computed(Box::new(super::types::cast(expr, ColumnType::Long)))
            }
            (_, ColumnType::Dynamic) => {
                PathKey::Computed(Box::new(super::types::cast(expr, ColumnType::String)))
            }
            (_, ty) => {
                return Err(self.error(
                    codes::TYPE_MISMATCH,
                    expr.span,
                    format!("a value of type `{ty}` cannot be a key"),
                ));
            }
        })
    }
}

/// The position of a visible column; `TimeGenerated` is another name of `Timestamp`.
pub(super) fn find_column(row: Row<'_>, name: &str) -> Option<usize> {
    let exact = |wanted: &str| {
        row.columns
            .iter()
            .position(|f| !f.hidden && &*f.name == wanted)
    };
    exact(name).or_else(|| {
        // `TimeGenerated1` is the right side's after a join.
        let number = name.strip_prefix(model::schema::TIME_ALIAS)?;
        let is_number = number.bytes().all(|b| b.is_ascii_digit());
        is_number
            .then(|| exact(&format!("Timestamp{number}")))
            .flatten()
    })
}

/// The columns there are, where they are few: after `summarize` or `project`.
fn few_columns(row: Row<'_>) -> Option<String> {
    const COLUMNS_MAX: usize = 8;
    let visible = row.columns.iter().filter(|f| !f.hidden);
    let names: Vec<String> = visible.map(|f| format!("`{}`", f.name)).collect();
    let few = !names.is_empty() && names.len() <= COLUMNS_MAX;
    few.then(|| format!("the columns here are {}", names.join(", ")))
}
