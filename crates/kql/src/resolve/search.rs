//! `search` and `find`: rows of several tables that have something somewhere.

use model::{ColumnType, Span};

use super::columns::{identity, projected};
use super::join::named_before;
use super::operations::{call, parts};
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, call_name, child, column, items, words};
use crate::codes;
use crate::functions::ScalarFn;
use crate::resolved::{Expr, Field, Op, Relation, Value};
use crate::syntax::{Kind, Node, span};

/// The column that says which table a row of `search` came from.
const TABLE: &str = "$table";

impl Resolver<'_> {
    pub(super) fn search(&mut self, input: Option<Relation>, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let is_cs = node
            .children()
            .filter(|c| c.kind() == Kind::OperatorOption)
            .any(|o| words(&o).last().is_some_and(|w| w == "case_sensitive"));
        let inputs = match input {
            Some(input) => {
                let name = named_before(node).unwrap_or_else(|| "search_arg0".to_owned());
                vec![(name, input)]
            }
            None => self.searched_tables(node)?,
        };
        let Some(condition) = items(node).find(|c| c.kind() != Kind::TableList) else {
            return Err(Broken);
        };
        let all = self.union_of(inputs, Some(TABLE), at)?;
        let row = Row {
            columns: &all.columns,
        };
        let predicate = self.search_condition(&condition, row, is_cs)?;
        Ok(filtered(all, predicate, at))
    }

    /// The tables after `in`, or all.
    fn searched_tables(&mut self, node: &Node) -> Fallible<Vec<(String, Relation)>> {
        let at = span(node);
        if let Some(list) = child(node, Kind::TableList) {
            let mut inputs = Vec::new();
            for item in list.children() {
                let found = self.union_item(&item, inputs.len())?;
                inputs.extend(found);
            }
            return Ok(inputs);
        }
        self.tables_like("*", at)
    }

    /// A condition in which a text alone means: some column has it.
    fn search_condition(&mut self, node: &Node, row: Row<'_>, is_cs: bool) -> Fallible<Expr> {
        let at = span(node);
        match node.kind() {
            Kind::Paren => match node.children().next() {
                Some(inner) => self.search_condition(&inner, row, is_cs),
                None => Err(Broken),
            },
            // Any row.
            Kind::All => Ok(Expr::literal(Value::Bool(true), at)),
            Kind::Literal => {
                let literal = self.literal(node)?;
                let term = super::literals::plain_text(node, &literal);
                Ok(any_column(row, &term, is_cs, at))
            }
            Kind::Call if call_name(node) == "not" => {
                let args = super::calls::arguments(node);
                let [inner] = args.as_slice() else {
                    return Err(Broken);
                };
                let inner = self.search_condition(inner, row, is_cs)?;
                Ok(call(ScalarFn::Not, vec![inner], ColumnType::Bool, at))
            }
            Kind::Chain => self.search_chain(node, row, is_cs),
            _ => self.search_predicate(node, row),
        }
    }

    fn search_chain(&mut self, node: &Node, row: Row<'_>, is_cs: bool) -> Fallible<Expr> {
        let at = span(node);
        let (Some(first), rest) = parts(node) else {
            return Err(Broken);
        };
        let operator = rest.first().map(|(op, _)| op.text.clone());
        let logic = match operator.as_deref() {
            Some("and") => Some(ScalarFn::And),
            Some("or") => Some(ScalarFn::Or),
            _ => None,
        };
        if let Some(function) = logic {
            let mut args = vec![self.search_condition(&first, row, is_cs)?];
            for (_, operand) in &rest {
                args.push(self.search_condition(operand, row, is_cs)?);
            }
            return Ok(call(function, args, ColumnType::Bool, at));
        }
        if let (Some(":"), [(_, term)]) = (operator.as_deref(), rest.as_slice())
            && term.kind() == Kind::Literal
        {
            let literal = self.literal(term)?;
            let text = super::literals::plain_text(term, &literal);
            if first.kind() == Kind::All {
                return Ok(any_column(row, &text, is_cs, at));
            }
            let value = self.expr(&first, row)?;
            return Ok(has_term(value, &text, is_cs, at));
        }
        self.search_predicate(node, row)
    }

    pub(super) fn search_predicate(&mut self, node: &Node, row: Row<'_>) -> Fallible<Expr> {
        let expr = self.expr(node, row)?;
        if expr.ty != ColumnType::Bool {
            let message = format!(
                "a condition is of type `bool`, and this is of type `{}`",
                expr.ty
            );
            return Err(self.error(codes::NOT_BOOL, expr.span, message));
        }
        Ok(expr)
    }

    pub(super) fn find(&mut self, input: Option<Relation>, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let mut source = "source_".to_owned();
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            if said.first().is_some_and(|w| w.starts_with("with")) {
                source = super::last_name(&said).unwrap_or_default();
            }
        }
        let inputs = match input {
            Some(input) => {
                let name = named_before(node).unwrap_or_else(|| "union_arg0".to_owned());
                vec![(name, input)]
            }
            None => self.searched_tables(node)?,
        };
        let Some(condition) =
            items(node).find(|c| !matches!(c.kind(), Kind::TableList | Kind::Clause))
        else {
            return Err(Broken);
        };
        let everywhere = common_names(&inputs);
        let mut used = named_columns(&condition);
        let several = names_of_several_types(&inputs);
        let found = if several.keys().any(|name| used.contains(name)) {
            let met = self.met_by_table(inputs, &condition, at)?;
            self.union_of(met, Some(&source), at)?
        } else {
            let all = self.union_of(inputs, Some(&source), at)?;
            let row = Row {
                columns: &all.columns,
            };
            let predicate = self.search_condition(&condition, row, false)?;
            filtered(all, predicate, at)
        };
        for (name, types) in &several {
            if used.contains(name) {
                used.extend(types.iter().map(|ty| format!("{name}_{ty}")));
            }
        }
        let projected_list =
            child(node, Kind::Clause).filter(|c| words(c).first().is_some_and(|w| w == "project"));
        match projected_list {
            Some(list) => self.find_project(found, &list, at),
            None => Ok(packed(
                found,
                &source,
                |name| everywhere.contains(name) || used.contains(name),
                at,
            )),
        }
    }

    /// The rows of each table that meet the condition there: a column that has several types is in
    /// each table of its own.
    fn met_by_table(
        &mut self,
        inputs: Vec<(String, Relation)>,
        condition: &Node,
        at: Span,
    ) -> Fallible<Vec<(String, Relation)>> {
        let mut all: Vec<Field> = Vec::new();
        for field in inputs.iter().flat_map(|(_, r)| &r.columns) {
            if !field.hidden && all.iter().all(|known| known.name != field.name) {
                all.push(field.clone());
            }
        }
        self.count_relations(inputs.len() * 2, at)?;
        self.count_expressions(inputs.len() * all.len(), at)?;
        let mut met = Vec::with_capacity(inputs.len());
        let (mut refused, mut is_asked) = (Vec::new(), false);
        for (name, input) in inputs {
            let mut exprs = identity(&input, at);
            let mut columns = input.columns.clone();
            for field in &all {
                if input
                    .columns
                    .iter()
                    .all(|own| own.hidden || own.name != field.name)
                {
                    exprs.push(super::aggregate::missing(field.ty, at));
                    columns.push(field.clone());
                }
            }
            let own = identity(&input, at);
            let fields = input.columns.clone();
            let wide = projected(input, exprs, columns, at);
            let row = Row {
                columns: &wide.columns,
            };
            let reported = self.diagnostics.len();
            let predicate = if let Ok(predicate) = self.search_condition(condition, row, false) {
                is_asked = true;
                predicate
            } else {
                // Nothing in a table whose types the condition does not take meets it.
                refused.extend(self.diagnostics.drain(reported..));
                Expr::literal(Value::Bool(false), at)
            };
            met.push((
                name,
                projected(filtered(wide, predicate, at), own, fields, at),
            ));
        }
        if !is_asked {
            self.diagnostics.extend(refused);
            return Err(Broken);
        }
        Ok(met)
    }

    /// `name: type`: the column as that type, of whatever types the tables have it; null where a
    /// table has none.
    fn typed_column(&mut self, item: &Node, row: Row<'_>) -> Fallible<(String, Expr)> {
        let at = span(item);
        let Some(name) = item.children().next() else {
            return Err(Broken);
        };
        let ty = self.type_named(&words(item).pop().unwrap_or_default(), at)?;
        let plain = super::plain_name(&name);
        let visible = row.columns.iter().enumerate().filter(|(_, f)| !f.hidden);
        let is_same = |f: &Field| *f.name == *plain || *f.name == format!("{plain}_{}", f.ty);
        let same = visible.filter(|(_, f)| is_same(f));
        let mut found: Vec<Expr> = same.map(|(p, f)| column(p, f.ty, at)).collect();
        if let Some(own) = super::scalar::find_column(row, &plain) {
            found.retain(|e| e.kind == crate::resolved::ExprKind::Column(own));
        }
        let mut values: Vec<Expr> = found.into_iter().map(|e| or_null(e, ty, at)).collect();
        let value = match values.len() {
            0 => cast(self.expr(&name, row)?, ty),
            1 => values.remove(0),
            _ => call(ScalarFn::Coalesce, values, ty, at),
        };
        Ok((plain, value))
    }

    fn find_project(&mut self, found: Relation, list: &Node, at: Span) -> Fallible<Relation> {
        let mut exprs = vec![column(0, ColumnType::String, at)];
        let mut columns: Vec<Field> = found.columns.iter().take(1).cloned().collect();
        let mut packs = None;
        for item in list.children() {
            let row = Row {
                columns: &found.columns,
            };
            if let Some(name) = packed_as(&item) {
                packs = Some(name);
                continue;
            }
            if item.kind() == Kind::ColumnDecl {
                let (name, expr) = self.typed_column(&item, row)?;
                columns.push(Field::new(name, expr.ty));
                exprs.push(expr);
                continue;
            }
            let (given, value) = self.named(&item)?;
            let expr = self.expr(&value, row)?;
            let name = given
                .or_else(|| {
                    super::names::suggested(&value, false)
                        .text()
                        .map(str::to_owned)
                })
                .unwrap_or_else(|| format!("Column{}", exprs.len()));
            columns.push(Field::new(name, expr.ty));
            exprs.push(expr);
        }
        if let Some(name) = packs {
            let bag = if bag_is_empty(&found, &columns) {
                // Nothing is left to pack.
                Expr::literal(Value::Dynamic("{}".into()), at)
            } else {
                let chosen = |name: &str| columns.iter().any(|own| *own.name == *name);
                let bag = bag_of(&found, |field| !chosen(&field.name), at);
                call(ScalarFn::PackPresent, bag, ColumnType::Dynamic, at)
            };
            exprs.push(bag);
            columns.push(Field::new(name, ColumnType::Dynamic));
        }
        Ok(projected(found, exprs, columns, at))
    }
}

