//! The centre: what many tenants learn together, without a name.
//!
//! ```text
//! parcel ─► receipt of a known cell? every column on the list? ─► Received ─► counts of owner groups
//!                                                        daily ─► k-gate ─► signed snapshot ─► cells
//! ```
//!
//! A process role of its own, with its own directory, key ring and listener. It holds no key of a cell,
//! no linkage secret and no clear value, so it can count tokens and cannot make one.
//!
//! Promises
//! - Nothing is kept of a parcel that the pinned key of its region did not sign, or that has a column
//!   which the operator's signed allow-list lacks.
//! - A batch counts once, however often it comes.
//! - Who counts is the owner group: fifty tenants of one provider are one.
//! - Below ten owner groups an indicator is not in a snapshot at all, and a figure moves only when at
//!   least three joined since it last moved ([`publish`]).
//! - What an epoch left is sealed under a key of that epoch, which is destroyed with it ([`expire`]).
//!
//! Does not link epochs, and does not answer questions about an indicator: every cell gets the same
//! snapshot, so nobody learns what a cell looked for.
//!
//! [`publish`]: Centre::publish
//! [`expire`]: Centre::expire

mod database;
mod error;
mod lock;
mod open;
mod publish;
mod receive;
mod retain;

pub use error::Error;
pub use open::{Centre, EpochStatus, Options, Status};
pub use publish::Published;
pub use receive::{Ack, Held, Received};
pub use retain::Expired;

#[cfg(test)]
mod tests;
