//! Which files of the folder are the log, in which order, and where each of them ends.
//!
//! Every segment's header names the segment before it and says where that one ended when this one was
//! begun. Walking back from the newest file gives the log. A file that is passed over was begun and
//! never used (its header could not be written whole), so nothing in it was ever acknowledged.

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
    /// The whole header fits into the file.
    complete: bool,
}

/// What is known of a segment's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The next segment says where: bytes beyond are void, bytes before must be good.
    Closed(End),
    /// The newest segment: what does not verify at its end is a torn tail.
    Open,
    /// The next segment's header is damaged, or that segment is gone.
    Unknown,
}

/// A segment of the log.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) file: File,
    pub(crate) ending: Ending,
    /// A segment that should stand before this one is gone.
    pub(crate) missing: Option<LogSegmentId>,
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
        files.push(File {
            path,
            number,
            id,
            len: reader.len(),
            fixed,
            complete: fixed.is_some_and(|fixed| fixed.header_len() <= reader.len()),
        });
    }
    files.sort_by_key(|file| (file.number, file.id));
    Ok(files)
}

/// The log that `files` hold, oldest segment first.
pub(crate) fn walk(disk: &dyn Disk, files: &[File]) -> Result<Vec<Link>, Error> {
    let mut chain = Vec::new();
    let mut next = newest_used(disk, files)?.map(|file| (file, Ending::Open));
    while let Some((file, ending)) = next {
        let mut link = Link {
            file: file.clone(),
            ending,
            missing: None,
        };
        next = match file.fixed.map(|fixed| fixed.previous) {
            Some(None) => None,
            Some(Some(end)) => match files.iter().find(|f| f.id == end.id) {
                Some(previous) if previous.number < file.number => {
                    Some((previous, Ending::Closed(end)))
                }
                _ => {
                    // Removal takes the oldest first, so an older file means that this one was lost.
                    let older = newest_used(disk, before(files, end.number))?;
                    link.missing = older.is_some().then_some(end.id);
                    older.map(|older| (older, Ending::Unknown))
                }
            },
            None => {
                newest_used(disk, before(files, file.number))?.map(|older| (older, Ending::Unknown))
            }
        };
        chain.push(link);
    }
    chain.reverse();
    Ok(chain)
}

/// The newest file that may hold something: its header is whole, or there are frames in it.
fn newest_used<'a>(disk: &dyn Disk, files: &'a [File]) -> Result<Option<&'a File>, Error> {
    for file in files.iter().rev() {
        if file.complete {
            return Ok(Some(file));
        }
        let mut reader = Reader::open(disk, &file.path, file.id)?;
        if reader.scan(0, file.len, 0)?.is_some() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn before(files: &[File], number: u64) -> &[File] {
    let end = files.partition_point(|file| file.number < number);
    files.get(..end).unwrap_or_default()
}
