//! The kernel of `parse` and `parse-kv`: one text becomes a struct of typed values, and whether the
//! text has the form.
//!
//! A pattern is one regular expression: its texts escaped (or as they are, `kind=regex`), a capture
//! of a number the form of a number, other captures anything. A simple pattern covers the whole text
//! and either all captures have a value or none.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, StringBuilder, StructArray};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use kql::resolved::{Pairs, PatternMode, TextForm, TextPart};
use model::ColumnType;
use regex::Regex;

use super::args::{Arg, Call, check_made};
use super::between::Between;
use super::convert;
use super::regexes::compile;
use crate::json::Json;

/// How a text is taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Extraction {
    form: TextForm,
    captures: Vec<ColumnType>,
    reader: Reader,
}

#[derive(Clone, Debug)]
enum Reader {
    Pattern {
        regex: Regex,
        strict: bool,
    },
    /// A pattern without numbers.
    Between(Between),
    Pairs {
        pairs: Pairs,
        regex: Option<Regex>,
    },
}

impl PartialEq for Extraction {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.captures == other.captures
    }
}

impl Eq for Extraction {}

impl Hash for Extraction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.form.hash(state);
        self.captures.hash(state);
    }
}

impl Extraction {
    /// `None` if an expression of it does not compile.
    pub(crate) fn new(form: &TextForm, captures: &[ColumnType]) -> Option<Self> {
        let reader = match form {
            TextForm::Pattern {
                parts,
                mode: PatternMode::Simple | PatternMode::Relaxed,
            } if captures.iter().all(|ty| *ty == ColumnType::String) => {
                Reader::Between(Between::new(parts))
            }
            TextForm::Pattern { parts, mode } => Reader::Pattern {
                regex: compile(&pattern(parts, mode, captures)).ok()?,
                strict: *mode != PatternMode::Relaxed,
            },
            TextForm::Pairs(pairs) => Reader::Pairs {
                regex: match &pairs.regex {
                    Some(text) => Some(compile(text).ok()?),
                    None => None,
                },
                pairs: pairs.clone(),
            },
        };
        Some(Self {
            form: form.clone(),
            captures: captures.to_vec(),
            reader,
        })
    }

    fn fields(&self) -> Fields {
        let types = self.captures.iter().copied().chain([ColumnType::Bool]);
        let fields = types.enumerate();
        fields
            .map(|(at, ty)| {
                Field::new(
                    format!("f{at}"),
                    crate::kernels::decimals::data_type(ty),
                    true,
                )
            })
            .collect::<Vec<_>>()
            .into()
    }

    pub(crate) fn data_type(&self) -> DataType {
        DataType::Struct(self.fields())
    }

    pub(crate) fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let text = call.arg(0)?;
        let width = self.captures.len();
        if let Reader::Between(pattern) = &self.reader {
            return self.between(pattern, text, call);
        }
        let mut columns: Vec<Vec<Option<Json>>> = vec![Vec::with_capacity(call.rows); width];
        let mut matched = Vec::with_capacity(call.rows);
        for row in 0..call.rows {
            call.guard.check()?;
            let found = self.read(text.text(row));
            matched.push(Some(found.is_some()));
            let values = found.unwrap_or_else(|| vec![None; width]);
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        let mut arrays = Vec::with_capacity(width + 1);
        for (ty, values) in self.captures.iter().zip(columns) {
            let call = Call {
                args: &[],
                rows: values.len(),
                result: *ty,
                guard: call.guard,
            };
            let mut values = values.into_iter();
            arrays.push(call.converted(|_| values.next().flatten())?);
        }
        arrays.push(Arc::new(BooleanArray::from(matched)) as ArrayRef);
        Ok(Arc::new(StructArray::try_new(self.fields(), arrays, None)?))
    }

    /// Text between texts.
    fn between(&self, pattern: &Between, text: &Arg, call: &Call<'_>) -> Result<ArrayRef> {
        let held = call.guard.hold();
        let mut columns: Vec<StringBuilder> = Vec::new();
        columns.resize_with(self.captures.len(), StringBuilder::new);
        let mut matched = Vec::with_capacity(call.rows);
        let mut found = Vec::with_capacity(columns.len());
        for row in 0..call.rows {
            call.guard.check()?;
            let has = pattern.read(text.text(row), &mut found);
            matched.push(has);
            let mut values = found.iter().filter(|_| has);
            for column in &mut columns {
                let value = values.next().copied().unwrap_or_default();
                check_made(value, column, &held)?;
                column.append_value(value);
            }
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 1);
        for mut column in columns {
            arrays.push(Arc::new(column.finish()));
        }
        arrays.push(Arc::new(BooleanArray::from(matched)));
        Ok(Arc::new(StructArray::try_new(self.fields(), arrays, None)?))
    }

