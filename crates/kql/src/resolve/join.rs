//! `join`, `lookup` and `union`.

use std::sync::Arc;

use model::{ColumnType, Span};

use super::aggregate::missing;
use super::carry;
use super::columns::{matches_pattern, projected};
use super::items;
use super::names::Taken;
use super::stored::is_stored;
use super::types::{cast, wider};
use super::{Broken, Fallible, Resolver, Row, column, plain_name, words};
use crate::codes;
use crate::resolved::{Expr, ExprKind, Field, JoinKind, Op, Relation, Value};
use crate::syntax::{Kind, Node, span};

/// An option's name, value and place.
struct Choice {
    name: String,
    value: String,
    at: Span,
}

fn choices(node: &Node) -> Vec<Choice> {
    node.children()
        .filter(|c| c.kind() == Kind::OperatorOption)
        .map(|option| {
            let said = words(&option);
            Choice {
                name: said.first().cloned().unwrap_or_default(),
                value: super::last_name(&said).unwrap_or_default(),
                at: span(&option),
            }
        })
        // Hints are about the service's own cluster.
        .filter(|choice| choice.name != "hint")
        .collect()
}

impl Resolver<'_> {
    pub(super) fn join(
        &mut self,
        left: Relation,
        node: &Node,
        is_lookup: bool,
    ) -> Fallible<Relation> {
        let kind = self.join_kind(node, is_lookup)?;
        let Some(operand) = items(node).find(|c| c.kind() != Kind::OnList) else {
            return Err(Broken);
        };
        let right = self.table(&operand)?;
        let at = span(node);
        let conditions = super::child(node, Kind::OnList);
        let mut on = Vec::new();
        let mut broken = false;
        for item in conditions.iter().flat_map(items) {
            if self.join_condition(&item, &left, &right, &mut on).is_err() {
                broken = true;
            }
        }
        if broken {
            return Err(Broken);
        }
        if on.is_empty() {
            return Err(self.error_help(
                codes::JOIN_KEY,
                at,
                "the join has no condition",
                "name the columns that must be equal after `on`",
            ));
        }
        self.count_relations(3, at)?;
        let sides = [left.columns.as_slice(), right.columns.as_slice()];
        let in_parts = sides.iter().any(|columns| carry::has_keys(columns));
        if in_parts {
            self.join_parts(sides, kind, &mut on, at)?;
        }
        if is_lookup {
            return Ok(looked_up(left, right, kind, on, at));
        }
        let width = left.columns.len();
        let all = left.columns.len() + right.columns.len();
        let both = joined(left, right, kind, on, at);
        Ok(if in_parts && both.columns.len() == all {
            carried_once(both, width, kind, at)
        } else {
            both
        })
    }

    /// Inside of a query in a query the rows of a part meet rows of the same part, or rows that
    /// belong to none.
    fn join_parts(
        &mut self,
        [left, right]: [&[Field]; 2],
        kind: JoinKind,
        on: &mut Vec<(Expr, Expr)>,
        at: Span,
    ) -> Fallible<()> {
        let keys = carry::key_positions(left);
        for position in &keys {
            let Some(field) = left.get(*position) else {
                continue;
            };
            if let Some(other) = right.iter().position(|f| f == field) {
                let sides = [*position, other].map(|p| column(p, field.ty, at));
                let [a, b] = sides;
                on.push((a, b));
            }
        }
        // Every row that comes out must have its part from the side that may stand alone.
        let has_all = |columns: &[Field]| {
            let all = left.iter().chain(right).filter(|f| carry::is_key(f));
            all.into_iter().all(|key| columns.contains(key))
        };
        let is_known = match kind {
            JoinKind::Inner | JoinKind::InnerUnique => true,
            JoinKind::LeftOuter | JoinKind::LeftAnti | JoinKind::LeftSemi => has_all(left),
            JoinKind::RightOuter | JoinKind::RightAnti | JoinKind::RightSemi => has_all(right),
            JoinKind::FullOuter => false,
        };
        if is_known {
            return Ok(());
        }
        Err(self.error_help(
            codes::FORM_NOT_YET,
            at,
            "rows without a partner would belong to no part here",
            "inside of `mv-apply` and `partition`, keep those of the part's own rows: `kind=leftouter`",
        ))
    }

    fn join_kind(&mut self, node: &Node, is_lookup: bool) -> Fallible<JoinKind> {
        let default = if is_lookup {
            JoinKind::LeftOuter
        } else {
            JoinKind::InnerUnique
        };
        let mut kind = default;
        for choice in choices(node) {
            let known = match choice.value.as_str() {
                "inner" => Some(JoinKind::Inner),
                "leftouter" => Some(JoinKind::LeftOuter),
                _ if is_lookup => None,
                "innerunique" => Some(JoinKind::InnerUnique),
                "rightouter" => Some(JoinKind::RightOuter),
                "fullouter" | "outer" => Some(JoinKind::FullOuter),
                "leftanti" | "anti" | "leftantisemi" => Some(JoinKind::LeftAnti),
                "rightanti" | "rightantisemi" => Some(JoinKind::RightAnti),
                "leftsemi" | "semi" => Some(JoinKind::LeftSemi),
                "rightsemi" => Some(JoinKind::RightSemi),
                _ => None,
            };
            if let Some(known) = known {
                self.warn_join_kind(&choice.value, choice.at);
                kind = known;
            } else {
                let operator = if is_lookup { "lookup" } else { "join" };
                let message = format!("`{operator}` has no kind `{}`", choice.value);
                let help = match choice.value.as_str() {
                    _ if is_lookup => "kinds of `lookup` are leftouter, inner; `join` has more",
                    "left" => "all rows of the left side are kept by `kind=leftouter`",
                    "right" => "all rows of the right side are kept by `kind=rightouter`",
                    "outer" | "full" => "all rows of both sides are kept by `kind=fullouter`",
                    _ => {
                        "kinds are innerunique, inner, leftouter, rightouter, fullouter, leftanti, rightanti, leftsemi, rightsemi"
                    }
                };
                return Err(self.error_help(codes::UNKNOWN_OPTION, choice.at, message, help));
            }
        }
        Ok(kind)
    }

    /// `name`, `$left.a == $right.b`, or several joined by `and`.
    fn join_condition(
        &mut self,
        node: &Node,
        left: &Relation,
        right: &Relation,
        on: &mut Vec<(Expr, Expr)>,
    ) -> Fallible<()> {
        let at = span(node);
        match node.kind() {
            Kind::Paren => match node.children().next() {
                Some(inner) => self.join_condition(&inner, left, right, on),
                None => Err(Broken),
            },
            Kind::Name | Kind::BracketName => {
                let name = plain_name(node);
                let a = self.side(&name, left, at, "left")?;
                let b = self.side(&name, right, at, "right")?;
                let is_open = |e: &Expr| !matches!(e.kind, ExprKind::Column(_));
                if a.ty != b.ty && !is_open(&a) && !is_open(&b) {
                    let message = format!(
                        "`{name}` is a `{}` on the left and a `{}` on the right",
                        a.ty, b.ty
                    );
                    let help = "convert one side with `extend` before the join";
                    return Err(self.error_help(codes::JOIN_KEY, at, message, help));
                }
                self.key(a, b, at, on)
            }
            Kind::Chain => {
                let ops = words(node);
                let operands: Vec<Node> = node.children().collect();
                if ops.iter().all(|op| op == "and") {
                    for operand in &operands {
                        self.join_condition(operand, left, right, on)?;
                    }
                    return Ok(());
                }
                let sides: Vec<Option<(bool, String)>> = operands.iter().map(side_of).collect();
                match (ops.as_slice(), sides.as_slice()) {
                    (
                        [op],
                        [Some((true, a)), Some((false, b))] | [Some((false, b)), Some((true, a))],
                    ) if op == "==" => {
                        let a = self.side(a, left, at, "left")?;
                        let b = self.side(b, right, at, "right")?;
                        self.key(a, b, at, on)
                    }
                    _ => Err(self.bad_condition(node)),
                }
            }
            _ => Err(self.bad_condition(node)),
        }
    }

    fn bad_condition(&mut self, node: &Node) -> Broken {
        let operands: Vec<Node> = node.children().collect();
        let help = match operands.as_slice() {
            [a, b] if a.kind() == Kind::Name && a.text() == b.text() => {
                format!("a column of both sides stands alone: `on {}`", a.text())
            }
            [a, b] if [a, b].iter().all(|side| side.kind() == Kind::Path) => {
                "the sides are called `$left` and `$right`".to_owned()
            }
            [a, b] if [a, b].iter().all(|side| side.kind() == Kind::Name) => {
                format!("write it as `$left.{} == $right.{}`", a.text(), b.text())
            }
            _ => "make other keys with `extend` before the join".to_owned(),
        };
        self.error_help(
            codes::JOIN_KEY,
            span(node),
            "a join's condition is a column of both sides, or `$left.a == $right.b`",
            help,
        )
    }

    fn side(&mut self, name: &str, relation: &Relation, at: Span, side: &str) -> Fallible<Expr> {
        let row = Row {
            columns: &relation.columns,
        };
        if let Some(position) = super::scalar::find_column(row, name) {
            let ty = relation
                .columns
                .get(position)
                .map_or(ColumnType::String, |f| f.ty);
            return Ok(column(position, ty, at));
        }
        if self.poisoned.contains(name) {
            return Err(Broken);
        }
        if let Some((position, property)) = carry::open_property(row.columns, name) {
            return Ok(carry::property(position, &property, at));
        }
        let visible = row.columns.iter().filter(|f| !f.hidden).map(|f| &*f.name);
        let similar = crate::suggest::similar(name, visible);
        let message = format!("unknown column `{name}` on the {side} side of the join");
        Err(match similar {
            Some(similar) => self.error_help(
                codes::UNKNOWN_COLUMN,
                at,
                message,
                format!("a column with a similar name exists: `{similar}`"),
            ),
            None => self.error(codes::UNKNOWN_COLUMN, at, message),
        })
    }

    fn key(&mut self, a: Expr, b: Expr, at: Span, on: &mut Vec<(Expr, Expr)>) -> Fallible<()> {
        let ty = match (a.ty, b.ty) {
            (x, y) if x == y => Some(x),
            (ColumnType::Dynamic, y) => Some(y),
            (x, ColumnType::Dynamic) => Some(x),
            (x, y) => wider(x, y),
        };
        let Some(ty) = ty else {
            let message = format!("the join compares `{}` with `{}`", a.ty, b.ty);
            let help = "convert one side with `extend` before the join";
            return Err(self.error_help(codes::JOIN_KEY, at, message, help));
        };
        on.push((cast(a, ty), cast(b, ty)));
        Ok(())
    }

    // Union.

    pub(super) fn union(&mut self, first: Option<Relation>, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let (mut is_inner, mut is_fuzzy, mut source) = (false, false, None);
        for choice in choices(node) {
            match (choice.name.as_str(), choice.value.as_str()) {
                ("kind", "inner") => is_inner = true,
                ("kind", "outer") => is_inner = false,
                ("isfuzzy", value) => is_fuzzy = value == "true",
                ("withsource" | "with_source", name) => source = Some(name.to_owned()),
                (name, value) => {
                    let message = format!("`union` has no option `{name}={value}`");
                    return Err(self.error(codes::UNKNOWN_OPTION, choice.at, message));
                }
            }
        }
        let mut inputs: Vec<(String, Relation)> = Vec::new();
        if let Some(first) = first {
            let named = named_before(node);
            inputs.push((named.unwrap_or_else(|| origin(&first, 0)), first));
        }
        let mut broken = false;
        for item in items(node) {
            let reported = self.diagnostics.len();
            match self.union_item(&item, inputs.len()) {
                Ok(more) => inputs.extend(more),
                // A table that is not there is what `isfuzzy` forgives, and nothing else.
                Err(Broken) if is_fuzzy && self.only_unknown_tables_since(reported) => {
                    self.diagnostics.truncate(reported);
                }
                Err(Broken) => broken = true,
            }
        }
        if broken {
            return Err(Broken);
        }
        if inputs.is_empty() {
            return Err(self.error(codes::UNKNOWN_TABLE, at, "the union has no table"));
        }
        self.count_relations(inputs.len() + 1, at)?;
        let columns = if is_inner {
            common_columns(&inputs)
        } else {
            all_columns(&inputs)
        };
        self.count_expressions(columns.len() * inputs.len(), at)?;
        Ok(united(inputs, &columns, source.as_deref(), at))
    }

    /// All rows of the inputs, with a column that says which one.
    pub(super) fn union_of(
        &mut self,
        inputs: Vec<(String, Relation)>,
        source: Option<&str>,
        at: Span,
    ) -> Fallible<Relation> {
        if inputs.is_empty() {
            return Err(self.error(codes::UNKNOWN_TABLE, at, "there is no table"));
        }
        self.count_relations(inputs.len() + 1, at)?;
        let columns = all_columns(&inputs);
        self.count_expressions(columns.len() * inputs.len(), at)?;
        Ok(united(inputs, &columns, source, at))
    }

    /// The tables and the query's own views whose names match.
    pub(super) fn tables_like(
        &mut self,
        pattern: &str,
        at: Span,
    ) -> Fallible<Vec<(String, Relation)>> {
        let mut names = self.schema.tables();
        names.retain(|name| matches_pattern(pattern, name));
        names.sort();
        self.count_relations(names.len(), at)?;
        let mut found: Vec<(String, Relation)> = names
            .into_iter()
            .filter_map(|name| self.source(&name, at).map(|relation| (name, relation)))
            .collect();
        let is_view = |binding: &super::Binding| match binding {
            super::Binding::Function { lambda, .. } => super::first_word(lambda) == "view",
            _ => false,
        };
        let own: Vec<_> = self
            .env
            .iter()
            .map(|(name, b)| (name.clone(), b.clone()))
            .collect();
        for (name, binding) in own {
            if is_view(&binding) && matches_pattern(pattern, &name) {
                let relation = self.named_table(&name, at)?;
                found.push((name.to_string(), relation));
            }
        }
        Ok(found)
    }

    /// Whether `node` names a function that was declared as a view.
    fn is_view(&self, node: &Node) -> bool {
        let name = match node.kind() {
            Kind::Call => super::call_name(node),
            _ => plain_name(node),
        };
        match self.lookup(&name).as_deref() {
            Some(super::Binding::Function { lambda, .. }) => super::first_word(lambda) == "view",
            _ => false,
        }
    }

    fn only_unknown_tables_since(&self, reported: usize) -> bool {
        let mut since = self.diagnostics.iter().skip(reported).peekable();
        since.peek().is_some() && since.all(|d| d.code == codes::UNKNOWN_TABLE)
    }

    pub(super) fn union_item(
        &mut self,
        item: &Node,
        position: usize,
    ) -> Fallible<Vec<(String, Relation)>> {
        let at = span(item);
        if matches!(item.kind(), Kind::Wildcard | Kind::All) {
            let pattern = item.text().to_string();
            let pattern = pattern.trim();
            let found = self.tables_like(pattern, at)?;
            if found.is_empty() {
                let message = format!("no table matches `{pattern}`");
                return Err(self.error(codes::UNKNOWN_TABLE, at, message));
            }
            return Ok(found);
        }
        let is_name = matches!(item.kind(), Kind::Name | Kind::BracketName);
        let name = match item.kind() {
            Kind::Call => super::call_name(item),
            _ => plain_name(item),
        };
        let relation = self.table(item)?;
        let is_table = is_name && self.lookup(&name).is_none();
        let origin = if is_table || self.is_view(item) {
            name
        } else {
            named_at_end(item).unwrap_or_else(|| format!("union_arg{position}"))
        };
        Ok(vec![(origin, relation)])
    }
}

