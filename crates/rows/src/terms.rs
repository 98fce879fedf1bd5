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
    /// For text that is ASCII throughout, if the needle is, too, and case does not matter.
    folded: Option<Folded>,
}

impl Needle {
    /// For `has` (`fold_case`) or `has_cs`.
    pub fn new(needle: &str, fold_case: bool) -> Self {
        let text = if fold_case {
            fold(needle)
        } else {
            needle.to_owned()
        };
        let folded = Folded::new(&text).filter(|_| fold_case);
        Self {
            text,
            fold_case,
            folded,
        }
    }

    /// Whether `haystack` has the phrase between term borders.
    pub fn is_in(&self, haystack: &str) -> bool {
        if self.text.is_empty() {
            return true;
        }
        if !self.fold_case {
            return self.find(haystack);
        }
        if let Some(folded) = &self.folded
            && haystack.is_ascii()
        {
            return self.find_ascii(folded, haystack.as_bytes());
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

    fn find_ascii(&self, folded: &Folded, haystack: &[u8]) -> bool {
        folded.positions(haystack).any(|at| {
            let before = at.checked_sub(1).and_then(|at| haystack.get(at));
            let after = haystack.get(at + self.text.len());
            self.borders(
                before.map(|b| char::from(*b)),
                after.map(|b| char::from(*b)),
            )
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

/// Bytes of command lines, paths and addresses, from the most frequent on, about; a wrong guess costs
/// time only.
const FREQUENT: &[u8] = b" e\\-itosra.ncdl/p:m_su\"hfgwbxvyk0123456789q=jz";

/// A needle to be found without regard to ASCII case.
///
/// The byte of it that is rarest in such texts is looked for, many bytes at a time; only where that
/// stands the rest is compared.
#[derive(Debug, Clone)]
pub struct Folded {
    /// In lower case.
    needle: Box<[u8]>,
    /// Place of its rarest byte, and that byte in both cases.
    rare: usize,
    cases: (u8, u8),
}

impl Folded {
    /// Nothing if the needle is not ASCII.
    pub fn new(needle: &str) -> Option<Self> {
        if !needle.is_ascii() {
            return None;
        }
        let needle = needle.to_ascii_lowercase().into_bytes();
        let rank = |byte: u8| FREQUENT.iter().position(|b| *b == byte);
        let rarest = needle
            .iter()
            .copied()
            .enumerate()
            .max_by_key(|(_, byte)| rank(*byte).unwrap_or(FREQUENT.len()));
        let (rare, byte) = rarest.unwrap_or_default();
        Some(Self {
            needle: needle.into(),
            rare,
            cases: (byte, byte.to_ascii_uppercase()),
        })
    }

    /// Every byte position at which the needle begins, overlapping ones included; an empty needle
    /// begins everywhere.
    pub fn positions<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = usize> + 't {
        let empty = self.needle.is_empty();
        let everywhere = 0..if empty { text.len() + 1 } else { 0 };
        let begins = text.get(self.rare..).filter(|_| !empty);
        let hits = memchr::memchr2_iter(self.cases.0, self.cases.1, begins.unwrap_or_default());
        let found = hits.filter(|at| {
            text.get(*at..*at + self.needle.len())
                .is_some_and(|window| window.eq_ignore_ascii_case(&self.needle))
        });
        everywhere.chain(found)
    }
}

/// Case folding as used by every case-insensitive string operator.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}
