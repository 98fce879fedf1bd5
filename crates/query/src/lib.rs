//! Hunting: a query's text becomes a plan over snapshots, runs within limits, and gives rows.
//!
//! [`prepare`] reads and checks the text; [`Engine::run`] lowers it to a DataFusion plan over
//! [`TableRows`] and collects a [`HuntResult`]. This is the only crate that
//! names DataFusion.
//!
//! Promises
//! - The language's semantics are Kusto's: nulls, case, wrapping, ticks (`spec/kql`).
//! - No plaintext is written: temporary files only through the factory that the caller gives.
//! - Limits, cancellation and panics concern one query only.

mod aggregates;
mod coded;
mod copies;
mod engine;
mod error;
mod external;
mod found;
mod json;
mod jsonscan;
mod kernels;
mod lower;
mod nodes;
pub mod over_store;
mod planner;
mod portions;
mod prepare;
mod profiles;
mod result;
mod scan;
mod sides;
mod sketch;
mod spill;
mod tops;
mod watch;
mod whole;
mod widen;

pub use engine::{Engine, Limits, Settings};
pub use error::Error;
pub use external::{External, Unread};
pub use kernels::args::{Cell, Guard as Cancel};
pub use prepare::{Prepared, prepare};
pub use profiles::{FileAnswer, Profiles};
pub use result::{AlsoResult, HuntResult, Notice, ResultBatch, Stats};
pub use scan::{OpenError, Segment, TableRows};

#[cfg(test)]
mod tests;
