//! What a [`SimDisk`](crate::SimDisk) holds: files, names, and what of them is not durable yet.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::SeededRandom;

/// File systems fill a file in pieces of at least this many bytes.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    inodes: BTreeMap<u64, FileData>,
    /// The names a running program sees. The root itself has no entry.
    names: BTreeMap<PathBuf, Node>,
    /// The names that a crash cannot take.
    durable: BTreeMap<PathBuf, Node>,
    /// What leads from `durable` to `names`, in order.
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileData {
    pub(super) bytes: Vec<u8>,
    /// Where the durable bytes end; before it there may be holes that a failed sync left.
    durable_len: usize,
    pending: Vec<Pending>,
}

/// One append that is not durable.
#[derive(Debug, Clone, Copy)]
struct Pending {
    start: usize,
    end: usize,
    /// A sync failed on it: no later sync makes it durable.
    doomed: bool,
}

impl Image {
    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let path = clean(path)?;
        let mut above: Vec<PathBuf> = path.ancestors().map(Path::to_path_buf).collect();
        above.reverse();
        for dir in above.into_iter().filter(|dir| *dir != PathBuf::new()) {
            match self.names.get(&dir) {
                Some(Node::Dir) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => self.change(Change::Add(dir, Node::Dir)),
            }
        }
        Ok(())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        let path = clean(path)?;
        self.check_parent(&path)?;
        if self.names.contains_key(&path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.inodes.last_key_value().map_or(1, |(last, _)| last + 1);
        self.inodes.insert(inode, FileData::default());
        self.change(Change::Add(path, Node::File(inode)));
        Ok(inode)
    }

    pub(super) fn check_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if self.is_dir(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn inode_of(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(&clean(path)?) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn inode_mut(&mut self, inode: u64) -> io::Result<&mut FileData> {
        self.inodes
            .get_mut(&inode)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn file_mut(&mut self, path: &Path) -> io::Result<&mut FileData> {
        let inode = self.inode_of(path)?;
        self.inode_mut(inode)
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let path = clean(path)?;
        if !self.is_dir(&path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = self
            .names
            .keys()
            .filter(|name| name.parent() == Some(&path));
        Ok(children
            .filter_map(|name| name.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let files = self.names.iter().filter(|(_, node)| **node != Node::Dir);
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Makes a change visible; it becomes durable by a sync of a folder it touches.
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let path = clean(path)?;
        for change in std::mem::take(&mut self.changes) {
            if change.touches(&path) {
                change.apply(&mut self.durable);
            } else {
                self.changes.push(change);
            }
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, random: &SeededRandom) {
        for change in std::mem::take(&mut self.changes) {
            if random.chance(50) {
                change.apply(&mut self.durable);
            }
        }
        // A name whose folder is gone cannot be reached. Folders sort before what is in them.
        let mut reachable: BTreeMap<PathBuf, Node> = BTreeMap::new();
        for (path, node) in std::mem::take(&mut self.durable) {
            let parent = path.parent().unwrap_or(Path::new(""));
            if parent == Path::new("") || reachable.get(parent) == Some(&Node::Dir) {
                reachable.insert(path, node);
            }
        }
        self.names.clone_from(&reachable);
        self.durable = reachable;
        let names = &self.names;
        self.inodes
            .retain(|inode, _| names.values().any(|node| *node == Node::File(*inode)));
        for file in self.inodes.values_mut() {
            file.crash(random);
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("") || self.names.get(path) == Some(&Node::Dir)
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }

    fn touches(&self, dir: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) => path.parent() == Some(dir),
            Self::Rename(from, to, _) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}

impl FileData {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.pending.push(Pending {
                start,
                end: self.bytes.len(),
                doomed: false,
            });
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.durable_len = self.durable_len.min(len);
        for piece in &mut self.pending {
            piece.end = piece.end.min(len);
        }
        self.pending.retain(|piece| piece.start < piece.end);
    }

    pub(super) fn sync(&mut self, failed: bool) {
        if failed {
            self.pending.iter_mut().for_each(|p| p.doomed = true);
            return;
        }
        let saved = self.pending.iter().filter(|p| !p.doomed).map(|p| p.end);
        self.durable_len = saved.max().unwrap_or(0).max(self.durable_len);
        self.pending.retain(|p| p.doomed);
    }

    fn crash(&mut self, random: &SeededRandom) {
        let mut len = self.durable_len;
        for Pending { start, end, .. } in std::mem::take(&mut self.pending) {
            let (kept, reached) = survive(random, start, end);
            if let Some(lost) = self.bytes.get_mut(kept..end) {
                lost.fill(0);
            }
            if reached > start {
                len = len.max(reached);
            }
        }
        self.bytes.truncate(len);
        self.durable_len = len;
    }
}

/// For an append of `start..end`: where its surviving bytes end, and how far it extends the file.
fn survive(random: &SeededRandom, start: usize, end: usize) -> (usize, usize) {
    match random.below(10) {
        0..=1 => (end, end),
        2..=3 => (start, start),
        4..=7 => {
            let cut = start + random.index(end - start);
            (cut, cut)
        }
        _ => {
            let cut = start + random.index(end - start);
            ((cut - cut % SECTOR).max(start), end)
        }
    }
}

/// The path with its plain components only; the root is the empty path.
pub(super) fn clean(path: &Path) -> io::Result<PathBuf> {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::CurDir => {}
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    Ok(cleaned)
}
