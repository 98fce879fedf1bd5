//! Reading the log back after a restart, one frame at a time.
//!
//! Promises
//! - Frames come in the order in which they were appended; each stream's numbers grow.
//! - What is handed out is durable: the newest file is written anew first ([`crate::renew`]). If the disk
//!   has no room for that, it is synced only, and [`Log::secure`] writes it before anything rests on it.
//! - Recovering twice, or being killed in the middle, gives the same again.
//!
//! Does not repair: damage is reported at every recovery until its segment is removed.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Disk, Random, StreamId};

use crate::chain::{self, Ending, File, Link};
use crate::error::{Damage, Error};
use crate::format::{End, FrameHeader, Kind, LogSegmentId, Table};
use crate::log::{FrameRef, Log, Options, SegmentInfo, Start};
use crate::reader::Reader;
use crate::renew;
use crate::vouch::{Lost, Vouch};

/// What recovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// A frame, as it was appended.
    Frame(FrameRef, Vec<u8>),
    /// Bytes that are not what was written.
    Damage(Damage),
    /// The end of the newest segment, cut short by a crash before its commit was acknowledged. Bytes
    /// from `offset` on are void from now on. Not damage.
    TornTail {
        /// The newest segment.
        segment: LogSegmentId,
        /// Where the good bytes end.
        offset: u64,
        /// How many bytes are cut.
        bytes: u64,
    },
}

/// The log being read back: an iterator of what is found, and by [`Recovery::finish`] the open [`Log`].
#[derive(Debug)]
pub struct Recovery {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    random: Arc<dyn Random>,
    options: Options,
    files: Vec<File>,
    chain: VecDeque<Link>,
    current: Option<Current>,
    found: VecDeque<Recovered>,
    /// Last sequence number of each stream so far.
    streams: BTreeMap<StreamId, u64>,
    /// `streams` is complete: a stream that it lacks has had no frame yet.
    complete: bool,
    losses: Losses,
    /// Frames lost that no table can name any more.
    unnamed: u64,
    reported: bool,
    segments: Vec<SegmentInfo>,
    /// Number of the newest segment of the log.
    newest: Option<u64>,
    /// Where the segments with frames end, oldest first.
    ends: Vec<End>,
    /// The newest file, if there was no room to write it anew.
    unsecured: Option<PathBuf>,
    failed: bool,
}

/// Frames lost since the last good table of streams.
#[derive(Debug, Default)]
struct Losses {
    /// By frame numbers.
    frames: u64,
    /// Of these, by sequence numbers: their streams are known.
    named: u64,
    /// There may be more, at the end of a segment of which nothing says how many it had.
    uncounted: bool,
}

impl Losses {
    /// At least this many frames are lost without a name.
    fn unnamed(&self) -> u64 {
        let unnamed = self.frames.saturating_sub(self.named);
        unnamed.max(u64::from(self.uncounted))
    }
}

/// The segment being read.
#[derive(Debug)]
struct Current {
    reader: Reader,
    ending: Ending,
    /// Where the bytes that count end.
    limit: u64,
    offset: u64,
    next_frame: u64,
    header_damaged: bool,
    info: SegmentInfo,
}

