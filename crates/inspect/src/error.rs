//! Why a search could not be made. What a search finds wrong is no error but a finding.

use std::io;
use std::path::PathBuf;

/// Why a search could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or the file system failed.
    #[error("cannot read or write `{path}`")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A marker that is too short, or like another, cannot be told from chance.
    #[error("marker {marker} cannot be searched: {why}")]
    BadMarker {
        /// Its number.
        marker: usize,
        /// Why, in fixed words.
        why: &'static str,
    },
    /// A folder without a catalogue is not a data directory.
    #[error("`{path}` has no catalogue of ours")]
    NoCatalogue {
        /// The folder.
        path: PathBuf,
    },
    /// The database could not be read.
    #[error("cannot read the catalogue `{path}`")]
    Catalogue {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A process changes the catalogue faster than it can be read.
    #[error("the catalogue `{path}` does not hold still")]
    Busy {
        /// Its path.
        path: PathBuf,
    },
    /// A positive control could not be made.
    #[error("cannot make the control: {what}")]
    Control {
        /// What is missing, in fixed words.
        what: &'static str,
    },
    /// The library could not write a control's file.
    #[error("cannot write a control's segment")]
    Parquet(#[source] parquet::errors::ParquetError),
    /// The control's rows could not be made.
    #[error("cannot make a control's rows")]
    Arrow(#[source] arrow::error::ArrowError),
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
