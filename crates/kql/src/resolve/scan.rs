//! `scan`: sequences of rows, step by step.
//!
//! The expressions of a step read the input's columns, the declared columns of every step's state as
//! `step.column`, and the declared columns alone, which hold what they begin with.
//!
//! A step may also assign to a column of the input. Such a column is declared once more, hidden:
//! where a step does not assign to it, it takes the row's own value, and in the end it takes the
//! place of the input's.

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
    /// The column of the input that it takes the place of.
    replaces: Option<usize>,
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
        let mut declared = match child(node, Kind::Params) {
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
        for column in &declared {
            let is_same = |f: &Field| !f.hidden && *f.name == *column.name;
            if input.columns.iter().any(is_same) {
                return Err(self.duplicate(&column.name, at));
            }
        }
        declared.extend(replaced(&input, &step_nodes, &declared, at));
        let scope = scan_scope(&input, &step_nodes, &declared);
        let mut steps = Vec::new();
        for step in &step_nodes {
            steps.push(self.scan_step(step, &scope, &declared)?);
        }
        if steps.is_empty() {
            return Err(self.error(codes::EXPECTED, at, "`scan` wants a step"));
        }
        let mut columns = input.columns.clone();
        let width = columns.len();
        let places: Vec<(usize, usize)> = (declared.iter().enumerate())
            .filter_map(|(at, d)| Some((d.replaces?, width + at)))
            .collect();
        columns.extend(declared.iter().map(|d| match d.replaces {
            Some(_) => carry::hidden("$v", d.ty),
            None => Field::new(d.name.as_str(), d.ty),
        }));
        if let Some(name) = &match_id {
            columns.push(Field::new(name.as_str(), ColumnType::Long));
        }
        let scanned = Relation {
            op: Op::Scan {
                keys: carry::key_positions(&input.columns),
                input: Box::new(input),
                declared: declared.into_iter().map(|d| (d.ty, d.initial)).collect(),
                steps,
                match_id: match_id.is_some(),
            },
            columns,
            span: at,
        };
        Ok(in_place(scanned, &places, at))
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
            declared.push(Declared {
                name,
                ty,
                initial,
                replaces: None,
            });
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
                let message = format!("`{name}` is neither declared nor a column of the input");
                let help = format!("declare it: `scan declare ({name}: long) with …`");
                return Err(self.error_help(codes::UNKNOWN_NAME, span(&item), message, help));
            };
            let ty = declared.get(position).map_or(ColumnType::Dynamic, |d| d.ty);
            let value = self.expr(&value, row)?;
            assignments.push((position, cast(value, ty)));
        }
        // What takes the place of a column is the row's own where the step says nothing else.
        for (position, column) in declared.iter().enumerate() {
            if let Some(from) = column.replaces
                && assignments.iter().all(|(given, _)| *given != position)
            {
                assignments.push((position, super::column(from, column.ty, at)));
            }
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

/// The columns of the input that some step assigns to.
fn replaced(input: &Relation, steps: &[Node], declared: &[Declared], at: Span) -> Vec<Declared> {
    let given = steps.iter().flat_map(Node::children);
    let given = given.filter(|c| c.kind() == Kind::Named);
    let mut out: Vec<Declared> = Vec::new();
    for name in given.filter_map(|item| item.children().next()) {
        let name = plain_name(&name);
        let mut all = declared.iter().chain(&out);
        let is_same = |f: &Field| !f.hidden && *f.name == *name;
        if let Some(position) = input.columns.iter().position(is_same)
            && all.all(|known| known.name != name)
        {
            let ty = input
                .columns
                .get(position)
                .map_or(ColumnType::Dynamic, |f| f.ty);
            out.push(Declared {
                initial: Expr::literal(Value::missing(ty), at),
                name,
                ty,
                replaces: Some(position),
            });
        }
    }
    out
}

/// The columns with those of `places` in the place of others.
fn in_place(scanned: Relation, places: &[(usize, usize)], at: Span) -> Relation {
    if places.is_empty() {
        return scanned;
    }
    let is_source = |position: usize| places.iter().any(|(_, from)| *from == position);
    let kept: Vec<(usize, Field)> = scanned
        .columns
        .iter()
        .cloned()
        .enumerate()
        .filter(|(position, _)| !is_source(*position))
        .collect();
    let from = |position: usize| {
        let place = places.iter().find(|(to, _)| *to == position);
        place.map_or(position, |(_, from)| *from)
    };
    let exprs = kept
        .iter()
        .map(|(p, f)| column(from(*p), f.ty, at))
        .collect();
    let columns = kept.into_iter().map(|(_, f)| f).collect();
    super::columns::projected(scanned, exprs, columns, at)
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
        for (position, field) in input.columns.iter().enumerate() {
            let is_replaced = declared.iter().any(|d| d.replaces == Some(position));
            scope.push(Field {
                name: format!("{name}.{}", field.name).into(),
                hidden: field.hidden || is_replaced,
                ..field.clone()
            });
        }
        for column in declared {
            scope.push(Field::new(format!("{name}.{}", column.name), column.ty));
        }
    }
    scope.extend(declared.iter().map(|d| Field {
        hidden: d.replaces.is_some(),
        ..Field::new(d.name.as_str(), d.ty)
    }));
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
