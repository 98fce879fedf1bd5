//! Files of the log (`docs/formats/log.md`): header and frames; payloads are sealed.
//!
//! Reads every frame that stands in the file, those beyond the end that a later file gives it
//! included: they are at rest all the same.

use std::io;

use model::{StreamId, limits};

use super::{Bytes, Fault, Fields};
use crate::shape;

pub(crate) const MAGIC: &[u8; 8] = b"BWLOGSEG";
const FRAME_MAGIC: &[u8; 4] = b"BWLF";
const VERSION: u16 = 1;
const FIXED_BYTES: u64 = 48;
const FRAME_BYTES: u64 = 76;
/// A sealed payload has a tag of 16 bytes.
const PAYLOAD_BYTES_MIN: u64 = 16;

/// A frame whose header and payload verify.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) stream: StreamId,
    pub(crate) sequence: u64,
    pub(crate) number: u64,
    pub(crate) payload: Vec<u8>,
}

/// The id in a log file's name; `None` if the name is not one of a log file.
pub(crate) fn id_of(name: &str) -> Option<[u8; 16]> {
    let (number, id) = name.strip_suffix(".log")?.split_once('-')?;
    if !is_hex(number, 16) || !is_hex(id, 32) {
        return None;
    }
    crypto::unhex(id)?.try_into().ok()
}

/// The same for a log file or a copy that a start had begun to write in its place.
pub(crate) fn id_at_rest(name: &str) -> Option<[u8; 16]> {
    let copied = || {
        let (original, tag) = name.strip_suffix(".new")?.rsplit_once('.')?;
        is_hex(tag, 16).then_some(original)
    };
    id_of(copied().unwrap_or(name))
}

/// Whether the text is so many digits as this program writes them.
pub(crate) fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads a log file whose name has `id`, and gives its frames to `each`.
pub(crate) fn read(
    bytes: &Bytes,
    id: [u8; 16],
    mut each: impl FnMut(Frame),
) -> io::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut offset = match header(bytes, id)? {
        Ok(len) => len,
        Err(_) if unfinished_header(bytes, id)? => return Ok(faults),
        Err(fault) => return Ok(vec![fault]),
    };
    while offset < bytes.len {
        let Some(header) = bytes
            .read(offset, FRAME_BYTES)?
            .and_then(|h| Header::parse(&h, id))
        else {
            // What a crash leaves of a commit: nothing after it counts.
            faults.extend(tail(bytes, offset)?);
            break;
        };
        let start = offset + FRAME_BYTES;
        let Some(payload) = bytes.read(start, u64::from(header.payload_len))? else {
            faults.extend(tail(bytes, offset)?);
            break;
        };
        offset = start + u64::from(header.payload_len);
        if checksum(id, &payload) != header.payload_crc {
            faults.push(Fault::malformed(start, "a frame's payload does not verify"));
        }
        match header.kind {
            0 if u64::from(header.payload_len) < PAYLOAD_BYTES_MIN || !shape::noise(&payload) => {
                faults.push(Fault::clear(start, "a frame's payload is not sealed"));
            }
            1 if !payload.is_empty() => {
                faults.push(Fault::malformed(start, "a withdrawn frame has a payload"));
            }
            0 => each(Frame {
                offset: start,
                stream: header.stream,
                sequence: header.sequence,
                number: header.number,
                payload,
            }),
            _ => {}
        }
    }
    Ok(faults)
}

/// The length of the file's header, if a copy of each of its parts verifies.
fn header(bytes: &Bytes, id: [u8; 16]) -> io::Result<Result<u64, Fault>> {
    let fixed = |copy| -> io::Result<Option<(u32, u32)>> {
        let read = bytes.read(copy * FIXED_BYTES, FIXED_BYTES)?;
        Ok(read.and_then(|fixed| parse_fixed(&fixed, id)))
    };
    let found = match fixed(0)? {
        None => fixed(1)?,
        found => found,
    };
    let Some((streams, segments)) = found else {
        return Ok(Err(Fault::malformed(0, "no copy of the header verifies")));
    };
    let table = 12 + 40 * u64::from(segments) + 24 * u64::from(streams);
    let mut verifies = false;
    for copy in 0..2 {
        let read = bytes.read(2 * FIXED_BYTES + copy * table, table)?;
        verifies |= read.is_some_and(|table| checked(&table, id).is_some());
    }
    Ok(if verifies {
        Ok(2 * (FIXED_BYTES + table))
    } else {
        let at = 2 * FIXED_BYTES;
        Err(Fault::malformed(
            at,
            "no copy of the header's table verifies",
        ))
    })
}

