//! The query language: text → syntax → [`Resolved`], with diagnostics that help.
//!
//! Parsing never fails: it gives a lossless tree and what is wrong with it. Resolving binds names
//! and types against a [`SchemaSource`] and gives `None` only beside at least one error.
//!
//! Does no I/O, reads no clock (`now` is an argument) and executes nothing.

pub mod functions;
pub mod resolved;
mod schema;

pub use resolved::Resolved;
pub use schema::{SchemaSource, TableShape};
