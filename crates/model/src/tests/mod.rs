//! Tests of the vocabulary.

mod schema;
mod words;