/// What the column is called that `pack_all()` (once `pack(*)`) gives; `None` for other columns.
fn packed_as(item: &Node) -> Option<String> {
    let (name, call) = match item.kind() {
        Kind::Named => {
            let mut parts = item.children();
            (super::plain_name(&parts.next()?), parts.next()?)
        }
        _ => ("pack_".to_owned(), item.clone()),
    };
    let is_pack = call.kind() == Kind::Call
        && match call_name(&call).as_str() {
            "pack_all" => true,
            "pack" => call.text().to_string().replace(' ', "") == "pack(*)",
            _ => false,
        };
    is_pack.then_some(name)
}

/// `value` as a `ty`. A text that is not there is empty; as anything else it is null.
fn or_null(value: Expr, ty: ColumnType, at: Span) -> Expr {
    if value.ty != ColumnType::String || ty != ColumnType::Dynamic {
        return cast(value, ty);
    }
    let is_missing = call(ScalarFn::Isempty, vec![value.clone()], ColumnType::Bool, at);
    let null = Expr::literal(Value::Null(ty), at);
    call(
        ScalarFn::Iff,
        vec![is_missing, null, cast(value, ty)],
        ty,
        at,
    )
}

/// The names that are columns of several types, and their types.
fn names_of_several_types(
    inputs: &[(String, Relation)],
) -> std::collections::BTreeMap<String, Vec<ColumnType>> {
    let mut types = std::collections::BTreeMap::<String, Vec<ColumnType>>::new();
    for field in inputs.iter().flat_map(|(_, r)| &r.columns) {
        let known = types.entry(field.name.to_string()).or_default();
        if !field.hidden && !known.contains(&field.ty) {
            known.push(field.ty);
        }
    }
    types.retain(|_, known| known.len() > 1);
    types
}

