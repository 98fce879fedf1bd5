//! Rows that are durable and not yet examined by detection.
//!
//! Held by frame of the log, as the log has them: the rows of one request, in the order of their
//! sequence numbers. The batches share the memtable's buffers while it has not merged them.
//!
//! Promises
//! - A frame waits from before its caller is answered until a commit has moved the tenant's cursor past
//!   it, whether its rows were flushed meanwhile or not.
//! - [`Lag::oldest_file`] never names a younger log file than one that holds such a frame.
//! - A tenant whose cursor nobody moves is refused at a limit of its own; the others at the cell's.
//!
//! A store that does not detect (`held` is false) holds no rows, only the log files in which they are:
//! another process will want them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{SourceId, TenantId, Ticks, limits};
use rows::RecordBatch;

use crate::Error;
use crate::manifest::PartitionKey;

/// The source of rows that the cell makes itself, of alerts: their rows were examined already.
pub const SYSTEM_SOURCE: SourceId = SourceId::from_bytes([0; 16]);

/// Rows of one partition of a frame.
#[derive(Debug, Clone)]
pub(crate) struct LagPart {
    pub(crate) key: PartitionKey,
    pub(crate) batch: RecordBatch,
}

/// A frame that waits.
#[derive(Debug, Clone)]
pub(crate) struct LagFrame {
    pub(crate) sequence: u64,
    pub(crate) parts: Arc<[LagPart]>,
    /// Number of the log file that has it.
    pub(crate) file: u64,
    /// When its rows came, or were read back.
    pub(crate) at: Ticks,
    pub(crate) bytes: usize,
    pub(crate) rows: usize,
}

impl LagFrame {
    pub(crate) fn new(sequence: u64, parts: Vec<LagPart>, file: u64, at: Ticks) -> Self {
        let bytes = parts.iter().map(|p| p.batch.get_array_memory_size()).sum();
        Self {
            sequence,
            rows: parts.iter().map(|p| p.batch.num_rows()).sum(),
            parts: parts.into(),
            file,
            at,
            bytes,
        }
    }
}

/// How far detection is behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DetectionLag {
    /// Requests whose rows wait.
    pub frames: usize,
    /// Their rows.
    pub rows: usize,
    /// Bytes of their rows in memory.
    pub bytes: usize,
    /// When the oldest of them came.
    pub oldest_at: Option<Ticks>,
}

#[derive(Debug, Default)]
struct TenantLag {
    /// As committed.
    cursor: u64,
    /// The last frame that ever waited, or the cursor.
    newest: u64,
    frames: BTreeMap<u64, LagFrame>,
    bytes: usize,
    /// The oldest file with a frame that is not held.
    unheld: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Tenants for whom detection is on.
    tenants: HashMap<TenantId, TenantLag>,
    bytes: usize,
    /// Frames by the file that has them.
    files: BTreeMap<u64, usize>,
}

impl State {
    fn count_file(&mut self, file: u64) {
        *self.files.entry(file).or_default() += 1;
    }

    fn uncount_file(&mut self, file: u64) {
        if let Some(n) = self.files.get_mut(&file) {
            *n -= 1;
            if *n == 0 {
                self.files.remove(&file);
            }
        }
    }
}

/// All tenants' rows that wait.
#[derive(Debug)]
pub(crate) struct Lag {
    held: bool,
    state: Mutex<State>,
    /// Told whenever a frame comes.
    pub(crate) comes: tokio::sync::Notify,
}

impl Lag {
    pub(crate) fn new(held: bool) -> Self {
        Self {
            held,
            state: Mutex::default(),
            comes: tokio::sync::Notify::new(),
        }
    }

    /// Whether this store detects.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Detection is on for the tenant, which was examined up to `cursor`.
    pub(crate) fn add_tenant(&self, tenant: TenantId, cursor: u64) {
        let mut state = self.state();
        let lag = state.tenants.entry(tenant).or_default();
        lag.cursor = lag.cursor.max(cursor);
        lag.newest = lag.newest.max(cursor);
    }

    /// Where the tenant's cursor stands; `None` if detection is not on.
    pub(crate) fn cursor(&self, tenant: TenantId) -> Option<u64> {
        self.state().tenants.get(&tenant).map(|lag| lag.cursor)
    }