/// Whether the file is what a crash leaves of a header that was being written: zeros, or a beginning of
/// it, which holds numbers and ids only.
fn unfinished_header(bytes: &Bytes, id: [u8; 16]) -> io::Result<bool> {
    let head = bytes.head(2 * FIXED_BYTES)?;
    let begun = head
        .get(..8)
        .map_or(MAGIC.starts_with(&head), |magic| magic == MAGIC);
    let fixed = head.get(..48).and_then(|fixed| parse_fixed(fixed, id));
    let whole = match fixed {
        Some((streams, segments)) => 96 + 24 + 80 * u64::from(segments) + 48 * u64::from(streams),
        None => FIXED_BYTES,
    };
    if begun && bytes.len < whole {
        return Ok(true);
    }
    // LIMIT: a header that is longer than this is nothing that a crash left alone.
    let all = bytes.head(1 << 20)?;
    Ok(to_u64(all.len()) == bytes.len && all.iter().all(|b| *b == 0))
}

/// Numbers of streams and segments in the table.
fn parse_fixed(bytes: &[u8], id: [u8; 16]) -> Option<(u32, u32)> {
    let mut fields = Fields(checked(bytes, id)?);
    let magic = fields.take::<8>()?;
    let (version, _zero) = (fields.u16()?, fields.u16()?);
    let (streams, segments, _number) = (fields.u32()?, fields.u32()?, fields.u64()?);
    let named = fields.take::<16>()? == id;
    (magic == *MAGIC && version == VERSION && named).then_some((streams, segments))
}

struct Header {
    kind: u16,
    stream: StreamId,
    sequence: u64,
    number: u64,
    payload_len: u32,
    payload_crc: u32,
}

impl Header {
    fn parse(bytes: &[u8], id: [u8; 16]) -> Option<Self> {
        let mut fields = Fields(checked(bytes, id)?);
        let (magic, version) = (fields.take::<4>()?, fields.u16()?);
        let kind = fields.u16()?;
        let stream = StreamId::from_bytes(fields.take()?);
        let (sequence, number) = (fields.u64()?, fields.u64()?);
        let _previous = (fields.take::<16>()?, fields.u64()?);
        let (payload_len, payload_crc) = (fields.u32()?, fields.u32()?);
        let fits = usize::try_from(payload_len).is_ok_and(|n| n <= limits::LOG_FRAME_BYTES_MAX);
        (magic == *FRAME_MAGIC && version == VERSION && kind <= 1 && fits).then_some(Self {
            kind,
            stream,
            sequence,
            number,
            payload_len,
            payload_crc,
        })
    }
}

/// What may follow the last frame: the beginning of another that was not finished, or zeros that the
/// file system filled in.
fn tail(bytes: &Bytes, offset: u64) -> io::Result<Option<Fault>> {
    let len = bytes.len.saturating_sub(offset);
    let limit = FRAME_BYTES + to_u64(limits::LOG_FRAME_BYTES_MAX);
    let Some(rest) = bytes.read(offset, len.min(limit))? else {
        return Ok(None);
    };
    if rest.iter().all(|b| *b == 0) {
        return Ok(None);
    }
    let begun = rest
        .get(..4)
        .map_or(FRAME_MAGIC.starts_with(&rest), |m| m == FRAME_MAGIC);
    if !begun {
        return Ok(Some(Fault::malformed(offset, "what follows is no frame")));
    }
    let payload = rest
        .get(usize::try_from(FRAME_BYTES).unwrap_or(0)..)
        .unwrap_or_default();
    // Zeros behind the part that was written are the file system's.
    let written = payload
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |last| last + 1);
    let sealed = shape::noise(payload.get(..written).unwrap_or_default());
    Ok((!sealed).then(|| Fault::clear(offset, "the rest of an unfinished frame is not sealed")))
}

fn checked(bytes: &[u8], id: [u8; 16]) -> Option<&[u8]> {
    let (fields, crc) = bytes.split_last_chunk::<4>()?;
    (checksum(id, fields) == u32::from_le_bytes(*crc)).then_some(fields)
}

/// CRC-32 of the file's id and then the bytes.
pub(crate) fn checksum(id: [u8; 16], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id);
    hasher.update(bytes);
    hasher.finalize()
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
