//! The only door to the centre: what a cell's rows become before anything of them may leave.
//!
//! ```text
//! rows ─► Gatherer ─► indicators wanted ─► (the cell asks model::IndicatorTokens)
//!                  └► finish(tokens) ─► Pseudonymised<egress::Batch> ─► pack ─► the wire
//! ```
//!
//! Promises
//! - A [`Pseudonymised`] value is made here and nowhere else, of columns on a verified
//!   [`residency::egress::AllowList`], in the forms that it names.
//! - No key comes in: tokens of indicators arrive as a map, other tokens are made with a
//!   [`crypto::Prf`] that somebody else holds.
//! - The same value gives the same token inside (tenant or linkage, purpose, class, epoch), and an
//!   unrelated one across any of them. A value has one canonical form, whoever wrote it.
//! - No I/O, no clock, no randomness.
//!
//! Does not send, and does not decide whether a tenant takes part; that is the cell's gate.

pub mod canonical;
mod domain;
mod facts;

pub use domain::{Group, Pseudonyms, SubjectClass, contributor};
pub use facts::{Dropped, Error, Gatherer, Own, Pseudonymised};

#[cfg(test)]
mod tests;
