//! The tests of this crate.

mod dynamics;
mod encode;
mod limits;
mod scan;
mod spec;
mod store;
mod support;
mod table;
