//! A disk in memory that forgets what was not synced.
//!
//! There is one image that running programs see, and beside it the list of what is not durable yet:
//! appended bytes of files, and changes of folders (a new name, a removal, a rename).
//! [`SimDisk::crash`] decides for each of these by a seed whether it survives, then goes on with what
//! is left.
//!
//! Promises
//! - Synced bytes survive, and so does every name whose folder was synced.
//! - An append that was not synced survives whole, in part (cut at any byte, or kept in length with
//!   zeros from a sector on, as file systems do that extend a file before they fill it), or not.
//! - Changes of folders that were not synced survive or not, each by itself; a rename is atomic.
//! - After a failed sync the bytes concerned are lost at the next crash unless luck keeps them, even if
//!   a later sync of the same file says that all is well: Linux marks such pages clean.
//! - Handles opened before a crash fail after it.
//!
//! Does not tear what was synced, does not reorder bytes within one append, and knows no permissions.

mod image;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Disk, DiskFile};

use crate::SeededRandom;
use image::{Change, Image, Node};

/// A faulty disk in memory. Clones share one disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    image: Image,
    /// Counts crashes: a handle of an earlier count is dead.
    epoch: u64,
    faults: Faults,
    writes: u64,
    syncs: u64,
}

/// What is armed. Counters count down to the operation that fails.
#[derive(Debug, Default, Clone, Copy)]
struct Faults {
    sync_in: Option<u64>,
    write_in: Option<(u64, usize)>,
    read_in: Option<u64>,
    free: Option<u64>,
    power_in: Option<u64>,
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power: what was not synced survives or not as `seed` decides; armed faults are gone, and
    /// so is a power cut.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        state.image.crash(&SeededRandom::new(seed));
        state.epoch += 1;
        state.faults = Faults {
            free: state.faults.free,
            ..Faults::default()
        };
    }

    /// The `nth` sync from now (1 is the next; files and folders count) fails.
    pub fn fail_sync(&self, nth: u64) {
        self.state().faults.sync_in = Some(nth);
    }

    /// The `nth` append from now fails after it wrote `keep` bytes, or all but one if it is shorter.
    pub fn fail_write(&self, nth: u64, keep: usize) {
        self.state().faults.write_in = Some((nth, keep));
    }

    /// The `nth` read of a file from now fails.
    pub fn fail_read(&self, nth: u64) {
        self.state().faults.read_in = Some(nth);
    }

    /// Leaves room for `bytes` more bytes; `None` is room without end. An append that does not fit
    /// writes what fits and fails with `StorageFull`; with no room at all no file can be made either.
    /// Removing a file gives its bytes back.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.state().faults.free = bytes;
    }

    /// After `operations` more changes (appends, syncs, names) everything fails, until [`Self::crash`]
    /// or, as after the kill of a process that leaves the cache as it is, [`Self::clear_faults`].
    pub fn cut_power_after(&self, operations: u64) {
        self.state().faults.power_in = Some(operations);
    }

    /// Disarms every fault.
    pub fn clear_faults(&self) {
        self.state().faults = Faults::default();
    }

    /// Changes one byte of a file, in both images: `mask` says which bits.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        let mut state = self.state();
        let file = state.image.file_mut(path)?;
        let byte = usize::try_from(offset)
            .ok()
            .and_then(|at| file.bytes.get_mut(at))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= mask;
        Ok(())
    }

    /// Cuts a file to `len` bytes, in both images.
    pub fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.state().image.file_mut(path)?.truncate(len);
        Ok(())
    }

    /// A disk of its own with the same content, durable and not; no faults are armed on it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let image = self.state().image.clone();
        Self(Arc::new(Mutex::new(State {
            image,
            ..State::default()
        })))
    }

    /// Every file, sorted by path.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().image.files()
    }

    /// Appends and syncs (of files and folders) so far.
    pub fn operations(&self) -> (u64, u64) {
        let state = self.state();
        (state.writes, state.syncs)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a change of the disk; fails once the power is cut.
    fn spend_power(&mut self) -> io::Result<()> {
        match &mut self.faults.power_in {
            None => Ok(()),
            Some(0) => Err(fault("the power is cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn sync_fault(&mut self) -> io::Result<()> {
        if due(&mut self.faults.sync_in) {
            return Err(fault("injected sync failure"));
        }
        Ok(())
    }

    fn append(&mut self, inode: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes += 1;
        // The last write before the cut is in flight: the crash decides what is left of it.
        let power = self.spend_power();
        let room = self.faults.free.map_or(usize::MAX, |free| {
            usize::try_from(free).unwrap_or(usize::MAX)
        });
        let (mut fits, mut result) = (bytes.len(), power);
        if fits > room {
            (fits, result) = (room, Err(io::ErrorKind::StorageFull.into()));
        }
        let (mut write_in, keep) = match self.faults.write_in {
            Some((nth, keep)) => (Some(nth), keep),
            None => (None, 0),
        };
        if due(&mut write_in) {
            fits = fits.min(keep).min(bytes.len().saturating_sub(1));
            result = Err(fault("injected write failure"));
        }
        self.faults.write_in = write_in.map(|nth| (nth, keep));
        let written = bytes.get(..fits).unwrap_or_default();
        self.image.inode_mut(inode)?.append(written);
        if let Some(free) = &mut self.faults.free {
            *free = free.saturating_sub(u64::try_from(fits).unwrap_or(u64::MAX));
        }
        result
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        state.image.create_dir_all(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.spend_power()?;
        if state.faults.free == Some(0) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.image.create(path)?;
        Ok(self.handle(inode, state.epoch, true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let inode = state.image.inode_of(path)?;
        Ok(self.handle(inode, state.epoch, false))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.state().image.list(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        let len = state.image.file_mut(path)?.bytes.len();
        state.image.change(Change::Remove(image::clean(path)?));
        if let Some(free) = &mut state.faults.free {
            *free = free.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend_power()?;
        let node = Node::File(state.image.inode_of(from)?);
        let (from, to) = (image::clean(from)?, image::clean(to)?);
        state.image.check_parent(&to)?;
        state.image.change(Change::Rename(from, to, node));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.image.list(path)?;
        state.syncs += 1;
        state.spend_power()?;
        state.sync_fault()?;
        state.image.sync_dir(path)
    }
}

impl SimDisk {
    fn handle(&self, inode: u64, epoch: u64, writable: bool) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
            epoch,
            writable,
        })
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
    epoch: u64,
    /// Made by `create_new`: what `open` gives can be read and synced only.
    writable: bool,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.epoch == self.epoch {
            Ok(state)
        } else {
            Err(fault("the handle is of the time before a crash"))
        }
    }
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.state()?.append(self.inode, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        state.syncs += 1;
        state.spend_power()?;
        let failed = state.sync_fault();
        let file = state.image.inode_mut(self.inode)?;
        file.sync(failed.is_err());
        failed
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state()?;
        if due(&mut state.faults.read_in) {
            return Err(fault("injected read failure"));
        }
        let file = state.image.inode_mut(self.inode)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = start
            .checked_add(buffer.len())
            .and_then(|end| file.bytes.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        let len = state.image.inode_mut(self.inode)?.bytes.len();
        Ok(u64::try_from(len).unwrap_or(u64::MAX))
    }
}

/// Counts down; true at the operation that is to fail, which also disarms.
fn due(counter: &mut Option<u64>) -> bool {
    match counter {
        Some(0 | 1) => {
            *counter = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

fn fault(text: &'static str) -> io::Error {
    io::Error::other(text)
}
