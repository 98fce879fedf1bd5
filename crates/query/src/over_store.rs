//! The engine over a region's store: its snapshots as tables, its sealed files as spill space.
//!
//! What a query writes when it outgrows its memory goes through [`store::TemporaryFiles`]: sealed
//! under a key that lives in memory, counted against the query's quota, removed with its last reader.

use std::fmt;
use std::io::{self, Read as _, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TempFileFactory;
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use futures::Stream;
use model::{Schema, TableKind, Ticks};
use store::{SealedReader, SealedWriter, SegmentHandle, TableView, TemporaryFiles};

use crate::scan::{OpenError, Segment, TableRows};

/// Bytes handed out at once when a spill file is read back.
const READ_BYTES: usize = 64 << 10;

/// A table's rows at one moment, for the engine. `look_back` says whether a query that does not
/// restrict the table's time is given the default look-back; reference tables never are.
pub fn table_rows(view: TableView, look_back: bool) -> TableRows {
    let known = Schema::hunting().table(view.table.as_str());
    let time_column = match known {
        Some(table) => table.time_column.as_ref().map(ToString::to_string),
        None => view
            .schema
            .column_with_name("Timestamp")
            .map(|(_, f)| f.name().clone()),
    };
    let segment = |handle| Arc::new(Sealed(handle)) as Arc<dyn Segment>;
    TableRows {
        schema: view.schema,
        memory: view.memory,
        segments: view.segments.into_iter().map(segment).collect(),
        time_column,
        look_back: look_back && known.is_none_or(|table| table.kind != TableKind::Reference),
    }
}

#[derive(Debug)]
struct Sealed(SegmentHandle);

impl Segment for Sealed {
    fn name(&self) -> String {
        self.0.id().to_string()
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn rows(&self) -> u64 {
        self.0.rows()
    }

    fn time(&self) -> Option<(Ticks, Ticks)> {
        self.0.manifest().time()
    }

    fn open(&self) -> std::result::Result<Box<dyn AsyncFileReader + Send>, OpenError> {
        Ok(Box::new(self.0.reader()?))
    }
}

/// Sealed spill files of one query.
pub struct SealedSpill {
    files: TemporaryFiles,
    quota: Arc<AtomicU64>,
}

impl fmt::Debug for SealedSpill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SealedSpill({} bytes left)",
            self.quota.load(Ordering::Relaxed)
        )
    }
}

impl SealedSpill {
    /// Files in `files`, together at most `quota` bytes.
    pub fn new(files: TemporaryFiles, quota: u64) -> Self {
        Self {
            files,
            quota: Arc::new(AtomicU64::new(quota)),
        }
    }
}

impl TempFileFactory for SealedSpill {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let writer = self.files.create(&self.quota).map_err(spill_error)?;
        let state = State::Writing(writer);
        Ok(Arc::new(Spill {
            state: Arc::new(Mutex::new(state)),
            written: Arc::default(),
        }))
    }
}

enum State {
    Writing(SealedWriter),
    /// The writer is out, or failed.
    Taken,
    Written(SealedReader),
}

struct Spill {
    state: Arc<Mutex<State>>,
    written: Arc<AtomicU64>,
}

impl SpillFile for Spill {
    fn size(&self) -> Option<u64> {
        Some(self.written.load(Ordering::Acquire))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<bytes::Bytes>> + Send>>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Written(reader) = &*state else {
            return Err(not_ready(
                "a temporary file was read before it was finished",
            ));
        };
        let reader = reader.again().map_err(spill_error)?;
        Ok(Box::pin(futures::stream::unfold(
            Some(reader),
            |reader| async move {
                let mut reader = reader?;
                let mut buffer = vec![0; READ_BYTES];
                match reader.read(&mut buffer) {
                    Ok(0) => None,
                    Ok(n) => {
                        buffer.truncate(n);
                        Some((Ok(bytes::Bytes::from(buffer)), Some(reader)))
                    }
                    Err(error) => Some((Err(spill_error(error)), None)),
                }
            },
        )))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Writing(writer) => Ok(Box::new(Writer {
                sealed: Some(writer),
                state: self.state.clone(),
                written: self.written.clone(),
            })),
            other => {
                *state = other;
                Err(not_ready("a temporary file is written once"))
            }
        }
    }
}

struct Writer {
    sealed: Option<SealedWriter>,
    state: Arc<Mutex<State>>,
    written: Arc<AtomicU64>,
}

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let writer = self.sealed.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let n = writer.write(buffer)?;
        self.written.store(writer.written(), Ordering::Release);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        let Some(writer) = self.sealed.take() else {
            return Ok(());
        };
        let reader = writer.finish().map_err(spill_error)?;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Written(reader);
        Ok(())
    }
}

/// A used-up quota is a limit of the query, not a failure of the machine.
fn spill_error(error: io::Error) -> DataFusionError {
    if error.kind() == io::ErrorKind::QuotaExceeded {
        let what = "the quota of temporary files is used up".to_owned();
        return DataFusionError::ResourcesExhausted(what);
    }
    DataFusionError::IoError(error)
}

fn not_ready(what: &'static str) -> DataFusionError {
    DataFusionError::Internal(what.to_owned())
}