    /// One value per capture; `None` if the text has not the form.
    fn read(&self, text: &str) -> Option<Vec<Option<Json>>> {
        match &self.reader {
            Reader::Between(pattern) => {
                let mut found = Vec::new();
                let has = pattern.read(text, &mut found);
                let values = found
                    .into_iter()
                    .map(|part| Some(Json::Text(part.to_owned())));
                has.then(|| values.collect())
            }
            Reader::Pattern { regex, strict } => {
                let found = regex.captures(text)?;
                let mut values = Vec::with_capacity(self.captures.len());
                for (at, ty) in self.captures.iter().enumerate() {
                    let part = found.name(&group(at)).map_or("", |m| m.as_str());
                    let value = typed(part, *ty);
                    if *strict && value.is_none() && *ty != ColumnType::String {
                        return None;
                    }
                    values.push(value);
                }
                Some(values)
            }
            Reader::Pairs { pairs, regex } => {
                let found = match regex {
                    Some(regex) => by_regex(text, regex),
                    None if pairs.pair_delimiter.is_empty() && pairs.kv_delimiter.is_empty() => {
                        words_after_keys(text, pairs)
                    }
                    None => split_pairs(text, pairs),
                };
                let value = |(key, ty): (&Arc<str>, &ColumnType)| {
                    let pair = found.iter().find(|(k, _)| *k == **key)?;
                    typed(&pair.1, *ty)
                };
                Some(pairs.keys.iter().zip(&self.captures).map(value).collect())
            }
        }
    }
}

fn group(at: usize) -> String {
    format!("kql{at}")
}

/// The value that a text says, as a dynamic that converts without loss.
fn typed(text: &str, ty: ColumnType) -> Option<Json> {
    match ty {
        ColumnType::Bool => convert::parse_bool(text).map(Json::Bool),
        ColumnType::Int => convert::parse_long(text)
            .filter(|n| i32::try_from(*n).is_ok())
            .map(Json::Long),
        ColumnType::Long => convert::parse_long(text).map(Json::Long),
        ColumnType::Real => convert::parse_real(text).map(Json::Real),
        ColumnType::DateTime => {
            super::time::parse_datetime(text).map(|_| Json::Text(text.to_owned()))
        }
        ColumnType::TimeSpan => {
            super::time::parse_timespan(text).map(|_| Json::Text(text.to_owned()))
        }
        ColumnType::Guid => convert::parse_guid(text).map(Json::Text),
        ColumnType::Dynamic => Json::of_text(text),
        ColumnType::String | ColumnType::Decimal => Some(Json::Text(text.to_owned())),
    }
}

/// The regular expression of a pattern.
pub(super) fn pattern(parts: &[TextPart], mode: &PatternMode, captures: &[ColumnType]) -> String {
    use std::fmt::Write as _;
    let is_regex = matches!(mode, PatternMode::Regex(_));
    let mut out = match mode {
        PatternMode::Regex(flags) if !flags.is_empty() => format!("(?{flags})"),
        PatternMode::Regex(_) => String::new(),
        PatternMode::Simple | PatternMode::Relaxed => "(?s)^".to_owned(),
    };
    let mut capture = 0;
    for (at, part) in parts.iter().enumerate() {
        match part {
            TextPart::Text(text) if is_regex => out.push_str(text),
            TextPart::Text(text) => out.push_str(&regex::escape(text)),
            TextPart::Skip if is_regex => out.push_str(".*"),
            TextPart::Skip => out.push_str(".*?"),
            TextPart::Capture => {
                let ty = captures.get(capture).copied().unwrap_or(ColumnType::String);
                let is_last = at + 1 == parts.len();
                let form = value_form(ty, mode, is_last);
                let _ = write!(out, "(?P<{}>{form})", group(capture));
                capture += 1;
            }
        }
    }
    if !is_regex {
        out.push('$');
    }
    out
}