    /// A frame waits. One that was copied forward waits in the younger file.
    pub(crate) fn push(&self, tenant: TenantId, frame: LagFrame) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(lag) = state.tenants.get_mut(&tenant) else {
            return;
        };
        if frame.sequence <= lag.cursor {
            return;
        }
        lag.newest = lag.newest.max(frame.sequence);
        if !self.held {
            if lag.unheld.is_none() {
                lag.unheld = Some(frame.file);
                state.count_file(frame.file);
            }
            return;
        }
        let (bytes, file) = (frame.bytes, frame.file);
        let former = lag.frames.insert(frame.sequence, frame);
        let before = former.as_ref().map_or(0, |f| f.bytes);
        lag.bytes = lag.bytes + bytes - before;
        state.bytes = state.bytes + bytes - before;
        if let Some(former) = former {
            state.uncount_file(former.file);
        }
        state.count_file(file);
        drop(guard);
        self.comes.notify_one();
    }

    /// The frame is in a younger file now, too.
    pub(crate) fn moved(&self, tenant: TenantId, sequence: u64, file: u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        let lag = state.tenants.get_mut(&tenant);
        if let Some(frame) = lag.and_then(|lag| lag.frames.get_mut(&sequence)) {
            let former = std::mem::replace(&mut frame.file, file);
            state.uncount_file(former);
            state.count_file(file);
        }
    }

    /// The cursor was committed: what it passed waits no more.
    pub(crate) fn advance(&self, tenant: TenantId, cursor: u64) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(lag) = state.tenants.get_mut(&tenant) else {
            return;
        };
        lag.cursor = lag.cursor.max(cursor);
        lag.newest = lag.newest.max(cursor);
        let rest = lag.frames.split_off(&cursor.saturating_add(1));
        let passed = std::mem::replace(&mut lag.frames, rest);
        let bytes: usize = passed.values().map(|f| f.bytes).sum();
        lag.bytes -= bytes;
        state.bytes -= bytes;
        for frame in passed.values() {
            state.uncount_file(frame.file);
        }
    }

    /// The last frame that a cursor of the tenant may name.
    pub(crate) fn newest(&self, tenant: TenantId) -> Option<u64> {
        self.state().tenants.get(&tenant).map(|lag| lag.newest)
    }

    /// Refuses more rows while too many wait.
    pub(crate) fn check(&self, tenant: TenantId) -> Result<(), Error> {
        let state = self.state();
        let of_tenant = state.tenants.get(&tenant).map_or(0, |lag| lag.bytes);
        // LIMIT: examining does not keep up, or fails.
        if of_tenant >= limits::DETECTION_LAG_TENANT_BYTES_MAX
            || state.bytes >= limits::DETECTION_LAG_BYTES_MAX
        {
            return Err(Error::DetectionBehind);
        }
        Ok(())
    }

    /// The oldest frames of the tenant, in order: at least one, and no more than `bytes_max` otherwise.
    pub(crate) fn oldest(&self, tenant: TenantId, bytes_max: usize) -> Vec<LagFrame> {
        let state = self.state();
        let Some(lag) = state.tenants.get(&tenant) else {
            return Vec::new();
        };
        let mut bytes = 0_usize;
        let mut out: Vec<LagFrame> = Vec::new();
        for frame in lag.frames.values() {
            bytes = bytes.saturating_add(frame.bytes);
            if bytes > bytes_max && !out.is_empty() {
                break;
            }
            out.push(frame.clone());
        }
        out
    }

    /// The tenant's frames that are in log files up to `file`.
    pub(crate) fn in_files_up_to(&self, tenant: TenantId, file: u64) -> Vec<LagFrame> {
        let state = self.state();
        let frames = state.tenants.get(&tenant).map(|lag| lag.frames.values());
        let frames = frames.into_iter().flatten();
        frames.filter(|f| f.file <= file).cloned().collect()
    }

    /// Tenants with rows that wait, by id.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let state = self.state();
        let behind = state
            .tenants
            .iter()
            .filter(|(_, lag)| !lag.frames.is_empty());
        let mut ids: Vec<_> = behind.map(|(tenant, _)| *tenant).collect();
        ids.sort_unstable();
        ids
    }

    /// What waits, of one tenant or of all.
    pub(crate) fn figures(&self, tenant: Option<TenantId>) -> DetectionLag {
        let state = self.state();
        let all = state.tenants.iter();
        let chosen = all.filter(|(id, _)| tenant.is_none_or(|t| t == **id));
        chosen.fold(DetectionLag::default(), |sum, (_, lag)| {
            let first = lag.frames.values().next().map(|f| f.at);
            DetectionLag {
                frames: sum.frames + lag.frames.len(),
                rows: sum.rows + lag.frames.values().map(|f| f.rows).sum::<usize>(),
                bytes: sum.bytes + lag.bytes,
                oldest_at: match (sum.oldest_at, first) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                },
            }
        })
    }

    /// The oldest log file with a frame that waits.
    pub(crate) fn oldest_file(&self) -> Option<u64> {
        self.state().files.keys().next().copied()
    }
}
