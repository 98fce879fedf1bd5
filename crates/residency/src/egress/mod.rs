//! What may leave a geography for the centre, and what comes back.
//!
//! An [`AllowList`], signed by the operator, says which column of which table may leave, in which form,
//! for which purpose, and which computation reads it. A [`Batch`] is facts of one segment in those forms
//! and no other; a [`Receipt`], signed by the cell, says what left; the two travel as one [`parcel`], for
//! which the centre signs an [`Acknowledgement`].
//! The centre answers every cell alike, with a signed [`Snapshot`] (`docs/formats/egress.md`).
//!
//! Promises
//! - A column that is not on the list does not leave: [`Batch::new`] refuses it where it is made and
//!   [`Batch::decode`] where it is received, by the same function over the same document.
//! - A list that contradicts itself, the schema or the rules at [`AllowList`] is not accepted.
//! - A batch has one form: the same facts give the same bytes.
//!
//! Does not make tokens (`pseudonym` and `vault` do) and cannot tell a token from other 128 bits.

mod allow_list;
mod batch;
mod bytes;
pub mod parcel;
mod snapshot;

pub use allow_list::{AllowList, Computation, Entry, Transform};
pub use batch::{Batch, Fact, Header, NotTaken, Shape, Value};
pub use parcel::{Acknowledgement, Receipt};
pub use snapshot::{Figure, Prevalence, PrevalenceBucket, Section, Snapshot};
