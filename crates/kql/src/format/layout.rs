//! Pieces of text and the places between them → lines.
//!
//! A group is written on one line if it fits, else its breaks become line ends. A comment, a hard
//! line end or [`Piece::Break`] inside of a group breaks it.
//!
//! Promises: time is linear in the pieces; no line ends in a blank.

use std::fmt::Write as _;

/// Characters of a line, where the text lets it.
pub(super) const LINE_CHARS_MAX: usize = 100;
const INDENT_CHARS: usize = 4;

/// What is written, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Space,
    /// A space, or a line end in a broken group.
    Line,
    /// Nothing, or a line end in a broken group.
    Soft,
    /// A space, or a line end where the next piece does not fit any more.
    Fill,
    /// A line end.
    Hard,
    /// A line end and an empty line.
    Empty,
    Open,
    Close,
    Indent,
    Dedent,
    /// Breaks the groups around it.
    Break,
    /// A comment at the end of a line.
    Trailing(&'t str),
    /// A comment with a line of its own, after an empty line if the flag says so.
    Own(&'t str, bool),
}

impl Piece<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Text(text) => first_line(text).chars().count(),
            Self::Space | Self::Line | Self::Fill => 1,
            _ => 0,
        }
    }

    fn is_forced(&self) -> bool {
        matches!(
            self,
            Self::Hard | Self::Empty | Self::Break | Self::Trailing(_) | Self::Own(..)
        )
    }

    fn may_break(&self) -> bool {
        matches!(self, Self::Line | Self::Soft | Self::Fill) || self.is_forced()
    }
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text)
}

/// What stands between what was written and what comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Nothing,
    Space,
    Line,
    Empty,
}

/// How the pieces were measured.
struct Measure {
    /// Width of a group with its brackets, at its [`Piece::Open`]; `None` if it must break.
    groups: Vec<Option<usize>>,
    /// Width up to the next place where a line may end.
    until_break: Vec<usize>,
}

fn measure(pieces: &[Piece<'_>]) -> Measure {
    let mut groups = vec![None; pieces.len()];
    let mut until_break = vec![0; pieces.len() + 1];
    // Open groups, from the end: width so far, whether one must break.
    let mut open: Vec<(usize, bool, usize)> = Vec::new();
    let mut width = 0_usize;
    for (at, piece) in pieces.iter().enumerate().rev() {
        let after = until_break.get(at + 1).copied().unwrap_or_default();
        let here = if piece.may_break() {
            0
        } else {
            after + piece.width()
        };
        if let Some(slot) = until_break.get_mut(at) {
            *slot = here;
        }
        if piece.is_forced()
            && let Some((_, forced, _)) = open.last_mut()
        {
            *forced = true;
        }
        width += piece.width();
        match piece {
            Piece::Close => open.push((width, false, after)),
            Piece::Open => {
                let Some((end, forced, tail)) = open.pop() else {
                    continue;
                };
                if let Some(slot) = groups.get_mut(at) {
                    *slot = (!forced).then(|| width - end + tail);
                }
                if let Some((_, outer, _)) = open.last_mut() {
                    *outer |= forced;
                }
            }
            _ => {}
        }
    }
    Measure {
        groups,
        until_break,
    }
}

struct Printer {
    out: String,
    column: usize,
    indent: usize,
    gap: Gap,
}

/// The pieces as lines, the last with its end.
pub(super) fn print(pieces: &[Piece<'_>]) -> String {
    let measured = measure(pieces);
    let mut printer = Printer {
        out: String::new(),
        column: 0,
        indent: 0,
        gap: Gap::Nothing,
    };
    // Whether each open group is broken; the text itself is.
    let mut broken = vec![true];
    for (at, piece) in pieces.iter().enumerate() {
        let is_broken = broken.last().copied().unwrap_or(true);
        match piece {
            Piece::Text(text) => printer.text(text),
            Piece::Space => printer.between(Gap::Space),
            Piece::Line => printer.between(if is_broken { Gap::Line } else { Gap::Space }),
            Piece::Soft if is_broken => printer.between(Gap::Line),
            Piece::Soft | Piece::Break => {}
            Piece::Fill => {
                let next = measured
                    .until_break
                    .get(at + 1)
                    .copied()
                    .unwrap_or_default();
                let fits = printer.start() + 1 + next <= LINE_CHARS_MAX;
                let gap = if is_broken && !fits {
                    Gap::Line
                } else {
                    Gap::Space
                };
                printer.between(gap);
            }
            Piece::Hard => printer.between(Gap::Line),
            Piece::Empty => printer.between(Gap::Empty),
            Piece::Open => {
                let width = measured.groups.get(at).copied().flatten();
                let fits = width.is_some_and(|w| printer.start() + w <= LINE_CHARS_MAX);
                broken.push(is_broken && !fits);
            }
            Piece::Close => {
                broken.pop();
            }
            Piece::Indent => printer.indent += INDENT_CHARS,
            Piece::Dedent => printer.indent = printer.indent.saturating_sub(INDENT_CHARS),
            Piece::Trailing(text) => {
                printer.between(Gap::Space);
                printer.text(text);
                printer.between(Gap::Line);
            }
            Piece::Own(text, after_empty) => {
                printer.between(if *after_empty { Gap::Empty } else { Gap::Line });
                printer.text(text);
                printer.between(Gap::Line);
            }
        }
    }
    if !printer.out.is_empty() {
        printer.out.push('\n');
    }
    printer.out
}

impl Printer {
    fn between(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// The column where the next text begins.
    fn start(&self) -> usize {
        match self.gap {
            Gap::Nothing => self.column,
            Gap::Space => self.column + 1,
            Gap::Line | Gap::Empty => self.indent,
        }
    }

    fn text(&mut self, text: &str) {
        let start = self.start();
        if !self.out.is_empty() {
            match self.gap {
                Gap::Nothing => {}
                Gap::Space => self.out.push(' '),
                Gap::Line => self.out.push('\n'),
                Gap::Empty => self.out.push_str("\n\n"),
            }
        }
        if self.gap >= Gap::Line {
            let _ = write!(self.out, "{:1$}", "", self.indent);
        }
        self.gap = Gap::Nothing;
        self.out.push_str(text);
        self.column = match text.rsplit_once('\n') {
            Some((_, last)) => last.chars().count(),
            None => start + text.chars().count(),
        };
    }
}
