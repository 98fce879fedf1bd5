//! Tests by example, by generated scenes, and of quality.

mod analysts;
mod bytes;
mod joins;
mod kit;
mod stories;
