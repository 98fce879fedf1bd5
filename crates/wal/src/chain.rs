//! Which files of the folder are the log, in which order, and where each of them ends.
//!
//! Every segment's header lists the segments before it with their ends, as they were when it was
//! begun. The list of the newest segment therefore is the log, even where older headers are damaged.
//! A file that it passes over was begun and never used, so nothing in it was ever acknowledged.

use std::path::{Path, PathBuf};

use model::Disk;

use crate::error::Error;
use crate::format::{self, End, Fixed, LogSegmentId};
use crate::reader::Reader;

/// A segment file in the folder.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) number: u64,
    pub(crate) id: LogSegmentId,
    pub(crate) len: u64,
    /// `None` if both copies are damaged or were never written whole.
    pub(crate) fixed: Option<Fixed>,
    /// The segments before this one; `None` if the header is damaged or was never written whole.
    ends: Option<Vec<End>>,
    /// A crash cut the file short while its header was being written.
    stub: bool,
}

impl File {
    /// Whether its header can be read and lists the segments before it.
    pub(crate) fn has_table(&self) -> bool {
        self.ends.is_some()
    }

    /// Somebody knows that frames were in it: what is left is not the beginning of a header.
    pub(crate) fn was_whole(&mut self) {
        self.stub = false;
    }
}

/// What is known of a segment's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A later segment says where: bytes beyond are void, bytes before must be good.
    Closed(End),
    /// The newest segment: what does not verify at its end is a torn tail.
    Open,
    /// Every later header is damaged.
    Unknown,
}

/// A segment of the log.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) file: File,
    pub(crate) ending: Ending,
    /// The segments that should stand between the one before and this one, and are gone.
    pub(crate) missing: Vec<End>,
}

/// The segment files of a folder, by number.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<File>, Error> {
    let names = disk
        .list(dir)
        .map_err(|source| Error::io("list", dir, source))?;
    let mut files = Vec::new();
    for name in names {
        let Some((number, id)) = format::parse_file_name(&name) else {
            continue;
        };
        let path = dir.join(&name);
        let mut reader = Reader::open(disk, &path, id)?;
        let fixed = reader.fixed()?.filter(|fixed| fixed.number == number);
        let table = match &fixed {
            Some(fixed) => reader.table(fixed)?,
            None => None,
        };
        files.push(File {
            path,
            number,
            id,
            len: reader.len(),
            fixed,
            ends: table.map(|table| table.ends),
            stub: reader.is_stub(fixed.as_ref())?,
        });
    }
    files.sort_by_key(|file| (file.number, file.id));
    Ok(files)
}

/// The log that `files` hold, oldest segment first. Segments with numbers below `oldest` may be gone.
pub(crate) fn link(disk: &dyn Disk, files: Vec<File>, oldest: u64) -> Result<Vec<Link>, Error> {
    // The newest header that can be read lists what is before it; what is after it has no header.
    let authority = files.iter().rposition(|file| file.ends.is_some());
    let ends = authority.and_then(|index| files.get(index)?.ends.clone());
    let ends = ends.unwrap_or_default();
    let mut chain: Vec<Link> = Vec::new();
    let mut missing = Vec::new();
    for end in ends {
        match files.iter().find(|file| file.id == end.id) {
            Some(file) => chain.push(Link {
                file: file.clone(),
                ending: Ending::Closed(end),
                missing: std::mem::take(&mut missing),
            }),
            // Removal takes the oldest first, so what has an older one before it was lost.
            None if chain.is_empty() && missing.is_empty() && end.number < oldest => {}
            None => missing.push(end),
        }
    }
    for (index, file) in files.into_iter().enumerate() {
        let later = Some(index) > authority && (!file.stub || has_frames(disk, &file)?);
        if later || Some(index) == authority {
            chain.push(Link {
                file,
                ending: Ending::Unknown,
                missing: std::mem::take(&mut missing),
            });
        }
    }
    if let Some(newest) = chain.last_mut() {
        newest.ending = Ending::Open;
    }
    Ok(chain)
}

pub(crate) fn has_frames(disk: &dyn Disk, file: &File) -> Result<bool, Error> {
    let mut reader = Reader::open(disk, &file.path, file.id)?;
    Ok(reader.scan(0, file.len, 0)?.is_some())
}
