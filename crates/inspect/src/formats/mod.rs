//! The files of a data directory, each read from its documentation (`docs/formats`).
//!
//! A format's reader gives what is readable without a key and says with a [`Fault`] what is not as
//! documented. Nothing here opens anything.

pub(crate) mod key_table;
pub(crate) mod log;
pub(crate) mod segment;
pub(crate) mod small;
pub(crate) mod temporary;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::places::What;

/// Bytes of a file, by offset.
#[derive(Debug)]
pub(crate) struct Bytes {
    file: File,
    pub(crate) len: u64,
}

impl Bytes {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// `len` bytes from `offset`; `None` if the file ends before.
    pub(crate) fn read(&self, offset: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(Some(bytes)),
            // Cut while it was read.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The same with a length known when compiling.
    pub(crate) fn array<const N: usize>(&self, offset: u64) -> io::Result<Option<[u8; N]>> {
        let bytes = self.read(offset, u64::try_from(N).unwrap_or(u64::MAX))?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
    }

    /// The first bytes, fewer if there are no more.
    pub(crate) fn head(&self, len: u64) -> io::Result<Vec<u8>> {
        Ok(self.read(0, len.min(self.len))?.unwrap_or_default())
    }
}

/// What is not as the format's documentation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: u64,
    pub(crate) what: What,
    pub(crate) detail: &'static str,
}

impl Fault {
    pub(crate) fn malformed(offset: u64, detail: &'static str) -> Self {
        Self {
            offset,
            what: What::Malformed,
            detail,
        }
    }

    pub(crate) fn clear(offset: u64, detail: &'static str) -> Self {
        Self {
            offset,
            what: What::Clear,
            detail,
        }
    }
}

/// Little-endian fields of a record, one after the other.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Bytes after their own length of four bytes.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).ok()?)
    }
}
