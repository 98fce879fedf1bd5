//! Why the store could not do what was asked.

use std::io;
use std::path::PathBuf;

use model::{Code, SegmentId, TenantId};

use crate::catalogue;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log failed.
    #[error("the log failed")]
    Log(#[source] wal::Error),
    /// The catalogue failed.
    #[error("the catalogue failed")]
    Catalogue(#[source] catalogue::Error),
    /// A key is missing or does not open what it should.
    #[error("a key failed")]
    Key(#[source] vault::Error),
    /// A file of the data directory could not be read or written.
    #[error("cannot read or write `{path}`")]
    Io {
        /// The file, relative to the data directory.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The placement is for another region or tenant than the rows.
    #[error("the placement is not for this region and tenant")]
    Misplaced,
    /// No such tenant in this region.
    #[error("no tenant {tenant} in this region")]
    NoTenant {
        /// The tenant.
        tenant: TenantId,
    },
    /// The tenant's part of the log is damaged; others are served.
    #[error("the log of tenant {tenant} is damaged at byte {offset}")]
    LogDamaged {
        /// The tenant.
        tenant: TenantId,
        /// Where in its log file.
        offset: u64,
    },
    /// The file is not, byte for byte, the one that the catalogue names.
    #[error("segment {segment} is damaged or not the one in the catalogue")]
    SegmentDamaged {
        /// The segment.
        segment: SegmentId,
    },
    /// Parquet could not write or read a segment whose digest is right.
    #[error("segment {segment} cannot be written or read")]
    Segment {
        /// The segment.
        segment: SegmentId,
        /// What Parquet said; may quote data, goes nowhere.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Arrow refused a batch.
    #[error("rows cannot be encoded or decoded")]
    Rows(#[source] rows::arrow::error::ArrowError),
    /// A batch in the log cannot be read.
    #[error("a batch in the log cannot be read")]
    Encoding(#[source] rows::encoding::Error),
    /// Something that was sealed by this program is not of its documented form.
    #[error("stored {what} is not of its documented form")]
    Form {
        /// What it is.
        what: &'static str,
    },
    /// A newer program wrote it.
    #[error("stored {what} has format {found}, newest supported is {supported}")]
    Format {
        /// What it is.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The newest version this program reads.
        supported: u16,
    },
    /// The tenant is in the catalogue, but its keys or something that they seal does not open.
    #[error("tenant {tenant} cannot be served: its keys or files do not open")]
    TenantRefused {
        /// The tenant.
        tenant: TenantId,
        /// Why, as a code; the log line of the start says more.
        code: Code,
    },
    /// A row of the tenant does not open: it was changed, or brought from elsewhere.
    #[error("row {number} of table `{table}` is damaged")]
    RowDamaged {
        /// The catalogue's table.
        table: &'static str,
        /// The row: its number or id.
        number: String,
    },
    /// Too much waits for a commit.
    #[error("too much waits for a commit")]
    Busy,
    /// Too many rows wait for detection.
    #[error("detection has not kept up")]
    DetectionBehind,
    /// More than the named limit.
    #[error("{what} is larger than its limit")]
    TooLarge {
        /// What it is.
        what: &'static str,
    },
    /// The grant does not cover the source or table.
    #[error("the grant does not cover this")]
    NotGranted,
    /// The store is shutting down, or its commit thread ended.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Log(error) => crate::witness::log_code(error),
            Self::Encoding(rows::encoding::Error::Format { .. }) | Self::Format { .. } => {
                Code::NewerFormat
            }
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Catalogue(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Code::DiskFull
            }
            Self::Io { .. } | Self::Rows(_) | Self::Misplaced => Code::Internal,
            Self::NoTenant { .. } => Code::NotFound,
            Self::LogDamaged { .. } | Self::Encoding(_) => Code::LogDamaged,
            Self::SegmentDamaged { .. } | Self::Segment { .. } => Code::SegmentDamaged,
            Self::Form { .. } => Code::CatalogueFailed,
            Self::TenantRefused { .. } | Self::RowDamaged { .. } => Code::TenantDamaged,
            Self::Busy => Code::Busy,
            Self::DetectionBehind => Code::DetectionBehind,
            Self::NotGranted => Code::Denied,
            Self::Closed => Code::ShuttingDown,
        }
    }
}

impl From<catalogue::Error> for Error {
    fn from(error: catalogue::Error) -> Self {
        Self::Catalogue(error)
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        Self::Key(error)
    }
}
