//! The tree → pieces: what belongs on one line, and where a line may end.
//!
//! Goes down the tree once; its depth is bounded by the parser. Where no rule for a node says
//! otherwise, its tokens and nodes follow each other with [`gap`] between them, so a form of the
//! grammar that is new to this module is still written rightly.

use super::layout::Piece;
use crate::operators::{Grammar, Operator};
use crate::syntax::{Kind, Node, Token};

type Element = rowan::NodeOrToken<Node, Token>;

/// What stands around a token that matters.
#[derive(Debug, Default)]
struct Around<'t> {
    /// Comments with a line of their own before it, each with whether an empty line is before it.
    before: Vec<(&'t str, bool)>,
    /// A comment after it on its line.
    after: Option<&'t str>,
    /// An empty line directly before it.
    empty_before: bool,
    /// Anything at all between it and the token before it.
    apart: bool,
    is_closing: bool,
    text: &'t str,
}

/// The pieces of a tree whose tokens are `tokens`.
pub(super) fn pieces<'t>(root: &Node, tokens: &[(Kind, &'t str)]) -> Vec<Piece<'t>> {
    let mut walk = Walk {
        around: around(tokens),
        next: 0,
        pieces: Vec::new(),
    };
    walk.statements(root);
    // Comments after the last token.
    walk.lead();
    walk.pieces
}

/// One entry per token that matters, and one for the end.
fn around<'t>(tokens: &[(Kind, &'t str)]) -> Vec<Around<'t>> {
    let mut all: Vec<Around<'t>> = Vec::new();
    let mut now = Around::default();
    let mut lines = 0;
    for (kind, text) in tokens {
        match kind {
            Kind::Blank => {
                now.apart = true;
                lines += text.matches('\n').count();
            }
            Kind::Comment => {
                now.apart = true;
                match all.last_mut() {
                    // On the line of the token before it.
                    Some(last) if lines == 0 && now.before.is_empty() && last.after.is_none() => {
                        last.after = Some(text.trim_end());
                    }
                    _ => now.before.push((text.trim_end(), lines > 1)),
                }
                lines = 0;
            }
            _ => {
                now.empty_before = lines > 1;
                now.is_closing = matches!(
                    kind,
                    Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace
                );
                now.text = text;
                all.push(std::mem::take(&mut now));
                lines = 0;
            }
        }
    }
    all.push(now);
    all
}

struct Walk<'t> {
    around: Vec<Around<'t>>,
    /// The next token that matters.
    next: usize,
    pieces: Vec<Piece<'t>>,
}

impl<'t> Walk<'t> {
    fn push(&mut self, piece: Piece<'t>) {
        self.pieces.push(piece);
    }

    /// Writes the comments before the next token, if they have not been.
    fn lead(&mut self) {
        let Some(around) = self.around.get_mut(self.next) else {
            return;
        };
        for (comment, after_empty) in std::mem::take(&mut around.before) {
            self.pieces.push(Piece::Own(comment, after_empty));
        }
    }

    /// Writes the next token with the comments around it.
    fn token(&mut self) {
        self.lead();
        let Some(around) = self.around.get(self.next) else {
            return;
        };
        self.pieces.push(Piece::Text(around.text));
        if let Some(comment) = around.after {
            self.pieces.push(Piece::Trailing(comment));
        }
        self.next += 1;
        // A comment before a closing bracket belongs to what is in the brackets.
        if self.around.get(self.next).is_some_and(|a| a.is_closing) {
            self.lead();
        }
    }

    fn is_apart(&self) -> bool {
        self.around.get(self.next).is_some_and(|a| a.apart)
    }

    // Statements.

    /// The statements of the text or of a lambda's body, without its braces.
    fn statements(&mut self, node: &Node) {
        let mut is_first = true;
        for element in elements(node) {
            match &element {
                Element::Token(token) if token.kind() == Kind::Semicolon => self.token(),
                Element::Token(_) => {}
                Element::Node(statement) => {
                    if !is_first {
                        self.push(Piece::Hard);
                    }
                    self.statement_lead(is_first);
                    self.node(statement);
                    is_first = false;
                }
            }
        }
    }

    /// Comments and the empty line before a statement.
    fn statement_lead(&mut self, is_first: bool) {
        let Some(around) = self.around.get(self.next) else {
            return;
        };
        let empty = around.empty_before && (!is_first || !around.before.is_empty());
        self.lead();
        if empty {
            self.push(Piece::Empty);
        }
    }

