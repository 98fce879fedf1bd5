//! Functions over regular expressions. The language's syntax is the `regex` crate's.
//!
//! A pattern is compiled once per query ([`Patterns`]). One that does not compile matches nothing
//! (constants were checked before).
//!
//! LIMIT: `matches regex` looks at the query's switch inside a long text; the functions that need to
//! know what was captured look between values only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use regex::{Regex, RegexBuilder};
use regex_automata::Input;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson;

use super::args::{Arg, Call, Guard};
use super::text::{char_position, shown, window};
use super::{convert, strings};
use crate::json::Json;

/// Compiled patterns kept; beyond, the cache begins anew.
const PATTERNS_MAX: usize = 256;
/// Bytes of a text from which on a search looks at the query's switch on its way.
const LONG_TEXT_BYTES: usize = 64 << 10;
/// Bytes between two looks. A step that makes a state costs as much as the pattern is long.
const STEPS_BETWEEN_LOOKS: usize = 64;
/// Bytes of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// The compiled patterns of one query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns(Arc<Mutex<HashMap<String, Option<Arc<Regex>>>>>);

/// Compiles a pattern within [`PATTERN_BYTES_MAX`].
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&kql::pattern(pattern))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
}

impl Patterns {
    pub(crate) fn get(&self, pattern: &str) -> Option<Arc<Regex>> {
        let Ok(mut known) = self.0.lock() else {
            return compile(pattern).ok().map(Arc::new);
        };
        if let Some(found) = known.get(pattern) {
            return found.clone();
        }
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        let compiled = compile(pattern).ok().map(Arc::new);
        known.insert(pattern.to_owned(), compiled.clone());
        compiled
    }
}

/// The pattern argument of a call: taken once if it is constant.
enum Pattern<'a> {
    /// `None`: it does not compile.
    Constant(Option<Arc<Regex>>),
    ByRow(&'a Arg, &'a Patterns),
}

impl<'a> Pattern<'a> {
    fn new(arg: &'a Arg, patterns: &'a Patterns) -> Self {
        if arg.is_constant() {
            Self::Constant(patterns.get(arg.text(0)))
        } else {
            Self::ByRow(arg, patterns)
        }
    }

    fn at(&self, row: usize) -> Option<Arc<Regex>> {
        match self {
            Self::Constant(regex) => regex.clone(),
            Self::ByRow(arg, patterns) => patterns.get(arg.text(row)),
        }
    }
}

pub(crate) fn run(function: F, call: &Call<'_>, patterns: &Patterns) -> Result<ArrayRef> {
    let pattern = |at: usize| {
        Ok::<_, datafusion::common::DataFusionError>(Pattern::new(call.arg(at)?, patterns))
    };
    match function {
        F::MatchesRegex => {
            let (text, pattern) = (call.arg(0)?, pattern(1)?);
            call.bools(|row| {
                let regex = pattern.at(row);
                Some(regex.is_some_and(|r| is_match(&r, &shown(text, row), call.guard)))
            })
        }
        F::Extract => extract(call, &pattern(0)?),
        F::ExtractAll => extract_all(call, &pattern(0)?),
        F::ReplaceRegex => replace(call, call.arg(0)?, &pattern(1)?, call.arg(2)?),
        F::Replace => replace(call, call.arg(2)?, &pattern(0)?, call.arg(1)?),
        F::Trim | F::TrimStart | F::TrimEnd => trim(function, call, &pattern(0)?),
        F::Countof => countof(call, patterns),
        F::IndexofRegex => indexof_regex(call, &pattern(1)?),
        F::RegexQuote => {
            let text = call.arg(0)?;
            call.texts(|row, out| out.push_str(&regex::escape(&shown(text, row))))
        }
        other => exec_err!("`{}` is not a function over patterns", other.as_str()),
    }
}

/// Whether the pattern matches. In a long text the search goes step by step and ends with the query.
fn is_match(regex: &Regex, text: &str, guard: &Guard) -> bool {
    if text.len() < LONG_TEXT_BYTES {
        return regex.is_match(text);
    }
    stepped(regex.as_str(), text, guard).unwrap_or_else(|| regex.is_match(text))
}

/// The same by an automaton whose states are made as they are met, so that the cost of a step has a
/// bound. `None` where such an automaton does not know: a word's end beside other than ASCII.
pub(crate) fn stepped(pattern: &str, text: &str, guard: &Guard) -> Option<bool> {
    let config = DFA::config()
        .unicode_word_boundary(true)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(None);
    let nfa = thompson::Config::new().nfa_size_limit(Some(PATTERN_BYTES_MAX));
    let dfa = DFA::builder()
        .configure(config)
        .thompson(nfa)
        .build(pattern)
        .ok()?;
    let mut cache = dfa.create_cache();
    let mut state = dfa
        .start_state_forward(&mut cache, &Input::new(text))
        .ok()?;
    for part in text.as_bytes().chunks(STEPS_BETWEEN_LOOKS) {
        if guard.is_cancelled() {
            // Nobody waits for the answer.
            return Some(false);
        }
        for byte in part {
            state = dfa.next_state(&mut cache, state, *byte).ok()?;
            if state.is_tagged() {
                if state.is_match() {
                    return Some(true);
                }
                if state.is_dead() {
                    return Some(false);
                }
                if state.is_quit() {
                    return None;
                }
            }
        }
    }
    let end = dfa.next_eoi_state(&mut cache, state).ok()?;
    Some(end.is_match())
}

