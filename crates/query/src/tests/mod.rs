//! The tests of this crate.

mod conditions;
mod dynamics;
mod encode;
mod forms;
mod geo;
mod joins;
mod jsonscan;
mod limits;
mod lists;
mod lookups;
mod oracle;
mod plans;
mod profiles;
mod random;
mod scan;
mod settings;
mod spec;
mod store;
mod support;
mod table;
mod tops;
mod wide;
