//! Operators that choose, make and name columns.

use super::carry;
use super::names::{Suggested, Taken, suggested};
use super::{Broken, Fallible, Resolver, Row, column, items, plain_name, words};
use crate::codes;
use crate::resolved::{Expr, ExprKind, Field, Op, Relation, Value};
use crate::syntax::{Kind, Node, span};
use model::{ColumnType, Span};

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

/// What becomes of the columns of a function that gives several where fewer names are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rest {
    /// `project`: they follow under names of their own.
    Follows,
    /// `extend`, `print`: there are only those that have a name.
    Dropped,
}

impl Resolver<'_> {
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
            let message = "several names want a function that gives several columns";
            let help = "`extend`, `project`, `print` and `summarize` take them";
            return Err(self.error_help(codes::EXPECTED, span(&name), message, help));
        }
        let declared = self.declared(&name)?;
        self.refuse_reserved(&declared, &name)?;
        Ok((Some(declared), value))
    }

    /// Words of the language name no column unless they are in brackets.
    pub(super) fn refuse_reserved(&mut self, declared: &str, node: &Node) -> Fallible<()> {
        let is_word = node.kind() == Kind::Name && node.text() == declared;
        if is_word && RESERVED.contains(&declared) {
            return Err(self.error_help(
                codes::EXPECTED,
                span(node),
                format!("`{declared}` is a word of the language and cannot name a column"),
                format!("write it as `['{declared}']`"),
            ));
        }
        Ok(())
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

    pub(super) fn project(&mut self, input: Relation, node: &Node) -> Relation {
        let at = span(node);
        let (input, (mut exprs, mut columns)) = self.with_windows(input, at, |resolver, input| {
            resolver.projected_items(input, node)
        });
        for (position, field) in carry::carried(&input.columns) {
            exprs.push(column(position, field.ty, at));
            columns.push(field);
        }
        projected(input, exprs, columns, at)
    }

    pub(super) fn projected_items(
        &mut self,
        input: &Relation,
        node: &Node,
    ) -> (Vec<Expr>, Vec<Field>) {
        let row = Row {
            columns: &input.columns,
        };
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut taken = Taken::default();
        let mut unnamed = 0;
        for item in items(node) {
            if let Some(made) = self.tuple_item(&item, row, Rest::Follows) {
                for (name, expr) in made.unwrap_or_default() {
                    columns.push(Field::new(taken.unique(&name), expr.ty));
                    exprs.push(expr);
                }
                continue;
            }
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
        (exprs, columns)
    }

    pub(super) fn extend(&mut self, input: Relation, node: &Node) -> Relation {
        let at = span(node);
        let (input, (exprs, columns)) = self.with_windows(input, at, |resolver, input| {
            resolver.extended_items(input, node)
        });
        projected(input, exprs, columns, at)
    }

    fn extended_items(&mut self, input: &Relation, node: &Node) -> (Vec<Expr>, Vec<Field>) {
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
            if let Some(made) = self.tuple_item(&item, row, Rest::Dropped) {
                for (name, expr) in made.unwrap_or_default() {
                    let field = Field::new(name.as_str(), expr.ty);
                    let same = |f: &Field| !f.hidden && *f.name == *name;
                    if let Some(at) = columns.iter().position(same) {
                        columns.splice(at..=at, [field]);
                        exprs.splice(at..=at, [expr]);
                    } else {
                        known.take(&name);
                        columns.push(field);
                        exprs.push(expr);
                    }
                }
                continue;
            }
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
        (exprs, columns)
    }

    /// `(a, b) = f(…)` and a plain `f(…)` where the function gives several columns.
    pub(super) fn tuple_item(
        &mut self,
        item: &Node,
        row: Row<'_>,
        rest: Rest,
    ) -> Option<Fallible<Vec<(String, Expr)>>> {
        if let Some(made) = self.sorted_arrays(item, row) {
            return Some(made);
        }
        let list = super::child(item, Kind::NameList);
        // One name is a list of one where the columns without a name follow.
        let alone = match item.kind() {
            Kind::Named if list.is_none() && rest == Rest::Follows => item.children().next(),
            _ => None,
        };
        let value = match list.as_ref().or(alone.as_ref()) {
            Some(_) => item.children().nth(1)?,
            None => item.clone(),
        };
        let parts = super::calls::tuple_call(&value);
        if parts.is_none() && list.is_none() {
            return None;
        }
        let given: Option<Vec<String>> = match (&list, &alone) {
            (Some(list), _) => Some(list.children().map(|n| plain_name(&n)).collect()),
            (None, Some(name)) => Some(vec![plain_name(name)]),
            (None, None) => None,
        };
        Some(self.tuple_columns(given, &value, parts, row, rest))
    }

    /// `array_sort_asc(a, b)` and its like: a column per array.
    fn sorted_arrays(
        &mut self,
        item: &Node,
        row: Row<'_>,
    ) -> Option<Fallible<Vec<(String, Expr)>>> {
        let (names, value) = match item.kind() {
            Kind::Named => {
                let mut parts = item.children();
                (parts.next(), parts.next()?)
            }
            _ => (None, item.clone()),
        };
        let name = super::call_name(&value);
        let args = super::calls::arguments(&value);
        let is_sort = matches!(name.as_str(), "array_sort_asc" | "array_sort_desc");
        if value.kind() != Kind::Call || !is_sort || args.len() < 2 {
            return None;
        }
        let Ok(tuple) = self.expr(&value, row) else {
            return Some(Err(Broken));
        };
        let arrays = match &tuple.kind {
            ExprKind::Call { args, .. } => args.iter().filter(|a| a.ty == ColumnType::Dynamic),
            _ => return None,
        };
        let count = arrays.count();
        if count < 2 {
            return None;
        }
        let at = span(&value);
        let given: Vec<String> = match &names {
            Some(list) if list.kind() == Kind::NameList => {
                list.children().map(|n| plain_name(&n)).collect()
            }
            Some(name) => vec![plain_name(name)],
            None => Vec::new(),
        };
        if given.len() > count {
            let message = format!("`{name}` gives {count} columns here");
            return Some(Err(self.error(codes::BAD_ARGUMENTS, at, message)));
        }
        let made = args.iter().take(count).enumerate().zip(0_i64..);
        let columns = made.map(|((number, arg), position)| {
            let own = suggested(arg, false);
            let name = match (given.get(number), own.text()) {
                (Some(name), _) => name.clone(),
                (None, Some(name)) => format!("{name}_sorted"),
                (None, None) => format!("array{number}_sorted"),
            };
            let ty = ColumnType::Dynamic;
            (name, super::calls::element(tuple.clone(), position, ty, at))
        });
        Some(Ok(columns.collect()))
    }

    fn tuple_columns(
        &mut self,
        given: Option<Vec<String>>,
        value: &Node,
        parts: Option<&[(&str, ColumnType)]>,
        row: Row<'_>,
        rest: Rest,
    ) -> Fallible<Vec<(String, Expr)>> {
        let at = span(value);
        let Some(parts) = parts else {
            let message = "several names want a function that gives several columns";
            return Err(self.error(codes::FORM_NOT_YET, at, message));
        };
        let function = super::call_name(value);
        let count = given.as_ref().map_or(0, Vec::len);
        if count > parts.len() {
            let message = format!("`{function}` gives {} columns, not {count}", parts.len());
            return Err(self.error(codes::BAD_ARGUMENTS, at, message));
        }
        let first = self.expr(value, row)?;
        let Some(tuple) = tuple_of(&first) else {
            return Err(Broken);
        };
        let shown = match (&given, rest) {
            (Some(_), Rest::Dropped) => count,
            _ => parts.len(),
        };
        let arg = super::calls::arguments(value)
            .first()
            .and_then(|a| suggested(a, false).text().map(str::to_owned))
            .unwrap_or_default();
        let mut names = given.unwrap_or_default();
        let own = parts.iter().skip(names.len());
        names.extend(own.map(|(part, _)| format!("{function}_{arg}_{part}")));
        Ok(names
            .into_iter()
            .zip(parts)
            .zip(0_i64..)
            .take(shown)
            .map(|((name, (_, ty)), position)| {
                (
                    name,
                    super::calls::element(tuple.clone(), position, *ty, at),
                )
            })
            .collect())
    }

    /// The positions that a name or pattern means.
    pub(super) fn pattern(&mut self, node: &Node, row: Row<'_>) -> Fallible<Vec<usize>> {
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
            if found.is_empty() && !carry::is_open(row.columns) {
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
            // A property that no row has is no column to choose.
            None if carry::is_open(row.columns) => Ok(Vec::new()),
            None => Err(self.unknown_name(&name, at, row)),
        }
    }

    pub(super) fn project_away(&mut self, input: Relation, node: &Node) -> Relation {
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

    pub(super) fn project_keep(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut kept = std::collections::BTreeSet::new();
        for item in items(node) {
            kept.extend(self.pattern(&item, row).unwrap_or_default());
        }
        let hidden = input.columns.iter().enumerate().filter(|(_, f)| f.hidden);
        kept.extend(hidden.map(|(position, _)| position));
        chosen(input, kept.into_iter().collect(), span(node))
    }

    /// `project-by-names`: texts and arrays of texts, with `*` for anything; what no column is
    /// called is left out.
    pub(super) fn project_by_names(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut patterns = Vec::new();
        for item in items(node) {
            let expr = self.expr(&item, Row::NONE)?;
            match expr.as_literal() {
                Some(Value::String(name)) => patterns.push(name.to_string()),
                Some(Value::Dynamic(json)) => {
                    patterns.extend(super::literals::strings_of_array(json));
                }
                _ => {
                    let message = "the names of columns must be constants";
                    return Err(self.error(codes::NOT_CONSTANT, span(&item), message));
                }
            }
        }
        let mut positions: Vec<usize> = Vec::new();
        for pattern in patterns {
            let all = input.columns.iter().enumerate();
            let found = all.filter(|(_, f)| !f.hidden && matches_pattern(&pattern, &f.name));
            let found: Vec<usize> = found.map(|(position, _)| position).collect();
            for position in found {
                if !positions.contains(&position) {
                    positions.push(position);
                }
            }
        }
        let hidden = input.columns.iter().enumerate().filter(|(_, f)| f.hidden);
        positions.extend(hidden.map(|(position, _)| position));
        Ok(chosen(input, positions, at))
    }

    pub(super) fn project_reorder(&mut self, input: Relation, node: &Node) -> Relation {
        let row = Row {
            columns: &input.columns,
        };
        let mut order: Vec<usize> = Vec::new();
        let mut placed = std::collections::BTreeSet::new();
        for item in items(node) {
            let mut found = self.pattern(&item, row).unwrap_or_default();
            let said = words(&item);
            let direction = said.last().cloned().unwrap_or_default();
            if item.kind() == Kind::SortKey {
                let name = |position: &usize| input.columns.get(*position).map(|f| f.name.clone());
                if said.iter().any(|word| word.starts_with("granny")) {
                    found.sort_by_cached_key(|position| {
                        name(position).map(|name| numbers_apart(&name))
                    });
                } else {
                    found.sort_by_key(name);
                }
                if direction.ends_with("desc") {
                    found.reverse();
                }
            }
            order.extend(found.into_iter().filter(|p| placed.insert(*p)));
        }
        order.extend((0..input.columns.len()).filter(|p| !placed.contains(p)));
        chosen(input, order, span(node))
    }

    pub(super) fn project_rename(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
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
}

/// The call of which `first` is the first value.
fn tuple_of(first: &Expr) -> Option<Expr> {
    let path = match &first.kind {
        ExprKind::Cast(inner) => inner,
        _ => first,
    };
    match &path.kind {
        ExprKind::Path { base, .. } => Some(base.as_ref().clone()),
        _ => None,
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

/// A name in pieces that compare as people count: `a2` before `a10`. Digits come before letters.
fn numbers_apart(name: &str) -> Vec<(usize, String)> {
    let mut pieces: Vec<(usize, String)> = Vec::new();
    let mut in_number = false;
    for letter in name.chars() {
        let is_digit = letter.is_ascii_digit();
        match pieces.last_mut().filter(|_| is_digit && in_number) {
            // Without zeros before it, the longer number is the larger.
            Some((_, digits)) if digits == "0" => *digits = letter.to_string(),
            Some((length, digits)) => {
                digits.push(letter);
                *length = digits.len();
            }
            None if is_digit => pieces.push((1, letter.to_string())),
            None => pieces.push((usize::MAX, letter.to_string())),
        }
        in_number = is_digit;
    }
    pieces
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
