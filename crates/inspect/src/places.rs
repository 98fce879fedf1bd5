//! Where to look, and what can be wrong with what lies there.

use std::path::PathBuf;

use model::{GeographyCode, RegionCode};
use serde::Serialize;

/// The data directory of one region.
#[derive(Clone, Debug)]
pub struct DataDir {
    /// Where it is.
    pub path: PathBuf,
    /// The region whose it is.
    pub region: RegionCode,
    /// That region's geography.
    pub geography: GeographyCode,
}

/// Everything that is at rest.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Data directories of cells.
    pub data: Vec<DataDir>,
    /// The centre's directory, with its own code as region.
    pub centre: Option<DataDir>,
    /// No process works in these directories: what only a process may have is left over.
    pub idle: bool,
    /// Folders of temporary files outside them; nothing but sealed temporary files may lie there.
    pub temporary: Vec<PathBuf>,
    /// Files that are meant to be read by people (the services' log output): of any form, without
    /// markers.
    pub open: Vec<PathBuf>,
}

/// Something that must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Finding {
    /// Where.
    pub path: PathBuf,
    /// From which byte, if that can be said.
    pub offset: Option<u64>,
    /// What.
    pub what: What,
    /// More about it, in words that quote nothing.
    pub detail: String,
}

impl Finding {
    pub(crate) fn new(path: impl Into<PathBuf>, what: What, detail: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            offset: None,
            what,
            detail: detail.into(),
        }
    }

    pub(crate) fn at(self, offset: u64) -> Self {
        Self {
            offset: Some(offset),
            ..self
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// No format of ours.
    UnknownFile,
    /// A link, a device, a socket: nothing that can be searched.
    NotAFile,
    /// Of a known format by its first bytes, and not whole.
    Malformed,
    /// Bytes that should be sealed look clear.
    Clear,
    /// Sealed for another region or geography.
    WrongRegion,
    /// Keys beside what they open.
    KeyRing,
    /// A file or folder whose name is of no form that names have here.
    UnknownName,
    /// An extended attribute, in which anything may stand.
    Attribute,
    /// Of a process that has ended; the next start removes it.
    LeftOver,
    /// Bytes of a database that belong to no row, and are not empty.
    FreeSpace,
    /// A marker at the centre, sealed or not.
    AtCentre,
    /// A table or column of the catalogue that is on no list.
    UnknownColumn,
    /// A value of the catalogue that is not what its column may hold.
    BadValue,
    /// Does not open with the region's own keys.
    DoesNotOpen,
    /// Is not the file that the catalogue names, or the catalogue names none or no such file.
    NotInCatalogue,
}
