//! Whole files that are written once: segments and key tables.
//!
//! A file is written under a temporary name, synced, renamed and its folder synced; only then is it
//! named anywhere. Names carry opaque ids only. This is the door for object stores: they put whole
//! objects create-only, too (docs/decisions).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, SegmentId, TenantId};

use crate::Error;

/// Folder of segments, one folder a tenant in it.
pub(crate) const SEGMENTS: &str = "segments";
/// Folder of key tables.
pub(crate) const KEY_TABLES: &str = "keytables";

/// The path of a segment.
pub(crate) fn segment_path(tenant: TenantId, segment: SegmentId) -> PathBuf {
    Path::new(SEGMENTS)
        .join(tenant.to_string())
        .join(format!("{segment}.parquet"))
}

/// The path of a key table.
pub(crate) fn key_table_path(tenant: TenantId, generation: u64) -> PathBuf {
    Path::new(KEY_TABLES).join(format!("{tenant}.{generation:016x}"))
}

/// The files of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    disk: Arc<dyn Disk>,
}

impl Objects {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Makes a folder durable.
    pub(crate) fn create_dir(&self, path: &Path) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        self.disk.create_dir_all(path).map_err(io)?;
        let mut at = Some(path);
        while let Some(dir) = at {
            self.disk.sync_dir(dir).map_err(io)?;
            at = dir.parent();
        }
        Ok(())
    }

    /// Writes a file that must not exist; durable on return.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let temporary = PathBuf::from(name);
        let _ = self.disk.remove(&temporary);
        let written = self.disk.create_new(&temporary).and_then(|mut file| {
            file.append(bytes)?;
            file.sync()
        });
        if let Err(source) = written {
            // What was begun is of no use; the failure is what matters.
            let _ = self.disk.remove(&temporary);
            return Err(io(source));
        }
        self.disk.rename(&temporary, path).map_err(io)?;
        self.disk.sync_dir(dir).map_err(io)
    }

    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        self.disk.read(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Removes a file that nothing names any more; one that is gone already is fine.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        match self.disk.remove(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(io)?,
        }
        self.disk
            .sync_dir(path.parent().unwrap_or(Path::new("")))
            .map_err(io)
    }

    /// Names in a folder; none if there is no folder.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        match self.disk.list(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|source| Error::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }
}