/// The name that `as` gives to the rows that come into an operator.
pub(super) fn named_before(operator: &Node) -> Option<String> {
    let mut before =
        std::iter::successors(operator.prev_sibling(), rowan::SyntaxNode::prev_sibling);
    as_name(&before.find(|n| n.kind() != Kind::Skipped)?)
}

/// The name that a pipeline gives to its rows with a last `as`.
fn named_at_end(item: &Node) -> Option<String> {
    match item.kind() {
        Kind::Paren => named_at_end(&item.children().next()?),
        Kind::Pipeline => as_name(
            &item
                .children()
                .filter(|c| c.kind() != Kind::Skipped)
                .last()?,
        ),
        _ => None,
    }
}

fn as_name(operator: &Node) -> Option<String> {
    let said = words(operator);
    let is_as = operator.kind() == Kind::Operator && said.first().is_some_and(|w| w == "as");
    super::last_name(&said).filter(|_| is_as && said.len() > 1)
}

fn origin(relation: &Relation, position: usize) -> String {
    match &relation.op {
        Op::Source { table, .. } => table.as_str().to_owned(),
        _ => format!("union_arg{position}"),
    }
}

/// `$left.name` is `(true, name)`, `$right.name` is `(false, name)`.
fn side_of(node: &Node) -> Option<(bool, String)> {
    let mut parts = node.children();
    let (base, member) = (parts.next()?, parts.next()?);
    if node.kind() != Kind::Path || parts.next().is_some() {
        return None;
    }
    let name = member.children().next()?;
    let is_name = matches!(name.kind(), Kind::Name | Kind::BracketName)
        || matches!(member.kind(), Kind::Index);
    let is_left = match plain_name(&base).as_str() {
        "$left" => true,
        "$right" => false,
        _ => return None,
    };
    is_name.then(|| (is_left, plain_name(&name)))
}

