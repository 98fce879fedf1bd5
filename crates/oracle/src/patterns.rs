//! Regular expressions, by trying everything in the order in which a search prefers it.
//!
//! Knows characters, `.`, `\d`, `\w`, `\s` and other escaped signs, classes, groups, `|`, `^`, `$`, and
//! `?`, `*`, `+` that take as much as they can. Whether `\w` is a letter beyond ASCII it does not know.

use crate::Unsupported;

#[derive(Clone, Debug)]
enum Part {
    /// A character of the class, or of none of it.
    Class(Vec<(char, char)>, bool),
    Start,
    End,
    /// The number of the group and its alternatives.
    Group(usize, Vec<Vec<Part>>),
    /// At least and at most so often.
    Times(Box<Part>, usize, usize),
}

/// A pattern that was read.
pub(crate) struct Pattern {
    alternatives: Vec<Vec<Part>>,
    groups: usize,
    /// Asks for `\w`.
    words: bool,
}

/// Where each group begins and ends, group 0 the whole.
pub(crate) type Found = Vec<Option<(usize, usize)>>;

impl Pattern {
    pub(crate) fn read(text: &str) -> Result<Self, Unsupported> {
        let mut reader = Reader {
            letters: text.chars().collect(),
            at: 0,
            groups: 0,
        };
        let alternatives = reader.alternatives();
        match alternatives {
            Some(alternatives) if reader.at == reader.letters.len() => Ok(Self {
                alternatives,
                groups: reader.groups,
                words: text.contains(r"\w"),
            }),
            _ => Err(Unsupported::new(("pattern", text))),
        }
    }

    /// The first match that begins there or later.
    pub(crate) fn find(&self, text: &[char], from: usize) -> Result<Option<Found>, Unsupported> {
        if self.words && text.iter().any(|c| !c.is_ascii()) {
            return Err(Unsupported::new("a pattern in a text beyond ASCII"));
        }
        for start in from..=text.len() {
            let mut found: Found = vec![None; self.groups + 1];
            for parts in &self.alternatives {
                let mut end = None;
                let mut done = |at: usize, groups: &Found| {
                    end = Some((at, groups.clone()));
                    true
                };
                if fits(parts, text, start, &mut found, &mut done)
                    && let Some((at, mut groups)) = end
                {
                    if let Some(whole) = groups.first_mut() {
                        *whole = Some((start, at));
                    }
                    return Ok(Some(groups));
                }
            }
        }
        Ok(None)
    }
}

type Then<'a> = &'a mut dyn FnMut(usize, &Found) -> bool;

/// Whether the parts fit from there on, and then what comes after them.
fn fits(parts: &[Part], text: &[char], at: usize, found: &mut Found, then: Then<'_>) -> bool {
    let Some((part, rest)) = parts.split_first() else {
        return then(at, found);
    };
    match part {
        Part::Start => at == 0 && fits(rest, text, at, found, then),
        Part::End => at == text.len() && fits(rest, text, at, found, then),
        Part::Class(class, negated) => {
            let is_in = |c: &char| class.iter().any(|(from, to)| (from..=to).contains(&c));
            let fit = text.get(at).is_some_and(|c| is_in(c) != *negated);
            fit && fits(rest, text, at + 1, found, then)
        }
        Part::Group(number, alternatives) => alternatives.iter().any(|parts| {
            let mut after = |end: usize, groups: &Found| {
                let mut groups = groups.clone();
                if let Some(group) = groups.get_mut(*number) {
                    *group = Some((at, end));
                }
                fits(rest, text, end, &mut groups, then)
            };
            fits(parts, text, at, &mut found.clone(), &mut after)
        }),
        Part::Times(part, least, most) => {
            let again = (*most > 0).then(|| {
                let left = most.saturating_sub(1);
                Part::Times(part.clone(), least.saturating_sub(1), left)
            });
            if let Some(again) = again {
                let longer = [&[Part::clone(part), again], rest].concat();
                // Once more must be more than nothing.
                let mut after = |end: usize, groups: &Found| end >= at && then(end, groups);
                if fits(&longer, text, at, &mut found.clone(), &mut after) {
                    return true;
                }
            }
            *least == 0 && fits(rest, text, at, found, then)
        }
    }
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    groups: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn alternatives(&mut self) -> Option<Vec<Vec<Part>>> {
        let mut all = Vec::new();
        loop {
            let mut parts = Vec::new();
            while self.peek().is_some_and(|c| c != '|' && c != ')') {
                let part = self.part()?;
                parts.push(self.times(part)?);
            }
            all.push(parts);
            if self.peek() != Some('|') {
                return Some(all);
            }
            self.at += 1;
        }
    }

    fn times(&mut self, part: Part) -> Option<Part> {
        let most = self.letters.len() + 1_000;
        let (least, most) = match self.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, most),
            Some('+') => (1, most),
            Some('{') => return None,
            _ => return Some(part),
        };
        self.at += 1;
        // Those that take as little as they can, and repeated groups, it does not know.
        if self.peek() == Some('?') || !matches!(part, Part::Class(..)) {
            return None;
        }
        Some(Part::Times(Box::new(part), least, most))
    }

    fn part(&mut self) -> Option<Part> {
        Some(match self.next()? {
            '^' => Part::Start,
            '$' => Part::End,
            '.' => Part::Class(vec![('\n', '\n')], true),
            '[' => self.class()?,
            '\\' => Part::Class(escaped(self.next()?)?, false),
            '(' => {
                if self.peek() == Some('?') {
                    return None;
                }
                self.groups += 1;
                let number = self.groups;
                let alternatives = self.alternatives()?;
                if self.next()? != ')' {
                    return None;
                }
                Part::Group(number, alternatives)
            }
            '*' | '+' | '?' | '{' => return None,
            c => Part::Class(vec![(c, c)], false),
        })
    }

    fn class(&mut self) -> Option<Part> {
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let mut class = Vec::new();
        loop {
            match self.next()? {
                ']' if !class.is_empty() => return Some(Part::Class(class, negated)),
                '\\' => class.extend(escaped(self.next()?)?),
                from if self.peek() == Some('-') => {
                    self.at += 1;
                    class.push((from, self.next()?));
                }
                c => class.push((c, c)),
            }
        }
    }
}

fn escaped(c: char) -> Option<Vec<(char, char)>> {
    Some(match c {
        'd' => vec![('0', '9')],
        'w' => vec![('0', '9'), ('a', 'z'), ('A', 'Z'), ('_', '_')],
        's' => vec![(' ', ' '), ('\t', '\t'), ('\n', '\n'), ('\r', '\r')],
        c if c.is_ascii_alphanumeric() => return None,
        c => vec![(c, c)],
    })
}