    fn node(&mut self, node: &Node) {
        match node.kind() {
            Kind::Let => self.let_statement(node),
            Kind::Pipeline => self.pipeline(node),
            Kind::SubPipeline => self.sub_pipeline(node),
            Kind::Operator => self.operator(node),
            Kind::OpaqueOperator | Kind::OtherStatement | Kind::TypeOf | Kind::Command => {
                self.as_written(node);
            }
            Kind::Chain => self.chain(node),
            Kind::Body => self.body(node),
            Kind::Paren => self.bracketed(node, Piece::Line),
            Kind::Args | Kind::List | Kind::JsonArray | Kind::JsonObject => {
                let fills = node.children().count() > 3 && node.children().all(|c| is_plain(&c));
                let between = if fills { Piece::Fill } else { Piece::Line };
                self.bracketed(node, between);
            }
            Kind::ColumnDecls | Kind::Params | Kind::TableList => {
                self.bracketed(node, Piece::Line);
            }
            Kind::DataTable => self.datatable(node),
            Kind::ExternalData => self.externaldata(node),
            Kind::ByList | Kind::OnList => self.hanging(node),
            _ => self.plain(node),
        }
    }

    /// Tokens and nodes one after the other.
    fn plain(&mut self, node: &Node) {
        let mut before: Option<Element> = None;
        for element in elements(node) {
            if let Some(before) = &before {
                self.gap(node, before, &element);
            }
            self.element(&element);
            before = Some(element);
        }
    }

    fn element(&mut self, element: &Element) {
        match element {
            Element::Token(_) => self.token(),
            Element::Node(node) => self.node(node),
        }
    }

    fn gap(&mut self, parent: &Node, before: &Element, after: &Element) {
        if has_gap(parent, before, after) {
            self.push(Piece::Space);
        }
    }

    /// Every token as far from the one before as it was: apart or not.
    fn as_written(&mut self, node: &Node) {
        let n_tokens = tokens(node).count();
        for i in 0..n_tokens {
            if i > 0 && self.is_apart() {
                self.push(Piece::Space);
            }
            self.token();
        }
    }

    fn let_statement(&mut self, node: &Node) {
        let mut before: Option<Element> = None;
        for element in elements(node) {
            let is_pipeline = matches!(&element, Element::Node(n) if n.kind() == Kind::Pipeline);
            if is_pipeline {
                self.push(Piece::Open);
                self.push(Piece::Indent);
                self.push(Piece::Line);
                self.element(&element);
                self.push(Piece::Dedent);
                self.push(Piece::Close);
            } else {
                if let Some(before) = &before {
                    self.gap(node, before, &element);
                }
                self.element(&element);
            }
            before = Some(element);
        }
    }

    /// `{ statements }`.
    fn body(&mut self, node: &Node) {
        let n_statements = node.children().count();
        self.push(Piece::Open);
        let mut is_first = true;
        for element in elements(node) {
            match &element {
                Element::Token(token) if token.kind() == Kind::OpenBrace => {
                    self.token();
                    self.push(Piece::Indent);
                    self.push(Piece::Line);
                    if n_statements > 1 {
                        self.push(Piece::Break);
                    }
                }
                Element::Token(token) if token.kind() == Kind::CloseBrace => {
                    self.push(Piece::Dedent);
                    self.push(Piece::Line);
                    self.token();
                }
                Element::Token(_) => self.token(),
                Element::Node(statement) => {
                    if !is_first {
                        self.push(Piece::Hard);
                    }
                    self.statement_lead(is_first);
                    self.node(statement);
                    is_first = false;
                }
            }
        }
        self.push(Piece::Close);
    }

    // Pipelines.

    fn pipeline(&mut self, node: &Node) {
        let n_bars = bars(node);
        self.push(Piece::Open);
        if n_bars > 1 {
            self.push(Piece::Break);
        }
        for element in elements(node) {
            self.stage(&element);
        }
        self.push(Piece::Close);
    }

    /// A bar on a new line, or what follows it.
    fn stage(&mut self, element: &Element) {
        if is_token(element, Kind::Pipe) {
            self.push(Piece::Line);
            self.lead();
            self.token();
            self.push(Piece::Space);
        } else {
            self.element(element);
        }
    }

