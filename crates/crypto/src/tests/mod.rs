//! Primitives against their published vectors, and the shapes around them.

mod primitives;
mod wycheproof;
