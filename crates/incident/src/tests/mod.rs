//! Tests by example, by generated scenes, and of quality.

mod analysts;
mod bytes;
mod joins;
mod kit;
mod overlay;
mod quality;
mod scenes;
mod stories;
