//! The tests of this crate.

mod encode;
mod limits;
mod oracle;
mod scan;
mod spec;
mod store;
mod support;
mod table;
