//! The commit thread: the one writer of the log.
//!
//! It takes all that waits, drops rows that are stored already, seals and appends the rest, syncs
//! once, publishes to the memtable and answers. The next commit starts when this one has returned:
//! no timer, so a lone request waits for one sync and a crowd shares one.
//!
//! Promises
//! - A caller is answered only after the sync that made its rows durable, or with an error; a row
//!   that repeats another of the same group is answered when that one is durable.
//! - After a failed sync nothing is acknowledged any more (the log is poisoned); a full disk refuses
//!   the group and the next one is tried anew.
//! - Rows that the log handed out at a start without being sure of them (the disk was full) can be
//!   read; until it is sure, no repeat of them is acknowledged and nothing moves them on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use model::{RowId, SourceId, StreamId, TableName, TenantId, Ticks, limits};
use residency::Placement;
use rows::arrow::array::BooleanArray;
use rows::arrow::compute::filter_record_batch;
use rows::{RecordBatch, encoding, hidden};
use tokio::sync::oneshot;
use vault::{FramePlace, TenantVault};
use wal::{Log, LogSegmentId};

use crate::Error;
use crate::detection::source_of;
use crate::identity::Identities;
use crate::lag::{Lag, LagFrame, LagPart, SYSTEM_SOURCE};
use crate::manifest::PartitionKey;
use crate::memory::{Chunk, Memory};
use crate::payload::{Origin, Part, Payload};

/// Bytes of one group after which the rest waits for the next commit.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Stamped rows of one table with the proof that they may rest here.
#[derive(Debug)]
pub struct PlacedRows {
    /// The table.
    pub table: TableName,
    /// Where they may rest.
    pub placement: Placement,
    /// The rows with their hidden columns.
    pub batch: RecordBatch,
    /// When the cell took them; the same as in `_ingested_at`.
    pub ingested_at: Ticks,
    /// Where they came from; the same as in `_source`.
    pub source: SourceId,
}

/// Rows that are durable in the log of this region. Only the commit thread makes them.
#[derive(Debug, Clone)]
pub struct Durable {
    tenant: TenantId,
    key: PartitionKey,
    batch: RecordBatch,
    sequence: u64,
}

impl Durable {
    /// Whose rows.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Their table.
    pub fn table(&self) -> &TableName {
        &self.key.table
    }

    /// The rows, hidden columns included.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Their place in the tenant's stream of the log.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// What became of an append.
#[derive(Debug, Clone, Default)]
pub struct Appended {
    /// The rows that are new, now durable.
    pub durable: Vec<Durable>,
    /// Rows that had been stored before (or earlier in the same request).
    pub duplicates: u64,
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, Arc<Error>>>;

/// One tenant's rows on their way to the log.
pub(crate) struct Job {
    pub(crate) vault: Arc<TenantVault>,
    pub(crate) stream: StreamId,
    pub(crate) parts: Vec<JobPart>,
    pub(crate) at: Ticks,
    pub(crate) reply: Reply<Appended>,
}

/// Rows of one partition; encoded by the caller, so that the one thread only seals.
pub(crate) struct JobPart {
    pub(crate) key: PartitionKey,
    pub(crate) batch: RecordBatch,
    pub(crate) encoded: Vec<u8>,
}

/// A chunk of a quiet tenant that is to move to the newest log file.
pub(crate) struct Forward {
    pub(crate) vault: Arc<TenantVault>,
    pub(crate) stream: StreamId,
    pub(crate) key: PartitionKey,
    pub(crate) chunk: Arc<Chunk>,
}

/// A frame that waits for detection and is to move to the newest log file.
pub(crate) struct ForwardFrame {
    pub(crate) vault: Arc<TenantVault>,
    pub(crate) stream: StreamId,
    pub(crate) frame: LagFrame,
}

pub(crate) enum Message {
    Append(Job),
    Forward(Vec<Forward>, Reply<()>),
    ForwardFrames(Vec<ForwardFrame>, Reply<()>),
    /// Make sure of what the log handed out when it was opened.
    Secure(oneshot::Sender<Result<(), Error>>),
    /// From now on damage keeps no file of the log any more.
    Release(Reply<()>),
    /// Remove log files that no row needs any more.
    Trim(Reply<LogStatus>),
}

/// The log, for reconcilers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogStatus {
    pub(crate) files: usize,
    /// A file was found to be gone just now; appends are refused from now on.
    pub(crate) is_gone: bool,
    /// Number of the oldest file.
    pub(crate) oldest: u64,
}

/// The way to the commit thread.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: RwLock<Option<SyncSender<Message>>>,
    waiting_bytes: Arc<AtomicUsize>,
    /// Every row in memory is on the disk.
    is_secure: Arc<AtomicBool>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What the thread owns.
pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) memory: Arc<Memory>,
    pub(crate) lag: Arc<Lag>,
    pub(crate) identities: HashMap<TenantId, Identities>,
    /// The latest day on which rows came.
    pub(crate) today: i32,
    /// A damaged tenant or an unknown stream: nothing of the log is removed.
    pub(crate) hold: Arc<AtomicBool>,
}

