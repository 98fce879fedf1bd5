//! Writing a segment anew: the way to make durable what an earlier process may have left in the cache.
//!
//! Promises
//! - After [`renew`] every byte that the file showed is on the disk under the same name. A sync alone
//!   does not do that: after a failed one Linux marks the pages clean, a process that starts again still
//!   reads them, and its own sync of the same file finds nothing to write.
//! - At every moment the name stands for the old file or the whole new one.
//!
//! Does not look at what it copies: damage stays, and so does a torn end.

use std::io;
use std::path::{Path, PathBuf};

use model::{Disk, Random};

use crate::error::Error;
use crate::format;

/// Bytes copied at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Writes the segment at `path` anew. After an error the old file is there, or the new one with a name
/// that a crash may take back; doing it again is safe.
pub(crate) fn renew(disk: &dyn Disk, path: &Path, random: &dyn Random) -> Result<(), Error> {
    // A name of its own: the half-written copy of a process that is being replaced must never be what
    // this one renames.
    let mut tag = [0; 8];
    random.fill(&mut tag);
    let mut name = path.as_os_str().to_owned();
    name.push(format::copy_suffix(tag));
    let copy = PathBuf::from(name);
    let written = write_copy(disk, path, &copy).and_then(|()| {
        let renamed = disk.rename(&copy, path);
        renamed.map_err(|source| Error::io("rename", &copy, source))
    });
    if let Err(error) = written {
        // Half a copy is of no use, above all on a full disk. If it stays, the next start removes it.
        let _ = disk.remove(&copy);
        return Err(error);
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let synced = disk.sync_dir(dir);
    synced.map_err(|source| Error::io("sync", dir, source))
}

fn write_copy(disk: &dyn Disk, path: &Path, copy: &Path) -> Result<(), Error> {
    let from = disk
        .open(path)
        .map_err(|source| Error::io("open", path, source))?;
    let len = from
        .len()
        .map_err(|source| Error::io("measure", path, source))?;
    let mut to = disk
        .create_new(copy)
        .map_err(|source| Error::io("create", copy, source))?;
    let mut piece = Vec::new();
    let mut at = 0;
    while at < len {
        let bytes = PIECE_BYTES.min(len - at);
        piece.resize(usize::try_from(bytes).unwrap_or(0), 0);
        from.read_exact_at(at, &mut piece)
            .map_err(|source| Error::io("read", path, source))?;
        to.append(&piece)
            .map_err(|source| Error::io("append to", copy, source))?;
        at += bytes;
    }
    // On a full disk a file system may say so only now; nothing rests on the copy yet.
    to.sync().map_err(|source| Error::io("sync", copy, source))
}

/// Removes the copies that a process left behind when it ended in the middle.
pub(crate) fn remove_copies(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let names = disk
        .list(dir)
        .map_err(|source| Error::io("list", dir, source))?;
    for name in names.iter().filter(|name| format::is_copy_name(name)) {
        let path = dir.join(name);
        match disk.remove(&path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|source| Error::io("remove", &path, source))?,
        }
    }
    Ok(())
}
