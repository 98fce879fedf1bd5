//! The real program on loopback: what it prints, how it ends, and what survives a kill.
//!
//! The one integration test binary of the workspace. Real clocks and real files are allowed here.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers: they drive the real program and fail loudly"
)]

mod beside;
mod deployment;
mod detecting;
mod ingesting;
mod journey;
mod kill;
mod pages;
mod processes;
mod profiles;
mod queries;
mod screen;
mod support;