pub(super) fn joined(
    left: Relation,
    right: Relation,
    kind: JoinKind,
    on: Vec<(Expr, Expr)>,
    at: Span,
) -> Relation {
    let columns = match kind {
        JoinKind::LeftAnti | JoinKind::LeftSemi => left.columns.clone(),
        JoinKind::RightAnti | JoinKind::RightSemi => right.columns.clone(),
        _ => both_sides(&left, &right),
    };
    Relation {
        op: Op::Join {
            left: Box::new(left),
            right: Box::new(right),
            kind,
            on,
        },
        columns,
        span: at,
    }
}

/// A join of rows that belong to parts. What travels with both sides comes out once: of the side
/// whose rows are all there.
fn carried_once(both: Relation, width: usize, kind: JoinKind, at: Span) -> Relation {
    let keeps_right = kind == JoinKind::RightOuter;
    let is_twice = |position: usize, field: &Field| {
        let mut others = both.columns.iter().enumerate();
        let is_right = position >= width;
        is_right != keeps_right
            && others.any(|(p, other)| (p >= width) != is_right && other == field)
    };
    let kept: Vec<(usize, Field)> = both
        .columns
        .iter()
        .enumerate()
        .filter(|(position, f)| !(carry::is_carried(f) && is_twice(*position, f)))
        .map(|(position, f)| (position, f.clone()))
        .collect();
    let exprs = kept.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = kept.into_iter().map(|(_, f)| f).collect();
    projected(both, exprs, columns, at)
}

