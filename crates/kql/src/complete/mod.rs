//! What can be written at a place of an unfinished query: for an editor.
//!
//! Names come from the schema and from the query's own statements, columns from the operators before
//! the cursor, functions with signature and doc line from the function table, the rest from the
//! table of words. What is offered is likely right, not surely: the resolver judges, not this.
//!
//! Promises: no more than [`limits::QUERY_COMPLETIONS_MAX`] items, in an order that depends on the
//! text alone; whatever the text, it ends.

mod place;
mod words;

use std::collections::BTreeSet;

use model::{Span, limits};

use crate::functions::{self, Function, Meaning};
use crate::operators::Operator;
use crate::resolve::{Defined, Scope, scope};
use crate::resolve::{PLUGINS, SERVICE_FUNCTION_NAMES};
use crate::schema::SchemaSource;
use crate::signatures;
use crate::syntax::Kind;
use place::{Place, Tok};

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CompletionKind {
    /// A column of the rows at hand.
    Column,
    /// A value, table or function that the query defines.
    Name,
    /// A table of the schema.
    Table,
    /// An operator of a pipeline.
    Operator,
    /// A word of the language.
    Keyword,
    /// An aggregate.
    Aggregate,
    /// A scalar function.
    Function,
    /// A plugin of `evaluate`.
    Plugin,
    /// A type.
    Type,
}

impl CompletionKind {
    /// The name that programs see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::Name => "name",
            Self::Table => "table",
            Self::Operator => "operator",
            Self::Keyword => "keyword",
            Self::Aggregate => "aggregate",
            Self::Function => "function",
            Self::Plugin => "plugin",
            Self::Type => "type",
        }
    }
}

/// One thing that can be written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Completion {
    /// What it is.
    pub kind: CompletionKind,
    /// What to write, a name in brackets if it needs them.
    pub label: String,
    /// The type of a column, the signatures of a function; may be empty.
    pub detail: String,
    /// One line about it; may be empty.
    pub doc: String,
}

/// What can be written, and in place of what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Completions {
    /// The word that an item replaces: bytes of the text.
    pub span: Span,
    /// The items, those that start with the word first.
    pub items: Vec<Completion>,
}

/// What can be written at byte `offset` of `text`: nothing inside of a string, number or comment.
pub fn complete(text: &str, offset: usize, schema: &dyn SchemaSource) -> Completions {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    if text.len() > limits::QUERY_BYTES_MAX {
        return Completions::default();
    }
    // The query at hand, if there are several.
    let part = crate::queries(text)
        .into_iter()
        .find(|part| part.contains(&offset) || part.end == offset)
        .unwrap_or(0..text.len());
    let query = text.get(part.clone()).unwrap_or(text);
    let Some(place) = place::place(query, offset.saturating_sub(part.start)) else {
        return Completions::default();
    };
    let mut maker = Maker {
        scope: Scope::default(),
        schema,
        turn: 0,
        items: BTreeSet::new(),
    };
    maker.offer(&place);
    let at = |offset: usize| u32::try_from(part.start + offset).unwrap_or(u32::MAX);
    Completions {
        span: Span::new(at(place.from), at(place.to)),
        items: chosen(maker.items, place.word),
    }
}

/// Those that have the word, those that start with it first, each in its turn.
fn chosen(items: BTreeSet<(u8, Completion)>, word: &str) -> Vec<Completion> {
    let word = word.to_lowercase();
    let mut ranked: Vec<(usize, u8, Completion)> = items
        .into_iter()
        .filter_map(|(turn, item)| {
            let found = item.label.to_lowercase().find(&word)?;
            Some((found.min(1), turn, item))
        })
        .collect();
    ranked.sort();
    ranked.truncate(limits::QUERY_COMPLETIONS_MAX);
    ranked.into_iter().map(|(_, _, item)| item).collect()
}

/// What the token before the cursor lets follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing that ends a value: a value comes.
    Value,
    /// A value: an operator or clause comes.
    Operand,
}

struct Maker<'a> {
    scope: Scope,
    schema: &'a dyn SchemaSource,
    /// What is offered now comes after what was offered in an earlier turn.
    turn: u8,
    items: BTreeSet<(u8, Completion)>,
}

