//! The bytes of a segment file. Pure: from values to bytes and back.
//!
//! All numbers are little endian, all checksums CRC-32 (IEEE). Every checksum starts with the
//! segment's id, so bytes of another file, or of an older one on the same blocks, do not verify.
//!
//! ```text
//! file     = fixed fixed table table frame*        each of the first two stands twice
//! fixed    = "BWLOGSEG" version:u16 0:u16 streams:u32 segments:u32 number:u64 id:16 crc:u32
//! table    = unnamed:u64 end{segments} (stream:16 last_sequence:u64){streams} crc:u32
//! end      = number:u64 id:16 bytes:u64 frames:u64
//! frame    = "BWLF" version:u16 kind:u16 stream:16 sequence:u64 frame:u64
//!            previous_stream:16 previous_sequence:u64 payload_len:u32 payload_crc:u32 crc:u32 payload
//! ```
//!
//! The file's name is `{number:016x}-{id:32 hex}.log`; numbers grow, and the name is a second witness
//! of the id. The ends say which segments are before this one, and where each ends: bytes beyond are
//! void, and so is a file that is not among them.

use std::collections::BTreeMap;
use std::fmt;

use model::{Random, StreamId, limits};

/// The version that this program writes.
pub(crate) const VERSION: u16 = 1;
/// Bytes of one copy of the fixed part of a segment's header.
pub(crate) const FIXED_LEN: usize = 48;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_LEN: usize = 76;
/// The first bytes of a frame.
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"BWLF";

const SEGMENT_MAGIC: &[u8; 8] = b"BWLOGSEG";
const UNNAMED_LEN: usize = 8;
const END_LEN: usize = 40;
const STREAM_LEN: usize = 24;
const CHECKSUM_LEN: usize = 4;
const NAME_SUFFIX: &str = ".log";
const COPY_SUFFIX: &str = ".new";

/// A segment file of the log: 128 random bits, part of the key of every frame in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogSegmentId([u8; 16]);

impl LogSegmentId {
    /// The id made of these 128 bits.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 128 bits.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Display for LogSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for LogSegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSegmentId({self})")
    }
}

/// The name of a segment file.
pub(crate) fn file_name(number: u64, id: LogSegmentId) -> String {
    format!("{number:016x}-{id}{NAME_SUFFIX}")
}

/// The number and id in a file's name; `None` if it is not a segment's.
pub(crate) fn parse_file_name(name: &str) -> Option<(u64, LogSegmentId)> {
    let (number, id) = name.strip_suffix(NAME_SUFFIX)?.split_once('-')?;
    let number = u64::from_str_radix(number, 16).ok()?;
    let id = LogSegmentId(u128::from_str_radix(id, 16).ok()?.to_be_bytes());
    // Only the one spelling that this program writes.
    (file_name(number, id) == name).then_some((number, id))
}

/// What a segment's name has behind it while the file is written anew, as `{name}.{16 hex}.new`.
pub(crate) fn copy_suffix(tag: [u8; 8]) -> String {
    format!(".{:016x}{COPY_SUFFIX}", u64::from_be_bytes(tag))
}

/// Whether a file is a segment that was being written anew.
pub(crate) fn is_copy_name(name: &str) -> bool {
    let copied = name.strip_suffix(COPY_SUFFIX);
    let Some((segment, tag)) = copied.and_then(|name| name.rsplit_once('.')) else {
        return false;
    };
    let is_tag = tag.len() == 16 && tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_tag && parse_file_name(segment).is_some()
}

/// Where a segment ends: its last durable byte and its number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) id: LogSegmentId,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
}

/// The fixed part of a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) number: u64,
    pub(crate) id: LogSegmentId,
    streams: u32,
    segments: u32,
}

/// The tables of a segment's header: the log as it was when the segment was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The segments before this one that have frames, oldest first.
    pub(crate) ends: Vec<End>,
    /// The last sequence number of each stream.
    pub(crate) streams: BTreeMap<StreamId, u64>,
    /// Frames that a recovery found to be lost in these segments and could not name. Kept because the
    /// numbers above no longer tell.
    pub(crate) unnamed: u64,
}

/// What a place that should hold a header holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<T> {
    Good(T),
    /// Intact, of a version that this program does not read.
    Newer(u16),
    Bad,
}

impl Fixed {
    /// Bytes of the whole header; frames begin here.
    pub(crate) fn header_len(&self) -> u64 {
        2 * (to_u64(FIXED_LEN) + self.table_len())
    }

    /// Bytes of one copy of the table.
    pub(crate) fn table_len(&self) -> u64 {
        to_u64(UNNAMED_LEN)
            + u64::from(self.segments) * to_u64(END_LEN)
            + u64::from(self.streams) * to_u64(STREAM_LEN)
            + to_u64(CHECKSUM_LEN)
    }

    /// Reads one copy of the fixed part, of the file that is named for `id`.
    pub(crate) fn decode(bytes: &[u8], id: LogSegmentId) -> Decoded<Self> {
        Self::parse(bytes, id).unwrap_or(Decoded::Bad)
    }

    fn parse(bytes: &[u8], id: LogSegmentId) -> Option<Decoded<Self>> {
        let mut fields = Fields::checked(bytes, id)?;
        if fields.take::<8>()? != *SEGMENT_MAGIC {
            return None;
        }
        let version = fields.u16()?;
        if version != VERSION {
            return Some(Decoded::Newer(version));
        }
        let _reserved = fields.u16()?;
        let (streams, segments) = (fields.u32()?, fields.u32()?);
        let number = fields.u64()?;
        let same = fields.take::<16>()? == id.0;
        same.then_some(Decoded::Good(Self {
            number,
            id,
            streams,
            segments,
        }))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_LEN);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(self.streams.to_le_bytes());
        bytes.extend(self.segments.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.id.0);
        seal(bytes, self.id)
    }
}

