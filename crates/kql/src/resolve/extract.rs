//! `parse`, `parse-where` and `parse-kv`: columns read out of a text.

use std::sync::Arc;

use model::{ColumnType, Span};

use super::carry::hidden;
use super::columns::projected;
use super::types::cast;
use super::{Broken, Fallible, Resolver, Row, child, column, first_word, items, literals, words};
use crate::codes;
use crate::resolved::{Expr, Field, Op, Pairs, PatternMode, Relation, TextForm, TextPart};
use crate::syntax::{Kind, Node, span};

/// Columns to be made: names with types.
type Captures = Vec<(String, ColumnType)>;

impl Resolver<'_> {
    pub(super) fn parse_pattern(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let drops = first_word(node) == "parse-where";
        let mode = self.pattern_mode(node)?;
        let source = self.extract_source(&input, node)?;
        let mut parts: Vec<TextPart> = Vec::new();
        let mut captures: Captures = Vec::new();
        for part in node.children().filter(|c| c.kind() == Kind::PatternPart) {
            self.pattern_part(&part, &mut parts, &mut captures)?;
        }
        if let PatternMode::Regex(_) = mode {
            self.check_pattern(&parts, &captures, at)?;
        }
        let form = TextForm::Pattern { parts, mode };
        self.count_relations(2, at)?;
        Ok(extracted(input, source, form, captures, drops, at))
    }

    fn pattern_mode(&mut self, node: &Node) -> Fallible<PatternMode> {
        let (mut kind, mut flags) = ("simple".to_owned(), String::new());
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            let said = words(&option);
            let value = said.last().cloned().unwrap_or_default();
            match said.first().map(String::as_str) {
                Some("kind") => kind = value,
                Some("flags") => flags = value,
                _ => {}
            }
        }
        match kind.as_str() {
            "simple" => Ok(PatternMode::Simple),
            "relaxed" => Ok(PatternMode::Relaxed),
            "regex" if flags.is_empty() || regex::Regex::new(&format!("(?{flags})")).is_ok() => {
                Ok(PatternMode::Regex(flags))
            }
            "regex" => {
                let message = format!("`{flags}` are no flags of a regular expression");
                let help = "flags are U (ungreedy), m (lines), s (a dot is a line break, too), i (any case)";
                Err(self.error_help(codes::UNKNOWN_OPTION, span(node), message, help))
            }
            other => {
                let message = format!("unknown kind `{other}`");
                let help = "kinds are simple, relaxed and regex";
                Err(self.error_help(codes::UNKNOWN_OPTION, span(node), message, help))
            }
        }
    }

    /// The text that is read.
    fn extract_source(&mut self, input: &Relation, node: &Node) -> Fallible<Expr> {
        let row = Row {
            columns: &input.columns,
        };
        let Some(value) = items(node).next() else {
            return Err(Broken);
        };
        let (_, value) = self.named(&value)?;
        let expr = self.expr(&value, row)?;
        Ok(cast(expr, ColumnType::String))
    }

    fn pattern_part(
        &mut self,
        part: &Node,
        parts: &mut Vec<TextPart>,
        captures: &mut Captures,
    ) -> Fallible<()> {
        let at = span(part);
        let Some(name) = part.children().next() else {
            let said = words(part);
            let text = said.first().map_or("", String::as_str);
            if text == "*" {
                parts.push(TextPart::Skip);
                return Ok(());
            }
            let text = literals::string(text)
                .map_err(|message| self.error(codes::BAD_LITERAL, at, message))?;
            // Adjacent texts are one.
            if let Some(TextPart::Text(before)) = parts.last_mut() {
                *before = format!("{before}{text}").into();
            } else {
                parts.push(TextPart::Text(text.into()));
            }
            return Ok(());
        };
        let name = self.new_name(&name)?;
        let type_name = words(part).last().cloned().unwrap_or_default();
        let ty = if words(part).iter().any(|w| w == ":") {
            self.type_named(&type_name, at)?
        } else {
            ColumnType::String
        };
        if captures.iter().any(|(known, _)| *known == name) {
            return Err(self.duplicate(&name, at));
        }
        let is_after_text = captures
            .last()
            .is_some_and(|(_, ty)| *ty == ColumnType::String);
        if is_after_text && parts.last() == Some(&TextPart::Capture) {
            let message =
                "a text between two columns is missing: nothing says where the first one ends";
            self.warn(
                codes::LENIENT_FORM,
                at,
                message,
                "put the text that stands between them",
            );
        }
        captures.push((name, ty));
        parts.push(TextPart::Capture);
        Ok(())
    }

    pub(super) fn type_named(&mut self, name: &str, at: Span) -> Fallible<ColumnType> {
        ColumnType::parse(name).ok_or_else(|| {
            let help = "types are bool, datetime, decimal, dynamic, guid, int, long, real, string, timespan";
            self.error_help(codes::UNKNOWN_TYPE, at, format!("unknown type `{name}`"), help)
        })
    }

    /// A pattern of regular expressions: each compiles, and captures have a text between them.
    fn check_pattern(&mut self, parts: &[TextPart], captures: &Captures, at: Span) -> Fallible<()> {
        for part in parts {
            if let TextPart::Text(text) = part {
                let literal = Expr::literal(crate::resolved::Value::String(text.clone()), at);
                self.check_regex(&literal)?;
            }
        }
        let mut capture = 0;
        let mut before_is_text = false;
        for part in parts {
            let is_capture = *part == TextPart::Capture;
            let is_text = is_capture
                && captures
                    .get(capture)
                    .is_some_and(|(_, ty)| *ty == ColumnType::String);
            capture += usize::from(is_capture);
            if is_capture && before_is_text {
                let message =
                    "a text between two columns is missing: nothing says where the first one ends";
                return Err(self.error(codes::EXPECTED, at, message));
            }
            before_is_text = is_text;
        }
        Ok(())
    }

    pub(super) fn parse_pairs(&mut self, input: Relation, node: &Node) -> Fallible<Relation> {
        let at = span(node);
        let source = self.extract_source(&input, node)?;
        let Some(decls) = child(node, Kind::ColumnDecls) else {
            return Err(Broken);
        };
        let captures: Captures = self.declared_columns(&decls)?;
        for decl in decls.children() {
            let name = decl.children().next();
            if let Some(name) =
                name.filter(|n| matches!(n.text().to_string().as_str(), "true" | "false"))
            {
                let message = format!("`{}` cannot name a column", name.text());
                return Err(self.error(codes::EXPECTED, span(&name), message));
            }
        }
        let mut pairs = Pairs {
            keys: captures.iter().map(|(n, _)| n.as_str().into()).collect(),
            pair_delimiter: "".into(),
            kv_delimiter: "".into(),
            quotes: Vec::new(),
            escapes: Vec::new(),
            greedy: false,
            regex: None,
        };
        for option in node.children().filter(|c| c.kind() == Kind::OperatorOption) {
            self.pair_option(&option, &mut pairs)?;
        }
        self.count_relations(2, at)?;
        let form = TextForm::Pairs(pairs);
        Ok(extracted(input, source, form, captures, false, at))
    }

    fn pair_option(&mut self, option: &Node, pairs: &mut Pairs) -> Fallible<()> {
        let at = span(option);
        let said = words(option);
        let name = said.first().map_or("", String::as_str);
        let raw = said.last().map_or("", String::as_str);
        let text: Arc<str> = literals::string(raw)
            .unwrap_or_else(|_| raw.to_owned())
            .into();
        match name {
            "pair_delimiter" => pairs.pair_delimiter = text,
            "kv_delimiter" => pairs.kv_delimiter = text,
            "quote" => {
                let mut letters = text.chars();
                let (open, close, more) = (letters.next(), letters.next(), letters.next());
                let (Some(open), None) = (open, more) else {
                    let message = "a quote is one character, or an opening and a closing one";
                    return Err(self.error(codes::EXPECTED, at, message));
                };
                pairs.quotes.push((open, close.unwrap_or(open)));
            }
            "escape" => {
                let mut letters = text.chars();
                let (Some(letter), None) = (letters.next(), letters.next()) else {
                    let message = "an escape is one character";
                    return Err(self.error(codes::EXPECTED, at, message));
                };
                pairs.escapes.push(letter);
            }
            "greedy" => pairs.greedy = raw == "true",
            "regex" => {
                let literal = Expr::literal(crate::resolved::Value::String(text.clone()), at);
                self.check_regex(&literal)?;
                let groups = regex::Regex::new(&crate::pattern(&text));
                if groups.is_ok_and(|regex| regex.captures_len() != 3) {
                    let message = "the regular expression needs two groups, for key and value";
                    let help = "put both in round brackets; `(?:…)` is no group";
                    return Err(self.error_help(codes::BAD_REGEX, at, message, help));
                }
                pairs.regex = Some(text);
            }
            other => {
                let message = format!("`parse-kv` has no option `{other}`");
                return Err(self.error(codes::UNKNOWN_OPTION, at, message));
            }
        }
        Ok(())
    }
}

