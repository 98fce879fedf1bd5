//! The grammar of each operator after a bar.

use super::Parser;
use crate::codes;
use crate::operators::{Grammar, Operator};
use crate::suggest;
use crate::syntax::Kind;

impl Parser<'_> {
    /// Whether the next words begin an operator that needs no input.
    pub(super) fn is_leading_operator(&self) -> bool {
        let next = self.kind(1);
        match self.word(0) {
            Some("print") => !matches!(
                next,
                None | Some(
                    Kind::Pipe
                        | Kind::Assign
                        | Kind::Semicolon
                        | Kind::Comma
                        | Kind::CloseParen
                        | Kind::Dot
                        | Kind::EqualEqual
                        | Kind::NotEqual
                )
            ),
            Some("union") => matches!(
                next,
                Some(Kind::Word | Kind::OpenParen | Kind::Star | Kind::OpenBracket)
            ),
            Some("range") => next == Some(Kind::Word) && self.word(2) == Some("from"),
            Some("search") => matches!(
                next,
                Some(Kind::Word | Kind::String | Kind::OpenParen | Kind::Star)
            ),
            Some("find") => {
                matches!(next, Some(Kind::Word | Kind::String | Kind::Star))
            }
            Some("evaluate" | "make-graph") => next == Some(Kind::Word),
            _ => false,
        }
    }

    /// One operator, up to the next bar.
    pub(super) fn operator(&mut self) {
        let Some(name) = self.word(0) else {
            self.start(Kind::Operator);
            self.expected("an operator");
            self.skip_rest_of_operator();
            return self.finish();
        };
        let Some(operator) = Operator::named(name) else {
            return self.unknown_operator(name);
        };
        if operator.grammar() == Grammar::Opaque {
            self.start(Kind::OpaqueOperator);
            self.skip_balanced();
            return self.finish();
        }
        self.start(Kind::Operator);
        self.bump();
        self.operator_body(operator.grammar());
        if !self.at_operator_end() {
            self.expected("`|` or the end of the operator");
            self.skip_rest_of_operator();
        }
        self.finish();
    }

    fn unknown_operator(&mut self, name: &str) {
        let span = self.here();
        let similar = || {
            suggest::similar(name, Operator::names())
                .map(|similar| format!("an operator with a similar name exists: `{similar}`"))
        };
        let help = Self::operator_habit(name).or_else(similar);
        // `||` has been complained about; what follows was meant as a condition.
        if !self.is_after_two_bars() {
            self.error_at(
                codes::UNKNOWN_OPERATOR,
                span,
                format!("unknown operator `{name}`"),
                help.as_deref(),
            );
        }
        self.start(Kind::Operator);
        self.bump();
        self.skip_rest_of_operator();
        self.finish();
    }

    fn operator_body(&mut self, grammar: Grammar) {
        match grammar {
            Grammar::Nothing | Grammar::Opaque => {}
            Grammar::Count => {
                if self.eat_word("as") && !self.declared_name() {
                    self.expected("a column's name");
                }
            }
            Grammar::Condition => {
                self.options(&[]);
                self.in_condition = true;
                self.expression();
                self.in_condition = false;
            }
            Grammar::Rows => self.expression(),
            Grammar::NamedList => {
                self.options(&[]);
                self.list_of(Self::named);
            }
            Grammar::OptionalNamedList => {
                if !self.at_operator_end() {
                    self.list_of(Self::named);
                }
            }
            Grammar::Patterns => self.list_of(Self::pattern),
            Grammar::Expressions => self.list_of(Self::expression),
            Grammar::Summarize => self.summarize(),
            Grammar::Join => self.join(),
            Grammar::Union => {
                self.options(&["kind", "withsource", "with_source", "isfuzzy"]);
                self.list_of(Self::union_item);
            }
            Grammar::Top => {
                self.expression();
                if self.eat_word("by") {
                    self.list_of(Self::sort_key);
                } else {
                    self.expected("`by`");
                }
            }
            Grammar::Sort => {
                self.options(&[]);
                if !self.eat_word("by") {
                    self.expected("`by`");
                }
                self.list_of(Self::sort_key);
            }
            Grammar::MvExpand => {
                self.options(&["bagexpansion", "kind", "with_itemindex"]);
                self.list_of(Self::expand_item);
                if self.eat_word("limit") {
                    self.expression();
                }
            }
            Grammar::Range => self.range(),
            Grammar::Render | Grammar::Tokens => self.skip_balanced(),
            Grammar::Parse => self.parse_operator(),
            Grammar::ParseKv => self.parse_kv(),
            Grammar::MvApply => self.mv_apply(),
            Grammar::Partition => self.partition(),
            Grammar::Fork => self.fork(),
            Grammar::Facet => self.facet(),
            Grammar::MakeSeries => self.make_series(),
            Grammar::TopNested => self.list_of(Self::top_level),
            Grammar::Search => self.search(),
            Grammar::Find => self.find(),
            Grammar::Invoke => self.postfix(),
            Grammar::Evaluate => self.evaluate(),
            Grammar::RowsOf => self.rows_of(),
            Grammar::Reduce => self.reduce(),
            Grammar::Scan => self.scan(),
            Grammar::MakeGraph => self.make_graph(),
            Grammar::GraphMatch => self.graph_match(),
            Grammar::GraphComponents => self.options(&["kind", "with_component_id"]),
            Grammar::GraphToTable => self.graph_to_table(),
        }
    }

    pub(super) fn list_of(&mut self, item: fn(&mut Self)) {
        loop {
            let before = self.at;
            item(self);
            if self.at == before || !self.eat(Kind::Comma) {
                return;
            }
        }
    }

    /// `kind = inner`, `hint.strategy = shuffle` before the operands.
    pub(super) fn options(&mut self, names: &[&str]) {
        loop {
            let is_hint = self.is_word("hint") && self.kind(1) == Some(Kind::Dot);
            let is_named = self.kind(1) == Some(Kind::Assign)
                && self.word(0).is_some_and(|word| names.contains(&word));
            if !is_hint && !is_named {
                return;
            }
            self.start(Kind::OperatorOption);
            while matches!(self.kind(0), Some(Kind::Word | Kind::Dot)) {
                self.bump();
            }
            if self.expect(Kind::Assign, "`=`") && !self.at_operator_end() {
                let is_quoted = self.is(Kind::OpenBracket)
                    && self.kind(1) == Some(Kind::String)
                    && self.kind(2) == Some(Kind::CloseBracket);
                for _ in 0..if is_quoted { 3 } else { 1 } {
                    self.bump();
                }
            }
            self.finish();
            // Some write commas between options.
            if self.is(Kind::Comma)
                && self
                    .word(1)
                    .is_some_and(|word| word == "hint" || names.contains(&word))
                && matches!(self.kind(2), Some(Kind::Assign | Kind::Dot))
            {
                self.bump();
            }
        }
    }

    /// `expression`, `name = expression`, `(a, b) = expression`.
    pub(super) fn named(&mut self) {
        if self.is_named() {
            self.start(Kind::Named);
            self.declared_name();
            self.bump();
            self.expression();
            self.finish();
        } else if self.is_name_list() {
            self.start(Kind::Named);
            self.start(Kind::NameList);
            self.bump();
            self.list_of(|p| {
                p.declared_name();
            });
            self.expect(Kind::CloseParen, "`)`");
            self.finish();
            self.expect(Kind::Assign, "`=`");
            self.expression();
            self.finish();
        } else {
            self.expression();
        }
    }

    fn is_named(&self) -> bool {
        match self.kind(0) {
            Some(Kind::Word | Kind::String) => self.kind(1) == Some(Kind::Assign),
            Some(Kind::OpenBracket) => {
                self.kind(1) == Some(Kind::String)
                    && self.kind(2) == Some(Kind::CloseBracket)
                    && self.kind(3) == Some(Kind::Assign)
            }
            _ => false,
        }
    }

    fn is_name_list(&self) -> bool {
        if !self.is(Kind::OpenParen) {
            return false;
        }
        let mut ahead = 1;
        while matches!(
            self.kind(ahead),
            Some(Kind::Word | Kind::Comma | Kind::OpenBracket | Kind::CloseBracket | Kind::String)
        ) {
            ahead += 1;
        }
        self.kind(ahead) == Some(Kind::CloseParen) && self.kind(ahead + 1) == Some(Kind::Assign)
    }

    /// A name, a pattern with `*`, or (`project-rename`) `new = old`; maybe a direction.
    fn pattern(&mut self) {
        if self.is_named() {
            self.start(Kind::Named);
            self.declared_name();
            self.bump();
            self.name_or_wildcard();
            self.finish();
            return;
        }
        let checkpoint = self.checkpoint();
        self.name_or_wildcard();
        if matches!(
            self.word(0),
            Some("asc" | "desc" | "granny-asc" | "granny-desc" | "granny")
        ) {
            self.start_at(checkpoint, Kind::SortKey);
            self.bump();
            if self.is(Kind::Minus) {
                self.bump();
                self.bump();
            }
            self.finish();
        }
    }

    pub(super) fn name_or_wildcard(&mut self) {
        if self.is(Kind::OpenBracket) || self.is(Kind::String) {
            if !self.declared_name() {
                self.expected("a column's name");
            }
            return;
        }
        if !matches!(self.kind(0), Some(Kind::Word | Kind::Star)) {
            return self.expected("a column's name");
        }
        let is_name =
            self.is(Kind::Word) && !(self.is_joined() && self.kind(1) == Some(Kind::Star));
        if is_name {
            self.postfix();
            return;
        }
        self.start(Kind::Wildcard);
        loop {
            let more = self.is_joined()
                && matches!(self.kind(1), Some(Kind::Word | Kind::Star | Kind::Integer));
            self.bump();
            if !more {
                break;
            }
        }
        self.finish();
    }

    fn summarize(&mut self) {
        self.options(&[]);
        if !self.is_word("by") && !self.at_operator_end() {
            self.list_of(Self::named);
        }
        if self.is_word("by") {
            self.start(Kind::ByList);
            self.bump();
            self.options(&[]);
            self.list_of(Self::named);
            self.finish();
        }
    }

    fn join(&mut self) {
        self.options(&["kind"]);
        self.table_operand();
        self.options(&["kind"]);
        if self.is_word("on") || self.is_word("where") {
            self.start(Kind::OnList);
            self.bump();
            self.list_of(Self::expression);
            self.finish();
        }
    }

    /// A name, call or pipeline in brackets.
    pub(super) fn table_operand(&mut self) {
        self.postfix();
    }

    pub(super) fn union_item(&mut self) {
        if matches!(self.kind(0), Some(Kind::Word | Kind::Star))
            && (self.is(Kind::Star) || (self.is_joined() && self.kind(1) == Some(Kind::Star)))
        {
            self.name_or_wildcard();
        } else {
            self.table_operand();
        }
    }

    fn sort_key(&mut self) {
        self.start(Kind::SortKey);
        self.named();
        let _ = self.eat_word("asc") || self.eat_word("desc");
        if self.eat_word("nulls") && !(self.eat_word("first") || self.eat_word("last")) {
            self.expected("`first` or `last`");
        }
        self.finish();
    }

    pub(super) fn expand_item(&mut self) {
        self.start(Kind::ExpandItem);
        self.named();
        if self.is_word("to") {
            self.start(Kind::ToType);
            self.bump();
            if self.is_word("typeof") {
                self.type_of();
            } else {
                self.expected("`typeof(…)`");
            }
            self.finish();
        }
        self.finish();
    }

    fn range(&mut self) {
        if !self.declared_name() {
            self.expected("a column's name");
        }
        for word in ["from", "to", "step"] {
            if self.eat_word(word) {
                self.expression();
            } else {
                return self.expected(&format!("`{word}`"));
            }
        }
    }
}
