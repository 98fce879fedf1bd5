//! Functions and operators over strings. Positions count characters.

use std::borrow::Cow;
use std::ops::Range;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use rows::terms::{Folded, Needle, fold, is_term_char};

use super::args::{self, Arg, Call};
use super::{convert, strings};
use crate::json::Json;

/// Copies that `strrep` makes at most, and elements that `repeat` makes.
pub(crate) const REPEAT_MAX: i64 = 1024;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::Strcat => call.texts(|row, out| {
            for arg in call.args {
                convert::display(arg.cell(row), out);
            }
        }),
        F::StrcatDelim => strcat_delim(call),
        F::StrcatArray => strcat_array(call),
        F::Strcmp => {
            let b = call.arg(1)?;
            call.longs(|row| Some(a.text(row).cmp(b.text(row)) as i64))
        }
        F::Strrep => strrep(call),
        F::Strlen => call.longs(|row| Some(convert::long_of(shown(a, row).chars().count()))),
        F::StringSize => call.longs(|row| Some(convert::long_of(shown(a, row).len()))),
        F::Toupper => call.texts(|row, out| out.push_str(&shown(a, row).to_uppercase())),
        F::Tolower => call.texts(|row, out| out.push_str(&shown(a, row).to_lowercase())),
        F::Reverse => call.texts(|row, out| out.extend(shown(a, row).chars().rev())),
        F::Substring => substring(call),
        F::Indexof => indexof(call),
        F::Split => split(call),
        F::ReplaceString => {
            let (needle, with) = (call.arg(1)?, call.arg(2)?);
            call.texts(|row, out| match needle.text(row) {
                "" => out.push_str(a.text(row)),
                needle => {
                    for (at, piece) in a.text(row).split(needle).enumerate() {
                        if args::is_too_large(out) {
                            return;
                        }
                        if at > 0 {
                            out.push_str(with.text(row));
                        }
                        out.push_str(piece);
                    }
                }
            })
        }
        F::ReplaceStrings => replace_strings(call),
        F::Translate => translate(call),
        F::HasAnyIndex => has_any_index(call),
        F::UnicodeCodepointsFromString => call.dynamics(|row| {
            let codes = a
                .text(row)
                .chars()
                .map(|c| Json::Long(i64::from(u32::from(c))));
            Some(Json::Array(codes.collect()))
        }),
        F::UnicodeCodepointsToString => call.texts(|row, out| {
            for arg in call.args {
                let codes = match arg.json(row) {
                    Some(Json::Array(codes)) => codes,
                    Some(code) => vec![code],
                    None => Vec::new(),
                };
                out.extend(codes.iter().filter_map(|code| {
                    char::from_u32(u32::try_from(convert::json_to_long(code)?).ok()?)
                }));
            }
        }),
        F::ParseCommandLine => call.dynamics(|row| {
            let parts = command_line(a.text(row));
            (!parts.is_empty()).then(|| Json::Array(parts.into_iter().map(Json::Text).collect()))
        }),
        other => exec_err!("`{}` is not a function over strings", other.as_str()),
    }
}

/// A value as text.
pub(crate) fn shown(arg: &Arg, row: usize) -> Cow<'_, str> {
    if arg.ty() == model::ColumnType::String {
        return Cow::Borrowed(arg.text(row));
    }
    let mut out = String::new();
    convert::display(arg.cell(row), &mut out);
    Cow::Owned(out)
}

fn strcat_delim(call: &Call<'_>) -> Result<ArrayRef> {
    let Some((delimiter, rest)) = call.args.split_first() else {
        return exec_err!("strcat_delim without a delimiter");
    };
    call.texts(|row, out| {
        for (i, arg) in rest.iter().enumerate() {
            if i > 0 {
                out.push_str(&shown(delimiter, row));
            }
            convert::display(arg.cell(row), out);
        }
    })
}

fn strcat_array(call: &Call<'_>) -> Result<ArrayRef> {
    let (array, delimiter) = (call.arg(0)?, call.arg(1)?);
    call.texts(|row, out| {
        let value = array.json(row);
        let items = value.as_ref().and_then(Json::as_array).unwrap_or_default();
        for (i, item) in items.iter().enumerate() {
            if args::is_too_large(out) {
                return;
            }
            if i > 0 {
                out.push_str(&shown(delimiter, row));
            }
            item.display(out);
        }
    })
}

