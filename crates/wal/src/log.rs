//! Writing: reserve, append, commit; beginning and removing segments.
//!
//! Promises
//! - A commit is one append and one sync.
//! - After an error that says [`Error::Poisoned`] or [`Error::Io`] of a write, nothing is written any
//!   more: retrying a failed sync is not safe.
//! - Never appends to a file of an earlier run.
//!
//! What happens to the numbers of a commit that failed: sequence numbers are given again, in a new
//! segment whose header says that the segment before ends at its last good commit, so what the failed
//! one may have left there is void. Frame numbers are not given again: they belong to the old segment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, DiskFile, Random, StreamId, limits};

use crate::error::Error;
use crate::format::{self, End, FrameHeader, Kind, LogSegmentId, Table, to_u64};
use crate::renew;
use crate::vouch::{Standing, Unconfirmed, Witness};

/// Bytes of buffer kept between commits.
const BUFFER_KEPT_BYTES: usize = 4 << 20;

/// The limits of a log; smaller ones in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A segment that has reached this many bytes takes no further commit. The last one may pass it.
    pub segment_bytes_max: u64,
    /// Bytes of one payload.
    pub frame_bytes_max: usize,
    /// Streams that the log keeps a number of.
    pub streams_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: limits::LOG_SEGMENT_BYTES_MAX,
            frame_bytes_max: limits::LOG_FRAME_BYTES_MAX,
            streams_max: limits::LOG_STREAMS_MAX,
        }
    }
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRef {
    /// Whose frame.
    pub stream: StreamId,
    /// Its number among the stream's frames, from 1.
    pub sequence: u64,
    /// In which file.
    pub segment: LogSegmentId,
    /// Its number in the file, from 0.
    pub frame: u64,
    /// Where its header begins.
    pub offset: u64,
}

/// The numbers of the next frame, for its nonce. One at a time; spent by [`Log::append`] or
/// [`Log::cancel`]. One that is dropped blocks the log: every later call answers
/// [`Error::Outstanding`].
#[derive(Debug)]
#[must_use = "a reservation that is neither appended nor cancelled blocks the log"]
pub struct Reservation {
    stream: StreamId,
    sequence: u64,
    segment: LogSegmentId,
    frame: u64,
}

impl Reservation {
    /// Whose frame it will be.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Its number among the stream's frames, from 1.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The file it will be in.
    pub fn segment(&self) -> LogSegmentId {
        self.segment
    }

    /// Its number in the file, from 0.
    pub fn frame(&self) -> u64 {
        self.frame
    }
}

/// What a segment file holds, as far as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The file.
    pub segment: LogSegmentId,
    /// Its place among the files: later segments have greater numbers.
    pub number: u64,
    /// Bytes that count.
    pub bytes: u64,
    /// Frames, numbered from 0.
    pub frames: u64,
    /// The streams that have frames here, each with its last sequence number here.
    pub streams: BTreeMap<StreamId, u64>,
}

impl SegmentInfo {
    pub(crate) fn new(segment: LogSegmentId, number: u64) -> Self {
        Self {
            segment,
            number,
            bytes: 0,
            frames: 0,
            streams: BTreeMap::new(),
        }
    }
}

/// What recovery hands to the log.
pub(crate) struct Start {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) options: Options,
    pub(crate) segments: Vec<SegmentInfo>,
    pub(crate) streams: BTreeMap<StreamId, u64>,
    pub(crate) newest: Option<u64>,
    pub(crate) ends: Vec<End>,
    pub(crate) unnamed: u64,
    pub(crate) unsecured: Option<PathBuf>,
}

/// The open log. One thread writes it; made by [`crate::Recovery::finish`].
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    random: Arc<dyn Random>,
    options: Options,
    /// Every segment file, oldest first; files that were begun and never used included.
    segments: Vec<SegmentInfo>,
    /// Last committed sequence number of each stream.
    streams: BTreeMap<StreamId, u64>,
    /// Streams that the next segment's table leaves out.
    forgotten: BTreeSet<StreamId>,
    next_number: u64,
    /// Number of the segment whose table holds the last sequence numbers.
    newest: Option<u64>,
    /// The segments before `end` that have frames, oldest first.
    ends: Vec<End>,
    /// Frames lost in the segments of earlier runs, their streams unknown.
    unnamed: u64,
    /// Number of the newest segment of an earlier run.
    recovered: Option<u64>,
    /// The last segment of this run as of its last commit.
    end: Option<End>,
    /// The file of `end`, while it takes commits.
    file: Option<Active>,
    waiting: Waiting,
    witness: Option<Arc<dyn Witness>>,
    /// The newest file of an earlier run, while it is not sure that the disk has all of it.
    unsecured: Option<PathBuf>,
    outstanding: bool,
    poisoned: bool,
}

