//! What is accepted and probably not meant: comparisons that no row can meet, hints and properties
//! that do not exist, forms that are taken for others.
//!
//! A warning changes nothing about the query. Published queries are full of them, so only what is
//! certainly of no use is said.

use std::collections::BTreeSet;

use model::{ColumnType, Span};

use super::types::is_number;
use super::{Resolver, Row, child, literals, plain_name, words};
use crate::codes;
use crate::resolved::{Expr, Relation, Value};
use crate::suggest;
use crate::syntax::{Kind, Node, span};

/// The hints of operators, and the values of those that have a choice.
const HINTS: &[(&str, &[&str])] = &[
    ("concurrency", &[]),
    ("distribution", &["per_node", "per_shard", "single"]),
    ("materialized", &["true", "false"]),
    ("num_partitions", &[]),
    ("pass_filters", &["true", "false"]),
    ("pass_filters_column", &[]),
    ("progressive_top", &["true", "false"]),
    ("remote", &["auto", "left", "local", "right"]),
    ("shufflekey", &[]),
    ("spread", &[]),
    (
        "strategy",
        &[
            "auto",
            "broadcast",
            "centralized",
            "legacy",
            "native",
            "shuffle",
        ],
    ),
];

/// How a result may want to be drawn.
const DRAWINGS: &[&str] = &[
    "anomalychart",
    "areachart",
    "barchart",
    "card",
    "columnchart",
    "graph",
    "ladderchart",
    "linechart",
    "list",
    "piechart",
    "pivotchart",
    "plotly",
    "scatterchart",
    "stackedareachart",
    "table",
    "timechart",
    "timepivot",
    "treemap",
];

/// The properties of drawings, and the values of those that have a choice.
const PROPERTIES: &[(&str, &[&str])] = &[
    ("accumulate", &["true", "false"]),
    ("anomalycolumns", &[]),
    (
        "kind",
        &["default", "map", "stacked", "stacked100", "unstacked"],
    ),
    ("legend", &["hidden", "visible"]),
    ("series", &[]),
    ("title", &[]),
    ("xaxis", &["linear", "log"]),
    ("xcolumn", &[]),
    ("xmax", &[]),
    ("xmin", &[]),
    ("xtitle", &[]),
    ("yaxis", &["linear", "log"]),
    ("ycolumns", &[]),
    ("ymax", &[]),
    ("ymin", &[]),
    ("ysplit", &["axes", "none", "panels"]),
    ("ytitle", &[]),
];

/// The properties whose values are columns.
const OF_COLUMNS: &[&str] = &["anomalycolumns", "series", "xcolumn", "ycolumns"];

