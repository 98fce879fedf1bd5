//! The core of the language, run the slow and obvious way: row by row, value by value.
//!
//! It is the readable definition beside the engine of `query`, and tests compare the two on random
//! queries and data. Every rule is written down once, as the manual (`spec/kql`) says it, with no
//! thought of speed: joins look at every pair, groups are found by looking through all of them.
//!
//! Covers filters, projections, summaries, sorts, joins, unions, windows, `mv-expand`, `parse`,
//! `make-series`, `scan`, and scalar functions of numbers, texts, time, arrays and bags.
//! What it does not cover, and what nothing determines, it refuses ([`Unsupported`]); it never guesses.
//!
//! Uses `kql` and `model` only, so that it shares no line with what it judges.

mod aggregates;
mod dynamics;
mod expand;
mod json;
mod patterns;
mod relations;
mod scalars;
mod sequences;
mod texts;
mod times;
mod values;

pub use relations::{Row, Rows, run};

#[cfg(test)]
mod tests;

/// Something outside of the core.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the oracle does not know `{what}`")]
pub struct Unsupported {
    /// Its name.
    pub what: String,
}

impl Unsupported {
    fn new(what: impl std::fmt::Debug) -> Self {
        Self {
            what: format!("{what:?}"),
        }
    }
}