    /// Operators without a source, between brackets that the operator around them writes.
    fn sub_pipeline(&mut self, node: &Node) {
        if bars(node) > 1 {
            self.push(Piece::Break);
        }
        for element in elements(node) {
            self.stage(&element);
        }
    }

    fn operator(&mut self, node: &Node) {
        let grammar = first_token(node)
            .and_then(|t| Operator::named(t.text()))
            .map(Operator::grammar);
        match grammar {
            Some(Grammar::Render | Grammar::Tokens | Grammar::GraphToTable) => {
                return self.as_written(node);
            }
            Some(Grammar::Scan) => return self.scan(node),
            _ => {}
        }
        let is_list = elements(node).any(|e| is_token(&e, Kind::Comma));
        let breaks_first = is_list
            && matches!(
                grammar,
                Some(
                    Grammar::NamedList
                        | Grammar::OptionalNamedList
                        | Grammar::Patterns
                        | Grammar::Summarize
                        | Grammar::Union
                        | Grammar::MakeSeries
                )
            );
        self.push(Piece::Open);
        let mut before: Option<Element> = None;
        let mut is_first_item = true;
        for element in elements(node) {
            let hugs = !is_list && hugs(&element);
            if hugs {
                self.push(Piece::Dedent);
            }
            if let Some(before) = &before {
                let is_option = is_node(&element, Kind::OperatorOption);
                if breaks_first && is_first_item && !is_option {
                    self.push(Piece::Line);
                } else {
                    self.operator_gap(node, before, &element);
                }
                is_first_item &= is_option;
            }
            self.element(&element);
            if before.is_none() || hugs {
                self.push(Piece::Indent);
            }
            before = Some(element);
        }
        self.push(Piece::Dedent);
        self.push(Piece::Close);
    }

    fn operator_gap(&mut self, node: &Node, before: &Element, after: &Element) {
        if is_token(before, Kind::OpenParen) || is_token(before, Kind::OpenBrace) {
            // The brackets around operators.
            self.push(Piece::Soft);
        } else if is_node(before, Kind::SubPipeline) {
            self.push(Piece::Soft);
        } else if is_token(before, Kind::Comma) {
            self.push(Piece::Line);
        } else if starts_line(after) && !hugs(before) {
            self.push(Piece::Line);
        } else {
            self.gap(node, before, after);
        }
    }

    /// `scan … with (`, one step a line, `)`.
    fn scan(&mut self, node: &Node) {
        let mut before: Option<Element> = None;
        let mut in_steps = false;
        for element in elements(node) {
            if is_node(&element, Kind::ScanStep) {
                if !in_steps {
                    self.push(Piece::Indent);
                    in_steps = true;
                }
                self.push(Piece::Hard);
                self.lead();
            } else if is_token(&element, Kind::CloseParen) && in_steps {
                self.push(Piece::Dedent);
                self.push(Piece::Hard);
            } else if let Some(before) = &before {
                self.gap(node, before, &element);
            }
            self.element(&element);
            before = Some(element);
        }
    }

    /// `by a, b`: lines are filled.
    fn hanging(&mut self, node: &Node) {
        self.push(Piece::Open);
        let mut before: Option<Element> = None;
        for element in elements(node) {
            if before.as_ref().is_some_and(|b| is_token(b, Kind::Comma)) {
                self.push(Piece::Fill);
            } else if let Some(before) = &before {
                self.gap(node, before, &element);
            }
            self.element(&element);
            if before.is_none() {
                self.push(Piece::Indent);
            }
            before = Some(element);
        }
        self.push(Piece::Dedent);
        self.push(Piece::Close);
    }

    // Expressions.

    /// `a and b and c`: broken before each operator, unless it compares.
    fn chain(&mut self, node: &Node) {
        let breaks = elements(node).any(|e| {
            matches!(&e, Element::Token(t) if matches!(
                (t.kind(), t.text()),
                (Kind::Word, "and" | "or")
                    | (Kind::Plus | Kind::Minus | Kind::Star | Kind::Slash | Kind::Percent, _)
            ))
        });
        if !breaks {
            return self.plain(node);
        }
        let indents = node
            .parent()
            .is_none_or(|p| !matches!(p.kind(), Kind::Paren | Kind::Operator));
        self.push(Piece::Open);
        let mut is_first = true;
        for element in elements(node) {
            if matches!(element, Element::Token(_)) {
                self.push(Piece::Line);
                self.lead();
                self.token();
                self.push(Piece::Space);
            } else {
                self.element(&element);
                if is_first && indents {
                    self.push(Piece::Indent);
                }
                is_first = false;
            }
        }
        if indents {
            self.push(Piece::Dedent);
        }
        self.push(Piece::Close);
    }