impl Resolver<'_> {
    /// A text that is no value of the other side's type is equal to nothing there.
    pub(super) fn warn_never_equal(&mut self, left: &Expr, right: &Expr) {
        let (value, text) = match (left.as_literal(), right.as_literal()) {
            (None, Some(Value::String(text))) => (left, text.clone()),
            (Some(Value::String(text)), None) => (right, text.clone()),
            _ => return,
        };
        if may_say(value.ty, &text) {
            return;
        }
        let at = left.span.cover(right.span);
        let shown: String = text.chars().take(40).collect();
        let message = format!(
            "a value of type `{}` is never equal to the text `{shown}`",
            value.ty
        );
        let help = match value.ty {
            ColumnType::DateTime => "write instants as `datetime(2024-12-31)`".to_owned(),
            ColumnType::TimeSpan => "write spans as `1d`, `2h`, `30m`".to_owned(),
            _ => "compare with a value of that type, or make a text of it with `tostring(…)`"
                .to_owned(),
        };
        self.warn(codes::NEVER_EQUAL, at, message, help);
    }

    /// A text compared with an array is compared with the array's JSON.
    pub(super) fn warn_array(&mut self, operator: &str, left: &Expr, right: &Expr) {
        let is_array = |e: &Expr| matches!(e.as_literal(), Some(Value::Dynamic(json)) if json.starts_with('['));
        if left.ty != ColumnType::String || !is_array(right) {
            return;
        }
        let help = match operator {
            "==" => "for one of several texts use `in (…)`",
            "=~" => "for one of several texts use `in~ (…)`",
            "!=" | "!~" => "for none of several texts use `!in (…)`",
            "has" | "contains" => "for one of several texts use `has_any (…)`",
            _ => "ask for each text, joined with `or`",
        };
        let message = format!("`{operator}` compares with the array's text, not with its elements");
        self.warn(
            codes::NEVER_EQUAL,
            left.span.cover(right.span),
            message,
            help,
        );
    }

    /// Two texts side by side in a list are one.
    pub(super) fn warn_joined_texts(&mut self, items: &[Node]) {
        for item in items.iter().filter(|i| i.kind() == Kind::Literal) {
            let texts = item
                .children_with_tokens()
                .filter(|t| t.kind() == Kind::String);
            if texts.count() > 1 {
                let message = "two texts without a comma between them are one text";
                self.warn(
                    codes::LENIENT_FORM,
                    span(item),
                    message,
                    "put a comma between them",
                );
            }
        }
    }

    /// Hints are about the service's own cluster and change nothing; unknown ones nowhere.
    pub(super) fn check_hints(&mut self, node: &Node) {
        let mut seen = BTreeSet::new();
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            let [hint, dot, name, rest @ ..] = said.as_slice() else {
                continue;
            };
            if hint != "hint" || dot != "." {
                continue;
            }
            let at = span(&option);
            let known = HINTS.iter().find(|(known, _)| known == name);
            let Some((_, values)) = known else {
                let message = format!("there is no hint `{name}`");
                let names = HINTS.iter().map(|(known, _)| *known);
                self.warn(
                    codes::UNKNOWN_SETTING,
                    at,
                    message,
                    one_of("hint", name, names),
                );
                continue;
            };
            if !seen.insert(name.clone()) && name != "shufflekey" {
                let message = format!("the hint `{name}` is given twice");
                self.warn(codes::UNKNOWN_SETTING, at, message, "keep one of them");
            }
            let value = rest.last().map_or("", String::as_str);
            if !values.is_empty() && !values.contains(&value) {
                let message = format!("the hint `{name}` has no value `{value}`");
                let help = one_of("value", value, values.iter().copied());
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
            }
        }
    }

    /// What `render` asks for exists.
    pub(super) fn check_render(&mut self, input: &Relation, node: &Node) {
        let at = span(node);
        let said = words(node);
        let drawing = said.get(1).map_or("", String::as_str);
        if !DRAWINGS.contains(&drawing) {
            let message = format!("there is no drawing `{drawing}`");
            let help = one_of("drawing", drawing, DRAWINGS.iter().copied());
            self.warn(codes::UNKNOWN_SETTING, at, message, help);
        }
        for (name, values) in render_properties(&said) {
            let Some((_, known)) = PROPERTIES.iter().find(|(known, _)| *known == name) else {
                let message = format!("drawings have no property `{name}`");
                let names = PROPERTIES.iter().map(|(known, _)| *known);
                let help = one_of("property", &name, names);
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
                continue;
            };
            let Some(first) = values.first() else {
                let message = format!("the property `{name}` has no value");
                let help = format!("give it one: `{name} = …`");
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
                continue;
            };
            if !known.is_empty() && !known.contains(&first.as_str()) {
                let message = format!("the property `{name}` has no value `{first}`");
                let help = one_of("value", first, known.iter().copied());
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
            }
            if OF_COLUMNS.contains(&name.as_str()) && !self.awaits_columns() {
                self.check_drawn(input, &values, at);
            }
        }
    }

    /// The columns that a drawing names are there.
    fn check_drawn(&mut self, input: &Relation, names: &[String], at: Span) {
        let row = Row {
            columns: &input.columns,
        };
        if super::carry::is_open(row.columns) {
            return;
        }
        for name in names {
            if super::scalar::find_column(row, name).is_none() {
                let message = format!("the result has no column `{name}` to draw");
                let visible = input.columns.iter().filter(|f| !f.hidden);
                let help = one_of("column", name, visible.map(|f| &*f.name));
                self.warn(codes::UNKNOWN_SETTING, at, message, help);
            }
        }
    }

    /// A function that names columns of its table argument that the parameter does not declare.
    pub(super) fn warn_undeclared(&mut self, lambda: &Node, relation: &Relation, decls: &Node) {
        let Some(body) = child(lambda, Kind::Body) else {
            return;
        };
        if words(decls).iter().any(|w| w == "*") {
            return;
        }
        let declared: BTreeSet<String> = decls
            .children()
            .filter_map(|decl| decl.children().next())
            .map(|name| plain_name(&name))
            .collect();
        let visible = relation.columns.iter().filter(|f| !f.hidden);
        let undeclared =
            |name: &str| !declared.contains(name) && visible.clone().any(|f| *f.name == *name);
        // Names that the body makes, and tables that it reads besides, explain a name too.
        let (mut made, mut used) = (BTreeSet::new(), Vec::new());
        for name in body.descendants().filter(|n| n.kind() == Kind::Name) {
            let text = plain_name(&name);
            match name.parent().map(|p| (p.kind(), p.children().next())) {
                Some((Kind::Member, _)) => {}
                Some((Kind::Named | Kind::Let | Kind::Param, Some(first))) if first == name => {
                    made.insert(text);
                }
                Some((Kind::PatternPart | Kind::ColumnDecl | Kind::NameList, _)) => {
                    made.insert(text);
                }
                Some((Kind::Call, Some(first))) if first == name => {}
                _ if self.schema.table(&text).is_some() => return,
                _ => used.push((text, span(&name))),
            }
        }
        for (name, at) in used {
            if undeclared(&name) && !made.contains(&name) && self.lookup(&name).is_none() {
                let message = format!("`{name}` is no column that the parameter declares");
                let help = format!("declare it: `({name}: …)`, or take any table: `(*)`");
                self.warn(codes::LENIENT_FORM, at, message, help);
            }
        }
    }

    /// A kind of join that does not exist and is taken for another.
    pub(super) fn warn_join_kind(&mut self, said: &str, at: Span) {
        let meant = match said {
            "outer" => "fullouter",
            "semi" => "leftsemi",
            _ => return,
        };
        let message = format!("`join` has no kind `{said}`, and it is taken for `{meant}`");
        self.warn(
            codes::LENIENT_FORM,
            at,
            message,
            format!("write `kind={meant}`"),
        );
    }
}

