//! Text → tokens. Every byte belongs to exactly one token, whatever the text.

use logos::Logos;

use crate::syntax::Kind;

/// The token rules; [`kind`] maps them to [`Kind`].
#[derive(Logos, Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    #[regex(r"[ \t\r\n\u{feff}\u{a0}\u{1680}\u{2000}-\u{200b}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}]+")]
    Blank,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    #[regex(r"#[^\n]*", allow_greedy = true)]
    Comment,
    #[regex(r"[$A-Za-z_][A-Za-z0-9_]*")]
    #[regex(r"[0-9]+[A-Za-z_][A-Za-z0-9_]*", priority = 1)]
    #[regex(
        r"(project-(away|keep|rename|reorder|smart|by-names)|mv-(expand|apply)|parse-(where|kv)|make-(series|graph)|top-(nested|hitters)|sample-distinct|graph-(match|to-table|shortest-paths|mark-components|where-nodes|where-edges)|execute-and-cache|assert-schema|macro-expand|partition-by|partitioned-by)[A-Za-z0-9_]*"
    )]
    Word,
    #[regex(r"![A-Za-z_]+~?")]
    #[token("in~")]
    OperatorWord,
    #[regex(r"[0-9]+")]
    #[regex(r"0[xX][0-9A-Fa-f]+")]
    Integer,
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?")]
    #[regex(r"[0-9]+[eE][+-]?[0-9]+")]
    Real,
    #[regex(r"[0-9]+(\.[0-9]+)?(d|days?|h|hrs?|hours?|m|min|minutes?|s|sec|seconds?|ms|milli|millis|milliseconds?|micro|micros|microseconds?|nano|nanos|nanoseconds?|ticks?)")]
    TimeSpan,
    #[regex(r"(datetime|date|timespan|time|guid|uuid|uniqueid|int|long|real|double|decimal|bool|boolean)[ \t]*\([^()\n]*\)", priority = 20)]
    TypedLiteral,
    #[regex(r#"[hH]?"([^"\\\n]|\\[^\n])*""#)]
    #[regex(r#"[hH]?'([^'\\\n]|\\[^\n])*'"#)]
    #[regex(r#"[hH]?@"([^"\n]|"")*""#)]
    #[regex(r#"[hH]?@'([^'\n]|'')*'"#)]
    #[token("```", |lexer| fenced(lexer, "```"))]
    #[token("~~~", |lexer| fenced(lexer, "~~~"))]
    String,
    #[regex(r#"[hH]?"([^"\\\n]|\\[^\n])*"#)]
    #[regex(r#"[hH]?'([^'\\\n]|\\[^\n])*"#)]
    #[regex(r#"[hH]?@"([^"\n]|"")*"#)]
    #[regex(r#"[hH]?@'([^'\n]|'')*"#)]
    OpenString,
    #[regex(r"[\u{2018}\u{2019}\u{201c}\u{201d}][^\u{2018}\u{2019}\u{201c}\u{201d}\n]*[\u{2018}\u{2019}\u{201c}\u{201d}]")]
    CurlyString,
    #[token("|")]
    Pipe,
    #[token(";")]
    Semicolon,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,
    #[token("=")]
    Assign,
    #[token("=>")]
    Arrow,
    #[token("==")]
    EqualEqual,
    #[token("!=")]
    #[token("<>")]
    NotEqual,
    #[token("=~")]
    EqualTilde,
    #[token("!~")]
    BangTilde,
    #[token("<")]
    Less,
    #[token("<=")]
    LessEqual,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterEqual,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
}

fn fenced(lexer: &mut logos::Lexer<'_, Rule>, fence: &str) -> bool {
    match lexer.remainder().find(fence) {
        Some(at) => {
            lexer.bump(at + fence.len());
            true
        }
        None => false,
    }
}

/// All tokens of `text`, in order.
pub(crate) fn tokens(text: &str) -> Vec<(Kind, &str)> {
    let mut out: Vec<(Kind, &str)> = Vec::new();
    let mut lexer = Rule::lexer(text);
    let mut start = 0;
    while let Some(rule) = lexer.next() {
        let kind = rule.map_or(Kind::Unknown, kind);
        // `1000.` is a number too. The rules cannot say so without taking the first dot of `1..5`.
        if kind == Kind::Dot
            && let Some((before @ Kind::Integer, digits)) = out.last_mut()
            && !lexer
                .remainder()
                .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '[')
        {
            *before = Kind::Real;
            *digits = text.get(start..lexer.span().end).unwrap_or(digits);
            continue;
        }
        start = lexer.span().start;
        out.push((kind, lexer.slice()));
    }
    out
}

fn kind(rule: Rule) -> Kind {
    match rule {
        Rule::Blank => Kind::Blank,
        Rule::Comment => Kind::Comment,
        Rule::Word => Kind::Word,
        Rule::OperatorWord => Kind::OperatorWord,
        Rule::Integer => Kind::Integer,
        Rule::Real => Kind::Real,
        Rule::TimeSpan => Kind::TimeSpan,
        Rule::TypedLiteral => Kind::TypedLiteral,
        Rule::String => Kind::String,
        Rule::OpenString => Kind::OpenString,
        Rule::CurlyString => Kind::Unknown,
        Rule::Pipe => Kind::Pipe,
        Rule::Semicolon => Kind::Semicolon,
        Rule::Comma => Kind::Comma,
        Rule::Colon => Kind::Colon,
        Rule::Dot => Kind::Dot,
        Rule::DotDot => Kind::DotDot,
        Rule::OpenParen => Kind::OpenParen,
        Rule::CloseParen => Kind::CloseParen,
        Rule::OpenBracket => Kind::OpenBracket,
        Rule::CloseBracket => Kind::CloseBracket,
        Rule::OpenBrace => Kind::OpenBrace,
        Rule::CloseBrace => Kind::CloseBrace,
        Rule::Assign => Kind::Assign,
        Rule::Arrow => Kind::Arrow,
        Rule::EqualEqual => Kind::EqualEqual,
        Rule::NotEqual => Kind::NotEqual,
        Rule::EqualTilde => Kind::EqualTilde,
        Rule::BangTilde => Kind::BangTilde,
        Rule::Less => Kind::Less,
        Rule::LessEqual => Kind::LessEqual,
        Rule::Greater => Kind::Greater,
        Rule::GreaterEqual => Kind::GreaterEqual,
        Rule::Plus => Kind::Plus,
        Rule::Minus => Kind::Minus,
        Rule::Star => Kind::Star,
        Rule::Slash => Kind::Slash,
        Rule::Percent => Kind::Percent,
    }
}