impl Recovery {
    /// Opens the log in the folder `dir` of `disk`; an empty or absent folder is an empty log.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<Self, Error> {
        Self::open_vouched(disk, dir, random, options, Vouch::Nothing)
    }

    /// Opens the log as [`Recovery::open`] does; what `vouch` says must be there and is not, is damage.
    pub fn open_vouched(
        disk: Arc<dyn Disk>,
        dir: &Path,
        random: Arc<dyn Random>,
        options: Options,
        vouch: Vouch,
    ) -> Result<Self, Error> {
        make_durable_dir(disk.as_ref(), dir)?;
        renew::remove_copies(disk.as_ref(), dir)?;
        let mut survey = Survey::of(disk.as_ref(), dir, vouch)?;
        let unsecured = survey.secure(disk.as_ref(), dir, vouch, random.as_ref())?;
        let Survey {
            files: all,
            lost,
            chain,
        } = survey;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            random,
            options,
            files: all,
            chain: chain.into(),
            current: None,
            found: lost
                .and_then(|lost| lost.file)
                .map(Recovered::Damage)
                .into_iter()
                .collect(),
            streams: BTreeMap::new(),
            complete: true,
            losses: Losses::default(),
            // How many nobody knows; the tables of later segments keep that some were.
            unnamed: lost.map_or(0, |lost| lost.frames),
            reported: false,
            segments: Vec::new(),
            newest: None,
            ends: Vec::new(),
            unsecured,
            failed: false,
        })
    }

    /// Reads what is left and gives the log, ready to append to a new segment.
    pub fn finish(mut self) -> Result<Log, Error> {
        for item in &mut self {
            item?;
        }
        if self.failed {
            return Err(Error::Unread);
        }
        let used: BTreeMap<LogSegmentId, SegmentInfo> =
            self.segments.into_iter().map(|s| (s.segment, s)).collect();
        let files = self.files.iter().map(|file| {
            let unused = SegmentInfo::new(file.id, file.number);
            used.get(&file.id).cloned().unwrap_or(unused)
        });
        Ok(Log::start(Start {
            segments: files.collect(),
            disk: self.disk,
            dir: self.dir,
            random: self.random,
            options: self.options,
            streams: self.streams,
            newest: self.newest,
            ends: self.ends,
            unnamed: self.unnamed,
            unsecured: self.unsecured,
        }))
    }

    /// Reads on until something is found; `false` at the end of the log.
    fn step(&mut self) -> Result<bool, Error> {
        match self.current.take() {
            Some(mut current) => {
                if self.read_frame(&mut current)? {
                    self.current = Some(current);
                } else {
                    self.leave(current);
                }
            }
            None => match self.chain.pop_front() {
                Some(link) => self.current = Some(self.enter(link)?),
                None => return Ok(self.report_unnamed()),
            },
        }
        Ok(true)
    }

    /// Opens the next segment and compares the streams so far with its table.
    fn enter(&mut self, link: Link) -> Result<Current, Error> {
        let Link {
            file,
            ending,
            missing,
        } = link;
        for end in missing {
            self.damage(Damage::Missing { segment: end.id });
            self.losses.frames += end.frames;
        }
        let mut reader = Reader::open(self.disk.as_ref(), &file.path, file.id)?;
        let table = match &file.fixed {
            Some(fixed) => reader.table(fixed)?,
            None => None,
        };
        let header_damaged = table.is_none();
        if let Some(table) = table {
            self.check_table(table);
        } else {
            self.damage(Damage::Header { segment: file.id });
            // Without the first table nothing is known of a stream that does not appear.
            self.complete &= !self.segments.is_empty();
        }
        let limit = match ending {
            Ending::Closed(end) => end.bytes.min(reader.len()),
            Ending::Open | Ending::Unknown => reader.len(),
        };
        let mut offset = file.fixed.map_or(0, |fixed| fixed.header_len());
        if file.fixed.is_none() {
            let first = reader.scan(0, limit, 0)?;
            self.losses.uncounted |= first.is_none();
            offset = first.map_or(limit, |(offset, _)| offset);
        }
        Ok(Current {
            reader,
            ending,
            limit,
            offset: offset.min(limit),
            next_frame: 0,
            header_damaged,
            info: SegmentInfo::new(file.id, file.number),
        })
    }

    fn check_table(&mut self, table: Table) {
        if !self.segments.is_empty() {
            for (stream, last) in &table.streams {
                self.check_sequence(*stream, last.saturating_add(1));
            }
        }
        // All that was lost so far has a name now, unless the streams' beginnings are not known.
        let losses = std::mem::take(&mut self.losses);
        if !self.complete || self.segments.is_empty() {
            self.unnamed += losses.unnamed();
        }
        self.unnamed = self.unnamed.max(table.unnamed);
        self.streams = table.streams;
        self.complete = true;
    }

    /// Reads the frame at the current offset; `false` at the end of the segment.
    fn read_frame(&mut self, current: &mut Current) -> Result<bool, Error> {
        if current.offset == current.limit {
            return Ok(false);
        }
        let header = current.reader.header(current.offset)?;
        let Some(header) = header.filter(|h| h.frame >= current.next_frame) else {
            return self.skip_region(current);
        };
        let end = current.offset.saturating_add(header.frame_len());
        if end > current.limit {
            if current.ending == Ending::Open {
                return Ok(self.tear(current));
            }
            self.count(current, &header);
            self.lose_payload(current, &header);
            current.offset = current.limit;
            return Ok(true);
        }
        let payload = current.reader.payload(current.offset, &header)?;
        if payload.is_none() && is_unfilled_tail(current, end)? {
            return Ok(self.tear(current));
        }
        let fresh = self.count(current, &header);
        match payload {
            Some(payload) if fresh && header.kind == Kind::Data => {
                let place = FrameRef {
                    stream: header.stream,
                    sequence: header.sequence,
                    segment: current.info.segment,
                    frame: header.frame,
                    offset: current.offset,
                };
                self.found.push_back(Recovered::Frame(place, payload));
            }
            Some(_) => {}
            None => self.lose_payload(current, &header),
        }
        current.offset = end;
        Ok(true)
    }

    /// No frame begins where one should: goes on at the next that does.
    fn skip_region(&mut self, current: &mut Current) -> Result<bool, Error> {
        let (offset, segment) = (current.offset, current.info.segment);
        let next = current
            .reader
            .scan(offset + 1, current.limit, current.next_frame)?;
        if next.is_none() && current.ending == Ending::Open {
            return Ok(self.tear(current));
        }
        let end = next.map_or(current.limit, |(offset, _)| offset);
        self.damage(Damage::Region {
            segment,
            offset,
            bytes: end - offset,
        });
        if next.is_none() && current.ending == Ending::Unknown {
            self.losses.uncounted = true;
        }
        current.offset = end;
        Ok(true)
    }

    /// Takes a frame's numbers to the books; `false` if its sequence number was seen before.
    fn count(&mut self, current: &mut Current, header: &FrameHeader) -> bool {
        if header.frame > current.next_frame {
            self.losses.frames += header.frame - current.next_frame;
            let (stream, sequence) = header.previous;
            if !self.complete {
                // Whatever was before it: this one itself is lost.
                let before = sequence.saturating_sub(1);
                self.streams.entry(stream).or_insert(before);
            }
            self.check_sequence(stream, sequence.saturating_add(1));
            self.advance(current, stream, sequence);
        }
        current.next_frame = header.frame + 1;
        if !self.check_sequence(header.stream, header.sequence) {
            self.damage(Damage::Repeat {
                stream: header.stream,
                sequence: header.sequence,
                segment: current.info.segment,
                offset: current.offset,
            });
            return false;
        }
        self.advance(current, header.stream, header.sequence);
        true
    }

    /// Compares a stream's next sequence number with the expected one; `false` if it was seen before.
    fn check_sequence(&mut self, stream: StreamId, sequence: u64) -> bool {
        let known = self.streams.get(&stream).copied();
        let expected = match known {
            Some(last) => last.saturating_add(1),
            None if self.complete => 1,
            None => sequence,
        };
        if sequence > expected {
            let (from, to) = (expected, sequence - 1);
            self.damage(Damage::Gap { stream, from, to });
            self.losses.named += to - from + 1;
        }
        sequence >= expected
    }

    fn advance(&mut self, current: &mut Current, stream: StreamId, sequence: u64) {
        let last = self.streams.entry(stream).or_default();
        *last = sequence.max(*last);
        current.info.streams.insert(stream, *last);
    }

    fn lose_payload(&mut self, current: &Current, header: &FrameHeader) {
        self.damage(Damage::Payload {
            stream: header.stream,
            sequence: header.sequence,
            segment: current.info.segment,
            offset: current.offset,
        });
    }

    /// Ends the newest segment at its last good byte.
    fn tear(&mut self, current: &mut Current) -> bool {
        self.found.push_back(Recovered::TornTail {
            segment: current.info.segment,
            offset: current.offset,
            bytes: current.limit - current.offset,
        });
        current.limit = current.offset;
        false
    }

    /// Closes the books of a segment.
    fn leave(&mut self, mut current: Current) {
        let read = End {
            number: current.info.number,
            id: current.info.segment,
            bytes: current.offset,
            frames: current.next_frame,
        };
        let (end, keep) = match current.ending {
            Ending::Closed(end) => (end, true),
            Ending::Unknown => (read, true),
            // A newest segment without frames is passed over from now on: if it was begun by a run
            // whose sync failed, its header may yet vanish, and that must not look like damage.
            Ending::Open => (read, read.frames > 0 || current.header_damaged),
        };
        if read.bytes < end.bytes {
            self.damage(Damage::Region {
                segment: end.id,
                offset: read.bytes,
                bytes: end.bytes - read.bytes,
            });
        }
        self.losses.frames += end.frames.saturating_sub(read.frames);
        if keep {
            self.ends.push(end);
        }
        self.newest = Some(end.number);
        (current.info.bytes, current.info.frames) = (end.bytes, end.frames);
        self.segments.push(current.info);
    }

    /// At the end of the log: `true` if there is something left to say.
    fn report_unnamed(&mut self) -> bool {
        self.unnamed += std::mem::take(&mut self.losses).unnamed();
        let report = self.unnamed > 0 && !self.reported;
        if report {
            let frames = self.unnamed;
            self.damage(Damage::Unnamed { frames });
        }
        self.reported = true;
        report
    }

    fn damage(&mut self, damage: Damage) {
        self.found.push_back(Recovered::Damage(damage));
    }
}

