//! Tokens → syntax tree, by recursive descent with recovery.
//!
//! Promises
//! - The tree's text is the input, byte for byte.
//! - Nesting is bounded by [`limits::QUERY_DEPTH_MAX`]: what lies deeper is skipped with an error,
//!   so neither this nor any walk over the tree can exhaust the stack.
//! - Time is linear in the text: no token is looked at more than a few times.
//!
//! Does not know tables, functions or types: the resolver does.

mod clauses;
mod expressions;
mod graphs;
mod habits;
mod operators;
mod statements;

use model::{Diagnostic, Span, limits};
use rowan::GreenNodeBuilder;

use crate::codes;
use crate::lexer;
use crate::syntax::{Kind, Syntax};

/// Reads `text`. Always gives a tree; what is wrong with the text is in its diagnostics.
pub fn parse(text: &str) -> Syntax {
    if text.len() > limits::QUERY_BYTES_MAX {
        return refuse_long(text);
    }
    let mut parser = Parser::new(text);
    parser.root();
    let (builder, diagnostics) = (parser.builder, parser.diagnostics);
    Syntax {
        green: builder.finish(),
        diagnostics,
    }
}

fn refuse_long(text: &str) -> Syntax {
    let mut builder = GreenNodeBuilder::new();
    builder.start_node(raw(Kind::Root));
    builder.token(raw(Kind::Unknown), text);
    builder.finish_node();
    let message = format!(
        "the query has {} bytes, the limit is {}",
        text.len(),
        limits::QUERY_BYTES_MAX
    );
    Syntax {
        green: builder.finish(),
        diagnostics: vec![Diagnostic::error(
            codes::TEXT_TOO_LONG,
            Span::new(0, 0),
            message,
        )],
    }
}

fn raw(kind: Kind) -> rowan::SyntaxKind {
    <crate::syntax::Kql as rowan::Language>::kind_to_raw(kind)
}

