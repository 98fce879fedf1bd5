//! The query language: text → [`Syntax`] → [`Resolved`], with diagnostics that help.
//!
//! [`parse`] never fails: it gives a lossless tree and what is wrong with it. [`resolve`] binds names
//! and types against a [`SchemaSource`] and gives `None` only beside at least one error.
//!
//! Does no I/O, reads no clock (`now` is an argument) and executes nothing.

pub mod codes;
mod complete;
pub mod explain;
mod format;
pub mod functions;
mod lexer;
mod not_yet;
pub mod operators;
mod parser;
mod patterns;
mod resolve;
pub mod resolved;
mod schema;
mod signatures;
mod split;
mod suggest;
pub mod syntax;

pub use complete::{Completion, CompletionKind, Completions, complete};
pub use format::{format, formatted};
pub use parser::parse;
pub use patterns::pattern;
pub use resolve::{PLUGINS, resolve, resolve_with};
pub use resolved::Resolved;
pub use schema::{SchemaSource, TableShape};
pub use split::queries;
pub use syntax::Syntax;

#[cfg(test)]
mod tests;