    /// `(a, b)` and other brackets: on one line, or the brackets on lines of their own.
    fn bracketed(&mut self, node: &Node, between: Piece<'t>) {
        self.push(Piece::Open);
        let mut before: Option<Element> = None;
        for element in elements(node) {
            let kind = token_kind(&element);
            let opens = matches!(
                kind,
                Some(Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace)
            );
            let closes = matches!(
                kind,
                Some(Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace)
            );
            if closes {
                self.push(Piece::Dedent);
                self.push(Piece::Soft);
            } else if let Some(before) = &before {
                if is_token(before, Kind::Comma) {
                    self.push(between.clone());
                    self.lead();
                } else {
                    self.gap(node, before, &element);
                }
            }
            self.element(&element);
            if opens {
                self.push(Piece::Indent);
                self.push(Piece::Soft);
            }
            before = Some(element);
        }
        self.push(Piece::Close);
    }

    /// `datatable(a: long, b: string) [` one row a line `]`.
    fn datatable(&mut self, node: &Node) {
        let declared = node.children().find(|c| c.kind() == Kind::ColumnDecls);
        let width = declared.map_or(1, |d| d.children().count()).max(1);
        let mut before: Option<Element> = None;
        let mut n_commas = 0_usize;
        for element in elements(node) {
            if is_token(&element, Kind::OpenBracket) {
                self.push(Piece::Space);
                self.push(Piece::Open);
                self.token();
                self.push(Piece::Indent);
                self.push(Piece::Soft);
            } else if is_token(&element, Kind::CloseBracket) {
                self.push(Piece::Dedent);
                self.push(Piece::Soft);
                self.token();
                self.push(Piece::Close);
            } else {
                if before.as_ref().is_some_and(|b| is_token(b, Kind::Comma)) {
                    n_commas += 1;
                    let is_row = n_commas.is_multiple_of(width);
                    self.push(if is_row { Piece::Line } else { Piece::Space });
                    self.lead();
                } else if let Some(before) = &before {
                    self.gap(node, before, &element);
                }
                self.element(&element);
            }
            before = Some(element);
        }
    }

    /// `externaldata(a: string) [addresses] with (properties)`.
    fn externaldata(&mut self, node: &Node) {
        let mut before: Option<Element> = None;
        let mut after_addresses = false;
        for element in elements(node) {
            if after_addresses {
                if self.is_apart() {
                    self.push(Piece::Space);
                }
                self.element(&element);
            } else if is_token(&element, Kind::OpenBracket) {
                self.push(Piece::Space);
                self.push(Piece::Open);
                self.token();
                self.push(Piece::Indent);
                self.push(Piece::Soft);
            } else if is_token(&element, Kind::CloseBracket) {
                self.push(Piece::Dedent);
                self.push(Piece::Soft);
                self.token();
                self.push(Piece::Close);
                after_addresses = true;
            } else {
                if before.as_ref().is_some_and(|b| is_token(b, Kind::Comma)) {
                    self.push(Piece::Line);
                    self.lead();
                } else if let Some(before) = &before {
                    self.gap(node, before, &element);
                }
                self.element(&element);
            }
            before = Some(element);
        }
    }
}

// Reading the tree.

fn elements(node: &Node) -> impl Iterator<Item = Element> + use<> {
    node.children_with_tokens().filter(|e| match e {
        Element::Token(token) => token.kind().matters(),
        // A node without a token says nothing.
        Element::Node(node) => first_token(node).is_some(),
    })
}

/// The tokens that matter in a node.
fn tokens(node: &Node) -> impl Iterator<Item = Token> + use<> {
    node.descendants_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token)
        .filter(|t| t.kind().matters())
}

