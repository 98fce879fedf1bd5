//! What goes wrong: the world ([`Error`]) and the bytes ([`Damage`]), never mixed.

use std::io;
use std::path::{Path, PathBuf};

use model::StreamId;

use crate::format::LogSegmentId;

/// Why an operation on the log failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused. Says nothing about the bytes: this is never damage.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried, as in the message.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// No room: nothing that waited for this commit was stored, and the log goes on when there is room.
    #[error("no room on the disk for `{path}`")]
    DiskFull {
        /// The segment file that was written or begun.
        path: PathBuf,
        /// The disk's answer.
        #[source]
        source: io::Error,
    },
    /// The file is intact, and of a format that this program does not read.
    #[error("log file `{path}` has format {found}, newest supported is {supported}")]
    Format {
        /// The segment file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version this program reads.
        supported: u16,
    },
    /// A write or sync failed before: nothing can be written until the log is recovered anew.
    #[error("log is closed after a failed write or sync")]
    Poisoned,
    /// A file of the log is gone, or shorter than what was written: somebody else changed the folder.
    /// Nothing of this commit may be acknowledged; the log is closed.
    #[error("log file `{path}` is gone, or is not the one that was written")]
    Gone {
        /// The segment file.
        path: PathBuf,
    },
    /// Another process has taken the log over: nothing is acknowledged here any more.
    #[error("another process has taken over this log")]
    Replaced,
    /// The commit was written, and who vouches for the log could not note it: none of it counts, and the
    /// log goes on in a new segment.
    #[error("the commit could not be confirmed")]
    Unconfirmed {
        /// What the witness said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Recovery met an error before the end of the log.
    #[error("log was not read to its end")]
    Unread,
    /// The payload is longer than the limit; its reservation is withdrawn, nothing else is touched.
    #[error("frame of {bytes} bytes is longer than the limit of {max}")]
    FrameTooLarge {
        /// Bytes of the payload.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The log knows as many streams as it may.
    #[error("log has its limit of {max} streams")]
    TooManyStreams {
        /// The limit.
        max: usize,
    },
    /// A reservation is outstanding: append or cancel it first.
    #[error("a reservation is outstanding")]
    Outstanding,
    /// The reservation is not the outstanding one of this log.
    #[error("the reservation is not of this log")]
    ForeignReservation,
    /// No segment of this log has this id.
    #[error("no log segment `{segment}`")]
    UnknownSegment {
        /// The id as asked for.
        segment: LogSegmentId,
    },
    /// Frames wait for a commit into the segment that is to be removed.
    #[error("log segment `{segment}` has frames that wait for a commit")]
    SegmentInUse {
        /// The segment being written.
        segment: LogSegmentId,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}

/// Bytes that are not what was written. The frames around it are good and are handed out.
///
/// A stream named here has lost frames; a caller stops it and serves the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A frame's header is good and its payload is not: this one frame is lost.
    Payload {
        /// Whose frame.
        stream: StreamId,
        /// Which of its frames.
        sequence: u64,
        /// In which file.
        segment: LogSegmentId,
        /// Where the frame begins.
        offset: u64,
    },
    /// Bytes in which no frame could be found. Whose they were, [`Damage::Gap`] or
    /// [`Damage::Unnamed`] says.
    Region {
        /// In which file.
        segment: LogSegmentId,
        /// Where it begins.
        offset: u64,
        /// How long it is, or should be if the file is cut short.
        bytes: u64,
    },
    /// The frames `from..=to` of a stream are lost.
    Gap {
        /// Whose frames.
        stream: StreamId,
        /// The first lost one.
        from: u64,
        /// The last lost one.
        to: u64,
    },
    /// A second frame of the same number, not handed out. Follows only where the newest header, which
    /// says where the segment before it ends, is itself damaged ([`Damage::Header`]): then the first one
    /// may be of a commit that failed on a full disk.
    Repeat {
        /// Whose frame.
        stream: StreamId,
        /// Its number.
        sequence: u64,
        /// In which file the second one is.
        segment: LogSegmentId,
        /// Where it begins.
        offset: u64,
    },
    /// Both copies of a segment's header, or of its table, are bad. Its frames are handed out. If it is
    /// the newest, nothing says where the segment before it ends.
    Header {
        /// Which file.
        segment: LogSegmentId,
    },
    /// A whole segment file is gone from the middle of the log.
    Missing {
        /// Which file.
        segment: LogSegmentId,
    },
    /// At least this many frames are lost and nothing says whose they were: any stream may be
    /// concerned.
    Unnamed {
        /// How many, at least.
        frames: u64,
    },
}
