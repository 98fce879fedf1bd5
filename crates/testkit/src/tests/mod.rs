//! Tests of the test kit.

mod disk;
mod small;
