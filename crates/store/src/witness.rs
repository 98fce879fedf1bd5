//! What vouches for the log: the file `log-mark` and the catalogue's writer epoch.
//!
//! Promises
//! - Before the first frame of a log segment is acknowledged, the mark durably says that the segment is
//!   there; before segments are removed, it says from which one on they are needed. So the newest and
//!   the oldest file cannot vanish unnoticed.
//! - No commit is acknowledged unless this process was still the catalogue's writer after the commit
//!   was synced. A process that takes over becomes the writer before it reads the log, so what was
//!   acknowledged is always read, whatever became of the lock file.
//!
//! The mark's bytes: `docs/formats/log.md`. It holds a number and a random id, nothing of any tenant.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Code, Disk};
use tokio::runtime::Handle;
use wal::{LogSegmentId, Standing, Unconfirmed, Vouch};

use crate::Error;
use crate::catalogue::{self, Catalogue};

/// Name of the mark in the data directory.
pub(crate) const MARK: &str = "log-mark";
/// Name of a mark that is not whole yet.
const NEW_MARK: &str = "log-mark.new";
const MAGIC: &[u8; 8] = b"BWLOGMRK";
const VERSION: u16 = 1;

/// What the file says; number 0: nothing was ever acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(Standing);

/// What is read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Mark(Mark),
    /// No file: a new data directory, one of an older program, or one that lost it.
    Nothing,
    /// A file that does not verify.
    Damaged,
}

impl Mark {
    /// Of a log in which nothing was acknowledged.
    const FRESH: Self = Self(Standing {
        number: 0,
        segment: LogSegmentId::from_bytes([0; 16]),
        oldest: 0,
        lost: 0,
    });

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.0.number.to_le_bytes());
        bytes.extend(self.0.segment.as_bytes());
        bytes.extend(self.0.oldest.to_le_bytes());
        bytes.extend(self.0.lost.to_le_bytes());
        bytes.extend(crypto::sha256(&bytes));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let parsed = (|| {
            let (fields, digest) = bytes.split_last_chunk::<32>()?;
            let rest = fields.strip_prefix(MAGIC)?;
            let (version, rest) = rest.split_first_chunk::<2>()?;
            let (number, rest) = rest.split_first_chunk::<8>()?;
            let (segment, rest) = rest.split_first_chunk::<16>()?;
            let (oldest, rest) = rest.split_first_chunk::<8>()?;
            let lost = rest.first_chunk::<8>()?;
            let whole = crypto::sha256(fields) == *digest;
            let mark = Self(Standing {
                number: u64::from_le_bytes(*number),
                segment: LogSegmentId::from_bytes(*segment),
                oldest: u64::from_le_bytes(*oldest),
                lost: u64::from_le_bytes(*lost),
            });
            whole.then_some((u16::from_le_bytes(*version), mark))
        })();
        match parsed {
            Some((VERSION, mark)) => Ok(Some(mark)),
            Some((found, _)) => Err(Error::Format {
                what: "log mark",
                found,
                supported: VERSION,
            }),
            None => Ok(None),
        }
    }
}

impl Found {
    /// Reads the mark of a data directory.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Error> {
        match disk.read(Path::new(MARK)) {
            Ok(bytes) => Ok(Mark::from_bytes(&bytes)?.map_or(Self::Damaged, Self::Mark)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(source) => Err(mark_error(source)),
        }
    }

    /// What it vouches for; `had_records`: some tenant's first record has arrived.
    pub(crate) fn vouch(self, had_records: bool) -> Vouch {
        match self {
            Self::Mark(Mark(Standing { number: 0, .. })) => Vouch::Nothing,
            Self::Mark(Mark(standing)) => Vouch::Standing(standing),
            Self::Nothing | Self::Damaged if had_records => Vouch::Frames,
            Self::Nothing | Self::Damaged => Vouch::Nothing,
        }
    }
}

/// Confirms commits of one opening of the store.
#[derive(Debug)]
pub(crate) struct LogWitness {
    disk: Arc<dyn Disk>,
    catalogue: Arc<dyn Catalogue>,
    /// The catalogue answers asynchronously, the log asks on its own thread.
    runtime: Handle,
    written: Mutex<Written>,
}

/// The last mark that was surely there.
#[derive(Debug)]
struct Written {
    mark: Option<Mark>,
    /// None was begun since.
    is_durable: bool,
}

impl LogWitness {
    /// Reads the mark and says what it vouches for. Needs a tokio runtime. In a directory that never
    /// had a record the mark is made, so that it cannot be missing from now on without a reason.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        catalogue: Arc<dyn Catalogue>,
        had_records: bool,
    ) -> Result<(Self, Vouch), Error> {
        let found = Found::read(&*disk)?;
        let witness = Self {
            disk,
            catalogue,
            runtime: Handle::current(),
            written: Mutex::new(Written {
                mark: match found {
                    Found::Mark(mark) => Some(mark),
                    Found::Nothing | Found::Damaged => None,
                },
                is_durable: true,
            }),
        };
        if found == Found::Nothing && !had_records {
            witness.note(Mark::FRESH)?;
        }
        Ok((witness, found.vouch(had_records)))
    }

    /// Writes the mark if it says something else by now.
    fn note(&self, mut mark: Mark) -> Result<(), Error> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Mark(former)) = written.mark {
            // The log forgets losses with the segments that they were in; what is lost next must not
            // look like something that was accepted.
            mark.0.lost = mark.0.lost.max(former.lost);
        }
        if written.mark == Some(mark) && written.is_durable {
            return Ok(());
        }
        // Until it is known to be durable, the next commit writes it again.
        written.is_durable = false;
        self.replace(&mark.to_bytes()).map_err(mark_error)?;
        *written = Written {
            mark: Some(mark),
            is_durable: true,
        };
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let new = Path::new(NEW_MARK);
        match self.disk.remove(new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = self.disk.create_new(new)?;
        file.append(bytes)?;
        file.sync()?;
        self.disk.rename(new, Path::new(MARK))?;
        self.disk.sync_dir(Path::new(""))
    }
}

impl wal::Witness for LogWitness {
    fn confirm(&self, standing: Standing) -> Result<(), Unconfirmed> {
        let failed = |error: Error| Unconfirmed::Failed(Box::new(error));
        match self.runtime.block_on(self.catalogue.check_writer()) {
            Ok(()) => {}
            Err(catalogue::Error::Fenced) => return Err(Unconfirmed::Replaced),
            Err(error) => return Err(failed(error.into())),
        }
        self.note(Mark(standing)).map_err(failed)
    }
}

fn mark_error(source: io::Error) -> Error {
    Error::Io {
        path: MARK.into(),
        source,
    }
}

/// The code of an error of the log.
pub(crate) fn log_code(error: &wal::Error) -> Code {
    match error {
        wal::Error::DiskFull { .. } => Code::DiskFull,
        wal::Error::Format { .. } => Code::NewerFormat,
        wal::Error::FrameTooLarge { .. } => Code::TooLarge,
        wal::Error::Replaced => Code::DirectoryLocked,
        wal::Error::Unconfirmed { source } => {
            let inner = source.downcast_ref::<Error>();
            inner.map_or(Code::Internal, Error::code)
        }
        _ => Code::LogPoisoned,
    }
}
