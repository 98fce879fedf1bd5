//! The transparency log, as far as it exists: what a leaf says.
//!
//! Everything that provisioning, policy, access and storage do leaves a [`Leaf`] in the outbox of
//! the same transaction. The tree, its checkpoints and the verifier that publish them come later;
//! the content is fixed from the first day, so that nothing that happened before is missing then.
//!
//! Promises
//! - A leaf names people and things only by opaque ids; its outbox row is sealed all the same.
//! - [`Leaf::to_bytes`] is canonical: the same leaf gives the same bytes.

mod leaf;

pub use leaf::{Happening, Leaf};

#[cfg(test)]
mod tests;