fn strrep(call: &Call<'_>) -> Result<ArrayRef> {
    let (value, times, delimiter) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    call.texts(|row, out| {
        let text = shown(value, row);
        for i in 0..times.long(row).unwrap_or(0).clamp(0, REPEAT_MAX) {
            if args::is_too_large(out) {
                return;
            }
            if i > 0
                && let Some(delimiter) = delimiter
            {
                out.push_str(&shown(delimiter, row));
            }
            out.push_str(&text);
        }
    })
}

fn substring(call: &Call<'_>) -> Result<ArrayRef> {
    let (text, start, length) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    call.texts(|row, out| {
        let text = shown(text, row);
        let Some(start) = start.long(row) else { return };
        let start = if start < 0 {
            convert::long_of(text.chars().count()) + start
        } else {
            start
        };
        if start < 0 {
            return;
        }
        let length = length
            .map_or(Some(i64::MAX), |arg| arg.long(row))
            .unwrap_or(0);
        let count = |n: i64| usize::try_from(n.max(0)).unwrap_or(usize::MAX);
        out.extend(text.chars().skip(count(start)).take(count(length)));
    })
}

/// Where a search may find something: from character `start`, at `length` places. Gives the byte
/// range of those places.
pub(crate) fn window(
    call: &Call<'_>,
    text: &str,
    row: usize,
    first: usize,
) -> Option<Range<usize>> {
    let start = call.optional(first).map_or(Some(0), |arg| arg.long(row))?;
    let length = call
        .optional(first + 1)
        .map_or(Some(-1), |arg| arg.long(row))?;
    if length < -1 {
        return None;
    }
    let start = if start < 0 {
        (convert::long_of(text.chars().count()) + start).max(0)
    } else {
        start
    };
    let byte = |n: i64| {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        text.char_indices()
            .nth(n)
            .map_or(text.len() + 1, |(at, _)| at)
    };
    let end = if length < 0 {
        text.len() + 1
    } else {
        byte(start.saturating_add(length))
    };
    Some(byte(start)..end)
}

/// The number of characters before byte `at`; -1 for nothing found.
pub(crate) fn char_position(text: &str, at: Option<usize>) -> i64 {
    at.map_or(-1, |at| {
        convert::long_of(text.get(..at).unwrap_or_default().chars().count())
    })
}

fn indexof(call: &Call<'_>) -> Result<ArrayRef> {
    let (text, needle) = (call.arg(0)?, call.arg(1)?);
    call.longs(|row| {
        let (text, needle) = (shown(text, row), shown(needle, row));
        let occurrence = call.optional(4).map_or(Some(1), |arg| arg.long(row))?;
        let nth = usize::try_from(occurrence.checked_sub(1)?).ok()?;
        if needle.is_empty() {
            return None;
        }
        let window = window(call, &text, row, 2)?;
        let at = strings::overlapping(&text, &needle)
            .filter(|at| window.contains(at))
            .nth(nth);
        Some(char_position(&text, at))
    })
}

fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let (text, delimiter, index) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    call.dynamics(|row| {
        let text = shown(text, row);
        let parts: Vec<Json> = match delimiter.text(row) {
            "" => vec![Json::Text(text.into_owned())],
            delimiter => text
                .split(delimiter)
                .map(|p| Json::Text(p.to_owned()))
                .collect(),
        };
        match index {
            None => Some(Json::Array(parts)),
            Some(index) => {
                let at = usize::try_from(index.long(row)?).ok();
                let part = at.and_then(|at| parts.into_iter().nth(at))?;
                Some(Json::Array(vec![part]))
            }
        }
    })
}

/// `tostring(split(text, delimiter)[at])` without the array.
pub(super) fn split_part(call: &Call<'_>, at: i64) -> Result<ArrayRef> {
    let (text, delimiter) = (call.arg(0)?, call.arg(1)?);
    let place = usize::try_from(at).ok();
    let from_end = at.checked_neg().and_then(|at| usize::try_from(at - 1).ok());
    call.texts(|row, out| {
        let text = shown(text, row);
        let delimiter = delimiter.text(row);
        let part = match (place, from_end) {
            (Some(0), _) | (_, Some(0)) if delimiter.is_empty() => Some(&*text),
            _ if delimiter.is_empty() => None,
            (Some(place), _) => text.split(delimiter).nth(place),
            // Parts are found from the front, where delimiters overlap.
            (None, Some(before)) => {
                let parts: Vec<&str> = text.split(delimiter).collect();
                let place = parts.len().checked_sub(before + 1);
                place.and_then(|place| parts.get(place).copied())
            }
            (None, None) => None,
        };
        out.push_str(part.unwrap_or_default());
    })
}

