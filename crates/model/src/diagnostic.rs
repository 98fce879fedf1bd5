//! What is wrong with an input, said so that its writer can mend it.
//!
//! A diagnostic has a stable code, a byte span, a message and a remedy. Parsers collect them and
//! return them *beside* a value; they never stop at the first.
//!
//! Words: lower case, no final stop, user input in backticks, the remedy in `help`.

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A half-open range of bytes in the input.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// As a range for slicing.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the input is used.
    Notice,
    /// Probably not what was meant; the input is used.
    Warning,
    /// The input is not used.
    Error,
}

/// One finding about an input.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable code, for example `KQL0207`.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// Where, in bytes of the input.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: &str, span: Span, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            span,
            message: message.into(),
            help: None,
        }
    }

    /// A warning at `span`: the input is used.
    pub fn warning(code: &str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Renders the finding above the line of `source` that it points at.
    ///
    /// ```text
    /// error[KQL0207]: unknown column `RemoteIp`
    ///   --> query:2:9
    ///   2 | | where RemoteIp == "10.0.0.7"
    ///     |         ^^^^^^^^
    ///   help: a column with a similar name exists: `RemoteIP`
    /// ```
    pub fn render(&self, name: &str, source: &str) -> String {
        let start = floor_boundary(source, self.span.start as usize);
        let end = floor_boundary(source, (self.span.end as usize).max(start));
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_no = before.matches('\n').count() + 1;
        let line = source
            .get(line_start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        let column = source
            .get(line_start..start)
            .unwrap_or_default()
            .chars()
            .count();
        let on_line = end.min(line_start + line.len()).max(start);
        let width = source
            .get(start..on_line)
            .map_or(1, |s| s.chars().count())
            .max(1);
        let gutter = line_no.to_string().len();
        let kind = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        };
        let mut out = format!("{kind}[{}]: {}\n", self.code, self.message);
        let _ = writeln!(out, "  --> {name}:{line_no}:{}", column + 1);
        let _ = writeln!(out, "  {line_no} | {line}");
        let _ = writeln!(
            out,
            "  {:gutter$} | {:column$}{}",
            "",
            "",
            "^".repeat(width)
        );
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  help: {help}");
        }
        out
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