impl Maker<'_> {
    fn offer(&mut self, place: &Place<'_>) {
        let row = place.row_frame();
        let input = row.map_or_else(String::new, |level| place.input(level));
        let query = format!("{}{input}", place.definitions());
        self.scope = scope(&crate::parse(&query), self.schema);
        let innermost = place.frames.len().saturating_sub(1);
        let begins_query = place
            .frames
            .last()
            .is_some_and(|f| f.bars.is_empty() && f.start == place.tokens.len());
        match place.before(1) {
            Some(token) if token.kind == Kind::Pipe => return self.operators(),
            Some(_) if begins_query && place.is_sub_pipeline(innermost) => {
                return self.operators();
            }
            Some(token) if token.kind == Kind::Dot => return self.members(place),
            Some(token) if token.kind == Kind::Colon && declares(place) => return self.types(),
            _ if names_type(place) => return self.types(),
            _ => {}
        }
        match row {
            Some(level) => self.in_operator(place, level),
            None => self.in_statement(place),
        }
        if begins_query {
            // A query in brackets, or the argument of a function of tables.
            self.tables();
            self.words(words::STATEMENTS);
        }
    }

    /// Where no bar has been written.
    fn in_statement(&mut self, place: &Place<'_>) {
        let tokens = place.operator(place.frames.len().saturating_sub(1));
        let first = tokens.first().map_or("", |t| t.text);
        match first {
            "" => {
                self.tables();
                self.words(words::STATEMENTS);
            }
            "let" if tokens.len() == 3 => {
                self.tables();
                self.words(words::STATEMENTS);
                self.values();
            }
            "let" if tokens.len() < 3 => {}
            "union" | "search" | "find" => {
                self.tables();
                self.words(words::options(first));
            }
            "range" => {
                self.words(words::clauses(first));
                self.values();
            }
            _ if after(place) == After::Operand => self.words(words::INFIX),
            _ => self.values(),
        }
    }

    /// Inside of the operator after the last bar.
    fn in_operator(&mut self, place: &Place<'_>, level: usize) {
        let tokens = place.operator(level);
        let name = tokens.first().map_or("", |t| t.text);
        // Deeper brackets hold expressions, whatever the operator.
        let is_deeper = level + 1 < place.frames.len();
        let n_words = tokens.len();
        match name {
            "render" if n_words == 1 => return self.words(words::CHARTS),
            "evaluate" if !is_deeper => return self.plugins(),
            "invoke" if !is_deeper => {
                self.functions_of_query();
                return self.words(SERVICE_FUNCTION_NAMES);
            }
            "join" | "lookup" if !is_deeper => return self.in_join(place, level, name),
            "union" if !is_deeper => {
                if is_after_kind(place) {
                    return self.words(words::UNION_KINDS);
                }
                self.words(words::options(name));
                return self.tables();
            }
            "parse" | "parse-where" if is_after_kind(place) => {
                return self.words(words::PARSE_KINDS);
            }
            _ => {}
        }
        if !is_deeper && after(place) == After::Operand && n_words > 1 {
            if is_sorting(tokens) {
                return self.after_sort_key(tokens);
            }
            self.words(words::INFIX);
            return self.words(words::clauses(name));
        }
        if is_deeper && after(place) == After::Operand {
            return self.words(words::INFIX);
        }
        if n_words == 1 {
            self.words(words::options(name));
            if matches!(name, "sort" | "order" | "reduce" | "partition") {
                return self.words(words::clauses(name));
            }
        }
        if let Some(operator) = Operator::named(name)
            && aggregates_at(operator, tokens)
        {
            self.aggregates();
        }
        self.columns();
        if !matches!(
            name,
            "project-away" | "project-keep" | "project-rename" | "project-reorder"
        ) {
            self.values();
        }
    }

    /// After a sort key: its direction before all, what makes it longer last.
    fn after_sort_key(&mut self, tokens: &[Tok<'_>]) {
        let last = tokens.last().map_or("", |t| t.text);
        match last {
            "nulls" => return self.words(words::NULLS_AFTER),
            "asc" | "desc" => self.words(words::NULLS),
            "first" | "last" => {}
            _ => {
                self.words(words::DIRECTIONS);
                self.words(words::NULLS);
            }
        }
        self.turn += 1;
        if tokens.first().is_none_or(|t| t.text != "top") {
            self.words(&[(",", "the next sort key")]);
        }
        self.words(&[("|", "the next operator")]);
        if !matches!(last, "asc" | "desc" | "first" | "last") {
            self.turn += 1;
            self.words(words::INFIX);
        }
    }

    fn in_join(&mut self, place: &Place<'_>, level: usize, name: &str) {
        if is_after_kind(place) {
            return self.words(if name == "join" {
                words::JOIN_KINDS
            } else {
                words::LOOKUP_KINDS
            });
        }
        let tokens = place.operator(level);
        let has_on = tokens.iter().any(|t| t.is(Kind::Word, "on"));
        if !has_on {
            if after(place) == After::Operand && tokens.len() > 1 {
                return self.words(words::clauses(name));
            }
            self.words(words::options(name));
            return self.tables();
        }
        if after(place) == After::Operand {
            return self.words(&[("==", "equal"), ("and", "both")]);
        }
        let right = self.right_columns(place, level);
        let left = std::mem::take(&mut self.scope.columns);
        // A bare name is a column of both sides.
        self.scope.columns = left
            .into_iter()
            .filter(|f| right.contains(&f.name.to_string()))
            .collect();
        self.columns();
        self.words(&[
            ("$left", "the rows before the bar"),
            ("$right", "the rows of the other table"),
        ]);
    }

    fn right_columns(&self, place: &Place<'_>, level: usize) -> Vec<String> {
        let query = format!("{}{}", place.definitions(), place.right_side(level));
        let right = scope(&crate::parse(&query), self.schema);
        right.columns.iter().map(|f| f.name.to_string()).collect()
    }

    /// After a dot: the columns of a join's side; the parts of a bag are not known.
    fn members(&mut self, place: &Place<'_>) {
        match place.before(2).map(|t| t.text) {
            Some("$left") => self.columns(),
            Some("$right") => {
                let Some(level) = place.row_frame() else {
                    return;
                };
                let query = format!("{}{}", place.definitions(), place.right_side(level));
                self.scope = scope(&crate::parse(&query), self.schema);
                self.columns();
            }
            Some("hint") => self.words(&[
                (
                    "strategy",
                    "how a cluster spreads the work; changes nothing here",
                ),
                ("shufflekey", "the key to spread by; changes nothing here"),
            ]),
            _ => {}
        }
    }

    // What can be offered.

    fn add(&mut self, kind: CompletionKind, label: impl Into<String>, detail: &str, doc: &str) {
        let item = Completion {
            kind,
            label: label.into(),
            detail: detail.to_owned(),
            doc: doc.to_owned(),
        };
        self.items.insert((self.turn, item));
    }

    fn words(&mut self, words: &[(&str, &str)]) {
        for (word, doc) in words {
            self.add(CompletionKind::Keyword, *word, "", doc);
        }
    }

    fn operators(&mut self) {
        for operator in Operator::ALL.iter().filter(|o| o.is_supported()) {
            if !matches!(operator, Operator::Print | Operator::Range) {
                self.add(
                    CompletionKind::Operator,
                    operator.as_str(),
                    "",
                    operator.doc(),
                );
            }
        }
    }

    fn types(&mut self) {
        for (name, doc) in words::TYPES {
            self.add(CompletionKind::Type, *name, "", doc);
        }
    }

    fn plugins(&mut self) {
        for (name, doc) in PLUGINS {
            self.add(CompletionKind::Plugin, *name, "", doc);
        }
    }

    fn tables(&mut self) {
        for table in self.schema.tables() {
            self.add(CompletionKind::Table, bracketed(&table), "", "");
        }
        let own: Vec<(String, String)> = self
            .scope
            .names
            .iter()
            .filter_map(|(name, what)| match what {
                Defined::Table | Defined::Unknown => Some((name.clone(), "table".to_owned())),
                Defined::Function(params) => Some((name.clone(), params.clone())),
                Defined::Scalar(_) => None,
            })
            .collect();
        for (name, detail) in own {
            self.add(CompletionKind::Name, bracketed(&name), &detail, "");
        }
    }

    fn columns(&mut self) {
        for field in std::mem::take(&mut self.scope.columns) {
            self.add(
                CompletionKind::Column,
                bracketed(&field.name),
                field.ty.as_str(),
                "",
            );
        }
    }

    /// Scalars that the query defines, and the functions of the language.
    fn values(&mut self) {
        for (name, what) in self.scope.names.clone() {
            let detail = match what {
                Defined::Scalar(ty) => ty.as_str().to_owned(),
                Defined::Table => "table".to_owned(),
                Defined::Function(params) => params,
                Defined::Unknown => String::new(),
            };
            self.add(CompletionKind::Name, bracketed(&name), &detail, "");
        }
        for function in functions::all() {
            if !matches!(function.meaning, Meaning::Aggregate(..)) {
                self.function(CompletionKind::Function, function);
            }
        }
        for (word, doc) in [("true", "a bool"), ("false", "a bool")] {
            self.add(CompletionKind::Keyword, word, "", doc);
        }
    }

    fn functions_of_query(&mut self) {
        for (name, what) in self.scope.names.clone() {
            if let Defined::Function(params) = what {
                self.add(CompletionKind::Name, bracketed(&name), &params, "");
            }
        }
    }

    fn aggregates(&mut self) {
        let all = functions::all().filter(|f| matches!(f.meaning, Meaning::Aggregate(..)));
        for function in all {
            self.function(CompletionKind::Aggregate, function);
        }
    }

    fn function(&mut self, kind: CompletionKind, function: &Function) {
        let detail = signatures::ways(function).join(" or ");
        self.add(kind, function.name, &detail, function.doc);
    }
}

