//! The lock of the centre's directory: one process owns it.
//!
//! An exclusive lock of the operating system on the file `lock`; it ends with the process, however that
//! ends. The file stays: two processes that delete and make it could each hold "the" lock. Only the lock
//! counts, the file is empty.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::Error;

/// The file's name.
const LOCK_FILE: &str = "lock";

/// Ownership of the directory, until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Closing it releases the lock.
    _file: File,
}

impl Lock {
    /// Takes the lock of the directory, which must exist. Does not wait.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(directory.join(LOCK_FILE)).map_err(Error::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked),
            Err(TryLockError::Error(error)) => Err(Error::Io(error)),
        }
    }
}