/// Left columns, then right columns with their clashes numbered.
fn both_sides(left: &Relation, right: &Relation) -> Vec<Field> {
    let mut columns = left.columns.clone();
    let renamed = renamed(left, right.columns.iter());
    for (field, name) in right.columns.iter().zip(renamed) {
        let name = if field.hidden {
            field.name.clone()
        } else {
            name
        };
        columns.push(Field {
            name,
            ..field.clone()
        });
    }
    columns
}

/// The names of the right side's columns beside those of the left: a clashing one gets a number that
/// makes it different from every name of both sides.
fn renamed<'f>(
    left: &'f Relation,
    right: impl Iterator<Item = &'f Field> + Clone,
) -> Vec<Arc<str>> {
    let left_names = Taken::new(left.columns.iter().map(|f| &*f.name));
    let all = left.columns.iter().chain(right.clone()).map(|f| &*f.name);
    let mut taken = Taken::new(all);
    right
        .map(|field| {
            if left_names.has(&field.name) {
                taken.numbered(&field.name).into()
            } else {
                field.name.clone()
            }
        })
        .collect()
}

/// A join without the right side's keys.
fn looked_up(
    left: Relation,
    right: Relation,
    kind: JoinKind,
    on: Vec<(Expr, Expr)>,
    at: Span,
) -> Relation {
    let width = left.columns.len();
    let keys: Vec<usize> = on
        .iter()
        .filter_map(|(_, b)| match &b.kind {
            ExprKind::Column(position) => Some(*position),
            ExprKind::Cast(inner) => match inner.kind {
                ExprKind::Column(position) => Some(position),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let kept = right
        .columns
        .iter()
        .enumerate()
        .filter(|(position, f)| !keys.contains(position) && !f.hidden);
    let names = renamed(&left, kept.clone().map(|(_, f)| f));
    let mut columns = left.columns.clone();
    let mut positions: Vec<usize> = (0..width).collect();
    for ((position, field), name) in kept.zip(names) {
        columns.push(Field::new(name, field.ty));
        positions.push(width + position);
    }
    let exprs = positions
        .iter()
        .zip(&columns)
        .map(|(position, f)| column(*position, f.ty, at))
        .collect();
    projected(joined(left, right, kind, on, at), exprs, columns, at)
}

/// A column of a union: its name there, and what it is called in the inputs.
struct United {
    output: String,
    name: Arc<str>,
    ty: ColumnType,
}

/// Every pair of name and type; a name with several types carries them.
fn all_columns(inputs: &[(String, Relation)]) -> Vec<United> {
    let mut names: Vec<(Arc<str>, Vec<ColumnType>)> = Vec::new();
    let mut position_of = std::collections::HashMap::new();
    for field in inputs
        .iter()
        .flat_map(|(_, r)| &r.columns)
        .filter(|f| !f.hidden)
    {
        let position = *position_of.entry(field.name.clone()).or_insert_with(|| {
            names.push((field.name.clone(), Vec::new()));
            names.len() - 1
        });
        if let Some((_, types)) = names.get_mut(position)
            && !types.contains(&field.ty)
        {
            types.push(field.ty);
        }
    }
    let clashing = names.iter().filter(|(_, types)| types.len() == 1);
    let mut taken = Taken::new(clashing.map(|(name, _)| &**name));
    let mut out = Vec::new();
    for (name, types) in &names {
        for ty in types {
            let output = if types.len() == 1 {
                name.to_string()
            } else {
                taken.unique(&format!("{name}_{ty}"))
            };
            out.push(United {
                output,
                name: name.clone(),
                ty: *ty,
            });
        }
    }
    out
}

/// The columns that every input has, of the same type.
fn common_columns(inputs: &[(String, Relation)]) -> Vec<United> {
    let everywhere = |f: &Field| {
        inputs.iter().all(|(_, r)| {
            r.columns
                .iter()
                .any(|g| !g.hidden && g.name == f.name && g.ty == f.ty)
        })
    };
    let first = inputs.iter().take(1).flat_map(|(_, r)| &r.columns);
    first
        .filter(|f| !f.hidden && everywhere(f))
        .map(|f| United {
            output: f.name.to_string(),
            name: f.name.clone(),
            ty: f.ty,
        })
        .collect()
}

fn united(
    inputs: Vec<(String, Relation)>,
    columns: &[United],
    source: Option<&str>,
    at: Span,
) -> Relation {
    let mut fields: Vec<Field> = Vec::new();
    if let Some(name) = source {
        fields.push(Field::new(name, ColumnType::String));
    }
    fields.extend(columns.iter().map(|c| Field::new(c.output.as_str(), c.ty)));
    let mut carried: Vec<Field> = Vec::new();
    let in_parts = inputs.iter().all(|(_, r)| carry::has_keys(&r.columns));
    for field in inputs.iter().flat_map(|(_, r)| &r.columns) {
        let travels = is_stored(field) || (in_parts && carry::is_carried(field));
        if travels && !carried.contains(field) {
            carried.push(field.clone());
        }
    }
    fields.extend(carried.iter().cloned());
    let aligned = inputs
        .into_iter()
        .map(|(origin, relation)| {
            let mut exprs = Vec::with_capacity(fields.len());
            if source.is_some() {
                exprs.push(Expr::literal(Value::String(origin.into()), at));
            }
            let by_name: std::collections::HashMap<&str, (usize, ColumnType)> = relation
                .columns
                .iter()
                .enumerate()
                .filter(|(_, f)| !f.hidden)
                .map(|(position, f)| (&*f.name, (position, f.ty)))
                .collect();
            for wanted in columns {
                exprs.push(match by_name.get(&*wanted.name) {
                    Some((position, ty)) if *ty == wanted.ty => column(*position, *ty, at),
                    _ => missing(wanted.ty, at),
                });
            }
            for wanted in &carried {
                let position = relation.columns.iter().position(|f| f == wanted);
                exprs.push(match position {
                    Some(position) => column(position, wanted.ty, at),
                    None => missing(wanted.ty, at),
                });
            }
            projected(relation, exprs, fields.clone(), at)
        })
        .collect();
    Relation {
        op: Op::Union { inputs: aligned },
        columns: fields,
        span: at,
    }
}
