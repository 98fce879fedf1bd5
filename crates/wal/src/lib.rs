//! The write-ahead log of a cell: segment files of frames of opaque bytes.
//!
//! One log serves all streams (a stream is a tenant's; the log does not know which). The store seals
//! a payload, appends it, and commits: one append and one sync for everything that waited. After a
//! restart [`Recovery`] hands the frames back, one at a time.
//!
//! Promises
//! - A frame is durable when the [`Log::commit`] after its [`Log::append`] has returned `Ok`. It is
//!   then recovered exactly once, with its bytes, until [`Log::remove_through`] takes its segment.
//! - A frame whose commit failed, or was cut short by a crash, may be recovered or not; if it is, it
//!   is whole, and it has been made durable before it is handed out; on a full disk before the log
//!   commits again ([`Log::secure`]), and until then nothing may rest on it.
//! - No pair of segment id and frame number is ever given twice, so a nonce made of them is safe.
//!   Sequence numbers of a stream have no hole and never start over, even when all its frames are gone.
//! - Damage is reported with its place and, where that can be known, its stream; a torn tail is not
//!   damage; an I/O error is never called damage. What is handed out passed its checksum.
//! - A file that the caller vouches for ([`Vouch`]) and that is gone, or emptied, is damage, too: also
//!   the newest and the oldest. A file that vanishes while the log is open closes it at the next commit.
//! - A failed write or sync closes the log for good. A full disk does not: the segment is given up at
//!   its last commit and the next one begins when there is room.
//!
//! Knows no event and no key. Does no I/O but through [`model::Disk`]. One writer: the caller holds the
//! lock of the directory.
//!
//! Bytes: `docs/formats/log.md`. Limits: [`model::limits::LOG_SEGMENT_BYTES_MAX`],
//! [`model::limits::LOG_FRAME_BYTES_MAX`], [`model::limits::LOG_STREAMS_MAX`].

mod chain;
mod error;
mod format;
mod log;
mod reader;
mod recovery;
mod renew;
mod vouch;

pub use error::{Damage, Error};
pub use format::LogSegmentId;
pub use log::{FrameRef, Log, Options, Reservation, SegmentInfo};
pub use recovery::{Recovered, Recovery};
pub use vouch::{Standing, Unconfirmed, Vouch, Witness};

#[cfg(test)]
mod tests;
