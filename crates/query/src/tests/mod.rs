//! The tests of this crate.

mod conformance;
mod support;
