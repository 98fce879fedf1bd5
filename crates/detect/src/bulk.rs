//! How much work a rule's text makes, told before the work is done.
//!
//! The YAML reader takes quadratic time to give up on a text that nests very deeply, and a regular
//! expression of a few bytes may compile to megabytes: both are measured first, and refused.

use model::limits;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaRule, SigmaValue};

use crate::place::Place;

/// Bytes of a compiled wildcard, and of a letter.
const WILDCARD_BYTES: usize = 512;
const LETTER_BYTES: usize = 16;
/// A pattern is compiled forwards and backwards, and once more together with others.
const TIMES_COMPILED: usize = 3;

/// Where a text nests deeper than [`limits::RULE_DEPTH_MAX`]. Counts what opens where a value may begin, so
/// that brackets in plain text do not count.
pub(crate) fn too_deep(text: &str) -> Option<Place> {
    let (mut depth, mut quote) = (0_usize, None);
    for (number, line) in (1_u32..).zip(text.lines()) {
        let (mut may_open, mut items, mut escaped) = (true, 0_usize, false);
        for (column, c) in (1_u32..).zip(line.chars()) {
            if let Some(end) = quote {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if end == '"' => escaped = true,
                    c if c == end => quote = None,
                    _ => {}
                }
                may_open = false;
                continue;
            }
            match c {
                ' ' | '\t' => continue,
                '#' if may_open => break,
                '"' | '\'' if may_open => quote = Some(c),
                '[' | '{' if may_open => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                '-' | '?' if may_open => items += 1,
                _ => {}
            }
            if depth + items > limits::RULE_DEPTH_MAX {
                return Some((number, column));
            }
            may_open = matches!(c, '[' | '{' | ',' | ':' | '-' | '?') && (c != '-' || may_open);
        }
    }
    None
}

/// About how many bytes a rule's patterns are once compiled; nothing if more than `most`.
pub(crate) fn pattern_bytes(rule: &SigmaRule, most: usize) -> Option<usize> {
    let mut names: Vec<&String> = rule.detection.named.keys().collect();
    names.sort();
    let mut left = most;
    for name in names {
        spend(rule.detection.named.get(name)?, &mut left)?;
    }
    Some(most - left)
}

fn spend(detection: &Detection, left: &mut usize) -> Option<()> {
    match detection {
        Detection::AllOf(items) => items.iter().try_for_each(|item| spend_item(item, left)),
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().try_for_each(|part| spend(part, left))
        }
        Detection::Keywords(values) => values.iter().try_for_each(|v| take(plain(v), left)),
        Detection::ArrayMatch { body, .. } => spend(body, left),
        Detection::Conditional { named, .. } => {
            let mut names: Vec<&String> = named.keys().collect();
            names.sort();
            let mut parts = names.into_iter().filter_map(|name| named.get(name));
            parts.try_for_each(|part| spend(part, left))
        }
    }
}

fn spend_item(item: &DetectionItem, left: &mut usize) -> Option<()> {
    let is_pattern = item.field.has_modifier(Modifier::Re);
    item.values.iter().try_for_each(|value| match value {
        SigmaValue::String(text) if is_pattern => {
            let bytes = compiled(&text.original, *left)?;
            take(bytes, left)
        }
        value => take(plain(value), left),
    })
}

fn take(bytes: usize, left: &mut usize) -> Option<()> {
    *left = left.checked_sub(bytes)?;
    Some(())
}

fn plain(value: &SigmaValue) -> usize {
    let SigmaValue::String(text) = value else {
        return 0;
    };
    let wildcards = text.original.matches(['*', '?']).count();
    text.original.len() * LETTER_BYTES + wildcards * WILDCARD_BYTES
}

/// Bytes of one pattern; nothing if more than `most`. One that is no pattern costs nothing: its problem is
/// said elsewhere.
fn compiled(pattern: &str, most: usize) -> Option<usize> {
    let Ok(tree) = syntax::parse(pattern) else {
        return Some(0);
    };
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(most / TIMES_COMPILED));
    let built = thompson::Compiler::new()
        .configure(config)
        .build_from_hir(&tree);
    built.ok().map(|nfa| nfa.memory_usage() * TIMES_COMPILED)
}
