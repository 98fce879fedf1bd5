//! Where in a rule's text something stands: for problems whose message names it but not its place.
//!
//! The readers of YAML say lines and columns of what is no YAML; what is YAML and no rule is found again
//! by its key, or by the word that the message quotes. A place is a help: without one a problem is still
//! said.

use crate::rule::Problem;

/// A line and a column, both from 1; columns count characters.
pub(crate) type Place = (u32, u32);

/// Gives problems of a text their place, as far as it is found.
pub(crate) fn locate(problems: &mut [Problem], name: &str, text: &str) {
    for problem in problems.iter_mut() {
        if problem.source != name {
            continue;
        }
        if let Some((line, column)) = in_condition(text, &problem.message) {
            (problem.line, problem.column) = (Some(line), Some(column));
        }
        if problem.line.is_some() {
            continue;
        }
        let title = problem.rule.as_deref();
        let place = of_quoted(text, &problem.message)
            .or_else(|| of_tail(text, &problem.message))
            .or_else(|| title.and_then(|title| of_value(text, "title", title)));
        if let Some((line, column)) = place {
            (problem.line, problem.column) = (Some(line), Some(column));
        }
    }
}

/// The first line whose key this is.
pub(crate) fn of_key(text: &str, key: &str) -> Option<Place> {
    each_line(text, |line| {
        let start = key_start(line);
        let rest = line.get(start..)?;
        let quoted = rest.strip_prefix('"').unwrap_or(rest);
        let after = quoted.strip_prefix(key)?;
        let after = after.strip_prefix('"').unwrap_or(after);
        after.trim_start().starts_with(':').then_some(start)
    })
    .or_else(|| {
        let quoted = format!("\"{key}\"");
        each_line(text, |line| line.find(&quoted))
    })
}

/// The value of the first line with this key and value.
fn of_value(text: &str, key: &str, value: &str) -> Option<Place> {
    each_line(text, |line| {
        let start = key_start(line);
        let after = line.get(start..)?.strip_prefix(key)?.strip_prefix(':')?;
        let at = after.find(value)?;
        Some(start + key.len() + 1 + at)
    })
}

/// The condition reader counts within the condition.
fn in_condition(text: &str, message: &str) -> Option<Place> {
    let (_, rest) = message.split_once("Condition parse error at ")?;
    let (line, rest) = rest.split_once(':')?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (line, column): (u32, u32) = (line.parse().ok()?, digits.parse().ok()?);
    let (at, start) = of_key(text, "condition")?;
    if line != 1 {
        return Some((at, start));
    }
    let value = text
        .lines()
        .nth(usize::try_from(at).ok()?.checked_sub(1)?)?;
    let colon = value.find(':')? + 1;
    let blanks = value
        .get(colon..)?
        .chars()
        .take_while(|c| c.is_whitespace());
    let before = value.get(..colon)?.chars().count() + blanks.count();
    Some((at, u32::try_from(before).ok()?.saturating_add(column)))
}

/// What the message quotes, in the order of the quotes.
fn of_quoted(text: &str, message: &str) -> Option<Place> {
    let mut rest = message;
    while let Some(at) = rest.find(['\'', '`', '"']) {
        let (_, after) = rest.split_at(at);
        let mut chars = after.chars();
        let quote = chars.next()?;
        let inside = chars.as_str();
        let end = inside.find(quote)?;
        let (word, after) = inside.split_at(end);
        if let Some(place) = of_word(text, word) {
            return Some(place);
        }
        rest = after.strip_prefix(quote).unwrap_or_default();
    }
    None
}

/// The one word after the last colon of the message.
fn of_tail(text: &str, message: &str) -> Option<Place> {
    let (_, tail) = message.rsplit_once(": ")?;
    let is_word = !tail.contains(char::is_whitespace);
    is_word.then(|| of_word(text, tail)).flatten()
}

/// A word as a key or modifier, else anywhere.
pub(crate) fn of_word(text: &str, word: &str) -> Option<Place> {
    if word.trim().is_empty() {
        return None;
    }
    let as_modifier = |line: &str| {
        let colon = line.find(':')?;
        let key = line.get(..colon)?;
        let modifiers = key.match_indices('|');
        let mut starts = modifiers.map(|(at, _)| at + 1);
        starts.find(|at| {
            let rest = key.get(*at..).unwrap_or_default();
            rest.split('|').next().is_some_and(|m| m.trim() == word)
        })
    };
    let as_key = |line: &str| {
        let start = key_start(line);
        let after = line.get(start..)?.strip_prefix(word)?;
        after.starts_with([':', '|']).then_some(start)
    };
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let anywhere = |line: &str| {
        let mut found = line.match_indices(word).map(|(at, _)| at);
        found.find(|at| {
            let before = line.get(..*at).and_then(|s| s.chars().next_back());
            let after = line.get(at + word.len()..).and_then(|s| s.chars().next());
            !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
        })
    };
    each_line(text, as_modifier)
        .or_else(|| each_line(text, as_key))
        .or_else(|| each_line(text, anywhere))
}

/// Where the key of a line begins, past blanks and the marks of list items.
fn key_start(line: &str) -> usize {
    let mut start = 0;
    for c in line.chars() {
        if !c.is_whitespace() && c != '-' {
            break;
        }
        start += c.len_utf8();
    }
    start
}

/// The first line, without its comment, in which `find` finds a byte.
fn each_line(text: &str, find: impl Fn(&str) -> Option<usize>) -> Option<Place> {
    for (number, line) in (1_u32..).zip(text.lines()) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(at) = find(line) {
            let before = line.get(..at).unwrap_or_default().chars().count();
            return Some((number, u32::try_from(before).unwrap_or(0) + 1));
        }
    }
    None
}

/// Where in the text of a scheduled rule a place of its query stands: exact where the query is a block
/// (`query: |`) or stands in one line, else where the query begins.
pub(crate) fn of_query(text: &str, query: &str, offset: usize) -> Option<Place> {
    let (at, key_column) = of_key(text, "query")?;
    let lines: Vec<&str> = text.lines().collect();
    let index = usize::try_from(at).ok()?.checked_sub(1)?;
    let key_line = lines.get(index)?;
    let colon = key_line.find("query")?;
    let colon = colon + key_line.get(colon..)?.find(':')? + 1;
    let value = key_line.get(colon..)?;
    let before = query.get(..query.floor_char_boundary(offset))?;
    let row = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..)?.chars().count();
    let wanted = query.lines().nth(row).unwrap_or_default();
    let place = |line: usize, column: usize| {
        Some((
            u32::try_from(line + 1).ok()?,
            u32::try_from(column + 1).ok()?,
        ))
    };
    if value.trim_start().starts_with('|') {
        let line = lines.get(index + 1 + row).copied().unwrap_or_default();
        let indent = line.find(wanted).filter(|_| !wanted.is_empty());
        return match indent {
            Some(indent) => place(index + 1 + row, indent + column),
            None => Some((at, key_column)),
        };
    }
    match value.find(query.trim_end()) {
        Some(within) if row == 0 => {
            let before = key_line.get(..colon + within)?.chars().count();
            place(index, before + column)
        }
        _ => Some((at, key_column)),
    }
}
