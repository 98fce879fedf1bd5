//! A mark outside the data directory: this region has a catalogue.
//!
//! An empty directory looks like a new region. If it is one whose volume is not mounted, or that lost
//! its catalogue, everybody's tokens would be unknown and nothing would say why. So the program sets
//! this mark beside the region's key ring when the catalogue was opened first, and does not make a
//! catalogue where there should be one.
//!
//! ```text
//! mark = "BWREGION" version:u16, a file with the key ring's name and ".catalogue"
//! ```
//!
//! Does not tell one catalogue from another, or a newer from an older one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Disk;

use crate::catalogue;

const MARK: &[u8; 10] = b"BWREGION\x01\x00";
const END: &str = ".catalogue";

/// The mark of one region.
#[derive(Debug, Clone)]
pub struct Landmark {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Landmark {
    /// Beside the key ring `ring` on `disk`.
    pub fn beside(disk: Arc<dyn Disk>, ring: &Path) -> Self {
        let mut path = ring.as_os_str().to_owned();
        path.push(END);
        Self {
            disk,
            path: path.into(),
        }
    }

    /// Where it is, on its disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if the region has had a catalogue and there is none at `catalogue`, or an empty file.
    pub fn check(&self, catalogue: &Path) -> Result<(), catalogue::Error> {
        let database = |error: io::Error| catalogue::Error::Database(error.into());
        let there = match std::fs::metadata(catalogue) {
            Ok(found) => found.len() > 0,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(database(e)),
        };
        if !there && self.is_set().map_err(database)? {
            return Err(catalogue::Error::Gone);
        }
        Ok(())
    }

    /// Sets the mark; durable on return.
    pub fn set(&self) -> io::Result<()> {
        if self.is_set()? {
            return Ok(());
        }
        let mut file = self.disk.create_new(&self.path)?;
        file.append(MARK)?;
        file.sync()?;
        self.disk
            .sync_dir(self.path.parent().unwrap_or(Path::new("")))
    }

    /// Whatever is in it: a crash may have left it empty.
    fn is_set(&self) -> io::Result<bool> {
        match self.disk.open(&self.path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}
