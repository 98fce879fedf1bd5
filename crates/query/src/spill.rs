//! Temporary files of one query, which it cannot go on writing once it is cancelled.
//!
//! The library writes all that was sorted in one go, and asks nobody in between.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::execution::TempFileFactory;
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use futures::Stream;

use crate::kernels::args::Guard;

/// The files of a factory, for a query.
pub(crate) struct Stoppable {
    pub(crate) files: Arc<dyn TempFileFactory>,
    pub(crate) guard: Guard,
}

impl TempFileFactory for Stoppable {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        self.guard.check()?;
        let file = self.files.create_temp_file(description)?;
        let guard = self.guard.clone();
        Ok(Arc::new(File { file, guard }))
    }
}

struct File {
    file: Arc<dyn SpillFile>,
    guard: Guard,
}

impl SpillFile for File {
    fn size(&self) -> Option<u64> {
        self.file.size()
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        self.file.read_stream()
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let writer = self.file.open_writer()?;
        let guard = self.guard.clone();
        Ok(Box::new(Writer { writer, guard }))
    }
}

struct Writer {
    writer: Box<dyn SpillWriter>,
    guard: Guard,
}

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.guard.check().map_err(io::Error::other)?;
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        self.guard.check()?;
        self.writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what is written and forgets it.
    struct Nowhere;

    impl TempFileFactory for Nowhere {
        fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
            Ok(Arc::new(Self))
        }
    }

    impl SpillFile for Nowhere {
        fn size(&self) -> Option<u64> {
            None
        }

        fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
            Ok(Box::pin(futures::stream::empty()))
        }

        fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
            Ok(Box::new(Self))
        }
    }

    impl Write for Nowhere {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SpillWriter for Nowhere {
        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_cancelled_query_writes_no_more() {
        let guard = Guard::default();
        let files = Stoppable {
            files: Arc::new(Nowhere),
            guard: guard.clone(),
        };
        let file = files.create_temp_file("a test").expect("a file");
        let mut writer = file.open_writer().expect("a writer");
        writer.write_all(&[1; 10]).expect("written");
        guard.cancel();
        assert!(writer.write_all(&[1; 10]).is_err());
        assert!(writer.finish().is_err());
        assert!(files.create_temp_file("another").is_err());
    }
}