#[derive(Debug)]
struct Active {
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

/// Frames that wait for the next commit.
#[derive(Debug, Default)]
struct Waiting {
    buffer: Vec<u8>,
    frames: u64,
    streams: BTreeMap<StreamId, u64>,
    /// Stream and sequence number of the last frame in the segment.
    previous: Option<(StreamId, u64)>,
}

impl Log {
    pub(crate) fn start(start: Start) -> Self {
        let last = start.segments.iter().map(|segment| segment.number).max();
        Self {
            disk: start.disk,
            dir: start.dir,
            random: start.random,
            options: start.options,
            segments: start.segments,
            streams: start.streams,
            forgotten: BTreeSet::new(),
            next_number: last.unwrap_or(0) + 1,
            newest: start.newest,
            ends: start.ends,
            unnamed: start.unnamed,
            recovered: start.newest,
            end: None,
            file: None,
            waiting: Waiting::default(),
            witness: None,
            unsecured: start.unsecured,
            outstanding: false,
            poisoned: false,
        }
    }

    /// From now on every commit is confirmed by `witness` before it returns.
    #[must_use]
    pub fn with_witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// The numbers of the next frame of `stream`. Begins a segment file if there is none with room.
    pub fn reserve(&mut self, stream: StreamId) -> Result<Reservation, Error> {
        self.check_idle()?;
        let known = self.waiting.streams.get(&stream);
        let last = known.or_else(|| self.streams.get(&stream)).copied();
        if last.is_none() {
            self.check_room_for_stream()?;
        }
        let end = self.segment_with_room()?;
        self.forgotten.remove(&stream);
        self.outstanding = true;
        Ok(Reservation {
            stream,
            sequence: last.unwrap_or(0) + 1,
            segment: end.id,
            frame: end.frames + self.waiting.frames,
        })
    }

    /// Adds a frame to the next commit. A payload over the limit is refused and its numbers withdrawn.
    pub fn append(&mut self, reservation: Reservation, payload: &[u8]) -> Result<FrameRef, Error> {
        let max = self
            .options
            .frame_bytes_max
            .min(limits::LOG_FRAME_BYTES_MAX);
        if payload.len() > max {
            self.cancel(reservation)?;
            return Err(Error::FrameTooLarge {
                bytes: payload.len(),
                max,
            });
        }
        self.put(&reservation, Kind::Data, payload)
    }

    /// Gives the numbers up: a frame without content stands in their place, so that neither the nonce
    /// nor the sequence number is given again and no gap is left.
    pub fn cancel(&mut self, reservation: Reservation) -> Result<(), Error> {
        self.put(&reservation, Kind::Withdrawn, &[]).map(drop)
    }

    /// Makes everything appended so far durable: one append, one sync. Without frames it only makes
    /// sure of what recovery handed out ([`Log::secure`]), so that a repeat of it can be acknowledged.
    ///
    /// A file of the log that is gone by then fails the commit ([`Error::Gone`]).
    ///
    /// After [`Error::DiskFull`] and [`Error::Unconfirmed`] none of it counts, and the log goes on in a
    /// new segment once there is room. After any other error the log is closed.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.check_idle()?;
        self.secure()?;
        let Some(active) = &mut self.file else {
            return Ok(());
        };
        if self.waiting.buffer.is_empty() {
            return Ok(());
        }
        if let Err(source) = active.file.append(&self.waiting.buffer) {
            let error = Error::io("append to", &active.path, source);
            return Err(self.abandon(error));
        }
        if let Err(source) = active.file.sync() {
            let error = sync_error(&active.path, source);
            return Err(self.poison(error));
        }
        self.check_present()?;
        let oldest = self.segments.first().map_or(0, |s| s.number);
        self.confirm(oldest)?;
        let Some(end) = &mut self.end else {
            return Ok(());
        };
        end.bytes += to_u64(self.waiting.buffer.len());
        end.frames += self.waiting.frames;
        if let Some(info) = self.segments.last_mut() {
            (info.bytes, info.frames) = (end.bytes, end.frames);
            info.streams.extend(&self.waiting.streams);
        }
        self.streams.append(&mut self.waiting.streams);
        self.waiting.frames = 0;
        self.waiting.buffer.clear();
        self.waiting.buffer.shrink_to(BUFFER_KEPT_BYTES);
        Ok(())
    }

