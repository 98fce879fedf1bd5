//! What tests are given in place of the machine.
//!
//! A clock that stands still, randomness from a seed, a disk that forgets what was not synced, golden
//! files, a database of places, and the one honest way to skip a test.
//!
//! Promises
//! - Nothing here reads the machine's clock or its randomness, so a failure repeats with its seed.
//! - Uses only [`model`], so that no crate under test meets two copies of itself.
//!
//! This is the one library that may read the environment; the shipped program does not contain it.

mod clock;
mod data;
mod disk;
mod golden;
mod matches;
mod places;
mod random;

pub use clock::FakeClock;
pub use data::{shared_data, skip};
pub use disk::SimDisk;
pub use golden::{golden, is_updating};
pub use places::{PlaceValue, places};
pub use random::{SeededRandom, seed};

#[cfg(test)]
mod tests;
