//! Several queries in one text: a file of them, with empty lines between.
//!
//! An empty line ends a query where the query could end and what follows could begin one: outside of
//! brackets, not after a comma, bar, semicolon or operator, not inside of a `let`, and before a word
//! that no query goes on with. Comments go with the query after them.

use std::ops::Range;

use crate::lexer;
use crate::operators::Operator;
use crate::syntax::Kind;

/// Words after which or before which a query goes on.
const JOINING: &[&str] = &[
    "and",
    "or",
    "by",
    "on",
    "with",
    "to",
    "from",
    "step",
    "of",
    "in",
    "between",
    "matches",
    "regex",
    "has",
    "has_any",
    "has_all",
    "contains",
    "startswith",
    "endswith",
    "asc",
    "desc",
    "nulls",
    "let",
    "where",
    "kind",
    "limit",
];

/// Operators that begin a query.
const LEADING: &[Operator] = &[
    Operator::Print,
    Operator::Range,
    Operator::Union,
    Operator::Search,
    Operator::Find,
];

/// The parts of `text` that hold one query each. They cover the text, in order; a text without
/// anything to say has none.
pub fn queries(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut state = State::default();
    let (mut start, mut at) = (0, 0);
    let mut any = false;
    // Since the last token that matters: line ends in a row, an empty line, where its line ended.
    let (mut lines, mut empty, mut line_end) = (0, false, None);
    for (kind, token) in lexer::tokens(text) {
        match kind {
            Kind::Blank => {
                for (offset, c) in token.char_indices() {
                    if c == '\n' {
                        lines += 1;
                        line_end.get_or_insert(at + offset + 1);
                    }
                }
                empty |= lines > 1;
            }
            Kind::Comment => lines = 0,
            _ => {
                if any && empty && state.may_end() && begins(kind, token) {
                    let cut = line_end.unwrap_or(at);
                    parts.push(start..cut);
                    start = cut;
                    state = State::default();
                }
                state.take(kind, token);
                any = true;
                (lines, empty, line_end) = (0, false, None);
            }
        }
        at += token.len();
    }
    if any {
        parts.push(start..text.len());
    }
    parts
}

/// Where a query stands after some tokens.
#[derive(Default)]
struct State {
    open: usize,
    in_let: bool,
    /// At the beginning of a statement.
    within: bool,
    goes_on: bool,
}

impl State {
    fn may_end(&self) -> bool {
        self.open == 0 && !self.in_let && !self.goes_on
    }

    fn take(&mut self, kind: Kind, token: &str) {
        match kind {
            Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace => self.open += 1,
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => {
                self.open = self.open.saturating_sub(1);
            }
            _ => {}
        }
        if !self.within {
            self.in_let = kind == Kind::Word && matches!(token, "let" | "set" | "declare");
        }
        self.within = true;
        self.goes_on = match kind {
            Kind::Semicolon => {
                if self.open == 0 {
                    (self.within, self.in_let) = (false, false);
                }
                true
            }
            Kind::Word => JOINING.contains(&token),
            Kind::Integer
            | Kind::Real
            | Kind::TimeSpan
            | Kind::TypedLiteral
            | Kind::String
            | Kind::OpenString
            | Kind::CloseParen
            | Kind::CloseBracket
            | Kind::CloseBrace
            // As in `count(*)`, `search *`.
            | Kind::Star
            | Kind::Unknown => false,
            _ => true,
        };
    }
}

/// Whether a query may begin with that token. An operator is more likely one without its bar.
fn begins(kind: Kind, token: &str) -> bool {
    kind == Kind::Word
        && (token == "let" || !JOINING.contains(&token))
        && Operator::named(token).is_none_or(|operator| LEADING.contains(&operator))
}
