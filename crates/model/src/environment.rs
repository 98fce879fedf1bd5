//! Time, randomness and disks as arguments.
//!
//! The program hands in the machine's own; tests hand in a clock that stands still and a disk that
//! forgets what was not synced (`testkit`). Nothing below the program reaches for the real ones.

use std::fmt;
use std::io;
use std::path::Path;

use crate::Ticks;

/// The current instant.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, in UTC. May stand still or jump; callers do not assume that it grows.
    fn now(&self) -> Ticks;
}

/// A cryptographically secure source of random bytes (seeded in tests).
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `buffer`. The machine's own source never fails: it ends the process instead.
    fn fill(&self, buffer: &mut [u8]);
}

/// The files of one directory tree, with durability spelled out.
///
/// Paths are relative to the tree's root. A file's bytes are durable after [`DiskFile::sync`];
/// its name is durable after [`Disk::sync_dir`] of its folder; so is a removal or a rename.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a folder and its parents. Durable after `sync_dir` of the parent.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes a new, empty file; `AlreadyExists` if there is one.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading at offsets and for `sync` (recovery makes durable what it found).
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The names in a folder, sorted; folders included.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The whole of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Appends at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended so far durable. After an error the state is unknown: do not retry.
    fn sync(&mut self) -> io::Result<()>;
    /// Fills `buffer` from `offset`; `UnexpectedEof` if the file ends first.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}
