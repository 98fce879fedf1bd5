//! One segment file, read in windows so that memory stays bounded whatever its size.
//!
//! Says what is where; does not judge whether something missing is damage.

use std::path::{Path, PathBuf};

use model::{Disk, DiskFile};

use crate::error::Error;
use crate::format::{
    self, Decoded, FIXED_LEN, FRAME_HEADER_LEN, FRAME_MAGIC, Fixed, FrameHeader, LogSegmentId,
    Table, to_u64,
};

/// Bytes read at once.
const WINDOW_BYTES: usize = 256 << 10;
/// A file system fills a file in pieces of at least this many bytes.
const SECTOR_BYTES: u64 = 512;

/// An open segment file.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    id: LogSegmentId,
    file: Box<dyn DiskFile>,
    len: u64,
    window_start: u64,
    window: Vec<u8>,
}

impl Reader {
    pub(crate) fn open(disk: &dyn Disk, path: &Path, id: LogSegmentId) -> Result<Self, Error> {
        let file = disk
            .open(path)
            .map_err(|source| Error::io("open", path, source))?;
        let len = file
            .len()
            .map_err(|source| Error::io("measure", path, source))?;
        Ok(Self {
            path: path.to_owned(),
            id,
            file,
            len,
            window_start: 0,
            window: Vec::new(),
        })
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Makes durable what the file holds: a killed process may have left bytes in the cache only.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        let synced = self.file.sync();
        synced.map_err(|source| Error::io("sync", &self.path, source))
    }

    /// The fixed part of the header, from the first copy that verifies.
    pub(crate) fn fixed(&mut self) -> Result<Option<Fixed>, Error> {
        let id = self.id;
        for copy in 0..2 {
            let Some(bytes) = self.bytes(copy * to_u64(FIXED_LEN), FIXED_LEN)? else {
                continue;
            };
            match Fixed::decode(bytes, id) {
                Decoded::Good(fixed) => return Ok(Some(fixed)),
                Decoded::Newer(found) => return Err(self.newer(found)),
                Decoded::Bad => {}
            }
        }
        Ok(None)
    }

    /// The table of the header, from the first copy that verifies.
    pub(crate) fn table(&mut self, fixed: &Fixed) -> Result<Option<Table>, Error> {
        // LIMIT: a length that does not fit into the file is not allocated.
        if fixed.header_len() > self.len {
            return Ok(None);
        }
        let len = fixed.table_len();
        for copy in 0..2 {
            let offset = 2 * to_u64(FIXED_LEN) + copy * len;
            let bytes = self.bytes(offset, usize::try_from(len).unwrap_or(usize::MAX))?;
            let table = bytes.and_then(|bytes| Table::decode(bytes, fixed));
            if table.is_some() {
                return Ok(table);
            }
        }
        Ok(None)
    }

    /// Whether this is what a crash leaves of a file whose header was being written: a beginning of
    /// it, or zeros. Anything else that does not verify was whole once.
    pub(crate) fn is_stub(&mut self, fixed: Option<&Fixed>) -> Result<bool, Error> {
        if let Some(fixed) = fixed {
            return Ok(self.len <= fixed.header_len());
        }
        let start = self.bytes(0, FIXED_LEN)?;
        Ok(start.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)))
    }

    /// The frame header at `offset`, if one verifies there.
    pub(crate) fn header(&mut self, offset: u64) -> Result<Option<FrameHeader>, Error> {
        let id = self.id;
        let Some(bytes) = self.bytes(offset, FRAME_HEADER_LEN)? else {
            return Ok(None);
        };
        match FrameHeader::decode(bytes, id) {
            Decoded::Good(header) => Ok(Some(header)),
            Decoded::Newer(found) => Err(self.newer(found)),
            Decoded::Bad => Ok(None),
        }
    }

    /// The next frame header at or after `from` whose frame number is at least `frame`: a payload may
    /// quote an older frame of this segment, never a later one.
    pub(crate) fn scan(
        &mut self,
        from: u64,
        limit: u64,
        frame: u64,
    ) -> Result<Option<(u64, FrameHeader)>, Error> {
        let mut at = from;
        while at.saturating_add(to_u64(FRAME_HEADER_LEN)) <= limit {
            let len = WINDOW_BYTES.min(usize::try_from(limit - at).unwrap_or(WINDOW_BYTES));
            let Some(bytes) = self.bytes(at, len)? else {
                return Ok(None);
            };
            let magics = bytes.windows(FRAME_HEADER_LEN).enumerate();
            let candidates: Vec<u64> = magics
                .filter(|(_, piece)| piece.starts_with(FRAME_MAGIC))
                .map(|(index, _)| at + to_u64(index))
                .collect();
            for candidate in candidates {
                if let Some(header) = self.header(candidate)?
                    && header.frame >= frame
                {
                    return Ok(Some((candidate, header)));
                }
            }
            at += to_u64(len + 1 - FRAME_HEADER_LEN);
        }
        Ok(None)
    }

    /// The payload of the frame at `offset`; `None` if the checksum says that it is not what was
    /// written. The caller has checked that it lies within the file.
    pub(crate) fn payload(
        &mut self,
        offset: u64,
        header: &FrameHeader,
    ) -> Result<Option<Vec<u8>>, Error> {
        let start = offset + to_u64(FRAME_HEADER_LEN);
        let len = header.payload_bytes();
        let payload = if len <= WINDOW_BYTES {
            self.bytes(start, len)?.unwrap_or_default().to_vec()
        } else {
            let mut payload = vec![0; len];
            self.read(start, &mut payload)?;
            payload
        };
        let good =
            payload.len() == len && format::checksum(self.id, &payload) == header.payload_crc;
        Ok(good.then_some(payload))
    }

    /// Whether the file ends in zeros from a sector's begin on, as after a crash in which the file
    /// system had extended it and not yet filled it.
    pub(crate) fn ends_unfilled(&mut self) -> Result<bool, Error> {
        let last = self.len.saturating_sub(1) / SECTOR_BYTES * SECTOR_BYTES;
        let len = usize::try_from(self.len - last).unwrap_or(0);
        let bytes = self.bytes(last, len)?.unwrap_or_default();
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    /// `len` bytes at `offset`, through the window; `None` if the file ends first.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>, Error> {
        let end = offset.saturating_add(to_u64(len));
        if end > self.len {
            return Ok(None);
        }
        let window_end = self.window_start + to_u64(self.window.len());
        if offset < self.window_start || end > window_end {
            let room = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
            let mut window = std::mem::take(&mut self.window);
            window.resize(len.max(WINDOW_BYTES).min(room), 0);
            self.read(offset, &mut window)?;
            self.window = window;
            self.window_start = offset;
        }
        let start = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        Ok(self.window.get(start..start.saturating_add(len)))
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let read = self.file.read_exact_at(offset, buffer);
        read.map_err(|source| Error::io("read", &self.path, source))
    }

    fn newer(&self, found: u16) -> Error {
        Error::Format {
            path: self.path.clone(),
            found,
            supported: format::VERSION,
        }
    }
}
