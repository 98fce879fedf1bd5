//! Tests of the whole crate; one file per stage.

mod corpus;
