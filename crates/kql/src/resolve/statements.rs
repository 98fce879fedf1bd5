//! Statements beside `let`: declared parameters of the query, declared patterns.
//!
//! A pattern is a table per combination of texts: `country("Canada").Alberta` stands for the query
//! of the first rule whose texts are these.

use std::rc::Rc;

use model::{ColumnType, Span};

use super::types::cast;
use super::{Binding, Broken, Fallible, Resolver, Row, call_name, child, plain_name, words};
use crate::codes;
use crate::resolved::{Relation, Value};
use crate::syntax::{Kind, Node, span};

impl Resolver<'_> {
    /// `declare query_parameters(…)`: nobody gives values beside the text, so the defaults count.
    pub(super) fn query_parameters(&mut self, statement: &Node) {
        let params: Vec<Node> = child(statement, Kind::Params)
            .map(|p| p.children().collect())
            .unwrap_or_default();
        for param in params {
            let Some(name) = param.children().next().map(|n| plain_name(&n)) else {
                continue;
            };
            let binding = self.parameter(&param, &name).unwrap_or(Binding::Poisoned);
            self.env.push((name.as_str().into(), Rc::new(binding)));
        }
    }

    fn parameter(&mut self, param: &Node, name: &str) -> Fallible<Binding> {
        let at = span(param);
        let type_name = words(param).get(1).cloned().unwrap_or_default();
        let Some(ty) = ColumnType::parse(&type_name) else {
            let message = format!("unknown type `{type_name}`");
            return Err(self.error(codes::UNKNOWN_TYPE, at, message));
        };
        let Some(default) = param.children().nth(1) else {
            return Err(self.error_help(
                codes::BAD_ARGUMENTS,
                at,
                format!("the query parameter `{name}` has no value"),
                format!("give it a default: `{name}:{ty} = …`"),
            ));
        };
        let expr = self.expr(&default, Row::NONE)?;
        let value = cast(expr, ty);
        self.scalar_binding(value, None)
    }

    pub(super) fn pattern_declaration(&mut self, statement: &Node) {
        let Some(name) = statement.children().next() else {
            return;
        };
        let Ok(name) = self.declared(&name) else {
            return;
        };
        let binding = Binding::Pattern {
            declaration: statement.clone(),
            env_len: self.env.len(),
        };
        self.env.push((name.as_str().into(), Rc::new(binding)));
    }

    /// Whether `node` is `pattern("x").y`.
    pub(super) fn is_pattern(&self, node: &Node) -> bool {
        let Some(base) = node.children().next().filter(|n| n.kind() == Kind::Call) else {
            return false;
        };
        let found = self.lookup(&call_name(&base));
        matches!(found.as_deref(), Some(Binding::Pattern { .. }))
    }

    /// The query that `pattern("x")` or `pattern("x").y` stands for.
    pub(super) fn pattern_table(&mut self, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let (base, path) = if node.kind() == Kind::Call {
            (node.clone(), None)
        } else {
            let mut parts = node.children();
            (parts.next().ok_or(Broken)?, parts.next())
        };
        let name = call_name(&base);
        let Some(binding) = self.lookup(&name) else {
            return Err(Broken);
        };
        let Binding::Pattern {
            declaration,
            env_len,
        } = &*binding
        else {
            return Err(Broken);
        };
        let mut given = self.texts(&super::calls::arguments(&base))?;
        if let Some(part) = path.iter().find_map(|p| p.children().next()) {
            given.push(match part.kind() {
                Kind::Name | Kind::BracketName => plain_name(&part),
                _ => self.texts(&[part])?.pop().unwrap_or_default(),
            });
        }
        let rules: Vec<Node> = declaration
            .children()
            .filter(|c| c.kind() == Kind::PatternRule)
            .collect();
        for rule in rules {
            let values: Vec<Node> = rule
                .children()
                .filter(|c| c.kind() == Kind::List)
                .flat_map(|list| list.children())
                .collect();
            if self.texts(&values)? == given {
                return self.within(*env_len, Vec::new(), at, |resolver| {
                    let last = resolver.body(&rule)?;
                    resolver.table(&last)
                });
            }
        }
        let said = given.join("`, `");
        let message = format!("the pattern `{name}` has no rule for `{said}`");
        Err(self.error(codes::BAD_ARGUMENTS, at, message))
    }

    /// The texts of literals.
    fn texts(&mut self, nodes: &[Node]) -> Fallible<Vec<String>> {
        let mut out = Vec::new();
        for node in nodes {
            let expr = self.expr(node, Row::NONE)?;
            match cast(expr, ColumnType::String).as_literal() {
                Some(Value::String(text)) => out.push(text.to_string()),
                _ => return Err(self.not_constant(span(node))),
            }
        }
        Ok(out)
    }

    fn not_constant(&mut self, at: Span) -> Broken {
        let message = "the arguments of a pattern must be literals";
        self.error(codes::NOT_CONSTANT, at, message)
    }
}
