//! Tests of the chores: every rule is shown to find something and to leave good code alone.

mod docs;
mod drift;
mod graph;
mod tidy;
