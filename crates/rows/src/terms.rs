//! The one tokeniser of terms, shared by `has` and the later term index.
//!
//! A term is a maximal run of alphanumeric characters (Unicode); `_`, `-`, `.` and all other
//! characters separate (facts measured on the real engine). Matching folds case by Unicode simple
//! lower-casing. The version is part of whatever stores terms.

/// Version of the rules below.
pub const VERSION: u16 = 1;

/// Whether a character belongs to a term.
pub fn is_term_char(c: char) -> bool {
    c.is_alphanumeric()
}

/// The terms of `text`, in order.
pub fn terms(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_term_char(c)).filter(|t| !t.is_empty())
}

/// A needle prepared for `has`: a phrase that must stand between term borders.
///
/// The needle may itself contain separators: then it is a literal phrase with a border at both
/// ends. An empty needle matches everything.
#[derive(Debug, Clone)]
pub struct Needle {
    text: String,
    fold_case: bool,
}

impl Needle {
    /// For `has` (`fold_case`) or `has_cs`.
    pub fn new(needle: &str, fold_case: bool) -> Self {
        let text = if fold_case {
            fold(needle)
        } else {
            needle.to_owned()
        };
        Self { text, fold_case }
    }

    /// Whether `haystack` has the phrase between term borders.
    pub fn is_in(&self, haystack: &str) -> bool {
        if self.text.is_empty() {
            return true;
        }
        if !self.fold_case {
            return self.find(haystack);
        }
        if haystack.is_ascii() && self.text.is_ascii() {
            return self.find_ascii(haystack.as_bytes());
        }
        self.find(&fold(haystack))
    }

    fn find(&self, haystack: &str) -> bool {
        haystack
            .match_indices(self.text.as_str())
            .any(|(at, found)| {
                let before = haystack.get(..at).and_then(|s| s.chars().next_back());
                let after = haystack
                    .get(at + found.len()..)
                    .and_then(|s| s.chars().next());
                self.borders(before, after)
            })
            || self.find_overlapping(haystack)
    }

    /// `match_indices` skips overlapping matches; a second look is only needed when the needle can
    /// overlap itself, which needs its first character again inside it.
    fn find_overlapping(&self, haystack: &str) -> bool {
        let Some(first) = self.text.chars().next() else {
            return true;
        };
        if self.text.chars().skip(1).all(|c| c != first) {
            return false;
        }
        haystack
            .char_indices()
            .filter(|(_, c)| *c == first)
            .any(|(at, _)| {
                haystack
                    .get(at..)
                    .is_some_and(|rest| rest.starts_with(&self.text))
                    && {
                        let before = haystack.get(..at).and_then(|s| s.chars().next_back());
                        let after = haystack
                            .get(at + self.text.len()..)
                            .and_then(|s| s.chars().next());
                        self.borders(before, after)
                    }
            })
    }

    fn find_ascii(&self, haystack: &[u8]) -> bool {
        let needle = self.text.as_bytes();
        haystack
            .windows(needle.len())
            .enumerate()
            .any(|(at, window)| {
                window.eq_ignore_ascii_case(needle) && {
                    let before = at.checked_sub(1).and_then(|at| haystack.get(at));
                    let after = haystack.get(at + needle.len());
                    self.borders(
                        before.map(|b| char::from(*b)),
                        after.map(|b| char::from(*b)),
                    )
                }
            })
    }

    /// A border is needed only where the needle itself ends in a term character.
    fn borders(&self, before: Option<char>, after: Option<char>) -> bool {
        let open = |edge: Option<char>, beyond: Option<char>| {
            !edge.is_some_and(is_term_char) || !beyond.is_some_and(is_term_char)
        };
        open(self.text.chars().next(), before) && open(self.text.chars().next_back(), after)
    }
}

/// Case folding as used by every case-insensitive string operator.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}
