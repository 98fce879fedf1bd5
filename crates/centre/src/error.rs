//! Why the centre refused or failed.

use std::io;

use model::{Code, Epoch};
use residency::egress::NotTaken;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cell of this region is known here.
    #[error("no cell of this region is known to the centre")]
    UnknownCell,
    /// The parcel is not one that the centre takes.
    #[error("the parcel was not taken")]
    NotTaken(#[from] NotTaken),
    /// The same cell sent another batch under this id.
    #[error("another batch of this id was received before")]
    OtherBatch,
    /// The epoch's key was destroyed, or the epoch has not begun.
    #[error("epoch {epoch} is not open")]
    EpochClosed {
        /// The batch's epoch.
        epoch: Epoch,
    },
    /// A named limit of the centre is reached.
    #[error("the centre has no room for more {what}")]
    Full {
        /// Of what.
        what: &'static str,
    },
    /// The allow-list is not accepted.
    #[error("the allow-list is not accepted")]
    AllowList(#[source] residency::Error),
    /// An acknowledgement could not be made.
    #[error("the acknowledgement was not signed")]
    NotSigned(#[source] residency::Error),
    /// The directory belongs to another process.
    #[error("another process owns this directory")]
    Locked,
    /// The directory belongs to another centre.
    #[error("the directory is of another centre")]
    OtherCentre,
    /// A newer program wrote it.
    #[error("the database has format {found}, newest supported is {supported}")]
    Format {
        /// Its format.
        found: i64,
        /// The newest that this program reads.
        supported: i64,
    },
    /// What is stored contradicts itself.
    #[error("the database is damaged at `{what}`")]
    Damaged {
        /// Where.
        what: &'static str,
    },
    /// The directory could not be used.
    #[error("the directory failed")]
    Io(#[source] io::Error),
    /// The database could not be read or written.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The key ring failed.
    #[error("the key ring failed")]
    Vault(#[from] vault::Error),
    /// The centre was closed.
    #[error("the centre is closed")]
    Closed,
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownCell => Code::Denied,
            Self::NotTaken(source) => source.code(),
            Self::OtherBatch => Code::AlreadyReceived,
            Self::EpochClosed { .. } => Code::Conflict,
            Self::Full { .. } => Code::Busy,
            Self::AllowList(source) | Self::NotSigned(source) => source.code(),
            Self::Locked => Code::DirectoryLocked,
            Self::OtherCentre => Code::WrongKey,
            Self::Format { .. } => Code::NewerFormat,
            Self::Io(source) if source.kind() == io::ErrorKind::StorageFull => Code::DiskFull,
            Self::Io(_) => Code::Internal,
            Self::Damaged { .. } | Self::Database(_) => Code::CatalogueFailed,
            Self::Vault(source) => source.code(),
            Self::Closed => Code::ShuttingDown,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
