//! Where in an unfinished text the cursor stands, told from the tokens before it.
//!
//! The tree of an unfinished text says little about what is missing at its end, so this reads the
//! tokens: which brackets are open, which pipeline they hold, which operator was begun.

use crate::lexer;
use crate::syntax::Kind;

/// A token that matters, with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tok<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Tok<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is(&self, kind: Kind, text: &str) -> bool {
        self.kind == kind && self.text == text
    }
}

/// What an open bracket, or the text itself, holds so far. Positions are of tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    /// The opening bracket.
    pub(super) open: Option<usize>,
    /// First token of the statement, or of the argument, at hand.
    pub(super) start: usize,
    /// Bars of the pipeline at hand.
    pub(super) bars: Vec<usize>,
    /// Whole `let` statements: from, to.
    pub(super) lets: Vec<(usize, usize)>,
}

/// The text before the cursor.
#[derive(Debug)]
pub(super) struct Place<'t> {
    pub(super) text: &'t str,
    /// The tokens before the word that is being written.
    pub(super) tokens: Vec<Tok<'t>>,
    /// That word's part before the cursor.
    pub(super) word: &'t str,
    /// Where the word begins, and where it ends after the cursor.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Open brackets, the text first.
    pub(super) frames: Vec<Frame>,
}

/// Reads the text up to `offset`; `None` inside of a string, number or comment.
pub(super) fn place(text: &str, offset: usize) -> Option<Place<'_>> {
    let mut tokens = Vec::new();
    let (mut word, mut from, mut to) = ("", offset, offset);
    let mut start = 0;
    for (kind, token) in lexer::tokens(text) {
        let end = start + token.len();
        if start >= offset {
            break;
        }
        let goes_over = end > offset;
        match kind {
            Kind::Word | Kind::OperatorWord if end >= offset => {
                word = text.get(start..offset)?;
                (from, to) = (start, end);
            }
            // A line comment goes on at its end.
            Kind::Comment if end >= offset => return None,
            Kind::Integer | Kind::Real | Kind::TimeSpan | Kind::OpenString if end >= offset => {
                return None;
            }
            _ if goes_over && kind.matters() => return None,
            _ if kind.matters() => tokens.push(Tok {
                kind,
                text: token,
                start,
            }),
            _ => {}
        }
        start = end;
    }
    let frames = frames(&tokens);
    Some(Place {
        text,
        tokens,
        word,
        from,
        to,
        frames,
    })
}

fn frames(tokens: &[Tok<'_>]) -> Vec<Frame> {
    let mut frames = vec![Frame::default()];
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenParen | Kind::OpenBracket | Kind::OpenBrace => frames.push(Frame {
                open: Some(at),
                start: at + 1,
                ..Frame::default()
            }),
            Kind::CloseParen | Kind::CloseBracket | Kind::CloseBrace => {
                if frames.len() > 1 {
                    frames.pop();
                }
            }
            kind => {
                if let Some(frame) = frames.last_mut() {
                    frame.take(kind, at, tokens);
                }
            }
        }
    }
    frames
}

impl Frame {
    fn take(&mut self, kind: Kind, at: usize, tokens: &[Tok<'_>]) {
        match kind {
            Kind::Pipe => self.bars.push(at),
            Kind::Semicolon => {
                if tokens
                    .get(self.start)
                    .is_some_and(|t| t.is(Kind::Word, "let"))
                {
                    self.lets.push((self.start, at));
                }
                self.start = at + 1;
                self.bars.clear();
            }
            // The next argument.
            Kind::Comma if self.open.is_some() && self.bars.is_empty() => self.start = at + 1,
            _ => {}
        }
    }
}

impl<'t> Place<'t> {
    pub(super) fn before(&self, n: usize) -> Option<&Tok<'t>> {
        self.tokens
            .len()
            .checked_sub(n)
            .and_then(|at| self.tokens.get(at))
    }

