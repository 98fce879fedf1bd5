//! Expressions: precedence, postfix access, literals.

use super::Parser;
use crate::codes;
use crate::syntax::Kind;

/// Precedence, loosest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Or,
    And,
    Compare,
    Add,
    Multiply,
}

impl Level {
    fn tighter(self) -> Option<Self> {
        match self {
            Self::Or => Some(Self::And),
            Self::And => Some(Self::Compare),
            Self::Compare => Some(Self::Add),
            Self::Add => Some(Self::Multiply),
            Self::Multiply => None,
        }
    }
}

/// Words that compare two strings.
pub(crate) const STRING_OPERATORS: &[&str] = &[
    "has",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "contains",
    "contains_cs",
    "notcontains",
    "containscs",
    "notcontainscs",
    "startswith",
    "startswith_cs",
    "endswith",
    "endswith_cs",
    "like",
    "likecs",
    "notlike",
    "notlikecs",
];

impl Parser<'_> {
    /// A pipeline or an expression: what stands in brackets, after `let x =`, and as a statement.
    pub(super) fn pipeline(&mut self) {
        if !self.deeper() {
            return;
        }
        let checkpoint = self.checkpoint();
        let leading = self.is_leading_operator();
        if leading {
            self.start_at(checkpoint, Kind::Pipeline);
            self.operator();
        } else {
            self.expression();
            if self.is(Kind::Pipe) {
                self.start_at(checkpoint, Kind::Pipeline);
            } else {
                self.shallower();
                return;
            }
        }
        while self.eat(Kind::Pipe) {
            self.operator();
        }
        self.finish();
        self.shallower();
    }

    pub(super) fn expression(&mut self) {
        self.level(Level::Or);
    }

    /// An expression that ends before a comparison: the axis of `make-series`.
    pub(super) fn sum(&mut self) {
        self.level(Level::Add);
    }

    fn level(&mut self, level: Level) {
        let checkpoint = self.checkpoint();
        self.operand(level);
        if !self.is_infix(level) {
            return;
        }
        self.start_at(checkpoint, Kind::Chain);
        while self.is_infix(level) {
            self.infix(level);
        }
        self.finish();
    }

    fn operand(&mut self, level: Level) {
        match level.tighter() {
            Some(tighter) => self.level(tighter),
            None => self.unary(),
        }
    }

    fn is_infix(&self, level: Level) -> bool {
        match (level, self.token(0)) {
            (_, None) => false,
            (Level::Or, Some((kind, text))) => kind == Kind::Word && text == "or",
            (Level::And, Some((kind, text))) => kind == Kind::Word && text == "and",
            (Level::Add, Some((kind, _))) => matches!(kind, Kind::Plus | Kind::Minus),
            (Level::Multiply, Some((kind, _))) => {
                matches!(kind, Kind::Star | Kind::Slash | Kind::Percent)
            }
            (Level::Compare, Some((kind, text))) => match kind {
                Kind::EqualEqual
                | Kind::NotEqual
                | Kind::EqualTilde
                | Kind::BangTilde
                | Kind::Less
                | Kind::LessEqual
                | Kind::Greater
                | Kind::GreaterEqual
                | Kind::Colon => true,
                // `where a = b`: the resolver says what was meant.
                Kind::Assign => self.in_condition,
                Kind::OperatorWord => {
                    let plain = text.trim_start_matches('!').trim_end_matches('~');
                    STRING_OPERATORS.contains(&plain) || matches!(plain, "in" | "between")
                }
                Kind::Word => {
                    STRING_OPERATORS.contains(&text)
                        || matches!(text, "in" | "has_any" | "has_all" | "between")
                        || (text == "matches" && self.word(1) == Some("regex"))
                }
                _ => false,
            },
        }
    }

    /// One operator and its right side.
    fn infix(&mut self, level: Level) {
        let text = self.token(0).map_or("", |(_, text)| text);
        self.bump();
        if level != Level::Compare {
            return self.operand(level);
        }
        match text {
            "matches" => {
                self.bump();
                self.operand(level);
            }
            "between" | "!between" => self.bounds(),
            "in" | "!in" | "in~" | "!in~" | "has_any" | "has_all" => {
                if self.is(Kind::OpenParen) {
                    self.list();
                } else {
                    self.expected("a list in brackets");
                    self.operand(level);
                }
            }
            _ => self.operand(level),
        }
    }

    fn bounds(&mut self) {
        self.start(Kind::Bounds);
        if self.expect(Kind::OpenParen, "`(` and two values with `..` between them") {
            if self.deeper() {
                self.expression();
                if self.expect(Kind::DotDot, "`..`") {
                    self.expression();
                }
                self.shallower();
            }
            self.close(Kind::CloseParen, "`)`");
        }
        self.finish();
    }

    fn list(&mut self) {
        self.start(Kind::List);
        self.expect(Kind::OpenParen, "`(`");
        self.some_items(Self::pipeline);
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    /// Items with commas between them, up to `close`; none at all is fine.
    fn items(&mut self, close: Kind, item: fn(&mut Self)) {
        if !self.is(close) && !self.is_done() {
            self.some_items(item);
        }
    }

    /// Items with commas between them.
    fn some_items(&mut self, item: fn(&mut Self)) {
        loop {
            let before = self.at;
            item(self);
            if self.at == before || !self.eat(Kind::Comma) {
                return;
            }
        }
    }

    /// Values up to `close`; a last comma is forgiven, as long tables of values often have one.
    fn values(&mut self, close: Kind, item: fn(&mut Self)) {
        while !self.is(close) && !self.is_done() {
            let before = self.at;
            item(self);
            if self.at == before || !self.eat(Kind::Comma) {
                return;
            }
        }
    }

    /// The closing bracket; if it is not there, what stands before it is skipped.
    pub(super) fn close(&mut self, kind: Kind, what: &str) {
        if self.eat(kind) {
            return;
        }
        if self.is_done() {
            let span = self.here();
            self.error_at(
                codes::UNBALANCED,
                span,
                format!("expected {what}, found the end of the query"),
                Some("close the bracket that was opened before"),
            );
            return;
        }
        self.expected(what);
        self.start(Kind::Skipped);
        self.skip_balanced();
        self.finish();
        self.eat(kind);
    }

    fn unary(&mut self) {
        if !matches!(self.kind(0), Some(Kind::Minus | Kind::Plus)) {
            return self.postfix();
        }
        if !self.deeper() {
            return;
        }
        self.start(Kind::Unary);
        self.bump();
        self.unary();
        self.finish();
        self.shallower();
    }

    pub(super) fn postfix(&mut self) {
        let checkpoint = self.checkpoint();
        if !self.primary() {
            return;
        }
        if !self.is_access() {
            return;
        }
        self.start_at(checkpoint, Kind::Path);
        while self.is_access() {
            if self.is(Kind::Dot) {
                self.member();
            } else {
                self.start(Kind::Index);
                self.bump();
                if self.deeper() {
                    self.expression();
                    self.shallower();
                }
                self.close(Kind::CloseBracket, "`]`");
                self.finish();
            }
        }
        self.finish();
    }

    fn is_access(&self) -> bool {
        matches!(self.kind(0), Some(Kind::Dot | Kind::OpenBracket))
    }

    fn member(&mut self) {
        self.start(Kind::Member);
        self.bump();
        match self.kind(0) {
            Some(Kind::OpenBracket) if self.declared_name() => {}
            Some(Kind::OpenBracket) => {
                // `.[0]`: an index in the old spelling.
                self.bump();
                if self.deeper() {
                    self.expression();
                    self.shallower();
                }
                self.close(Kind::CloseBracket, "`]`");
            }
            Some(Kind::Word) if self.kind(1) == Some(Kind::OpenParen) => self.call(),
            Some(Kind::Word | Kind::Integer) => {
                self.start(Kind::Name);
                self.bump();
                self.finish();
            }
            _ => self.expected("a property's name"),
        }
        self.finish();
    }

    /// Whether something was read.
    fn primary(&mut self) -> bool {
        match self.kind(0) {
            Some(Kind::Word) => self.word_primary(),
            Some(Kind::String | Kind::OpenString) => {
                self.start(Kind::Literal);
                while matches!(self.kind(0), Some(Kind::String | Kind::OpenString)) {
                    self.bump();
                }
                self.finish();
            }
            Some(Kind::Integer | Kind::Real | Kind::TimeSpan | Kind::TypedLiteral) => {
                self.start(Kind::Literal);
                self.bump();
                self.finish();
            }
            Some(Kind::OpenParen) => self.paren(),
            Some(Kind::Star) => {
                self.start(Kind::All);
                self.bump();
                self.finish();
            }
            Some(Kind::OpenBracket) if self.declared_name() => {}
            Some(Kind::Unknown) => {
                self.start(Kind::Skipped);
                self.bump();
                self.finish();
            }
            _ => {
                self.expected("an expression");
                return false;
            }
        }
        true
    }

    fn word_primary(&mut self) {
        let called = self.kind(1) == Some(Kind::OpenParen);
        match self.word(0) {
            Some("datatable") if called => self.datatable(),
            Some("externaldata" | "external_data") if called => self.externaldata(),
            Some("dynamic") if called => self.dynamic(),
            Some("typeof") if called => self.type_of(),
            Some("true" | "false" | "True" | "False" | "TRUE" | "FALSE") if !called => {
                self.start(Kind::Literal);
                self.bump();
                self.finish();
            }
            _ if called => self.call(),
            _ => {
                self.start(Kind::Name);
                self.bump();
                self.finish();
            }
        }
    }

    fn paren(&mut self) {
        self.start(Kind::Paren);
        self.bump();
        self.pipeline();
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    pub(super) fn call(&mut self) {
        self.start(Kind::Call);
        self.start(Kind::Name);
        self.bump();
        self.finish();
        self.start(Kind::Args);
        self.bump();
        self.items(Kind::CloseParen, Self::argument);
        self.close(Kind::CloseParen, "`)`");
        self.finish();
        self.finish();
    }

    /// `value` or `name = value`.
    fn argument(&mut self) {
        if self.kind(0) == Some(Kind::Word) && self.kind(1) == Some(Kind::Assign) {
            self.start(Kind::Named);
            self.declared_name();
            self.bump();
            self.pipeline();
            self.finish();
        } else {
            self.pipeline();
        }
    }

    /// `typeof(type)`; a schema in brackets stays tokens.
    pub(super) fn type_of(&mut self) {
        self.start(Kind::TypeOf);
        self.bump();
        self.expect(Kind::OpenParen, "`(`");
        self.skip_balanced();
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    fn datatable(&mut self) {
        self.start(Kind::DataTable);
        self.bump();
        self.column_decls();
        if self.expect(Kind::OpenBracket, "`[`") {
            self.values(Kind::CloseBracket, Self::expression);
            self.close(Kind::CloseBracket, "`]`");
        }
        self.finish();
    }

    fn externaldata(&mut self) {
        self.start(Kind::ExternalData);
        self.bump();
        self.column_decls();
        if self.expect(Kind::OpenBracket, "`[`") {
            self.values(Kind::CloseBracket, Self::expression);
            self.close(Kind::CloseBracket, "`]`");
        }
        if self.eat_word("with") && self.expect(Kind::OpenParen, "`(`") {
            self.skip_balanced();
            self.close(Kind::CloseParen, "`)`");
        }
        self.finish();
    }

    fn dynamic(&mut self) {
        self.start(Kind::DynamicLiteral);
        self.bump();
        self.expect(Kind::OpenParen, "`(`");
        if !self.is(Kind::CloseParen) {
            self.json();
        }
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    fn json(&mut self) {
        if !self.deeper() {
            return;
        }
        match self.kind(0) {
            Some(Kind::OpenBracket) => {
                self.start(Kind::JsonArray);
                self.bump();
                self.values(Kind::CloseBracket, Self::json);
                self.close(Kind::CloseBracket, "`]`");
                self.finish();
            }
            Some(Kind::OpenBrace) => {
                self.start(Kind::JsonObject);
                self.bump();
                self.values(Kind::CloseBrace, Self::json_entry);
                self.close(Kind::CloseBrace, "`}`");
                self.finish();
            }
            Some(Kind::Word) if self.word(0) == Some("dynamic") => self.dynamic(),
            Some(Kind::Word | Kind::Minus) => {
                self.start(Kind::Literal);
                if self.eat(Kind::Minus) {
                    self.blanks();
                }
                self.bump();
                self.finish();
            }
            Some(
                Kind::String
                | Kind::OpenString
                | Kind::Integer
                | Kind::Real
                | Kind::TimeSpan
                | Kind::TypedLiteral,
            ) => {
                self.primary();
            }
            _ => self.expected("a JSON value"),
        }
        self.shallower();
    }

    fn json_entry(&mut self) {
        self.start(Kind::JsonEntry);
        if matches!(self.kind(0), Some(Kind::String | Kind::Word)) {
            self.start(Kind::Literal);
            self.bump();
            self.finish();
            if self.expect(Kind::Colon, "`:`") {
                self.json();
            }
        } else {
            self.expected("a key in quotes");
        }
        self.finish();
    }
}