/// A name as a query writes it.
fn bracketed(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(is_word) {
        name.to_owned()
    } else {
        format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

fn after(place: &Place<'_>) -> After {
    let Some(token) = place.before(1) else {
        return After::Value;
    };
    let ends_value = match token.kind {
        Kind::Word => {
            // An operator's name is one directly after its bar only: `count` may be a column.
            let is_first = place.before(2).is_some_and(|t| t.kind == Kind::Pipe);
            !is_first && !is_joining(token.text)
        }
        Kind::Integer
        | Kind::Real
        | Kind::TimeSpan
        | Kind::TypedLiteral
        | Kind::String
        | Kind::CloseParen
        | Kind::CloseBracket
        | Kind::CloseBrace
        | Kind::Star => true,
        _ => false,
    };
    if ends_value {
        After::Operand
    } else {
        After::Value
    }
}

/// A word between values, or one that introduces a value.
fn is_joining(word: &str) -> bool {
    const INTRODUCING: &[&str] = &[
        "by", "on", "of", "from", "to", "step", "with", "limit", "where", "not", "regex", "as",
    ];
    words::INFIX.iter().any(|(infix, _)| *infix == word)
        || INTRODUCING.contains(&word)
        || matches!(word, "distinct" | "extend" | "project" | "print")
}

/// `kind=` has been written.
fn is_after_kind(place: &Place<'_>) -> bool {
    place.before(1).is_some_and(|t| t.kind == Kind::Assign)
        && place.before(2).is_some_and(|t| t.is(Kind::Word, "kind"))
}

fn is_sorting(tokens: &[Tok<'_>]) -> bool {
    let name = tokens.first().map_or("", |t| t.text);
    matches!(name, "sort" | "order" | "top") && tokens.iter().any(|t| t.is(Kind::Word, "by"))
}

/// `typeof(` has been written.
fn names_type(place: &Place<'_>) -> bool {
    place.before(1).is_some_and(|t| t.kind == Kind::OpenParen)
        && place.before(2).is_some_and(|t| t.is(Kind::Word, "typeof"))
}

/// After a colon: whether it declares (`name: type`) rather than compares.
fn declares(place: &Place<'_>) -> bool {
    let in_brackets = place.frames.last().is_some_and(|f| f.open.is_some());
    let in_parse = place.row_frame().is_some_and(|level| {
        let tokens = place.operator(level);
        tokens.first().is_some_and(|t| t.text.starts_with("parse"))
    });
    in_parse || (in_brackets && place.before(2).is_some_and(|t| t.kind == Kind::Word))
}

/// Whether an aggregate can stand at the end of these tokens.
fn aggregates_at(operator: Operator, tokens: &[Tok<'_>]) -> bool {
    let has = |word: &str| tokens.iter().any(|t| t.is(Kind::Word, word));
    match operator {
        Operator::Summarize => !has("by"),
        Operator::MakeSeries => !has("on"),
        Operator::TopNested | Operator::TopHitters => has("by"),
        _ => false,
    }
}