    /// The text from one token to before another.
    fn slice(&self, from: usize, to: usize) -> &'t str {
        let (Some(first), Some(last)) = (
            self.tokens.get(from),
            to.checked_sub(1).and_then(|at| self.tokens.get(at)),
        ) else {
            return "";
        };
        self.text.get(first.start..last.end()).unwrap_or_default()
    }

    /// Every definition that the cursor sees, as statements: whole `let`s around it, and the
    /// parameters of the functions that it is in.
    pub(super) fn definitions(&self) -> String {
        let mut out = String::new();
        for (level, frame) in self.frames.iter().enumerate() {
            if level > 0 {
                out.push_str(&self.params(frame));
            }
            for (from, to) in &frame.lets {
                out.push_str(self.slice(*from, *to));
                out.push_str(";\n");
            }
        }
        out
    }

    /// The parameters before the brace that opens `frame`, as definitions of values of their types.
    fn params(&self, frame: &Frame) -> String {
        let Some(close) = frame.open.and_then(|open| {
            let is_brace = self
                .tokens
                .get(open)
                .is_some_and(|t| t.kind == Kind::OpenBrace);
            open.checked_sub(1).filter(|_| is_brace)
        }) else {
            return String::new();
        };
        let mut depth = 0_usize;
        let mut first = close;
        for at in (0..=close).rev() {
            match self.tokens.get(at).map(|t| t.kind) {
                Some(Kind::CloseParen) => depth += 1,
                Some(Kind::OpenParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                first = at;
                break;
            }
        }
        let mut out = String::new();
        let mut at = first + 1;
        while at < close {
            let end = self.param_end(at, close);
            let name = self.tokens.get(at).map_or("", |t| t.text);
            match self.tokens.get(at + 2) {
                Some(open) if open.kind == Kind::OpenParen => {
                    let columns = self.slice(at + 2, end);
                    let columns = if columns.contains('*') { "()" } else { columns };
                    out.push_str(&format!("let {name} = datatable{columns} [];\n"));
                }
                Some(ty) => out.push_str(&format!("let {name} = {}(null);\n", ty.text)),
                None => {}
            }
            at = end + 1;
        }
        out
    }

    /// The comma after the parameter that begins at `at`, or the closing bracket.
    fn param_end(&self, at: usize, close: usize) -> usize {
        let mut depth = 0_usize;
        for (here, token) in self.tokens.iter().enumerate().take(close).skip(at) {
            match token.kind {
                Kind::OpenParen => depth += 1,
                Kind::CloseParen => depth = depth.saturating_sub(1),
                Kind::Comma if depth == 0 => return here,
                _ => {}
            }
        }
        close
    }

    /// The innermost frame whose pipeline gives the rows at the cursor.
    pub(super) fn row_frame(&self) -> Option<usize> {
        (0..self.frames.len()).rev().find(|level| {
            let frame = self.frames.get(*level);
            frame.is_some_and(|f| !f.bars.is_empty()) || self.is_sub_pipeline(*level)
        })
    }

    /// Whether a frame holds operators without a source: `mv-apply … on (`, `partition by x (`.
    pub(super) fn is_sub_pipeline(&self, level: usize) -> bool {
        let Some(outer) = level.checked_sub(1).and_then(|l| self.frames.get(l)) else {
            return false;
        };
        let Some(open) = self.frames.get(level).and_then(|f| f.open) else {
            return false;
        };
        let is_paren = self
            .tokens
            .get(open)
            .is_some_and(|t| t.kind == Kind::OpenParen);
        let Some(bar) = outer.bars.last() else {
            return false;
        };
        let word = |at: usize| self.tokens.get(at).map_or("", |t| t.text);
        let before = open.checked_sub(1).map_or("", word);
        let before_that = open.checked_sub(2).map_or("", word);
        is_paren
            && match word(bar + 1) {
                "mv-apply" => before == "on",
                "partition" => before_that == "by",
                _ => false,
            }
    }

    /// The pipeline before the operator that the cursor is in, at that frame.
    pub(super) fn input(&self, level: usize) -> String {
        let Some(frame) = self.frames.get(level) else {
            return String::new();
        };
        let own = frame
            .bars
            .last()
            .map_or("", |bar| self.slice(self.pipeline_start(frame), *bar));
        if !self.is_sub_pipeline(level) {
            return own.to_owned();
        }
        let mut text = level
            .checked_sub(1)
            .map_or_else(String::new, |l| self.input(l));
        let outer = level.checked_sub(1).and_then(|l| self.frames.get(l));
        let bar = outer
            .and_then(|f| f.bars.last())
            .copied()
            .unwrap_or_default();
        let is_apply = self
            .tokens
            .get(bar + 1)
            .is_some_and(|t| t.text == "mv-apply");
        if let Some(on) = frame
            .open
            .and_then(|o| o.checked_sub(1))
            .filter(|_| is_apply)
        {
            text.push_str(" | mv-expand ");
            text.push_str(self.slice(bar + 2, on));
        }
        if !own.is_empty() {
            text.push_str(" | ");
            text.push_str(own);
        }
        text
    }

    /// The first token of the pipeline at hand: after `let name =`, if that begins it.
    fn pipeline_start(&self, frame: &Frame) -> usize {
        let is_let = self
            .tokens
            .get(frame.start)
            .is_some_and(|t| t.is(Kind::Word, "let"))
            && self
                .tokens
                .get(frame.start + 2)
                .is_some_and(|t| t.kind == Kind::Assign);
        if is_let { frame.start + 3 } else { frame.start }
    }

    /// The tokens of the operator that the cursor is in, its name first; none after a bar.
    pub(super) fn operator(&self, level: usize) -> &[Tok<'t>] {
        let Some(frame) = self.frames.get(level) else {
            return &[];
        };
        let from = match frame.bars.last() {
            Some(bar) => bar + 1,
            None => frame.start,
        };
        self.tokens.get(from..).unwrap_or_default()
    }

    /// The table at the right of the join that the cursor is in, as text.
    pub(super) fn right_side(&self, level: usize) -> &'t str {
        let Some(bar) = self.frames.get(level).and_then(|f| f.bars.last()) else {
            return "";
        };
        let mut at = bar + 2;
        // Options: `kind=inner`, `hint.strategy=shuffle`.
        while self
            .tokens
            .get(at + 1)
            .is_some_and(|t| matches!(t.kind, Kind::Assign | Kind::Dot))
        {
            while self.tokens.get(at).is_some_and(|t| t.kind != Kind::Assign) {
                at += 1;
            }
            at += 2;
        }
        let on = self.tokens.iter().rposition(|t| t.is(Kind::Word, "on"));
        on.map_or("", |on| self.slice(at, on))
    }
}