impl Queue {
    /// Starts the thread.
    pub(crate) fn start(writer: Writer) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let is_secure = Arc::new(AtomicBool::new(writer.log.is_secure()));
        let (counted, secure) = (waiting_bytes.clone(), is_secure.clone());
        let thread = std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(move || run(writer, &receiver, &counted, &secure))
            .map_err(|source| Error::Io {
                path: "commit thread".into(),
                source,
            })?;
        Ok(Self {
            sender: RwLock::new(Some(sender)),
            waiting_bytes,
            is_secure,
            thread: std::sync::Mutex::new(Some(thread)),
        })
    }

    /// A queue that nobody empties.
    #[cfg(test)]
    pub(crate) fn without_thread() -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let queue = Self {
            sender: RwLock::new(Some(sender)),
            waiting_bytes: Arc::default(),
            is_secure: Arc::new(AtomicBool::new(true)),
            thread: std::sync::Mutex::new(None),
        };
        (queue, receiver)
    }

    /// Puts a message into the queue; refuses at once if too much waits.
    pub(crate) fn send(&self, message: Message) -> Result<(), Error> {
        let bytes = message_bytes(&message);
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let full = before > 0 && before + bytes > limits::COMMIT_QUEUE_BYTES_MAX;
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sent = match sender.as_ref() {
            None => Err(Error::Closed),
            Some(_) if full => Err(Error::Busy),
            Some(sender) => sender.try_send(message).map_err(|e| match e {
                TrySendError::Full(_) => Error::Busy,
                TrySendError::Disconnected(_) => Error::Closed,
            }),
        };
        if sent.is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
        sent
    }

    /// Comes back when every row in memory is on the disk; before that nothing may rest on them.
    pub(crate) async fn secure(&self) -> Result<(), Error> {
        if self.is_secure.load(Ordering::Acquire) {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message::Secure(reply))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Lets the thread finish what waits and ends it.
    pub(crate) fn stop(&self) {
        drop(
            self.sender
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread was answered to its callers as `Closed`.
            let _ = thread.join();
        }
    }
}

fn message_bytes(message: &Message) -> usize {
    match message {
        Message::Append(job) => job.parts.iter().map(|p| p.encoded.len()).sum(),
        Message::Forward(..)
        | Message::ForwardFrames(..)
        | Message::Secure(_)
        | Message::Release(_)
        | Message::Trim(_) => 0,
    }
}

fn run(
    mut writer: Writer,
    receiver: &Receiver<Message>,
    waiting: &AtomicUsize,
    is_secure: &AtomicBool,
) {
    while let Ok(first) = receiver.recv() {
        let mut bytes = message_bytes(&first);
        let mut jobs = Vec::new();
        let mut others = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Append(job) => jobs.push(job),
                other => others.push(other),
            }
            next = if bytes < GROUP_BYTES_MAX {
                receiver.try_recv().ok()
            } else {
                None
            };
            bytes += next.as_ref().map_or(0, message_bytes);
        }
        writer.commit_group(jobs);
        waiting.fetch_sub(bytes, Ordering::AcqRel);
        for other in others {
            match other {
                Message::Append(_) => {}
                Message::Forward(chunks, reply) => drop(reply.send(writer.forward(&chunks))),
                Message::ForwardFrames(frames, reply) => {
                    drop(reply.send(writer.forward_frames(&frames)));
                }
                Message::Secure(reply) => {
                    drop(reply.send(writer.log.secure().map_err(Error::Log)));
                }
                Message::Release(reply) => {
                    writer.hold.store(false, Ordering::Release);
                    drop(reply.send(Ok(())));
                }
                Message::Trim(reply) => drop(reply.send(writer.trim())),
            }
        }
        is_secure.store(writer.log.is_secure(), Ordering::Release);
    }
}

