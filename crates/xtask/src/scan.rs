//! A Rust file seen three ways: as written, its code alone, its comments alone.
//!
//! The views have the same lines at the same places, with blanks for what is left out, so that a
//! rule about code is not set off by a comment or a string. It knows comments, strings (raw, byte
//! and C ones too), characters and lifetimes, and nothing else of the language.

/// The views.
#[derive(Debug)]
pub(crate) struct Source {
    /// As written.
    pub(crate) text: String,
    /// Without comments and without what strings and characters say.
    pub(crate) code: String,
    /// Only comments.
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut kinds = Vec::with_capacity(chars.len());
        while kinds.len() < chars.len() {
            let rest = chars.get(kinds.len()..).unwrap_or_default();
            let before = kinds.len().checked_sub(1).and_then(|i| chars.get(i));
            let (kind, len) = next(rest, before.copied());
            kinds.extend(std::iter::repeat_n(kind, len.clamp(1, rest.len())));
        }
        let view = |wanted: Kind| {
            chars
                .iter()
                .zip(&kinds)
                .map(|(c, kind)| {
                    if *kind == wanted || *c == '\n' {
                        *c
                    } else {
                        ' '
                    }
                })
                .collect()
        };
        Self {
            text: text.to_owned(),
            code: view(Kind::Code),
            comments: view(Kind::Comment),
        }
    }
}

/// What begins at `rest`, and its length.
fn next(rest: &[char], before: Option<char>) -> (Kind, usize) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => (
            Kind::Comment,
            rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ),
        ['/', '*', ..] => (Kind::Comment, block_comment(rest)),
        ['"', ..] | ['\'', '\\', ..] => (Kind::Literal, quoted(rest)),
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..] if !in_word => {
            raw(rest).map_or((Kind::Code, 1), |len| (Kind::Literal, len))
        }
        ['\'', _, '\'', ..] => (Kind::Literal, 3),
        _ => (Kind::Code, 1),
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(pair) = rest.get(at..at + 2) {
        match pair {
            ['/', '*'] => (depth, at) = (depth + 1, at + 2),
            ['*', '/'] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of a literal that ends at its first character, unless after a backslash.
fn quoted(rest: &[char]) -> usize {
    let mut escaped = false;
    for (at, c) in rest.iter().enumerate().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if Some(c) == rest.first() => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br#"…"#`; `None` for a raw identifier.
fn raw(rest: &[char]) -> Option<usize> {
    let prefix = rest.iter().position(|c| *c == 'r')? + 1;
    let hashes = rest
        .get(prefix..)?
        .iter()
        .take_while(|c| **c == '#')
        .count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let mut end: Vec<char> = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = rest.get(open + 1..)?;
    let at = body.windows(end.len()).position(|w| w == end)?;
    Some(open + 1 + at + end.len())
}

/// The offset one past the bracket that closes the one at `open`; `None` if there is none.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.get(open..)?.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at + c.len_utf8());
                }
            }
            _ => {}
        }
    }
    None
}

/// The functions of a view: where `fn` stands, and where the body opens (not for a declaration).
pub(crate) fn functions(code: &str) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
    words(code, "fn")
        // `fn(` is the type of a function.
        .filter(|start| code.get(start + 2..).is_some_and(|r| r.starts_with(' ')))
        .map(|start| (start, body(code, start)))
}

fn body(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.get(start..)?.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            '{' if depth == 0 => return Some(start + at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The line of a byte offset, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// The places at which `word` stands as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code.get(..*at).and_then(|s| s.chars().next_back());
            let after = code.get(at + word.len()..).and_then(|s| s.chars().next());
            !before.is_some_and(in_word) && !after.is_some_and(in_word)
        })
}

impl Source {
    /// As written, between two offsets of a view.
    pub(crate) fn text_at(&self, start: usize, end: usize) -> String {
        // A view has one character for each character of the text, but blanks are shorter than
        // what they stand for, so offsets are counted in characters.
        let skip = self.code.get(..start).map_or(0, |s| s.chars().count());
        let take = self.code.get(start..end).map_or(0, |s| s.chars().count());
        self.text.chars().skip(skip).take(take).collect()
    }
}