fn first_token(node: &Node) -> Option<Token> {
    let mut token = node.first_token();
    while token.as_ref().is_some_and(|t| !t.kind().matters()) {
        token = token.and_then(|t| t.next_token());
    }
    token.filter(|t| node.text_range().contains_range(t.text_range()))
}

fn final_token(node: &Node) -> Option<Token> {
    let mut token = node.last_token();
    while token.as_ref().is_some_and(|t| !t.kind().matters()) {
        token = token.and_then(|t| t.prev_token());
    }
    token.filter(|t| node.text_range().contains_range(t.text_range()))
}

fn token_kind(element: &Element) -> Option<Kind> {
    element.as_token().map(Token::kind)
}

fn is_token(element: &Element, kind: Kind) -> bool {
    token_kind(element) == Some(kind)
}

fn is_node(element: &Element, kind: Kind) -> bool {
    element.as_node().is_some_and(|n| n.kind() == kind)
}

fn bars(node: &Node) -> usize {
    elements(node).filter(|e| is_token(e, Kind::Pipe)).count()
}

/// A literal or name: several fit on a line.
fn is_plain(node: &Node) -> bool {
    matches!(
        node.kind(),
        Kind::Literal | Kind::Name | Kind::BracketName | Kind::Unary
    )
}

/// A query in brackets, whose brackets stand on the lines of the operator.
fn hugs(element: &Element) -> bool {
    match element {
        Element::Node(node) if node.kind() == Kind::Paren => {
            node.children().any(|c| c.kind() == Kind::Pipeline)
        }
        Element::Token(token) => {
            // The brackets around a sub-pipeline are the operator's own.
            matches!(token.kind(), Kind::CloseParen | Kind::CloseBrace)
        }
        Element::Node(_) => false,
    }
}

/// What begins a line when its operator does not fit on one.
fn starts_line(element: &Element) -> bool {
    element.as_node().is_some_and(|n| {
        matches!(
            n.kind(),
            Kind::ByList | Kind::OnList | Kind::SeriesAxis | Kind::Clause
        )
    })
}

/// Whether a blank stands between two neighbours in `parent`.
fn has_gap(parent: &Node, before: &Element, after: &Element) -> bool {
    let (Some(left), Some(right)) = (last_token(before), first_of(after)) else {
        return false;
    };
    if is_wordlike(left.text().chars().last()) && is_wordlike(right.text().chars().next()) {
        return true;
    }
    let tight = matches!(
        parent.kind(),
        Kind::Wildcard
            | Kind::OperatorOption
            | Kind::GraphPattern
            | Kind::GraphNode
            | Kind::GraphEdge
            | Kind::Path
            | Kind::Member
            | Kind::Index
            | Kind::Call
            | Kind::Unary
            | Kind::DynamicLiteral
            | Kind::BracketName
            | Kind::PatternPart
    );
    if tight {
        return false;
    }
    let (b, a) = (token_kind(before), token_kind(after));
    match (b, a) {
        (_, Some(Kind::Comma | Kind::Semicolon | Kind::CloseParen | Kind::CloseBracket))
        | (Some(Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace), _) => false,
        (Some(Kind::Minus), _) if parent.kind() == Kind::Literal => false,
        (Some(Kind::Minus), Some(_)) if parent.kind() == Kind::Operator => false,
        (Some(Kind::Minus), _) | (_, Some(Kind::Minus)) if parent.kind() == Kind::SortKey => false,
        (Some(Kind::Assign), _) | (_, Some(Kind::Assign)) => parent.kind() != Kind::Clause,
        (Some(Kind::Colon), _) => parent.kind() != Kind::Chain,
        (_, Some(Kind::Colon)) => parent.kind() == Kind::Operator,
        _ => !is_attached(parent, after),
    }
}

/// `datatable(`: columns directly after the word.
fn is_attached(parent: &Node, after: &Element) -> bool {
    matches!(parent.kind(), Kind::DataTable | Kind::ExternalData)
        && is_node(after, Kind::ColumnDecls)
}

fn is_wordlike(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '"' | '\'' | '`' | '~'))
}

fn last_token(element: &Element) -> Option<Token> {
    match element {
        Element::Token(token) => Some(token.clone()),
        Element::Node(node) => final_token(node),
    }
}

fn first_of(element: &Element) -> Option<Token> {
    match element {
        Element::Token(token) => Some(token.clone()),
        Element::Node(node) => first_token(node),
    }
}
