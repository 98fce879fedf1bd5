//! What `store` holds, as this engine reads and writes it: a table's view, and sealed temporary
//! files for sorts and groups that outgrow their memory.

use std::fmt;
use std::io::{self, Read as _, Write};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use futures::Stream;
use model::{Schema, TableKind, Ticks};
use store::{SealedReader, SealedWriter, SegmentHandle, TableView, TemporaryFiles};

use crate::scan::{OpenError, Segment, TableRows};

impl Segment for SegmentHandle {
    fn name(&self) -> String {
        self.id().to_string()
    }

    fn bytes(&self) -> u64 {
        Self::bytes(self)
    }

    fn rows(&self) -> u64 {
        Self::rows(self)
    }

    fn time(&self) -> Option<(Ticks, Ticks)> {
        self.manifest().time()
    }

    fn open(&self) -> std::result::Result<Box<dyn AsyncFileReader + Send>, OpenError> {
        Ok(Box::new(self.reader()?))
    }
}

impl From<TableView> for TableRows {
    /// Known tables go by the time column of the schema, others by `Timestamp` if they have it.
    fn from(view: TableView) -> Self {
        let known = Schema::hunting().table(view.table.as_str());
        let time_column = if let Some(table) = known {
            table.time_column.as_ref().map(ToString::to_string)
        } else {
            let field = view.schema.field_with_name("Timestamp").ok();
            field
                .filter(|f| rows::types::column_type(f) == Some(model::ColumnType::DateTime))
                .map(|f| f.name().clone())
        };
        Self {
            schema: view.schema,
            memory: view.memory,
            segments: view
                .segments
                .into_iter()
                .map(|segment| Arc::new(segment) as Arc<dyn Segment>)
                .collect(),
            time_column,
            look_back: known.is_none_or(|table| table.kind != TableKind::Reference),
        }
    }
}

/// The temporary files of one query, within its quota.
#[derive(Debug)]
pub(crate) struct Spills {
    files: TemporaryFiles,
    quota: Arc<AtomicU64>,
}

impl Spills {
    pub(crate) fn new(files: TemporaryFiles, bytes_max: u64) -> Self {
        Self {
            files,
            quota: Arc::new(AtomicU64::new(bytes_max)),
        }
    }
}

impl TempFileFactory for Spills {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let writer = self.files.create(&self.quota).map_err(spill_error)?;
        Ok(Arc::new(Spill {
            state: Arc::new(Mutex::new(State::Fresh(writer))),
        }))
    }
}

/// A full quota or disk is a matter of the query's limits, not of the machine.
fn spill_error(error: io::Error) -> DataFusionError {
    match error.kind() {
        io::ErrorKind::QuotaExceeded => DataFusionError::ResourcesExhausted(
            "the quota of temporary files is used up".to_owned(),
        ),
        _ => DataFusionError::IoError(error),
    }
}

/// One temporary file: written once, then read as often as wanted.
struct Spill {
    /// Written by the writer when it finishes, read by readers.
    state: Arc<Mutex<State>>,
}

enum State {
    Fresh(SealedWriter),
    Writing,
    Written { reader: SealedReader, bytes: u64 },
}

impl fmt::Debug for Spill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spill")
    }
}

impl SpillFile for Spill {
    fn size(&self) -> Option<u64> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Written { bytes, .. } => Some(*bytes),
            State::Fresh(_) | State::Writing => None,
        }
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Written { reader, .. } = &*state else {
            return Err(unfinished());
        };
        let mut reader = reader.again().map_err(spill_error)?;
        let chunks = std::iter::from_fn(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            match reader.read(&mut chunk) {
                Ok(0) => None,
                Ok(n) => {
                    chunk.truncate(n);
                    Some(Ok(Bytes::from(chunk)))
                }
                Err(error) => Some(Err(spill_error(error))),
            }
        });
        Ok(Box::pin(futures::stream::iter(chunks)))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Writing) {
            State::Fresh(writer) => Ok(Box::new(SpillOut {
                writer: Some(writer),
                state: self.state.clone(),
            })),
            other => {
                *state = other;
                Err(unfinished())
            }
        }
    }
}

/// Bytes of one chunk read back: a block of the file.
const CHUNK_BYTES: usize = 64 << 10;

fn unfinished() -> DataFusionError {
    DataFusionError::Internal("a temporary file is written once and read when finished".to_owned())
}

struct SpillOut {
    writer: Option<SealedWriter>,
    state: Arc<Mutex<State>>,
}

impl Write for SpillOut {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Some(writer) => writer.write(buffer),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl SpillWriter for SpillOut {
    fn finish(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let bytes = writer.written();
        let reader = writer.finish().map_err(spill_error)?;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
            State::Written { reader, bytes };
        Ok(())
    }
}
