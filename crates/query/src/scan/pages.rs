//! A segment's bytes for Parquet's synchronous reader, page by page.

use std::io::{BufReader, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;

/// Bytes read at once where the length of what is read is not known before.
const AHEAD_BYTES: usize = 64 << 10;

/// One open segment. Clones read the same file. To be used on a thread that may block.
#[derive(Clone)]
pub(super) struct Pages {
    file: Arc<Mutex<Box<dyn AsyncFileReader + Send>>>,
    bytes: u64,
    runtime: Handle,
}

impl Pages {
    pub(super) fn new(file: Box<dyn AsyncFileReader + Send>, bytes: u64, runtime: Handle) -> Self {
        Self {
            file: Arc::new(Mutex::new(file)),
            bytes,
            runtime,
        }
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        // A reader that panicked half-way is not asked again.
        let mut file = self.file.lock().map_err(|_: PoisonError<_>| {
            ParquetError::General("a reader failed before".to_owned())
        })?;
        self.runtime.block_on(file.get_bytes(range))
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Pages {
    type T = BufReader<Stretch>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let stretch = Stretch {
            pages: self.clone(),
            at: start,
        };
        Ok(BufReader::with_capacity(AHEAD_BYTES, stretch))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.read(start..start.saturating_add(length))
    }
}

/// The bytes from a place on.
pub(super) struct Stretch {
    pages: Pages,
    at: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let end = self.at.saturating_add(wanted).min(self.pages.bytes);
        let bytes = self
            .pages
            .read(self.at..end)
            .map_err(std::io::Error::other)?;
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        self.at = end;
        Ok(bytes.len())
    }
}
