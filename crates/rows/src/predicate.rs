//! What a reader will keep, said before it reads: a time range for pruning.
//!
//! A predicate only ever lets a reader skip rows that cannot matter; the query still filters.

use model::Ticks;

/// Rows that may matter to a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Predicate {
    /// Only rows whose own time is at or after this instant matter.
    pub time_from: Option<Ticks>,
    /// Only rows whose own time is at or before this instant matter.
    pub time_to: Option<Ticks>,
}

impl Predicate {
    /// Everything matters.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether rows with times in `from..=to` may matter.
    pub fn may_match(&self, from: Ticks, to: Ticks) -> bool {
        self.time_from.is_none_or(|wanted| to >= wanted)
            && self.time_to.is_none_or(|wanted| from <= wanted)
    }
}