/// The files of the folder and the log that they make.
struct Survey {
    files: Vec<File>,
    lost: Option<Lost>,
    chain: Vec<Link>,
}

impl Survey {
    fn of(disk: &dyn Disk, dir: &Path, vouch: Vouch) -> Result<Self, Error> {
        let all = chain::list(disk, dir)?;
        let mut files = all.clone();
        let lost = vouch.check(disk, &mut files)?;
        let chain = chain::link(disk, files, vouch.oldest())?;
        Ok(Self {
            files: all,
            lost,
            chain,
        })
    }

    /// Writes the newest segment anew, because a process that ended may have left bytes that only the
    /// cache has, and who is handed a frame takes it for durable. Older ones were durable before the
    /// next was begun. Gives the segment's path if there is no room; then it is synced at least.
    fn secure(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        vouch: Vouch,
        random: &dyn Random,
    ) -> Result<Option<PathBuf>, Error> {
        let mut done = None;
        // Once, unless the cache forgot in between what it had shown; never more often than there are
        // files, since each is newest at most once.
        while let Some(newest) = self.chain.last().filter(|l| done != Some(l.file.id)) {
            let (path, id) = (newest.file.path.clone(), newest.file.id);
            match renew::renew(disk, &path, random) {
                Ok(()) => {}
                Err(Error::DiskFull { .. }) => {
                    Reader::open(disk, &path, id)?.sync()?;
                    return Ok(Some(path));
                }
                Err(error) => return Err(error),
            }
            done = Some(id);
            *self = Self::of(disk, dir, vouch)?;
        }
        Ok(None)
    }
}

impl Iterator for Recovery {
    type Item = Result<Recovered, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Some(Ok(found));
            }
            if self.failed {
                return None;
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Whether a bad payload that ends at `end` is the work of a crash: nothing good follows in the newest
/// segment, and the file ends in zeros.
fn is_unfilled_tail(current: &mut Current, end: u64) -> Result<bool, Error> {
    if current.ending != Ending::Open {
        return Ok(false);
    }
    let next = current.next_frame;
    let alone = current.reader.scan(end, current.limit, next)?.is_none();
    Ok(alone && current.reader.ends_unfilled()?)
}

/// Makes the folder, and its name durable all the way up.
fn make_durable_dir(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.create_dir_all(dir)
        .map_err(|source| Error::io("create", dir, source))?;
    for above in dir.ancestors() {
        disk.sync_dir(above)
            .map_err(|source| Error::io("sync", above, source))?;
    }
    Ok(())
}
