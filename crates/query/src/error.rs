//! Why a hunt failed.
//!
//! `Display` never quotes data: DataFusion's own texts may, so they are kept as sources and mapped to
//! a code.

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use model::{Code, Diagnostic};

/// Why a hunt gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The query does not say something that can run; each finding has its place.
    #[error("the query has {} errors", diagnostics.len())]
    Query {
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// The query ran longer than allowed.
    #[error("the query ran longer than {seconds} seconds")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// Reading and planning the query took longer than allowed.
    #[error("the query was not planned within {seconds} seconds")]
    Planning {
        /// The limit.
        seconds: u64,
    },
    /// The query needs more memory or temporary space than allowed.
    #[error(
        "the query needs more than {bytes} bytes of memory, or more temporary space than it may use"
    )]
    Resources {
        /// The limit.
        bytes: usize,
    },
    /// A `range` makes more values than allowed.
    #[error("`range` makes more than {max} values")]
    Range {
        /// The limit.
        max: usize,
    },
    /// A series has more bins than allowed.
    #[error("`make-series` makes {count} bins, and {max} are allowed")]
    Bins {
        /// How many it would have.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The query reads an address that nothing gives.
    #[error("`externaldata` reads an address that is not on the operator's list")]
    ExternalData,
    /// What the operator put down for an address cannot be used.
    #[error("`externaldata` cannot read what stands for `{address}`: {why}")]
    ExternalFailed {
        /// The address, as the query names it.
        address: String,
        /// In words.
        why: &'static str,
    },
    /// The caller cancelled the query.
    #[error("the query was cancelled")]
    Cancelled,
    /// A stored file did not read as the catalogue says.
    #[error("a segment could not be read")]
    Segment {
        /// What the reader said.
        #[source]
        source: DataFusionError,
    },
    /// The engine failed in a way that it should not.
    #[error("the query could not be executed")]
    Engine {
        /// What the engine said; may quote data.
        #[source]
        source: DataFusionError,
    },
    /// A part of the engine panicked; other queries go on.
    #[error("the query engine stopped unexpectedly")]
    Panicked,
}

impl Error {
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::Engine {
            source: DataFusionError::Internal(what.into()),
        }
    }

    /// The stable code of the answer.
    pub fn code(&self) -> Code {
        match self {
            Self::Query { .. } | Self::ExternalData => Code::BadQuery,
            Self::ExternalFailed { .. } => Code::FileFailed,
            Self::Timeout { .. } => Code::HuntTimeout,
            Self::Planning { .. } => Code::HuntPlanning,
            Self::Resources { .. } | Self::Range { .. } | Self::Bins { .. } => Code::HuntResources,
            Self::Cancelled => Code::HuntCancelled,
            Self::Segment { .. } => Code::SegmentDamaged,
            Self::Engine { .. } | Self::Panicked => Code::Internal,
        }
    }
}

/// How [`Error::Bins`] comes through the engine.
#[derive(Debug, thiserror::Error)]
#[error("a series of {count} bins")]
pub(crate) struct TooManyBins {
    pub(crate) count: usize,
    pub(crate) max: usize,
}

impl From<DataFusionError> for Error {
    fn from(source: DataFusionError) -> Self {
        let root = source.find_root();
        if let DataFusionError::External(inner) = root
            && let Some(bins) = inner.downcast_ref::<TooManyBins>()
        {
            let TooManyBins { count, max } = *bins;
            return Self::Bins { count, max };
        }
        match root {
            // The caller knows the limit and puts it in.
            DataFusionError::ResourcesExhausted(_) => Self::Resources { bytes: 0 },
            DataFusionError::ArrowError(arrow, _) if is_quota(arrow) => {
                Self::Resources { bytes: 0 }
            }
            DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => {
                Self::Segment { source }
            }
            _ => Self::Engine { source },
        }
    }
}

/// Whether a write failed for the quota of temporary files.
fn is_quota(error: &ArrowError) -> bool {
    match error {
        ArrowError::IoError(_, io) => io.kind() == std::io::ErrorKind::QuotaExceeded,
        _ => false,
    }
}

impl From<ArrowError> for Error {
    fn from(source: ArrowError) -> Self {
        DataFusionError::from(source).into()
    }
}
