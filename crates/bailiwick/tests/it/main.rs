//! The real program on loopback: what it prints, how it ends, and what survives a kill.
//!
//! The one integration test binary of the workspace. Real clocks and real files are allowed here.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests drive the real program with real files"
)]

mod journey;
mod kill;
mod pages;
mod support;