/// Whether every column of `found` is among those chosen.
fn bag_is_empty(found: &Relation, chosen: &[Field]) -> bool {
    let mut visible = found.columns.iter().filter(|f| !f.hidden);
    visible.all(|f| chosen.iter().any(|own| own.name == f.name))
}

/// Names and values of the columns that `is_in` wants, in turn: what makes a bag.
fn bag_of(found: &Relation, is_in: impl Fn(&Field) -> bool, at: Span) -> Vec<Expr> {
    let all = identity(found, at).into_iter().zip(&found.columns);
    let wanted = all.filter(|(_, field)| !field.hidden && is_in(field));
    wanted
        .flat_map(|(expr, field)| [Expr::literal(Value::String(field.name.clone()), at), expr])
        .collect()
}

/// Names of columns that all the tables have.
fn common_names(inputs: &[(String, Relation)]) -> std::collections::BTreeSet<String> {
    let mut names: Option<std::collections::BTreeSet<String>> = None;
    for (_, relation) in inputs {
        let here = relation
            .columns
            .iter()
            .filter(|f| !f.hidden)
            .map(|f| f.name.to_string())
            .collect();
        names = Some(match names {
            None => here,
            Some(before) => before.intersection(&here).cloned().collect(),
        });
    }
    names.unwrap_or_default()
}

