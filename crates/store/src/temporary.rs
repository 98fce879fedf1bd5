//! Temporary files for a query that outgrows its memory: sealed, counted, gone at start.
//!
//! Layout: magic `BWTF`, `u16` version, then blocks: `u32` length and AES-256-GCM of up to 64 KiB.
//! The key is random per file and lives in memory only; nonce = number of the block, and the last
//! block is marked in its associated data, so a file that is cut short does not read as a whole one.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crypto::Secret;
use crypto::aead::{AeadKey, TAG_BYTES};
use model::{Disk, DiskFile, Random};

use crate::Error;

const MAGIC: [u8; 4] = *b"BWTF";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 6;
const BLOCK_BYTES: usize = 64 << 10;
const FOLDER: &str = "tmp";

/// Makes sealed temporary files in one data directory.
#[derive(Debug, Clone)]
pub struct TemporaryFiles {
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
    next: Arc<AtomicU64>,
}

impl TemporaryFiles {
    /// Opens the folder and removes what an earlier process left in it: nobody has the keys.
    pub(crate) fn open(disk: Arc<dyn Disk>, random: Arc<dyn Random>) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: FOLDER.into(),
            source,
        };
        disk.create_dir_all(Path::new(FOLDER)).map_err(io)?;
        for name in disk.list(Path::new(FOLDER)).map_err(io)? {
            disk.remove(&Path::new(FOLDER).join(name)).map_err(io)?;
        }
        Ok(Self {
            disk,
            random,
            next: Arc::new(AtomicU64::new(0)),
        })
    }

    /// A new file, to be written once and then read as often as wanted. It is removed when its last
    /// owner is dropped. `quota` is shared by the files of one query: bytes it may still write.
    pub fn create(&self, quota: &Arc<AtomicU64>) -> io::Result<SealedWriter> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(FOLDER).join(format!("{number:016x}.tmp"));
        let mut file = self.disk.create_new(&path)?;
        let secret: Secret<32> = Secret::random(|b| self.random.fill(b));
        let owner = Arc::new(Owned {
            disk: self.disk.clone(),
            path,
            key: AeadKey::new(&secret),
        });
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        file.append(&header)?;
        let block = Vec::with_capacity(BLOCK_BYTES + TAG_BYTES);
        Ok(SealedWriter {
            owner,
            file,
            block,
            number: 0,
            quota: quota.clone(),
            written: 0,
        })
    }
}

/// A file that goes with its last owner.
struct Owned {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    key: AeadKey,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // What stays behind is sealed under a key that is gone; the next start removes it.
        let _ = self.disk.remove(&self.path);
    }
}

/// Writes a temporary file.
pub struct SealedWriter {
    owner: Arc<Owned>,
    file: Box<dyn DiskFile>,
    block: Vec<u8>,
    number: u64,
    quota: Arc<AtomicU64>,
    written: u64,
}

impl fmt::Debug for SealedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedWriter({})", self.owner.path.display())
    }
}

impl SealedWriter {
    /// Bytes written to disk so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the last block; the file can be read from now on.
    pub fn finish(mut self) -> io::Result<SealedReader> {
        self.write_block(true)?;
        SealedReader::open(self.owner)
    }

    fn write_block(&mut self, last: bool) -> io::Result<()> {
        let mut sealed = std::mem::take(&mut self.block);
        let aad = [u8::from(last)];
        self.owner
            .key
            .seal_in_place(nonce(self.number), &aad, &mut sealed);
        self.number += 1;
        let len = u32::try_from(sealed.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let bytes = u64::from(len) + 4;
        let take = |left: u64| left.checked_sub(bytes);
        if self
            .quota
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .is_err()
        {
            return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        self.file.append(&len.to_le_bytes())?;
        self.file.append(&sealed)?;
        self.written += bytes;
        sealed.clear();
        self.block = sealed;
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = BLOCK_BYTES - self.block.len();
        let part = buffer.get(..room.min(buffer.len())).unwrap_or_default();
        self.block.extend_from_slice(part);
        if self.block.len() == BLOCK_BYTES {
            self.write_block(false)?;
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A block is written when it is full or the file is finished; nobody reads before.
        Ok(())
    }
}

/// Reads a finished temporary file from its beginning.
pub struct SealedReader {
    owner: Arc<Owned>,
    file: Box<dyn DiskFile>,
    offset: u64,
    number: u64,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl fmt::Debug for SealedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedReader({})", self.owner.path.display())
    }
}

impl SealedReader {
    fn open(owner: Arc<Owned>) -> io::Result<Self> {
        let file = owner.disk.open(&owner.path)?;
        let offset = HEADER_BYTES;
        Ok(Self {
            owner,
            file,
            offset,
            number: 0,
            block: Vec::new(),
            at: 0,
            ended: false,
        })
    }

    /// Another reader of the same file, from its beginning.
    pub fn again(&self) -> io::Result<Self> {
        Self::open(self.owner.clone())
    }

    fn next_block(&mut self) -> io::Result<()> {
        let mut len = [0; 4];
        self.file.read_exact_at(self.offset, &mut len)?;
        let len = u32::from_le_bytes(len);
        let size = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidData)?;
        if size > BLOCK_BYTES + TAG_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut sealed = vec![0; size];
        self.file.read_exact_at(self.offset + 4, &mut sealed)?;
        let key = &self.owner.key;
        let opened = [false, true].into_iter().find_map(|last| {
            let mut copy = sealed.clone();
            let n = key
                .open_in_place(nonce(self.number), &[u8::from(last)], &mut copy)
                .ok()?
                .len();
            copy.truncate(n);
            Some((copy, last))
        });
        let (block, last) = opened.ok_or(io::ErrorKind::InvalidData)?;
        self.block = block;
        self.ended = last;
        self.at = 0;
        self.offset += 4 + u64::from(len);
        self.number += 1;
        Ok(())
    }
}

impl Read for SealedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_block()?;
        }
        let rest = self.block.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer
            .iter_mut()
            .zip(rest)
            .for_each(|(to, from)| *to = *from);
        self.at += n;
        Ok(n)
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce
        .iter_mut()
        .zip(number.to_le_bytes())
        .for_each(|(n, b)| *n = b);
    nonce
}
