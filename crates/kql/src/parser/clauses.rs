//! The grammar of the operators with clauses of their own: `parse`, `mv-apply`, `make-series`,
//! `scan`, `search` and their kin.

use super::Parser;
use crate::syntax::Kind;

impl Parser<'_> {
    /// `kind=regex expression with * "text" name: type …`.
    pub(super) fn parse_operator(&mut self) {
        self.options(&["kind", "flags"]);
        self.expression();
        if !self.eat_word("with") {
            return self.expected("`with`");
        }
        while !self.at_operator_end() {
            let before = self.at;
            self.pattern_part();
            if self.at == before {
                return self.expected("a text in quotes, a column's name or `*`");
            }
        }
    }

    fn pattern_part(&mut self) {
        match self.kind(0) {
            Some(Kind::Star | Kind::String | Kind::OpenString) => {
                self.start(Kind::PatternPart);
                self.bump();
                self.finish();
            }
            Some(Kind::Word | Kind::OpenBracket) => {
                self.start(Kind::PatternPart);
                self.declared_name();
                if self.eat(Kind::Colon) {
                    self.expect(Kind::Word, "a type");
                }
                self.finish();
            }
            _ => {}
        }
    }

    /// `expression as (name: type, …) with (name = value, …)`.
    pub(super) fn parse_kv(&mut self) {
        self.expression();
        if !self.eat_word("as") {
            return self.expected("`as` and columns in brackets");
        }
        self.column_decls();
        if self.eat_word("with") && self.expect(Kind::OpenParen, "`(`") {
            self.settings();
            self.close(Kind::CloseParen, "`)`");
        }
    }

    /// `name = value, …` with simple values.
    fn settings(&mut self) {
        while self.kind(0) == Some(Kind::Word) && self.kind(1) == Some(Kind::Assign) {
            self.start(Kind::OperatorOption);
            self.bump();
            self.bump();
            self.bump();
            self.finish();
            if !self.eat(Kind::Comma) {
                return;
            }
        }
    }

    /// `name = array to typeof(type), … limit n on (operators)`.
    pub(super) fn mv_apply(&mut self) {
        self.options(&["bagexpansion", "kind", "with_itemindex"]);
        self.list_of(Self::expand_item);
        if self.is_word("limit") {
            self.start(Kind::Clause);
            self.bump();
            self.expression();
            self.finish();
        }
        if self.eat_word("id") {
            self.expression();
        }
        if self.eat_word("on") {
            self.sub_pipeline();
        } else {
            self.expected("`on` and a query in brackets");
        }
    }

    /// `by column (operators)`, or with braces the old form.
    pub(super) fn partition(&mut self) {
        self.options(&["hint"]);
        if !self.eat_word("by") {
            self.expected("`by`");
        }
        self.declared_name();
        self.options(&["hint"]);
        if self.is(Kind::OpenBrace) {
            self.bump();
            self.start(Kind::SubPipeline);
            if self.deeper() {
                self.pipeline();
                self.shallower();
            }
            self.finish();
            self.close(Kind::CloseBrace, "`}`");
        } else {
            self.sub_pipeline();
        }
    }

    /// `name = (operators) (operators)`.
    pub(super) fn fork(&mut self) {
        loop {
            let named = self.kind(0) == Some(Kind::Word) && self.kind(1) == Some(Kind::Assign);
            if named {
                self.start(Kind::Named);
                self.declared_name();
                self.bump();
            }
            self.start(Kind::Paren);
            self.sub_pipeline();
            self.finish();
            if named {
                self.finish();
            }
            let next_is_named =
                self.kind(0) == Some(Kind::Word) && self.kind(1) == Some(Kind::Assign);
            if !self.is(Kind::OpenParen) && !next_is_named {
                break;
            }
        }
    }

    /// `by column, column with (operators)`.
    pub(super) fn facet(&mut self) {
        if !self.eat_word("by") {
            return self.expected("`by`");
        }
        self.list_of(Self::name_or_wildcard);
        if self.eat_word("with") {
            self.sub_pipeline();
        }
    }

    /// `(operator | operator)` over the rows around.
    pub(super) fn sub_pipeline(&mut self) {
        if !self.expect(Kind::OpenParen, "a query in brackets") {
            return;
        }
        self.start(Kind::SubPipeline);
        if self.deeper() {
            loop {
                let before = self.at;
                self.operator();
                if self.at == before || !self.eat(Kind::Pipe) {
                    break;
                }
            }
            self.shallower();
        }
        self.finish();
        self.close(Kind::CloseParen, "`)`");
    }

    /// `name = aggregate default = value, … on axis from a to b step c by keys`.
    pub(super) fn make_series(&mut self) {
        self.options(&["kind"]);
        self.list_of(Self::series_item);
        if self.is_word("on") {
            self.series_axis();
        } else {
            self.expected("`on` and the axis");
        }
        if self.is_word("by") {
            self.start(Kind::ByList);
            self.bump();
            self.list_of(Self::named);
            self.finish();
        }
    }

    fn series_item(&mut self) {
        self.start(Kind::SeriesItem);
        self.named();
        if self.is_word("default") {
            self.start(Kind::Clause);
            self.bump();
            self.expect(Kind::Assign, "`=`");
            self.expression();
            self.finish();
        }
        self.finish();
    }

    fn series_axis(&mut self) {
        self.start(Kind::SeriesAxis);
        self.bump();
        if self.kind(0) == Some(Kind::Word) && self.kind(1) == Some(Kind::Assign) {
            self.start(Kind::Named);
            self.declared_name();
            self.bump();
            self.sum();
            self.finish();
        } else {
            self.sum();
        }
        if self.is_word("in") {
            self.start(Kind::Clause);
            self.bump();
            if self.is_word("range") {
                self.call();
            } else {
                self.expected("`range(from, to, step)`");
            }
            self.finish();
        }
        for word in ["from", "to", "step"] {
            if self.is_word(word) {
                self.start(Kind::Clause);
                self.bump();
                self.expression();
                self.finish();
            }
        }
        self.finish();
    }

    /// `n of expression with others = value by aggregate asc`.
    pub(super) fn top_level(&mut self) {
        if self.is_word("top-nested") {
            self.bump();
        }
        self.start(Kind::TopLevel);
        if !self.is_word("of") {
            self.start(Kind::Clause);
            self.expression();
            self.finish();
        }
        if !self.eat_word("of") {
            self.expected("`of`");
        }
        self.named();
        if self.is_word("with") {
            self.start(Kind::Clause);
            self.bump();
            self.eat_word("others");
            self.expect(Kind::Assign, "`=`");
            self.expression();
            self.finish();
        }
        if self.eat_word("by") {
            self.named();
        } else {
            self.expected("`by`");
        }
        let _ = self.eat_word("asc") || self.eat_word("desc");
        self.finish();
    }

    /// `kind=case_sensitive in (tables) condition`.
    pub(super) fn search(&mut self) {
        self.options(&["kind"]);
        self.table_list();
        self.options(&["kind"]);
        self.in_condition = true;
        self.expression();
        self.in_condition = false;
    }

    /// `withsource=name in (tables) where condition project columns`.
    pub(super) fn find(&mut self) {
        self.options(&["withsource", "with_source", "datascope"]);
        self.table_list();
        self.eat_word("where");
        self.in_condition = true;
        self.expression();
        self.in_condition = false;
        if self.is_word("project") || self.is_word("project-smart") {
            self.start(Kind::Clause);
            self.bump();
            if !self.at_operator_end() {
                self.list_of(Self::find_column);
            }
            self.finish();
        }
    }

    fn find_column(&mut self) {
        let is_typed = self.kind(0) == Some(Kind::Word)
            && self.kind(1) == Some(Kind::Colon)
            && self.kind(2) == Some(Kind::Word);
        if !is_typed {
            return self.named();
        }
        self.start(Kind::ColumnDecl);
        self.declared_name();
        self.bump();
        self.bump();
        self.finish();
    }

    fn table_list(&mut self) {
        if !(self.is_word("in") && self.kind(1) == Some(Kind::OpenParen)) {
            return;
        }
        self.start(Kind::TableList);
        self.bump();
        self.bump();
        self.list_of(Self::union_item);
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    /// `hint.x = y plugin(arguments): (columns)`.
    pub(super) fn evaluate(&mut self) {
        self.options(&["hint"]);
        self.postfix();
        if self.eat(Kind::Colon) {
            self.column_decls();
        }
    }

    /// `n of expression by aggregate`.
    pub(super) fn rows_of(&mut self) {
        self.expression();
        if !self.eat_word("of") {
            return self.expected("`of`");
        }
        self.named();
        if self.is_word("by") {
            self.start(Kind::ByList);
            self.bump();
            self.list_of(Self::named);
            self.finish();
        }
    }

    /// `by expression with threshold = 0.1, characters = "x"`.
    pub(super) fn reduce(&mut self) {
        self.options(&["kind"]);
        if !self.eat_word("by") {
            self.expected("`by`");
        }
        self.expression();
        if self.eat_word("with") {
            self.settings();
        }
    }

    /// `with_match_id=x declare (name: type = value, …) with (step name: condition => …; …)`.
    pub(super) fn scan(&mut self) {
        self.options(&["with_match_id"]);
        if self.is_word("declare") {
            self.bump();
            self.scan_declarations();
        }
        if !(self.eat_word("with") && self.expect(Kind::OpenParen, "`(`")) {
            return self.expected("`with` and steps in brackets");
        }
        while self.is_word("step") {
            self.scan_step();
            if !self.eat(Kind::Semicolon) {
                break;
            }
        }
        self.close(Kind::CloseParen, "`)`");
    }

    fn scan_declarations(&mut self) {
        self.start(Kind::Params);
        self.expect(Kind::OpenParen, "`(`");
        while !self.is(Kind::CloseParen) && !self.is_done() {
            let before = self.at;
            self.start(Kind::Param);
            if !self.declared_name() {
                self.expected("a column's name");
            }
            if self.expect(Kind::Colon, "`:`") {
                self.expect(Kind::Word, "a type");
            }
            if self.eat(Kind::Assign) {
                self.expression();
            }
            self.finish();
            if self.at == before || !self.eat(Kind::Comma) {
                break;
            }
        }
        self.close(Kind::CloseParen, "`)`");
        self.finish();
    }

    fn scan_step(&mut self) {
        self.start(Kind::ScanStep);
        self.bump();
        self.declared_name();
        self.eat_word("optional");
        self.options(&["output"]);
        if self.expect(Kind::Colon, "`:`") {
            self.expression();
        }
        if self.eat(Kind::Arrow) {
            self.list_of(Self::named);
        }
        self.finish();
    }
}