/// What a capture may be.
fn value_form(ty: ColumnType, mode: &PatternMode, is_last: bool) -> &'static str {
    let is_regex = matches!(mode, PatternMode::Regex(_));
    let is_relaxed = *mode == PatternMode::Relaxed;
    match ty {
        ColumnType::Int | ColumnType::Long if is_relaxed => r"[-+]?[0-9]+|.*?",
        ColumnType::Int | ColumnType::Long => r"[-+]?[0-9]+",
        ColumnType::Real if is_relaxed => r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|.*?",
        ColumnType::Real => r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?(?i:nan|inf)",
        _ if is_regex || is_last => ".*",
        _ => ".*?",
    }
}

fn by_regex(text: &str, regex: &Regex) -> Vec<(String, String)> {
    regex
        .captures_iter(text)
        .filter_map(|found| {
            let key = found.get(1)?.as_str().to_owned();
            let value = found.get(2).map_or("", |m| m.as_str()).to_owned();
            Some((key, value))
        })
        .collect()
}

/// The pairs of a text: the first of a key counts.
fn split_pairs(text: &str, pairs: &Pairs) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some((key, after)) = key_of(rest, pairs) else {
            // No key here: go on after the next delimiter.
            match after_delimiter(rest, pairs) {
                Some(after) => {
                    rest = after;
                    continue;
                }
                None => break,
            }
        };
        let (value, after) = value_of(after, pairs);
        found.push((key.trim().to_owned(), value));
        rest = after;
    }
    found
}

/// Without delimiters anything that is no part of a word is one: the word, or the text in quotes,
/// that follows a wanted key is its value.
fn words_after_keys(text: &str, pairs: &Pairs) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    let mut before = None;
    // A key is looked at once, so that no text in quotes is gone through again and again.
    while found.len() < pairs.keys.len()
        && let Some(letter) = rest.chars().next()
    {
        let pair = (!before.is_some_and(is_word))
            .then(|| wanted_key(rest, pairs))
            .flatten();
        let next = rest.get(letter.len_utf8()..).unwrap_or_default();
        (rest, before) = match pair {
            Some((key, after)) if found.iter().all(|(known, _)| known != key) => {
                let value_starts = after_signs(after, pairs);
                // A key without a value may stand before another key.
                let is_key = wanted_key(value_starts, pairs)
                    .is_some_and(|(_, after)| after.starts_with([':', '=']));
                let (value, follows) = if is_key {
                    (String::new(), value_starts)
                } else {
                    quoted(value_starts, pairs).unwrap_or_else(|| word(value_starts))
                };
                found.push((key.to_owned(), value));
                (follows, None)
            }
            Some((_, after)) => (after, None),
            None => (next, Some(letter)),
        };
    }
    found
}

/// The word at the start, and what follows it.
fn word(text: &str) -> (String, &str) {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (word, follows) = text.split_at_checked(end).unwrap_or_default();
    (word.to_owned(), follows)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// A wanted key at the start, in quotes or as a whole word, and what follows it.
fn wanted_key<'k, 't>(text: &'t str, pairs: &'k Pairs) -> Option<(&'k str, &'t str)> {
    let mut letters = text.chars();
    let close = closing(pairs, letters.next()?);
    let inside = if close.is_some() {
        letters.as_str()
    } else {
        text
    };
    let keys = pairs.keys.iter().filter_map(|key| {
        let after = inside.strip_prefix(&**key)?;
        let after = match close {
            Some(close) => after.strip_prefix(close)?,
            None if after.starts_with(is_word) => return None,
            None => after,
        };
        Some((&**key, after))
    });
    keys.max_by_key(|(key, _)| key.len())
}

/// What stands between a key and its value left out: one sign of any kind, and then more of them but
/// those that end a pair whose value is empty.
fn after_signs<'t>(text: &'t str, pairs: &Pairs) -> &'t str {
    const ENDS: [char; 5] = [',', ';', '|', '&', '\n'];
    let text = text.trim_start();
    let is_sign = |c: char| !is_word(c) && closing(pairs, c).is_none();
    let text = text.strip_prefix(is_sign).unwrap_or(text);
    text.trim_start_matches(|c| is_sign(c) && !ENDS.contains(&c))
}

/// The closing quote for an opening one.
fn closing(pairs: &Pairs, open: char) -> Option<char> {
    let quote = pairs.quotes.iter().find(|(begin, _)| *begin == open);
    quote.map(|(_, end)| *end)
}