/// What word processors make of quotes.
const CURLY_QUOTES: [char; 4] = ['\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];

/// The state of one parse.
struct Parser<'t> {
    tokens: Vec<(Kind, &'t str)>,
    /// Start of each token in bytes.
    starts: Vec<u32>,
    /// Positions in `tokens` of those that matter.
    matter: Vec<usize>,
    /// Position in `matter` of the next token.
    at: usize,
    /// Position in `tokens` of the next one to put into the tree.
    built: usize,
    depth: usize,
    /// Inside `where`, so that `=` is a comparison misspelt and not a name.
    in_condition: bool,
    /// The statement that could not go on is a `let`.
    begun_with_let: bool,
    builder: GreenNodeBuilder<'static>,
    diagnostics: Vec<Diagnostic>,
    /// Where the last error was reported: one per place.
    last_error: Option<u32>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        let tokens = lexer::tokens(text);
        let mut starts = Vec::with_capacity(tokens.len());
        let mut matter = Vec::with_capacity(tokens.len());
        let mut start = 0_u32;
        for (position, (kind, slice)) in tokens.iter().enumerate() {
            starts.push(start);
            start = start.saturating_add(u32::try_from(slice.len()).unwrap_or(u32::MAX));
            if kind.matters() {
                matter.push(position);
            }
        }
        Self {
            tokens,
            starts,
            matter,
            at: 0,
            built: 0,
            depth: 0,
            in_condition: false,
            begun_with_let: false,
            builder: GreenNodeBuilder::new(),
            diagnostics: Vec::new(),
            last_error: None,
        }
    }

    // Looking.

    fn token(&self, ahead: usize) -> Option<(Kind, &'t str)> {
        let position = *self.matter.get(self.at + ahead)?;
        self.tokens.get(position).copied()
    }

    fn kind(&self, ahead: usize) -> Option<Kind> {
        self.token(ahead).map(|(kind, _)| kind)
    }

    fn is(&self, kind: Kind) -> bool {
        self.kind(0) == Some(kind)
    }

    /// Whether the next token is that word.
    fn is_word(&self, word: &str) -> bool {
        self.word(0) == Some(word)
    }

    fn word(&self, ahead: usize) -> Option<&'t str> {
        match self.token(ahead)? {
            (Kind::Word, text) => Some(text),
            _ => None,
        }
    }

    /// Whether no blank stands between the next token and the one after it.
    fn is_joined(&self) -> bool {
        match (self.matter.get(self.at), self.matter.get(self.at + 1)) {
            (Some(a), Some(b)) => a + 1 == *b,
            _ => false,
        }
    }

    fn is_done(&self) -> bool {
        self.at >= self.matter.len()
    }

    /// The span of the next token, or of the end.
    fn here(&self) -> Span {
        if let Some(position) = self.matter.get(self.at).copied() {
            let start = self.starts.get(position).copied().unwrap_or_default();
            let length = self.tokens.get(position).map_or(0, |(_, text)| text.len());
            Span::new(start, start + u32::try_from(length).unwrap_or_default())
        } else {
            let end = self.matter.last().map_or(0, |position| {
                let start = self.starts.get(*position).copied().unwrap_or_default();
                let length = self.tokens.get(*position).map_or(0, |(_, text)| text.len());
                start + u32::try_from(length).unwrap_or_default()
            });
            Span::new(end, end)
        }
    }

    // Building.

    /// Puts the blanks and comments before the next token into the open node.
    fn blanks(&mut self) {
        let until = self
            .matter
            .get(self.at)
            .copied()
            .unwrap_or(self.tokens.len());
        while self.built < until {
            if let Some((kind, text)) = self.tokens.get(self.built).copied() {
                self.builder.token(raw(kind), text);
            }
            self.built += 1;
        }
    }

    /// Takes the next token.
    fn bump(&mut self) {
        self.complain();
        self.bump_quietly();
    }

    /// Takes the next token whatever it is.
    fn bump_quietly(&mut self) {
        if self.is_done() {
            return;
        }
        self.blanks();
        if let Some((kind, text)) = self.tokens.get(self.built).copied() {
            self.builder.token(raw(kind), text);
        }
        self.built += 1;
        self.at += 1;
    }

    /// Reports the next token if no query can contain it.
    fn complain(&mut self) {
        match self.token(0) {
            Some((Kind::OpenString, text)) => {
                let span = self.here();
                let closed = text.trim_end();
                let help = if closed.ends_with("\\\"") || closed.ends_with("\\'") {
                    "a backslash takes the quote into the string: double it, or write `@` before the string"
                } else {
                    "end it with the quote it begins with"
                };
                let message = "the string has no end".to_owned();
                self.error_at(codes::UNTERMINATED_STRING, span, message, Some(help));
            }
            Some((Kind::Unknown, text)) if text.starts_with(CURLY_QUOTES) => {
                let span = self.here();
                let message = "curly quotes do not make a string".to_owned();
                let help = "write straight quotes: `\"` or `'`";
                self.error_at(codes::BAD_CHARACTER, span, message, Some(help));
            }
            // The second of `&&` has been said with the first.
            Some((Kind::Unknown, text)) if self.is_repeated(text) => {}
            Some((Kind::Unknown, text)) => {
                let (span, message) = (self.here(), format!("unexpected character `{text}`"));
                let help = self.character_habit(text);
                self.error_at(codes::BAD_CHARACTER, span, message, help);
            }
            _ => {}
        }
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let found = self.is(kind);
        if found {
            self.bump();
        }
        found
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, kind: Kind, what: &str) -> bool {
        let found = self.eat(kind);
        if !found {
            self.expected(what);
        }
        found
    }

    fn start(&mut self, kind: Kind) {
        self.blanks();
        self.builder.start_node(raw(kind));
    }

    fn finish(&mut self) {
        self.builder.finish_node();
    }

    fn checkpoint(&mut self) -> rowan::Checkpoint {
        self.blanks();
        self.builder.checkpoint()
    }

    fn start_at(&mut self, checkpoint: rowan::Checkpoint, kind: Kind) {
        self.builder.start_node_at(checkpoint, raw(kind));
    }

    // Errors and recovery.

    fn expected(&mut self, what: &str) {
        let found = match self.token(0) {
            Some((_, text)) => format!("`{}`", text.chars().take(40).collect::<String>()),
            None => "the end of the query".to_owned(),
        };
        let span = self.here();
        let help = self.habit(what);
        self.error_at(
            codes::EXPECTED,
            span,
            format!("expected {what}, found {found}").replace('\n', " "),
            help.as_deref(),
        );
    }

    fn error_at(&mut self, code: &str, span: Span, message: String, help: Option<&str>) {
        let is_stopped = self
            .diagnostics
            .last()
            .is_some_and(|d| d.code == codes::TOO_DEEP);
        if is_stopped
            || self.last_error == Some(span.start)
            || self.diagnostics.len() >= limits::QUERY_DIAGNOSTICS_MAX
        {
            return;
        }
        self.last_error = Some(span.start);
        let mut diagnostic = Diagnostic::error(code, span, message);
        diagnostic.help = help.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }

    /// Goes one level down; at the limit, skips the rest of the text and says no.
    fn deeper(&mut self) -> bool {
        if self.depth < limits::QUERY_DEPTH_MAX {
            self.depth += 1;
            return true;
        }
        let span = self.here();
        self.error_at(
            codes::TOO_DEEP,
            span,
            format!(
                "the query is nested more than {} levels deep",
                limits::QUERY_DEPTH_MAX
            ),
            Some("name inner parts with `let`"),
        );
        self.start(Kind::Skipped);
        while !self.is_done() {
            self.bump();
        }
        self.finish();
        false
    }

    fn shallower(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Skips balanced brackets up to a bar, semicolon or closing bracket that is not ours.
    fn skip_balanced(&mut self) {
        let mut open = 0_usize;
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace => open += 1,
                Kind::CloseParen
                | Kind::CloseBracket
                | Kind::CloseBrace
                | Kind::Pipe
                | Kind::Semicolon
                    if open == 0 =>
                {
                    return;
                }
                Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => open -= 1,
                _ => {}
            }
            self.bump();
        }
    }

    fn skip_rest_of_operator(&mut self) {
        if self.at_operator_end() {
            return;
        }
        self.start(Kind::Skipped);
        self.skip_balanced();
        self.finish();
    }

    fn at_operator_end(&self) -> bool {
        matches!(
            self.kind(0),
            None | Some(
                Kind::Pipe
                    | Kind::Semicolon
                    | Kind::CloseParen
                    | Kind::CloseBrace
                    | Kind::CloseBracket
            )
        )
    }

    // Statements.

    fn root(&mut self) {
        self.builder.start_node(raw(Kind::Root));
        self.statements(None);
        self.blanks();
        self.finish();
    }

    /// Statements up to `close` or the end.
    fn statements(&mut self, close: Option<Kind>) {
        loop {
            while self.eat(Kind::Semicolon) {}
            if self.is_done() || (close.is_some() && self.kind(0) == close) {
                return;
            }
            let before = self.at;
            self.statement();
            let ended = self.is_done()
                || self.is(Kind::Semicolon)
                || (close.is_some() && self.kind(0) == close);
            if !ended {
                self.begun_with_let = self.starts_with_let(before);
                self.expected("`|` or `;`");
                self.begun_with_let = false;
                self.start(Kind::Skipped);
                self.skip_balanced();
                if self.at == before
                    || matches!(self.kind(0), Some(k) if k != Kind::Semicolon && Some(k) != close)
                {
                    // A bar or bracket that belongs to nothing: past it, or there is no progress.
                    self.bump();
                    self.skip_balanced();
                }
                self.finish();
            }
        }
    }

    fn statement(&mut self) {
        match self.word(0) {
            Some("let") if self.kind(1) != Some(Kind::Assign) => self.let_statement(),
            Some("declare") if self.word(1) == Some("query_parameters") => self.query_parameters(),
            Some("declare") if self.word(1) == Some("pattern") => self.pattern_statement(),
            Some("set" | "declare" | "alias" | "restrict" | "pattern")
                if self.kind(1) == Some(Kind::Word) =>
            {
                self.start(Kind::OtherStatement);
                self.skip_balanced();
                self.finish();
            }
            _ if self.is(Kind::Dot) => {
                // A management command: nothing after it can be told apart from its data.
                self.start(Kind::Command);
                while !self.is_done() {
                    self.bump_quietly();
                }
                self.finish();
            }
            _ => {
                self.start(Kind::Query);
                self.pipeline();
                self.finish();
            }
        }
    }

    fn let_statement(&mut self) {
        self.start(Kind::Let);
        self.bump();
        if !self.declared_name() {
            self.expected("a name");
        }
        if self.expect(Kind::Assign, "`=`") {
            if self.is_lambda() {
                self.lambda();
            } else {
                self.pipeline();
            }
        }
        self.finish();
    }

    /// `name`, `['name']`, `"name"` where a new name is given.
    fn declared_name(&mut self) -> bool {
        match (self.kind(0), self.kind(1), self.kind(2)) {
            (Some(Kind::OpenBracket), Some(Kind::String), Some(Kind::CloseBracket)) => {
                self.start(Kind::BracketName);
                self.bump();
                self.bump();
                self.bump();
                self.finish();
                true
            }
            (Some(Kind::Word | Kind::String), _, _) => {
                self.start(Kind::Name);
                self.bump();
                self.finish();
                true
            }
            _ => false,
        }
    }

    /// Whether `(…) {` or `view (…) {` follows.
    fn is_lambda(&self) -> bool {
        let mut ahead = usize::from(self.is_word("view"));
        if self.kind(ahead) != Some(Kind::OpenParen) {
            return false;
        }
        let mut open = 0_usize;
        while let Some(kind) = self.kind(ahead) {
            match kind {
                Kind::OpenParen => open += 1,
                Kind::CloseParen if open == 1 => {
                    return self.kind(ahead + 1) == Some(Kind::OpenBrace);
                }
                Kind::CloseParen => open -= 1,
                Kind::Pipe | Kind::Semicolon | Kind::OpenBrace => return false,
                _ => {}
            }
            ahead += 1;
        }
        false
    }

    fn lambda(&mut self) {
        if !self.deeper() {
            return;
        }
        self.start(Kind::Lambda);
        self.eat_word("view");
        self.params(Kind::OpenParen, Kind::CloseParen);
        self.body();
        self.finish();
        self.shallower();
    }

    /// `(name: type, …)` or `(*)`.
    fn column_decls(&mut self) {
        self.start(Kind::ColumnDecls);
        self.expect(Kind::OpenParen, "`(`");
        while !self.is(Kind::CloseParen) && !self.is_done() {
            let before = self.at;
            if !self.eat(Kind::Star) {
                self.start(Kind::ColumnDecl);
                if !self.declared_name() {
                    self.expected("a column's name");
                }
                if self.expect(Kind::Colon, "`:`") {
                    self.expect(Kind::Word, "a type");
                }
                self.finish();
            }
            if !self.eat(Kind::Comma) && !self.is(Kind::CloseParen) {
                self.expected("`,` or `)`");
            }
            if self.at == before {
                self.bump();
            }
        }
        self.expect(Kind::CloseParen, "`)`");
        self.finish();
    }
}
