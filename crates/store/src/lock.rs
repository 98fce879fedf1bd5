//! The lock of a data directory: one process owns it.
//!
//! An exclusive lock of the operating system on the file `lock`. It ends with the process, however that
//! ends, so there is nothing to clean up; the file stays and is never deleted, since two processes that
//! delete and make it could each hold "the" lock.
//!
//! ```text
//! lock = "BWDLOCK\n" version:u16 "\nowned by process " pid:decimal "\n"
//! ```
//!
//! What the file says is for people. Only the lock counts: the text of an owner that is gone stays.
//!
//! Does not work on file systems without locks (some network ones); taking it fails there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use model::Code;

/// The file's first bytes.
const MAGIC: &[u8; 8] = b"BWDLOCK\n";
/// The version that this program writes.
const VERSION: u16 = 1;
/// The file's name in the directory.
pub(crate) const LOCK_FILE: &str = "lock";

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it; the file `lock` says which process.
    #[error("another process owns this directory")]
    Held,
    /// The lock file could not be made, locked or written.
    #[error("the lock file failed")]
    Io(#[source] io::Error),
}

impl LockError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Held => Code::DirectoryLocked,
            Self::Io(source) if source.kind() == io::ErrorKind::StorageFull => Code::DiskFull,
            Self::Io(source)
                if matches!(
                    source.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Code::FileFailed
            }
            Self::Io(_) => Code::Internal,
        }
    }
}

/// Ownership of a data directory, until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    /// Closing it releases the lock.
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of the directory at `root`, which must exist. Does not wait.
    pub fn take(root: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        // Not truncated on opening: the text belongs to whoever holds the lock.
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(root.join(LOCK_FILE)).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        write_owner(&mut file).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

fn write_owner(file: &mut File) -> io::Result<()> {
    let mut text = MAGIC.to_vec();
    text.extend_from_slice(&VERSION.to_le_bytes());
    text.extend_from_slice(format!("\nowned by process {}\n", std::process::id()).as_bytes());
    file.set_len(0)?;
    file.write_all(&text)
}
