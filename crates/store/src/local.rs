//! A real directory as a [`Disk`].
//!
//! Promises
//! - Files are made with mode 0600 and folders with 0700, less what the process's umask takes.
//! - After `sync` a file's bytes, and after `sync_dir` a folder's names, survive power loss as far as
//!   the file system and the device keep their word: both end in `fsync`.
//! - A path that is absolute or has a `..` is refused with `InvalidInput`; nothing outside the root is
//!   named. Error kinds come through as the system gives them (`StorageFull`, `AlreadyExists` …).
//!
//! Does not resolve symbolic links that somebody put inside the root: whoever can write there is the
//! owner of the data. Does not lock (see [`DirectoryLock`](crate::lock::DirectoryLock)). Unix only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use model::{Disk, DiskFile};

/// The files below one directory.
#[derive(Debug, Clone)]
pub struct LocalDir {
    root: PathBuf,
}

impl LocalDir {
    /// The directory at `root`, which must exist.
    pub fn open(root: &Path) -> io::Result<Self> {
        // Absolute from here on: the process may change its working directory.
        let root = root.canonicalize()?;
        if root.is_dir() {
            Ok(Self { root })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Where the directory is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute path of `path`, which must stay inside.
    fn inside(&self, path: &Path) -> io::Result<PathBuf> {
        let mut full = self.root.clone();
        for component in path.components() {
            match component {
                Component::Normal(name) => full.push(name),
                Component::CurDir => {}
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(full)
    }
}

impl Disk for LocalDir {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.inside(path)?)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(self.inside(path)?)?;
        Ok(Box::new(LocalFile {
            file,
            writable: true,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = File::open(self.inside(path)?)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(LocalFile {
            file,
            writable: false,
        }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.inside(path)?)? {
            // A name that is not UTF-8 is not one of ours; leaving it out would hide it.
            let name = entry?
                .file_name()
                .into_string()
                .map_err(|_| io::ErrorKind::InvalidData)?;
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.inside(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.inside(from)?, self.inside(to)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let folder = File::open(self.inside(path)?)?;
        if !folder.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        folder.sync_all()
    }
}

/// An open file of a [`LocalDir`].
#[derive(Debug)]
pub(crate) struct LocalFile {
    pub(crate) file: File,
    /// Made by `create_new`: what `open` gives can be read and synced only.
    pub(crate) writable: bool,
}

impl DiskFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