fn replace_strings(call: &Call<'_>) -> Result<ArrayRef> {
    let (text, needles, with) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    call.texts(|row, out| {
        let (needles, with) = (needles.json(row), with.json(row));
        let needles = needles
            .as_ref()
            .and_then(Json::as_array)
            .unwrap_or_default();
        let with = with.as_ref().and_then(Json::as_array).unwrap_or_default();
        let mut rest = text.text(row);
        // One pass: what was put in is not searched again; the first needle that fits counts.
        while let Some(c) = rest.chars().next() {
            if args::is_too_large(out) {
                return;
            }
            let found = needles
                .iter()
                .zip(with)
                .find_map(|(needle, with)| match needle {
                    Json::Text(needle) if !needle.is_empty() => rest
                        .strip_prefix(needle.as_str())
                        .map(|after| (needle, with, after)),
                    _ => None,
                });
            if let Some((needle, with, after)) = found {
                out.push_str(match with {
                    Json::Text(with) => with,
                    // Only strings replace.
                    _ => needle,
                });
                rest = after;
            } else {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    })
}

fn translate(call: &Call<'_>) -> Result<ArrayRef> {
    let (from, to, text) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    call.texts(|row, out| {
        let from: Vec<char> = from.text(row).chars().collect();
        let to: Vec<char> = to.text(row).chars().collect();
        for c in text.text(row).chars() {
            match from.iter().position(|f| *f == c) {
                None => out.push(c),
                // A shorter list of replacements repeats its last.
                Some(at) => out.extend(to.get(at).or(to.last())),
            }
        }
    })
}

fn has_any_index(call: &Call<'_>) -> Result<ArrayRef> {
    let (text, terms) = (call.arg(0)?, call.arg(1)?);
    call.longs(|row| {
        let text = shown(text, row);
        let terms = terms.json(row)?;
        let found = terms.as_array()?.iter().position(|term| {
            let mut needle = String::new();
            term.display(&mut needle);
            Needle::new(&needle, true).is_in(&text)
        });
        Some(found.map_or(-1, convert::long_of))
    })
}

/// The arguments of a Windows command line, as `CommandLineToArgvW` finds them.
fn command_line(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let (mut quoted, mut begun) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let mut slashes = 1;
                while chars.next_if_eq(&'\\').is_some() {
                    slashes += 1;
                }
                let before_quote = chars.peek() == Some(&'"');
                let kept = if before_quote { slashes / 2 } else { slashes };
                part.extend(std::iter::repeat_n('\\', kept));
                if before_quote && slashes % 2 == 1 {
                    chars.next();
                    part.push('"');
                }
                begun = true;
            }
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' | '\t' if !quoted => {
                if begun {
                    parts.push(std::mem::take(&mut part));
                    begun = false;
                }
            }
            other => {
                part.push(other);
                begun = true;
            }
        }
    }
    if begun {
        parts.push(part);
    }
    parts
}

/// The string operators between two strings.
pub(crate) fn operator(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (text, needle) = (call.arg(0)?, call.arg(1)?);
    let Some((test, negated)) = test_of(function) else {
        return exec_err!("`{}` is not an operator over strings", function.as_str());
    };
    if needle.is_constant() {
        let prepared = test.prepare(&shown(needle, 0));
        return call.bools(|row| Some(prepared.holds(&shown(text, row)) != negated));
    }
    call.bools(|row| Some(test.prepare(&shown(needle, row)).holds(&shown(text, row)) != negated))
}

/// What a string operator looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Test {
    Equal,
    Has(bool),
    HasPrefix(bool),
    HasSuffix(bool),
    Contains(bool),
    StartsWith(bool),
    EndsWith(bool),
}

