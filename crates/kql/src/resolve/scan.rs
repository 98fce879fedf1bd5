//! `scan`: sequences of rows, step by step.
//!
//! The expressions of a step read the input's columns, the declared columns of every step's state as
//! `step.column`, and the declared columns alone, which hold what they begin with.

use model::{ColumnType, Span};

use super::carry;
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, child, column, plain_name, words};
use crate::codes;
use crate::resolved::{Expr, Field, Op, Relation, ScanOutput, ScanStep, Value};
use crate::syntax::{Kind, Node, span};

/// A declared column.
struct Declared {
    name: String,
    ty: ColumnType,
    initial: Expr,
}

impl Resolver<'_> {
    pub(super) fn scan(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        if !carry::is_serialized(&input) {
            let help = "put `sort by …` or `serialize` before it";
            return Err(self.error_help(
                codes::NOT_SERIALIZED,
                at,
                "`scan` wants rows in an order",
                help,
            ));
        }
        let match_id = node
            .children()
            .filter(|c| c.kind() == Kind::OperatorOption)
            .find_map(|option| super::last_name(&words(&option)));
        let declared = match child(node, Kind::Params) {
            Some(params) => self.scan_declared(&params)?,
            None => Vec::new(),
        };
        let step_nodes: Vec<Node> = node
            .children()
            .filter(|c| c.kind() == Kind::ScanStep)
            .collect();
        let mut named = std::collections::BTreeSet::new();
        for step in &step_nodes {
            let name = step.children().next().map(|n| plain_name(&n));
            if let Some(name) = name.filter(|name| !named.insert(name.clone())) {
                let message = format!("two steps are called `{name}`");
                return Err(self.error(codes::DUPLICATE_COLUMN, span(step), message));
            }
        }
        let scope = scan_scope(&input, &step_nodes, &declared);
        let mut steps = Vec::new();
        for step in &step_nodes {
            steps.push(self.scan_step(step, &scope, &declared)?);
        }
        if steps.is_empty() {
            return Err(self.error(codes::EXPECTED, at, "`scan` wants a step"));
        }
        let mut columns = input.columns.clone();
        for column in &declared {
            if columns.iter().any(|f| !f.hidden && *f.name == *column.name) {
                return Err(self.duplicate(&column.name, at));
            }
            columns.push(Field::new(column.name.as_str(), column.ty));
        }
        if let Some(name) = &match_id {
            columns.push(Field::new(name.as_str(), ColumnType::Long));
        }
        Ok(Relation {
            op: Op::Scan {
                keys: carry::key_positions(&input.columns),
                input: Box::new(input),
                declared: declared.into_iter().map(|d| (d.ty, d.initial)).collect(),
                steps,
                match_id: match_id.is_some(),
            },
            columns,
            span: at,
        })
    }

    fn scan_declared(&mut self, params: &Node) -> Fallible<Vec<Declared>> {
        let mut declared = Vec::new();
        for param in params.children() {
            let at = span(&param);
            let mut parts = param.children();
            let Some(name_node) = parts.next() else {
                return Err(Broken);
            };
            let name = self.new_name(&name_node)?;
            let type_name = words(&param).get(1).cloned().unwrap_or_default();
            let ty = self.type_named(&type_name, at)?;
            let initial = match parts.next() {
                Some(value) => cast(self.expr(&value, Row::NONE)?, ty),
                None => Expr::literal(Value::missing(ty), at),
            };
            declared.push(Declared { name, ty, initial });
        }
        Ok(declared)
    }

    fn scan_step(
        &mut self,
        node: &Node,
        scope: &[Field],
        declared: &[Declared],
    ) -> Fallible<ScanStep> {
        let at = span(node);
        let row = Row { columns: scope };
        let mut output = ScanOutput::All;
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            output = match words(&option).last().map(String::as_str) {
                Some("all") => ScanOutput::All,
                Some("last") => ScanOutput::Last,
                Some("none") => ScanOutput::None,
                _ => {
                    let message = "a step puts out all, last or none";
                    return Err(self.error(codes::UNKNOWN_OPTION, span(&option), message));
                }
            };
        }
        let mut parts = node
            .children()
            .filter(|c| c.kind() != Kind::OperatorOption)
            .skip(1);
        let Some(condition) = parts.next() else {
            return Err(self.error(codes::EXPECTED, at, "a step wants a condition"));
        };
        let condition = self.expr(&condition, row)?;
        if condition.ty != ColumnType::Bool {
            let message = format!(
                "a condition is of type `bool`, and this is of type `{}`",
                condition.ty
            );
            return Err(self.error(codes::NOT_BOOL, condition.span, message));
        }
        let mut assignments = Vec::new();
        for item in parts {
            let (Some(name), value) = self.named(&item)? else {
                let message = "a step assigns to declared columns: `name = value`";
                return Err(self.error(codes::EXPECTED, span(&item), message));
            };
            let Some(position) = declared.iter().position(|d| d.name == name) else {
                let message = format!("`{name}` is not declared");
                return Err(self.error(codes::UNKNOWN_NAME, span(&item), message));
            };
            let ty = declared.get(position).map_or(ColumnType::Dynamic, |d| d.ty);
            let value = self.expr(&value, row)?;
            assignments.push((position, cast(value, ty)));
        }
        Ok(ScanStep {
            condition,
            assignments,
            output,
            optional: words(node).iter().any(|w| w == "optional"),
        })
    }

    /// A name that may be given to a new column.
    pub(super) fn new_name(&mut self, node: &Node) -> Fallible<String> {
        let name = self.declared(node)?;
        self.refuse_reserved(&name, node)?;
        Ok(name)
    }
}

/// What the expressions of the steps may name.
fn scan_scope(input: &Relation, steps: &[Node], declared: &[Declared]) -> Vec<Field> {
    let mut scope = input.columns.clone();
    for step in steps {
        let name = step
            .children()
            .next()
            .map(|n| plain_name(&n))
            .unwrap_or_default();
        for field in &input.columns {
            scope.push(Field {
                name: format!("{name}.{}", field.name).into(),
                ..field.clone()
            });
        }
        for column in declared {
            scope.push(Field::new(format!("{name}.{}", column.name), column.ty));
        }
    }
    scope.extend(declared.iter().map(|d| Field::new(d.name.as_str(), d.ty)));
    scope
}

/// A column `base.key` of a row, as `scan` and `graph-match` name them.
pub(super) fn qualified(row: Row<'_>, base: &Node, key: &Node, at: Span) -> Option<Expr> {
    if !matches!(base.kind(), Kind::Name | Kind::BracketName) || key.kind() != Kind::Member {
        return None;
    }
    let key = key
        .children()
        .next()
        .filter(|k| matches!(k.kind(), Kind::Name | Kind::BracketName))?;
    let name = format!("{}.{}", plain_name(base), plain_name(&key));
    let position = row
        .columns
        .iter()
        .position(|f| !f.hidden && *f.name == *name)?;
    let ty = row.columns.get(position)?.ty;
    Some(column(position, ty, at))
}