    /// Makes sure that every frame which recovery handed out is on the disk. Does nothing unless the
    /// disk was full when the log was opened; then it writes the newest file of the earlier run anew, or
    /// answers [`Error::DiskFull`] again, and the log goes on. After any other error it is closed.
    ///
    /// Every other call that writes does this first: a header that lists the file vouches for its bytes.
    pub fn secure(&mut self) -> Result<(), Error> {
        self.check_open()?;
        let Some(path) = &self.unsecured else {
            return Ok(());
        };
        match renew::renew(self.disk.as_ref(), path, self.random.as_ref()) {
            Ok(()) => {
                self.unsecured = None;
                Ok(())
            }
            Err(error) => Err(self.abandon(error)),
        }
    }

    /// Whether [`Log::secure`] has nothing left to do.
    pub fn is_secure(&self) -> bool {
        self.unsecured.is_none()
    }

    /// Asks the witness, if a segment of this run or an earlier one is there to be vouched for. What
    /// waits and was written is void if that fails: the next segment's header ends this one before it.
    fn confirm(&mut self, oldest: u64) -> Result<(), Error> {
        let recovered = || {
            let number = self.recovered?;
            let found = self.segments.iter().find(|s| s.number == number);
            Some((number, found?.segment))
        };
        let (Some(witness), Some(newest)) = (&self.witness, self.newest().or_else(recovered))
        else {
            return Ok(());
        };
        let standing = Standing {
            number: newest.0,
            segment: newest.1,
            oldest,
            lost: self.unnamed,
        };
        match witness.confirm(standing) {
            Ok(()) => Ok(()),
            Err(Unconfirmed::Failed(source)) => {
                self.drop_waiting();
                Err(Error::Unconfirmed { source })
            }
            // Without a last segment: the folder is the other process's.
            Err(Unconfirmed::Replaced) => Err(self.close(Error::Replaced)),
        }
    }

    /// Whether every file is still there under its name: what a process writes into a file without a
    /// name ends with it. Closes the log if not, and begins no further segment, whose header would
    /// vouch for the rest.
    pub fn check_present(&mut self) -> Result<(), Error> {
        self.check_open()?;
        match self.first_gone() {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(self.close(Error::Gone { path })),
            Err(error) => Err(self.close(error)),
        }
    }

