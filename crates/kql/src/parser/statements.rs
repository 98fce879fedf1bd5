//! The grammar of statements beside `let`: declared parameters and patterns, and what functions
//! have in common with them.

use super::Parser;
use crate::syntax::Kind;

impl Parser<'_> {
    /// `declare query_parameters(name: type = value, …)`.
    pub(super) fn query_parameters(&mut self) {
        self.start(Kind::QueryParameters);
        self.bump();
        self.bump();
        self.params(Kind::OpenParen, Kind::CloseParen);
        self.finish();
    }

    /// `declare pattern name = (a: type)[b: type] { ("x").["y"] = { query }; … }`.
    pub(super) fn pattern_statement(&mut self) {
        self.start(Kind::PatternDecl);
        self.bump();
        self.bump();
        if !self.declared_name() {
            self.expected("a name");
        }
        if self.eat(Kind::Assign) {
            self.params(Kind::OpenParen, Kind::CloseParen);
            if self.is(Kind::OpenBracket) {
                self.params(Kind::OpenBracket, Kind::CloseBracket);
            }
            self.expect(Kind::OpenBrace, "`{`");
            while self.is(Kind::OpenParen) {
                self.pattern_rule();
                if !self.eat(Kind::Semicolon) {
                    break;
                }
            }
            self.expect(Kind::CloseBrace, "`}`");
        }
        self.finish();
    }

    /// `("x", "y").["z"] = { query }`.
    fn pattern_rule(&mut self) {
        if !self.deeper() {
            return;
        }
        self.start(Kind::PatternRule);
        self.rule_values(Kind::OpenParen, Kind::CloseParen);
        if self.eat(Kind::Dot) {
            self.rule_values(Kind::OpenBracket, Kind::CloseBracket);
        }
        self.expect(Kind::Assign, "`=`");
        self.body();
        self.finish();
        self.shallower();
    }

    fn rule_values(&mut self, open: Kind, close: Kind) {
        self.start(Kind::List);
        if self.expect(open, "a value in brackets") {
            self.list_of(Self::expression);
            self.expect(close, "a closing bracket");
        }
        self.finish();
    }

    /// `(name: type = default, T: (column: type, …), …)`.
    pub(super) fn params(&mut self, open: Kind, close: Kind) {
        self.start(Kind::Params);
        self.expect(open, "parameters in brackets");
        while !self.is(close) && !self.is_done() {
            let before = self.at;
            self.start(Kind::Param);
            if !self.declared_name() {
                self.expected("a parameter's name");
            }
            if self.eat(Kind::Colon) {
                if self.is(Kind::OpenParen) {
                    self.column_decls();
                } else {
                    self.expect(Kind::Word, "a type");
                }
            }
            if self.eat(Kind::Assign) {
                self.expression();
            }
            self.finish();
            if !self.eat(Kind::Comma) && !self.is(close) {
                self.expected("`,` or a closing bracket");
            }
            if self.at == before {
                self.bump();
            }
        }
        self.expect(close, "a closing bracket");
        self.finish();
    }

    /// `{ statements }`.
    pub(super) fn body(&mut self) {
        self.start(Kind::Body);
        if self.expect(Kind::OpenBrace, "`{`") {
            self.statements(Some(Kind::CloseBrace));
            self.expect(Kind::CloseBrace, "`}`");
        }
        self.finish();
    }
}