/// The test of an operator (`true`: case matters), and whether the operator negates it.
fn test_of(function: F) -> Option<(Test, bool)> {
    Some(match function {
        F::EqualCi => (Test::Equal, false),
        F::NotEqualCi => (Test::Equal, true),
        F::Has => (Test::Has(false), false),
        F::NotHas => (Test::Has(false), true),
        F::HasCs => (Test::Has(true), false),
        F::NotHasCs => (Test::Has(true), true),
        F::HasPrefix => (Test::HasPrefix(false), false),
        F::NotHasPrefix => (Test::HasPrefix(false), true),
        F::HasPrefixCs => (Test::HasPrefix(true), false),
        F::NotHasPrefixCs => (Test::HasPrefix(true), true),
        F::HasSuffix => (Test::HasSuffix(false), false),
        F::NotHasSuffix => (Test::HasSuffix(false), true),
        F::HasSuffixCs => (Test::HasSuffix(true), false),
        F::NotHasSuffixCs => (Test::HasSuffix(true), true),
        F::Contains => (Test::Contains(false), false),
        F::NotContains => (Test::Contains(false), true),
        F::ContainsCs => (Test::Contains(true), false),
        F::NotContainsCs => (Test::Contains(true), true),
        F::StartsWith => (Test::StartsWith(false), false),
        F::NotStartsWith => (Test::StartsWith(false), true),
        F::StartsWithCs => (Test::StartsWith(true), false),
        F::NotStartsWithCs => (Test::StartsWith(true), true),
        F::EndsWith => (Test::EndsWith(false), false),
        F::NotEndsWith => (Test::EndsWith(false), true),
        F::EndsWithCs => (Test::EndsWith(true), false),
        F::NotEndsWithCs => (Test::EndsWith(true), true),
        _ => return None,
    })
}

/// A test with its needle.
enum Prepared {
    Has(Needle),
    /// Case matters.
    Cased(Test, String),
    /// The needle is folded; the second one is for ASCII.
    Folded(Test, String, Option<Folded>),
}

impl Test {
    fn prepare(self, needle: &str) -> Prepared {
        let cased = match self {
            Self::Has(cased) => return Prepared::Has(Needle::new(needle, !cased)),
            Self::Equal => false,
            Self::HasPrefix(cased)
            | Self::HasSuffix(cased)
            | Self::Contains(cased)
            | Self::StartsWith(cased)
            | Self::EndsWith(cased) => cased,
        };
        if cased {
            return Prepared::Cased(self, needle.to_owned());
        }
        let needle = fold(needle);
        let folded = Folded::new(&needle);
        Prepared::Folded(self, needle, folded)
    }
}

impl Prepared {
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Has(needle) => needle.is_in(text),
            Self::Cased(test, needle) => holds(*test, text, needle),
            Self::Folded(test, needle, Some(folded)) if text.is_ascii() => {
                holds_ascii(*test, text.as_bytes(), needle.as_bytes(), folded)
            }
            Self::Folded(test, needle, _) => holds(*test, &fold(text), needle),
        }
    }
}

fn holds(test: Test, text: &str, needle: &str) -> bool {
    match test {
        Test::Equal => text == needle,
        Test::Contains(_) => text.contains(needle),
        Test::StartsWith(_) => text.starts_with(needle),
        Test::EndsWith(_) => text.ends_with(needle),
        Test::HasPrefix(_) => {
            needle.is_empty()
                || strings::overlapping(text, needle).any(|at| {
                    let before = text.get(..at).and_then(|s| s.chars().next_back());
                    !before.is_some_and(is_term_char)
                })
        }
        Test::HasSuffix(_) => {
            needle.is_empty()
                || strings::overlapping(text, needle).any(|at| {
                    let after = text.get(at + needle.len()..).and_then(|s| s.chars().next());
                    !after.is_some_and(is_term_char)
                })
        }
        Test::Has(_) => Needle::new(needle, false).is_in(text),
    }
}

/// Without regard to ASCII case; the needle is in lower case.
fn holds_ascii(test: Test, text: &[u8], needle: &[u8], folded: &Folded) -> bool {
    let term = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_alphanumeric)
    };
    match test {
        Test::Equal => text.eq_ignore_ascii_case(needle),
        Test::StartsWith(_) => text
            .get(..needle.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(needle)),
        Test::EndsWith(_) => text
            .len()
            .checked_sub(needle.len())
            .and_then(|at| text.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(needle)),
        Test::Contains(_) | Test::HasPrefix(_) | Test::HasSuffix(_) | Test::Has(_) => {
            folded.positions(text).any(|at| match test {
                Test::HasPrefix(_) => !term(at.checked_sub(1)),
                Test::HasSuffix(_) => !term(Some(at + needle.len())),
                _ => true,
            })
        }
    }
}
