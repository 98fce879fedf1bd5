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
use crate::segment::Footers;

/// Folder of segments, one folder a tenant in it.
pub(crate) const SEGMENTS: &str = "segments";
/// Folder of key tables.
pub(crate) const KEY_TABLES: &str = "keytables";
/// End of the name of a file that is not whole yet.
pub(crate) const NEW: &str = ".new";

/// The folder of a tenant's segments.
pub(crate) fn segment_folder(tenant: TenantId) -> PathBuf {
    Path::new(SEGMENTS).join(tenant.to_string())
}

/// The path of a segment.
pub(crate) fn segment_path(tenant: TenantId, segment: SegmentId) -> PathBuf {
    segment_folder(tenant).join(format!("{segment}.parquet"))
}

/// The path of a key table.
pub(crate) fn key_table_path(tenant: TenantId, generation: u64) -> PathBuf {
    Path::new(KEY_TABLES).join(format!("{tenant}.{generation:016x}"))
}

/// Whose key table of which generation a file is, by its name.
pub(crate) fn key_table_of(name: &str) -> Option<(TenantId, u64)> {
    let (tenant, generation) = name.strip_suffix(NEW).unwrap_or(name).split_once('.')?;
    let generation = u64::from_str_radix(generation, 16).ok()?;
    Some((tenant.parse().ok()?, generation))
}

/// The files of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    disk: Arc<dyn Disk>,
    footers: Arc<Footers>,
}

impl Objects {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            footers: Arc::default(),
        }
    }

    pub(crate) fn footers(&self) -> &Footers {
        &self.footers
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
        name.push(NEW);
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
        if let Err(source) = self.disk.rename(&temporary, path) {
            let _ = self.disk.remove(&temporary);
            return Err(io(source));
        }
        if let Err(source) = self.disk.sync_dir(dir) {
            let _ = self.disk.remove(path);
            return Err(io(source));
        }
        Ok(())
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

    /// Removes files that nothing names, as far as that goes; what stays behind after a failure is
    /// removed as an orphan at the next start.
    pub(crate) fn discard(&self, paths: &[PathBuf]) {
        for path in paths {
            let _ = self.remove(path);
        }
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