fn extract(call: &Call<'_>, pattern: &Pattern<'_>) -> Result<ArrayRef> {
    let (group, text) = (call.arg(1)?, call.arg(2)?);
    call.converted(|row| {
        let group = usize::try_from(group.long(row)?).ok()?;
        let regex = pattern.at(row)?;
        let found = regex
            .captures(text.text(row))?
            .get(group)?
            .as_str()
            .to_owned();
        Some(Json::Text(found))
    })
}

fn extract_all(call: &Call<'_>, pattern: &Pattern<'_>) -> Result<ArrayRef> {
    let (groups, text) = match call.args {
        [_, text] => (None, text),
        [_, groups, text] => (Some(groups), text),
        _ => return exec_err!("extract_all takes two or three arguments"),
    };
    call.dynamics(|row| {
        let regex = pattern.at(row)?;
        let wanted: Vec<Json> = match groups {
            Some(groups) => groups.json(row)?.as_array()?.to_vec(),
            None if regex.captures_len() == 1 => vec![Json::Long(0)],
            None => (1..regex.captures_len())
                .map(|n| Json::Long(convert::long_of(n)))
                .collect(),
        };
        let mut all = Vec::new();
        for captures in regex.captures_iter(text.text(row)) {
            let group = |wanted: &Json| {
                let found = match wanted {
                    Json::Text(name) => captures.name(name),
                    other => usize::try_from(convert::json_to_long(other)?)
                        .ok()
                        .and_then(|n| captures.get(n)),
                };
                Some(found.map_or("", |m| m.as_str()).to_owned())
            };
            let mut parts: Vec<Json> = wanted
                .iter()
                .map(|w| Json::Text(group(w).unwrap_or_default()))
                .collect();
            all.push(match parts.len() {
                1 => parts.pop()?,
                _ => Json::Array(parts),
            });
        }
        (!all.is_empty()).then_some(Json::Array(all))
    })
}

/// Kusto writes a group as `\1`.
fn rewrite_replacement(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => {
                if let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    out.push_str("${");
                    out.push(digit);
                    out.push('}');
                } else {
                    chars.next_if_eq(&'\\');
                    out.push('\\');
                }
            }
            other => out.push(other),
        }
    }
    out
}

fn replace(call: &Call<'_>, text: &Arg, pattern: &Pattern<'_>, with: &Arg) -> Result<ArrayRef> {
    call.texts(|row, out| {
        let text = text.text(row);
        match pattern.at(row) {
            Some(regex) => {
                let with = rewrite_replacement(with.text(row));
                let mut rest = 0;
                for found in regex.captures_iter(text) {
                    let Some(whole) = found.get(0) else { continue };
                    out.push_str(text.get(rest..whole.start()).unwrap_or_default());
                    found.expand(&with, out);
                    rest = whole.end();
                    if super::args::is_too_large(out) {
                        return;
                    }
                }
                out.push_str(text.get(rest..).unwrap_or_default());
            }
            None => out.push_str(text),
        }
    })
}

fn trim(function: F, call: &Call<'_>, pattern: &Pattern<'_>) -> Result<ArrayRef> {
    let text = call.arg(1)?;
    call.texts(|row, out| {
        let mut rest = text.text(row);
        if let Some(regex) = pattern.at(row) {
            if function != F::TrimEnd
                && let Some(found) = regex.find(rest).filter(|m| m.start() == 0)
            {
                rest = rest.get(found.end()..).unwrap_or_default();
            }
            if function != F::TrimStart {
                let last = regex
                    .find_iter(rest)
                    .filter(|m| m.end() == rest.len())
                    .last();
                if let Some(found) = last {
                    rest = rest.get(..found.start()).unwrap_or_default();
                }
            }
        }
        out.push_str(rest);
    })
}

fn countof(call: &Call<'_>, patterns: &Patterns) -> Result<ArrayRef> {
    let (text, search, kind) = (call.arg(0)?, call.arg(1)?, call.optional(2));
    let search_pattern = Pattern::new(search, patterns);
    call.longs(|row| {
        let by_regex = kind.is_some_and(|kind| kind.text(row).eq_ignore_ascii_case("regex"));
        Some(convert::long_of(if by_regex {
            search_pattern.at(row)?.find_iter(text.text(row)).count()
        } else if search.text(row).is_empty() {
            0
        } else {
            strings::overlapping(text.text(row), search.text(row)).count()
        }))
    })
}

fn indexof_regex(call: &Call<'_>, pattern: &Pattern<'_>) -> Result<ArrayRef> {
    let text = call.arg(0)?;
    call.longs(|row| {
        let text = shown(text, row);
        let occurrence = call.optional(4).map_or(Some(1), |arg| arg.long(row))?;
        let nth = usize::try_from(occurrence.checked_sub(1)?).ok()?;
        let regex = pattern.at(row)?;
        // Unlike `indexof`, it does not count from the end.
        if call.optional(2).is_some_and(|arg| arg.long(row) < Some(0)) {
            return None;
        }
        let window = window(call, &text, row, 2)?;
        let mut places = regex.find_iter(&text).map(|m| m.start());
        Some(char_position(
            &text,
            places.by_ref().filter(|at| window.contains(at)).nth(nth),
        ))
    })
}