/// A text in quotes at the start, and what follows it.
fn quoted<'t>(text: &'t str, pairs: &Pairs) -> Option<(String, &'t str)> {
    let close = closing(pairs, text.chars().next()?)?;
    let mut out = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if pairs.escapes.contains(&letter) {
            if let Some((_, meant)) = letters.next() {
                out.push(meant);
            }
        } else if letter == close {
            return Some((out, text.get(at + letter.len_utf8()..).unwrap_or_default()));
        } else {
            out.push(letter);
        }
    }
    None
}

/// Whether a pair ends here, and how long the delimiter is.
fn delimiter(text: &str, pairs: &Pairs) -> Option<usize> {
    if !pairs.pair_delimiter.is_empty() {
        return text
            .starts_with(&*pairs.pair_delimiter)
            .then_some(pairs.pair_delimiter.len());
    }
    let letter = text.chars().next()?;
    let is_kv = after_kv(text, pairs).is_some();
    let is_quote = closing(pairs, letter).is_some();
    (!is_word(letter) && !is_kv && !is_quote).then_some(letter.len_utf8())
}

fn after_delimiter<'t>(text: &'t str, pairs: &Pairs) -> Option<&'t str> {
    text.char_indices().find_map(|(at, _)| {
        let here = text.get(at..)?;
        let length = delimiter(here, pairs)?;
        here.get(length..)
    })
}

/// What follows the delimiter of key and value that stands here; without one given, a colon or an
/// equals sign is one.
fn after_kv<'t>(text: &'t str, pairs: &Pairs) -> Option<&'t str> {
    if pairs.kv_delimiter.is_empty() {
        return text.strip_prefix([':', '=']);
    }
    text.strip_prefix(&*pairs.kv_delimiter)
}

/// A key at the start, and what follows its delimiter.
fn key_of<'t>(text: &'t str, pairs: &Pairs) -> Option<(String, &'t str)> {
    if let Some((key, after)) = quoted(without_blanks(text, pairs), pairs)
        && let Some(after) = after_kv(without_blanks(after, pairs), pairs)
    {
        return Some((key, after));
    }
    let (at, _) = text.char_indices().find(|(at, _)| {
        text.get(*at..)
            .is_some_and(|t| after_kv(t, pairs).is_some())
    })?;
    let (key, after) = (text.get(..at)?, after_kv(text.get(at..)?, pairs)?);
    // A pair that ends before has no value.
    let ends = key
        .char_indices()
        .any(|(at, _)| key.get(at..).is_some_and(|k| delimiter(k, pairs).is_some()));
    (!ends).then(|| (key.to_owned(), after))
}

/// The text without white space at its start, as far as that is no delimiter.
fn without_blanks<'t>(mut text: &'t str, pairs: &Pairs) -> &'t str {
    while let Some(letter) = text.chars().next()
        && letter.is_whitespace()
        && (pairs.pair_delimiter.is_empty() || delimiter(text, pairs).is_none())
        && after_kv(text, pairs).is_none()
    {
        text = text.get(letter.len_utf8()..).unwrap_or_default();
    }
    text
}

/// A value at the start, and what follows it. Unless in quotes it has no white space around it.
fn value_of<'t>(text: &'t str, pairs: &Pairs) -> (String, &'t str) {
    let text = without_blanks(text, pairs);
    if let Some((value, after)) = quoted(text, pairs) {
        return (value, after_delimiter(after, pairs).unwrap_or_default());
    }
    let mut last: Option<(usize, usize)> = None;
    for (at, _) in text.char_indices() {
        let Some(here) = text.get(at..) else { continue };
        let Some(length) = delimiter(here, pairs) else {
            continue;
        };
        let follows = here.get(length..).unwrap_or_default();
        // A greedy value goes on to the next key.
        if !pairs.greedy || key_of(follows, pairs).is_some_and(|(key, _)| is_wanted(&key, pairs)) {
            last = Some((at, length));
            break;
        }
    }
    match last {
        Some((at, length)) => (
            text.get(..at).unwrap_or_default().trim_end().to_owned(),
            text.get(at + length..).unwrap_or_default(),
        ),
        None => (text.trim_end().to_owned(), ""),
    }
}

fn is_wanted(key: &str, pairs: &Pairs) -> bool {
    let key = key.trim();
    pairs.keys.iter().any(|k| **k == *key) || !key.contains(char::is_whitespace)
}
