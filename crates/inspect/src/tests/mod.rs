//! Tests of the walker, over directories that the real store has written.

mod catalogue;
mod controls;
mod disguises;
mod formats;
mod kit;
mod needles;
mod searches;
mod shape;