/// A job whose frame is in the log's buffer.
struct Prepared {
    job: Job,
    /// New rows, with their partition and ids; none if all were repeats.
    fresh: Vec<(PartitionKey, RecordBatch, Vec<RowId>)>,
    duplicates: u64,
    written: Option<(u64, LogSegmentId)>,
}

impl Prepared {
    /// A job of a group that has failed.
    fn without_rows(job: Job) -> Self {
        Self {
            job,
            fresh: Vec::new(),
            duplicates: 0,
            written: None,
        }
    }
}

/// Whether the log is as good as before the job; else the whole group fails.
fn is_of_one_job(error: &Error) -> bool {
    match error {
        Error::Log(wal::Error::FrameTooLarge { .. } | wal::Error::TooManyStreams { .. }) => true,
        Error::Log(_) => false,
        _ => true,
    }
}

impl Writer {
    fn commit_group(&mut self, jobs: Vec<Job>) {
        let mut in_group: HashMap<TenantId, HashSet<RowId>> = HashMap::new();
        let mut prepared = Vec::with_capacity(jobs.len());
        let mut failed = None;
        for job in jobs {
            if failed.is_some() {
                prepared.push(Prepared::without_rows(job));
                continue;
            }
            match self.prepare(job, &mut in_group) {
                Ok(job) => prepared.push(job),
                // This one cannot be stored; it has touched nothing that the others rest on.
                Err((job, error)) if is_of_one_job(&error) => {
                    drop(job.reply.send(Err(Arc::new(error))));
                }
                Err((job, error)) => {
                    failed = Some(error);
                    prepared.push(Prepared::without_rows(job));
                }
            }
        }
        // Also after a failure: what is in the log's buffer must not wait there for a later group.
        let committed = self.log.commit().map_err(Error::Log);
        match failed.map_or(committed, Err) {
            Ok(()) => prepared.into_iter().for_each(|p| self.publish(p)),
            Err(error) => {
                let error = Arc::new(error);
                for p in prepared {
                    let _ = p.job.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Drops repeats and puts the rest into the log's buffer. After an error nothing of the job is
    /// there, and no other job's rows are taken for repeats of its.
    fn prepare(
        &mut self,
        mut job: Job,
        in_group: &mut HashMap<TenantId, HashSet<RowId>>,
    ) -> Result<Prepared, (Job, Error)> {
        let tenant = job.vault.tenant();
        let stored = self.identities.entry(tenant).or_default();
        let group = in_group.entry(tenant).or_default();
        let parts = std::mem::take(&mut job.parts);
        let fresh = match Fresh::of(parts, |id| stored.contains(id) || group.contains(&id)) {
            Ok(fresh) => fresh,
            Err(error) => return Err((job, error)),
        };
        let mut written = None;
        if !fresh.parts.is_empty() {
            let payload = Payload {
                origin: Origin::Rows,
                parts: fresh.parts,
            };
            match self.write(&job.vault, job.stream, &payload) {
                Ok(place) => written = Some(place),
                Err(error) => return Err((job, error)),
            }
        }
        group.extend(fresh.rows.iter().flat_map(|(.., ids)| ids));
        Ok(Prepared {
            job,
            fresh: fresh.rows,
            duplicates: fresh.duplicates,
            written,
        })
    }

    fn write(
        &mut self,
        vault: &TenantVault,
        stream: StreamId,
        payload: &Payload,
    ) -> Result<(u64, LogSegmentId), Error> {
        let bytes = payload.to_bytes()?;
        if bytes.len() > limits::LOG_FRAME_BYTES_MAX {
            let (bytes, max) = (bytes.len(), limits::LOG_FRAME_BYTES_MAX);
            return Err(Error::Log(wal::Error::FrameTooLarge { bytes, max }));
        }
        let reservation = self.log.reserve(stream).map_err(Error::Log)?;
        let place = FramePlace {
            segment: *reservation.segment().as_bytes(),
            number: reservation.frame(),
            stream,
            sequence: reservation.sequence(),
        };
        let (sequence, segment) = (reservation.sequence(), reservation.segment());
        let frame = vault.seal_frame(place, bytes);
        self.log
            .append(reservation, frame.as_bytes())
            .map_err(Error::Log)?;
        Ok((sequence, segment))
    }

    fn publish(&mut self, prepared: Prepared) {
        let Prepared {
            job,
            fresh,
            duplicates,
            written,
        } = prepared;
        let mut appended = Appended {
            durable: Vec::with_capacity(fresh.len()),
            duplicates,
        };
        if let Some((sequence, segment)) = written {
            let tenant = job.vault.tenant();
            let file = self.file_number(segment);
            self.forget_before(job.at.day());
            let stored = self.identities.entry(tenant).or_default();
            for (key, _, ids) in &fresh {
                for id in ids {
                    stored.insert(key.day, *id);
                }
            }
            let mut parts = Vec::with_capacity(fresh.len());
            self.memory.update(tenant, |rows| {
                for (key, batch, _) in &fresh {
                    let chunk = Chunk::new(batch.clone(), (sequence, sequence), file);
                    if source_of(batch) != Some(SYSTEM_SOURCE) {
                        parts.push(LagPart {
                            key: key.clone(),
                            batch: chunk.batch.clone(),
                        });
                    }
                    let (from, to) = rows.push(key, chunk, job.at);
                    self.memory.grew(from, to);
                }
            });
            if !parts.is_empty() {
                let frame = LagFrame::new(sequence, parts, file, job.at);
                self.lag.push(tenant, frame);
            }
            appended
                .durable
                .extend(fresh.into_iter().map(|(key, batch, _)| Durable {
                    tenant,
                    key,
                    batch,
                    sequence,
                }));
        }
        // A caller that gave up waiting gets its answer when it asks again.
        let _ = job.reply.send(Ok(appended));
    }

    /// Forgets row ids of all tenants that the horizon left behind, once a day.
    fn forget_before(&mut self, today: i32) {
        if today > self.today {
            self.today = today;
            let all = self.identities.values_mut();
            all.for_each(|ids| ids.forget_before(today));
        }
    }

    fn forward(&mut self, chunks: &[Forward]) -> Result<(), Arc<Error>> {
        let mut moved = Vec::new();
        for f in chunks {
            let batch =
                encoding::encode(&f.chunk.batch).map_err(|e| Arc::new(Error::Encoding(e)))?;
            let parts = vec![Part {
                key: f.key.clone(),
                batch,
            }];
            let payload = Payload {
                origin: Origin::Copied(f.chunk.sequences.0, f.chunk.sequences.1),
                parts,
            };
            moved.push((f, self.write(&f.vault, f.stream, &payload)?.1));
        }
        self.log.commit().map_err(Error::Log)?;
        for (f, segment) in moved {
            let file = self.file_number(segment);
            self.memory.update(f.vault.tenant(), |rows| {
                let chunks = &mut rows.partition(&f.key).chunks;
                // A chunk that was merged or flushed meanwhile keeps its place: the copy is spare.
                if let Some(chunk) = chunks.iter_mut().find(|c| Arc::ptr_eq(c, &f.chunk)) {
                    *chunk = Arc::new(Chunk {
                        oldest_file: file,
                        ..Chunk::clone(chunk)
                    });
                }
            });
        }
        Ok(())
    }

    /// Frames of tenants whose detection stands still keep no file for ever.
    fn forward_frames(&mut self, frames: &[ForwardFrame]) -> Result<(), Arc<Error>> {
        let mut moved = Vec::new();
        for f in frames {
            let mut parts = Vec::with_capacity(f.frame.parts.len());
            for part in &*f.frame.parts {
                let batch = encoding::encode(&part.batch);
                parts.push(Part {
                    key: part.key.clone(),
                    batch: batch.map_err(|e| Arc::new(Error::Encoding(e)))?,
                });
            }
            let payload = Payload {
                origin: Origin::Undetected(f.frame.sequence),
                parts,
            };
            moved.push((f, self.write(&f.vault, f.stream, &payload)?.1));
        }
        self.log.commit().map_err(Error::Log)?;
        for (f, segment) in moved {
            let file = self.file_number(segment);
            self.lag.moved(f.vault.tenant(), f.frame.sequence, file);
        }
        Ok(())
    }

    fn trim(&mut self) -> Result<LogStatus, Arc<Error>> {
        // Nobody may append for hours. The log closes; what is in memory can still be flushed.
        let is_gone = self.log.check_present();
        let is_gone = is_gone.is_err_and(|e| matches!(e, wal::Error::Gone { .. }));
        if !self.hold.load(Ordering::Acquire) {
            let newest = self.log.segments().last().map(|s| s.number);
            let wanted = [self.memory.oldest_file(), self.lag.oldest_file()];
            let oldest = wanted.into_iter().flatten().min();
            let needed = oldest.or(newest).unwrap_or(0);
            let spare = self.log.segments().iter().rfind(|s| s.number < needed);
            if let Some(segment) = spare.map(|s| s.segment) {
                self.log.remove_through(segment).map_err(Error::Log)?;
            }
        }
        let segments = self.log.segments();
        Ok(LogStatus {
            files: segments.len(),
            is_gone,
            oldest: segments.first().map_or(0, |s| s.number),
        })
    }

    fn file_number(&self, segment: LogSegmentId) -> u64 {
        let found = self
            .log
            .segments()
            .iter()
            .rev()
            .find(|s| s.segment == segment);
        found.map_or(0, |s| s.number)
    }
}

/// The rows of a job that are not stored yet.
#[derive(Default)]
struct Fresh {
    parts: Vec<Part>,
    rows: Vec<(PartitionKey, RecordBatch, Vec<RowId>)>,
    duplicates: u64,
}

impl Fresh {
    fn of(parts: Vec<JobPart>, is_stored: impl Fn(RowId) -> bool) -> Result<Self, Error> {
        let mut fresh = Self::default();
        let mut own = HashSet::new();
        for part in parts {
            let ids = hidden::row_ids(&part.batch).map(Iterator::collect::<Vec<_>>);
            let ids = ids.filter(|ids| ids.len() == part.batch.num_rows());
            let ids = ids.ok_or(Error::Form { what: "row ids" })?;
            let is_new: Vec<bool> = ids
                .iter()
                .map(|id| !is_stored(*id) && own.insert(*id))
                .collect();
            fresh.add(part, ids, is_new)?;
        }
        Ok(fresh)
    }

    fn add(&mut self, part: JobPart, ids: Vec<RowId>, is_new: Vec<bool>) -> Result<(), Error> {
        let repeats = is_new.iter().filter(|new| !**new).count();
        self.duplicates += u64::try_from(repeats).unwrap_or(u64::MAX);
        let (key, mut batch, mut encoded) = (part.key, part.batch, part.encoded);
        let mut ids = ids;
        if repeats == ids.len() {
            return Ok(());
        }
        if repeats > 0 {
            let new = ids.iter().zip(&is_new).filter(|(_, new)| **new);
            ids = new.map(|(id, _)| *id).collect();
            batch =
                filter_record_batch(&batch, &BooleanArray::from(is_new)).map_err(Error::Rows)?;
            encoded = encoding::encode(&batch).map_err(Error::Encoding)?;
        }
        self.parts.push(Part {
            key: key.clone(),
            batch: encoded,
        });
        self.rows.push((key, batch, ids));
        Ok(())
    }
}

/// Groups of placed rows by partition, encoded for the log.
pub(crate) fn job_parts(rows: Vec<PlacedRows>) -> Result<Vec<JobPart>, Error> {
    let mut by_key: BTreeMap<PartitionKey, Vec<RecordBatch>> = BTreeMap::new();
    for r in rows {
        let key = PartitionKey::new(&r.table, &r.placement, r.ingested_at);
        by_key.entry(key).or_default().push(r.batch);
    }
    let mut parts = Vec::with_capacity(by_key.len());
    for (key, batches) in by_key {
        for batch in batches {
            let encoded = encoding::encode(&batch).map_err(Error::Encoding)?;
            parts.push(JobPart {
                key: key.clone(),
                batch,
                encoded,
            });
        }
    }
    Ok(parts)
}