/// Names in a condition.
fn named_columns(node: &Node) -> std::collections::BTreeSet<String> {
    node.descendants()
        .filter(|n| matches!(n.kind(), Kind::Name | Kind::BracketName))
        .map(|n| super::plain_name(&n))
        .collect()
}

fn filtered(input: Relation, predicate: Expr, at: Span) -> Relation {
    Relation {
        columns: input.columns.clone(),
        op: Op::Filter {
            input: Box::new(input),
            predicate,
        },
        span: at,
    }
}

/// The source, the columns that `stays` names, and the others in a bag.
fn packed(found: Relation, source: &str, stays: impl Fn(&str) -> bool, at: Span) -> Relation {
    let is_shown = |field: &Field| *field.name == *source || stays(&field.name);
    let shown = identity(&found, at).into_iter().zip(&found.columns);
    let shown = shown.filter(|(_, field)| !field.hidden && is_shown(field));
    let (mut exprs, mut columns): (Vec<Expr>, Vec<Field>) =
        shown.map(|(expr, field)| (expr, field.clone())).unzip();
    let bag = bag_of(&found, |field| !is_shown(field), at);
    if !bag.is_empty() {
        exprs.push(call(ScalarFn::PackPresent, bag, ColumnType::Dynamic, at));
        columns.push(Field::new("pack_", ColumnType::Dynamic));
    }
    projected(found, exprs, columns, at)
}

/// Whether some column of text or whole numbers has the term.
fn any_column(row: Row<'_>, term: &str, is_cs: bool, at: Span) -> Expr {
    let searched = row.columns.iter().enumerate().filter(|(_, f)| {
        !f.hidden
            && *f.name != *TABLE
            && matches!(
                f.ty,
                ColumnType::String
                    | ColumnType::Dynamic
                    | ColumnType::Guid
                    | ColumnType::Int
                    | ColumnType::Long
            )
    });
    let mut args: Vec<Expr> = searched
        .map(|(position, f)| has_term(column(position, f.ty, at), term, is_cs, at))
        .collect();
    match args.len() {
        0 => Expr::literal(Value::Bool(false), at),
        1 => args.remove(0),
        _ => call(ScalarFn::Or, args, ColumnType::Bool, at),
    }
}

/// `value has term`; stars at its ends stand for anything.
fn has_term(value: Expr, term: &str, is_cs: bool, at: Span) -> Expr {
    let value = cast(value, ColumnType::String);
    let (before, after) = (term.starts_with('*'), term.len() > 1 && term.ends_with('*'));
    let inner = term.strip_prefix('*').map_or(term, |t| t);
    let inner = if after {
        inner.strip_suffix('*').unwrap_or(inner)
    } else {
        inner
    };
    let (function, text) = if inner.contains('*') {
        (
            ScalarFn::MatchesRegex,
            wildcard_regex(inner, before, after, is_cs),
        )
    } else {
        let function = match (before, after, is_cs) {
            (false, false, false) => ScalarFn::Has,
            (false, false, true) => ScalarFn::HasCs,
            (false, true, false) => ScalarFn::HasPrefix,
            (false, true, true) => ScalarFn::HasPrefixCs,
            (true, false, false) => ScalarFn::HasSuffix,
            (true, false, true) => ScalarFn::HasSuffixCs,
            (true, true, false) => ScalarFn::Contains,
            (true, true, true) => ScalarFn::ContainsCs,
        };
        (function, inner.to_owned())
    };
    let needle = Expr::literal(Value::String(text.into()), at);
    call(function, vec![value, needle], ColumnType::Bool, at)
}

fn wildcard_regex(term: &str, before: bool, after: bool, is_cs: bool) -> String {
    let parts: Vec<String> = term.split('*').map(regex::escape).collect();
    let flags = if is_cs { "" } else { "(?i)" };
    let start = if before { "" } else { r"\b" };
    let end = if after { "" } else { r"\b" };
    format!("{flags}{start}{}{end}", parts.join(".*"))
}