/// The extraction, then its columns in their places: one that existed keeps its place.
fn extracted(
    input: Relation,
    source: Expr,
    form: TextForm,
    captures: Captures,
    drops: bool,
    at: Span,
) -> Relation {
    let width = input.columns.len();
    let types: Vec<ColumnType> = captures.iter().map(|(_, ty)| *ty).collect();
    let mut all = input.columns.clone();
    all.extend(types.iter().map(|ty| hidden("$e", *ty)));
    all.push(hidden("$m", ColumnType::Bool));
    let mut relation = Relation {
        op: Op::Extract {
            input: Box::new(input),
            source,
            form,
            captures: types,
        },
        columns: all,
        span: at,
    };
    if drops {
        relation = Relation {
            columns: relation.columns.clone(),
            op: Op::Filter {
                predicate: column(width + captures.len(), ColumnType::Bool, at),
                input: Box::new(relation),
            },
            span: at,
        };
    }
    let mut fields: Vec<(usize, Field)> = relation
        .columns
        .iter()
        .take(width)
        .cloned()
        .enumerate()
        .collect();
    for (number, (name, ty)) in captures.into_iter().enumerate() {
        let new = (width + number, Field::new(name.as_str(), ty));
        let old = fields
            .iter_mut()
            .find(|(_, f)| !f.hidden && *f.name == *name);
        match old {
            Some(slot) => *slot = new,
            None => fields.push(new),
        }
    }
    let exprs = fields.iter().map(|(p, f)| column(*p, f.ty, at)).collect();
    let columns = fields.into_iter().map(|(_, f)| f).collect();
    projected(relation, exprs, columns, at)
}
