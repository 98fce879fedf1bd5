//! Tests by example, by generated scenes, and of quality.

mod analysts;
mod bytes;
mod caps;
mod growth;
mod joins;
mod kit;
mod overlay;
mod properties;
mod quality;
mod scenes;
mod stories;