/// Whether `text` says a value of that type.
fn may_say(ty: ColumnType, text: &str) -> bool {
    let text = text.trim();
    match ty {
        ty if is_number(ty) => text.parse::<f64>().is_ok() || text.starts_with("0x"),
        ColumnType::Bool => {
            let known = ["true", "false", "0", "1"];
            known.iter().any(|word| word.eq_ignore_ascii_case(text))
        }
        ColumnType::Guid => literals::guid(text).is_some(),
        ColumnType::DateTime => literals::datetime(text).is_some(),
        ColumnType::TimeSpan => literals::timespan(text).is_some(),
        _ => true,
    }
}

/// `name = value, value, name = value` of `render … with (…)`.
fn render_properties(said: &[String]) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut is_value = false;
    let is_property = |word: &str| PROPERTIES.iter().any(|(known, _)| *known == word);
    for (position, word) in said.iter().enumerate().skip(2) {
        let next = said.get(position + 1).map_or("", String::as_str);
        match word.as_str() {
            "(" | ")" | "," | "with" | "[" | "]" => {}
            "=" => is_value = true,
            name if next == "=" || (!is_value && is_property(name)) => {
                found.push((name.to_owned(), Vec::new()));
                is_value = false;
            }
            value if is_value => {
                let value = if value.starts_with(['"', '\'', '@']) {
                    literals::string(value).unwrap_or_default()
                } else {
                    value.to_owned()
                };
                if let Some((_, values)) = found.last_mut() {
                    values.push(value);
                }
            }
            _ => {}
        }
    }
    found
}

/// The name that is nearest, or all of them.
fn one_of<'n>(what: &str, said: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    match suggest::similar(said, known.clone()) {
        Some(similar) => format!("a {what} with a similar name exists: `{similar}`"),
        None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}