    fn first_gone(&self) -> Result<Option<PathBuf>, Error> {
        let names = self.disk.list(&self.dir);
        let names: BTreeSet<String> = match names {
            Ok(names) => names.into_iter().collect(),
            Err(source) if source.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(source) => return Err(Error::io("list", &self.dir, source)),
        };
        let used = self.segments.iter().filter(|s| s.frames > 0);
        let mut names_of = used.map(|s| format::file_name(s.number, s.segment));
        if let Some(gone) = names_of.find(|name| !names.contains(name)) {
            return Ok(Some(self.dir.join(gone)));
        }
        let (Some(active), Some(end)) = (&self.file, &self.end) else {
            return Ok(None);
        };
        let len = match self.disk.open(&active.path).and_then(|file| file.len()) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => 0,
            len => len.map_err(|source| Error::io("measure", &active.path, source))?,
        };
        Ok((len < end.bytes).then(|| active.path.clone()))
    }

    /// The segment that this run wrote last: its number and id.
    pub fn newest(&self) -> Option<(u64, LogSegmentId)> {
        self.end.map(|end| (end.number, end.id))
    }

    /// Makes the stream's next number greater than `last`, which the caller has seen elsewhere: without
    /// it, a log whose files were lost would give numbers again that the caller takes for old ones.
    /// If files are there, later recoveries report the numbers in between as [`crate::Damage::Gap`].
    pub fn raise(&mut self, stream: StreamId, last: u64) -> Result<(), Error> {
        self.check_idle()?;
        if last > self.last_sequence(stream) {
            self.check_room_for_stream()?;
            self.forgotten.remove(&stream);
            self.streams.insert(stream, last);
            // What waits is counted from before; the commit would take this back.
            if let Some(waiting) = self.waiting.streams.get_mut(&stream) {
                *waiting = last.max(*waiting);
            }
        }
        Ok(())
    }

    /// Bytes that wait for the next commit.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.buffer.len()
    }

    /// Every segment file, oldest first, as far as it is committed.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// The last committed sequence number of a stream; 0 if it has had no frame.
    pub fn last_sequence(&self, stream: StreamId) -> u64 {
        self.streams.get(&stream).copied().unwrap_or(0)
    }

    /// Whether a failed write or sync closed the log.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Removes the oldest segments up to and including `segment`, whose frames the caller needs no
    /// more. If that is the segment being written, the next is begun first: a log that had a frame is
    /// never without a file, because the last sequence numbers stand there.
    pub fn remove_through(&mut self, segment: LogSegmentId) -> Result<(), Error> {
        self.check_idle()?;
        let found = self.segments.iter().find(|s| s.segment == segment);
        let number = found.ok_or(Error::UnknownSegment { segment })?.number;
        self.secure()?;
        if self.newest.is_some_and(|newest| newest <= number) {
            if !self.waiting.buffer.is_empty() {
                return Err(Error::SegmentInUse { segment });
            }
            self.begin_segment()?;
        }
        self.confirm(number.saturating_add(1))?;
        while self.segments.first().is_some_and(|s| s.number <= number) {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// Leaves a stream's number out of later segments, because its tenant is gone. A later frame of
    /// the stream takes this back if it comes before the next segment, and starts over at 1 after it.
    pub fn forget(&mut self, stream: StreamId) {
        self.forgotten.insert(stream);
    }

    fn put(
        &mut self,
        reservation: &Reservation,
        kind: Kind,
        payload: &[u8],
    ) -> Result<FrameRef, Error> {
        self.check_open()?;
        let end = self.end.filter(|end| {
            self.outstanding
                && reservation.segment == end.id
                && reservation.frame == end.frames + self.waiting.frames
        });
        let end = end.ok_or(Error::ForeignReservation)?;
        let (stream, sequence) = (reservation.stream, reservation.sequence);
        let offset = end.bytes + to_u64(self.waiting.buffer.len());
        let none = (StreamId::from_bytes([0; 16]), 0);
        let header = FrameHeader {
            kind,
            stream,
            sequence,
            frame: reservation.frame,
            previous: self.waiting.previous.unwrap_or(none),
            payload_len: 0,
            payload_crc: 0,
        };
        header.encode(end.id, payload, &mut self.waiting.buffer);
        self.waiting.frames += 1;
        self.waiting.streams.insert(stream, sequence);
        self.waiting.previous = Some((stream, sequence));
        self.outstanding = false;
        Ok(FrameRef {
            stream,
            sequence,
            segment: end.id,
            frame: reservation.frame,
            offset,
        })
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        Ok(())
    }

    fn check_idle(&self) -> Result<(), Error> {
        self.check_open()?;
        if self.outstanding {
            return Err(Error::Outstanding);
        }
        Ok(())
    }

    fn check_room_for_stream(&self) -> Result<(), Error> {
        let max = self.options.streams_max;
        let waiting = self.waiting.streams.keys();
        let fresh = waiting.filter(|s| !self.streams.contains_key(s)).count();
        // LIMIT: the table of streams stands in every segment's header.
        if self.streams.len() + fresh >= max {
            return Err(Error::TooManyStreams { max });
        }
        Ok(())
    }

    /// The end of the segment that takes the next frame. One that is full is left between commits
    /// only, so that a commit is one append to one file.
    fn segment_with_room(&mut self) -> Result<End, Error> {
        match self.end {
            Some(end)
                if self.file.is_some()
                    && (end.bytes < self.options.segment_bytes_max
                        || !self.waiting.buffer.is_empty()) =>
            {
                Ok(end)
            }
            _ => self.begin_segment(),
        }
    }

    /// Makes the next segment file: durable with its header and its name before any frame is in it.
    fn begin_segment(&mut self) -> Result<End, Error> {
        if self.unsecured.is_some() {
            self.secure()?;
        }
        self.file = None;
        let (number, id) = (self.next_number, LogSegmentId::random(self.random.as_ref()));
        self.next_number += 1;
        let path = self.dir.join(format::file_name(number, id));
        let table = self.table();
        let header = format::encode_header(number, id, &table);

        let mut file = match self.disk.create_new(&path) {
            Ok(file) => file,
            Err(source) => return Err(self.abandon(Error::io("create", &path, source))),
        };
        // From here on the file is there, used or not, until it is removed.
        self.segments.push(SegmentInfo::new(id, number));
        if let Err(source) = file.append(&header) {
            if self.disk.remove(&path).is_ok() {
                self.segments.pop();
            }
            return Err(self.abandon(Error::io("append to", &path, source)));
        }
        if let Err(source) = file.sync() {
            return Err(self.close(sync_error(&path, source)));
        }
        if let Err(source) = self.disk.sync_dir(&self.dir) {
            return Err(self.close(sync_error(&self.dir, source)));
        }
        let end = End {
            number,
            id,
            bytes: to_u64(header.len()),
            frames: 0,
        };
        if let Some(info) = self.segments.last_mut() {
            info.bytes = end.bytes;
        }
        (self.ends, self.streams) = (table.ends, table.streams);
        self.forgotten.clear();
        self.newest = Some(number);
        self.end = Some(end);
        self.file = Some(Active { path, file });
        self.waiting.previous = None;
        Ok(end)
    }

    /// The log as the next segment's header tells it.
    fn table(&self) -> Table {
        let last = self.end.filter(|end| end.frames > 0);
        let mut streams = self.streams.clone();
        streams.retain(|stream, _| !self.forgotten.contains(stream));
        Table {
            ends: self.ends.iter().copied().chain(last).collect(),
            streams,
            unnamed: self.unnamed,
        }
    }

    /// After a failed write: gives the segment up at its last commit if the disk is full, else closes
    /// the log.
    fn abandon(&mut self, error: Error) -> Error {
        self.drop_waiting();
        match error {
            Error::DiskFull { .. } => error,
            error => self.poison(error),
        }
    }

    /// Closes the log after a write or sync whose outcome is unknown.
    ///
    /// First it tries to begin one more segment, whose header says that the last good commit is where
    /// this one ends. After a failed sync Linux may show bytes that the disk does not have; with that
    /// header they are void at the next recovery rather than handed out as if they were durable.
    fn poison(&mut self, error: Error) -> Error {
        self.drop_waiting();
        if self.end.is_some() && !self.poisoned {
            self.poisoned = true;
            // What comes of it changes nothing for the caller: the commit has failed either way.
            let _fenced = self.begin_segment();
        }
        self.close(error)
    }

    fn close(&mut self, error: Error) -> Error {
        self.drop_waiting();
        self.poisoned = true;
        error
    }

    fn drop_waiting(&mut self) {
        self.file = None;
        self.waiting = Waiting::default();
    }

    /// Removes the oldest file and makes that durable before the next one goes: a crash must never
    /// leave an older file without a younger one, because that is what a lost file looks like.
    fn remove_oldest(&mut self) -> Result<(), Error> {
        let Some(oldest) = self.segments.first() else {
            return Ok(());
        };
        let name = format::file_name(oldest.number, oldest.segment);
        let path = self.dir.join(name);
        match self.disk.remove(&path) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("remove", &path, source)),
        }
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|source| sync_error(&self.dir, source))?;
        let removed = self.segments.remove(0);
        self.ends.retain(|end| end.id != removed.segment);
        if self.recovered.is_none_or(|last| last <= removed.number) {
            self.unnamed = 0;
        }
        Ok(())
    }
}

/// A failed sync is never a full disk to the caller: what is durable is unknown.
fn sync_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        doing: "sync",
        path: path.to_owned(),
        source,
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("dir", &self.dir)
            .field("segments", &self.segments.len())
            .field("end", &self.end)
            .field("waiting_frames", &self.waiting.frames)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}