impl Table {
    /// Reads one copy of the table of the segment that begins with `fixed`.
    pub(crate) fn decode(bytes: &[u8], fixed: &Fixed) -> Option<Self> {
        let mut fields = Fields::checked(bytes, fixed.id)?;
        let mut table = Self {
            unnamed: fields.u64()?,
            ..Self::default()
        };
        for _ in 0..fixed.segments {
            table.ends.push(End {
                number: fields.u64()?,
                id: LogSegmentId(fields.take()?),
                bytes: fields.u64()?,
                frames: fields.u64()?,
            });
        }
        for _ in 0..fixed.streams {
            let stream = StreamId::from_bytes(fields.take()?);
            table.streams.insert(stream, fields.u64()?);
        }
        Some(table)
    }

    fn encode(&self, id: LogSegmentId) -> Vec<u8> {
        let mut bytes = Vec::from(self.unnamed.to_le_bytes());
        for end in &self.ends {
            bytes.extend(end.number.to_le_bytes());
            bytes.extend(end.id.0);
            bytes.extend(end.bytes.to_le_bytes());
            bytes.extend(end.frames.to_le_bytes());
        }
        for (stream, last) in &self.streams {
            bytes.extend(stream.as_bytes());
            bytes.extend(last.to_le_bytes());
        }
        seal(bytes, id)
    }
}

/// The whole header of a segment.
pub(crate) fn encode_header(number: u64, id: LogSegmentId, table: &Table) -> Vec<u8> {
    let fixed = Fixed {
        number,
        id,
        streams: u32::try_from(table.streams.len()).unwrap_or(u32::MAX),
        segments: u32::try_from(table.ends.len()).unwrap_or(u32::MAX),
    };
    let (fixed, table) = (fixed.encode(), table.encode(id));
    [&fixed, &fixed, &table, &table]
        .into_iter()
        .flatten()
        .copied()
        .collect()
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    /// The numbers were reserved and not used; the payload is empty.
    Withdrawn,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) stream: StreamId,
    pub(crate) sequence: u64,
    /// Number within the segment, from 0.
    pub(crate) frame: u64,
    /// Stream and sequence of the frame before this one in the segment: if that one's header is
    /// damaged, this one names it. Zeros in the first frame.
    pub(crate) previous: (StreamId, u64),
    pub(crate) payload_len: u32,
    pub(crate) payload_crc: u32,
}

impl FrameHeader {
    pub(crate) fn decode(bytes: &[u8], id: LogSegmentId) -> Decoded<Self> {
        Self::parse(bytes, id).unwrap_or(Decoded::Bad)
    }

    fn parse(bytes: &[u8], id: LogSegmentId) -> Option<Decoded<Self>> {
        // Before the checksum, because a scan asks at every byte.
        if !bytes.starts_with(FRAME_MAGIC) {
            return None;
        }
        let mut fields = Fields::checked(bytes, id)?;
        let _magic = fields.take::<4>()?;
        let version = fields.u16()?;
        if version != VERSION {
            return Some(Decoded::Newer(version));
        }
        let kind = match fields.u16()? {
            0 => Kind::Data,
            1 => Kind::Withdrawn,
            _ => return None,
        };
        let header = Self {
            kind,
            stream: StreamId::from_bytes(fields.take()?),
            sequence: fields.u64()?,
            frame: fields.u64()?,
            previous: (StreamId::from_bytes(fields.take()?), fields.u64()?),
            payload_len: fields.u32()?,
            payload_crc: fields.u32()?,
        };
        // LIMIT: nothing is allocated for a length that was never written.
        let fits = header.payload_bytes() <= limits::LOG_FRAME_BYTES_MAX;
        fits.then_some(Decoded::Good(header))
    }

    /// Appends header and payload to `buffer`. `payload_len` and `payload_crc` are worked out here.
    pub(crate) fn encode(mut self, id: LogSegmentId, payload: &[u8], buffer: &mut Vec<u8>) {
        self.payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.payload_crc = checksum(id, payload);
        let mut bytes = Vec::with_capacity(FRAME_HEADER_LEN);
        bytes.extend(FRAME_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        let kind: u16 = match self.kind {
            Kind::Data => 0,
            Kind::Withdrawn => 1,
        };
        bytes.extend(kind.to_le_bytes());
        bytes.extend(self.stream.as_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.frame.to_le_bytes());
        bytes.extend(self.previous.0.as_bytes());
        bytes.extend(self.previous.1.to_le_bytes());
        bytes.extend(self.payload_len.to_le_bytes());
        bytes.extend(self.payload_crc.to_le_bytes());
        buffer.extend(seal(bytes, id));
        buffer.extend_from_slice(payload);
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        usize::try_from(self.payload_len).unwrap_or(usize::MAX)
    }

    /// Bytes of header and payload.
    pub(crate) fn frame_len(&self) -> u64 {
        to_u64(FRAME_HEADER_LEN) + u64::from(self.payload_len)
    }
}

/// CRC-32 of the segment's id and then `bytes`.
pub(crate) fn checksum(id: LogSegmentId, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.0);
    hasher.update(bytes);
    hasher.finalize()
}

pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn seal(mut bytes: Vec<u8>, id: LogSegmentId) -> Vec<u8> {
    let crc = checksum(id, &bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// The fields of a record, taken one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields before the trailing checksum, if it verifies.
    fn checked(bytes: &'a [u8], id: LogSegmentId) -> Option<Self> {
        let (fields, crc) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
        (checksum(id, fields) == u32::from_le_bytes(*crc)).then_some(Self(fields))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
