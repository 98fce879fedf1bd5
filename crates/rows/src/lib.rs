//! Arrow batches of hunting tables.
//!
//! How each Kusto type lies in memory ([`types`]), the hidden columns of every row ([`hidden`]),
//! builders for decoders ([`TableBuilder`]), a batch as bytes ([`encoding`]), bringing batches to
//! one schema ([`conform`]), the one term tokeniser ([`terms`]) and [`Predicate`].
//!
//! Arrow is re-exported from here, so that every crate sees one version of it.
//! No I/O, no clock, no randomness.

pub use arrow;

mod builder;
mod conform;
pub mod encoding;
pub mod hidden;
mod predicate;
pub mod terms;
pub mod types;

pub use arrow::record_batch::RecordBatch;
pub use builder::{Identities, TableBuilder, TableRows};
pub use conform::conform;
pub use predicate::Predicate;

#[cfg(test)]
mod tests;
