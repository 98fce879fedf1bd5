//! Binary Windows event logs.
//!
//! Layout: a header of 4,096 bytes that begins `ElfFile`, then chunks of 65,536 bytes. Each chunk
//! stands alone, so chunks are read one by one and damage stays in its chunk. The `evtx` library
//! renders a record as JSON, which is then read like any other.
//!
//! Promises
//! - A record that cannot be read is one refusal and the next ones are read. Where a chunk is so
//!   damaged that records cannot be told apart, one refusal stands for those that are lost.
//! - Records of a file that ends inside a chunk are read up to its end.
//! - Templates may blow a small file up: reading stops at [`limits::EVTX_RENDERED_BYTES_MAX`].
//!
//! Does not carve deleted records out of unused space.

use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};
use model::{Code, limits};

use super::Events;
use crate::documents::Reader as _;
use crate::export::{rejected, within_limits};
use crate::json::Scanner;
use crate::outcome::Error;
use crate::sink::Refusal;

const FILE_MAGIC: &[u8] = b"ElfFile\0";
const FILE_HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65536;

/// Whether the bytes begin as an event log does.
pub(crate) fn is_evtx(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE_MAGIC)
}

/// An event log in parts that are event logs themselves: the file's header and as many whole chunks
/// as `part_bytes_max` holds (at least one). For files with more bytes or records than one request
/// takes. With each part comes the byte of the file where its chunks begin.
pub fn evtx_parts(
    bytes: &[u8],
    part_bytes_max: usize,
) -> Result<impl Iterator<Item = (u64, Vec<u8>)> + '_, Error> {
    let (header, body) = bytes
        .split_at_checked(FILE_HEADER_BYTES)
        .filter(|_| is_evtx(bytes))
        .ok_or(Error::NotEvtx)?;
    let chunks = (part_bytes_max.saturating_sub(FILE_HEADER_BYTES) / CHUNK_BYTES).max(1);
    let parts = body.chunks(chunks.saturating_mul(CHUNK_BYTES)).enumerate();
    Ok(parts.map(move |(n, part)| {
        let at = FILE_HEADER_BYTES + n * chunks * CHUNK_BYTES;
        (at as u64, [header, part].concat())
    }))
}

/// Reads all records; where each of them is in the file.
pub(crate) fn read(bytes: &[u8], events: &mut Events<'_, '_, '_>) -> Result<Vec<u64>, Error> {
    read_within(bytes, events, limits::EVTX_RENDERED_BYTES_MAX)
}

/// As [`read`], with a limit of the caller's: tests try its edge with small files.
pub(crate) fn read_within(
    bytes: &[u8],
    events: &mut Events<'_, '_, '_>,
    rendered_max: usize,
) -> Result<Vec<u64>, Error> {
    let body = bytes.get(FILE_HEADER_BYTES..).unwrap_or_default();
    if !is_evtx(bytes) || body.is_empty() {
        return Err(Error::NotEvtx);
    }
    let mut log = Log {
        events,
        settings: Arc::new(ParserSettings::default().indent(false)),
        starts: Vec::new(),
        rendered: 0,
        rendered_max,
    };
    for (n, chunk) in body.chunks(CHUNK_BYTES).enumerate() {
        let at = FILE_HEADER_BYTES + n * CHUNK_BYTES;
        if chunk.iter().all(|b| *b == 0) {
            continue;
        }
        if log.chunk(chunk, at) == Go::Stop {
            break;
        }
    }
    Ok(log.starts)
}

#[derive(PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

struct Log<'l, 'a, 'c, 's> {
    events: &'l mut Events<'a, 'c, 's>,
    settings: Arc<ParserSettings>,
    starts: Vec<u64>,
    rendered: usize,
    rendered_max: usize,
}

impl Log<'_, '_, '_, '_> {
    fn chunk(&mut self, bytes: &[u8], at: usize) -> Go {
        let cut_short = bytes.len() < CHUNK_BYTES;
        let mut whole = bytes.to_vec();
        whole.resize(CHUNK_BYTES, 0);
        let Ok(mut data) = EvtxChunkData::new(whole, false) else {
            self.damaged(at, "the chunk has no header");
            return Go::On;
        };
        let last = data.header.last_event_record_id;
        let Ok(mut chunk) = data.parse(self.settings.clone()) else {
            self.damaged(at, "the chunk's table of names is damaged");
            return Go::On;
        };
        let mut complete = false;
        let mut damaged = false;
        for record in chunk.iter() {
            if self.starts.len() >= limits::REQUEST_RECORDS_MAX {
                let reason =
                    "the file has more records than are taken at once; the rest was not read";
                self.refuse(at, Code::TooManyRecords, reason);
                return Go::Stop;
            }
            let rendered = record.and_then(|record| {
                complete |= record.event_record_id == last;
                let place = at + usize::try_from(record.binxml_offset).unwrap_or_default();
                Ok((place, record.into_json()?.data))
            });
            let Ok((place, json)) = rendered else {
                damaged = true;
                self.damaged(at, "the record is damaged");
                continue;
            };
            self.rendered += json.len();
            if self.rendered > self.rendered_max {
                let reason = "the file's records are longer together than they may be; the rest was not read";
                self.refuse(at, Code::DecompressionBomb, reason);
                return Go::Stop;
            }
            self.event(&json, place);
        }
        // What is lost behind damage that was reported is reported.
        if !complete && !damaged {
            let reason = if cut_short {
                "the file ends inside a chunk; its last records are lost"
            } else {
                "the chunk ends before the last record that its header names"
            };
            self.damaged(at, reason);
        }
        Go::On
    }

    fn event(&mut self, json: &str, place: usize) {
        let mut members = Vec::new();
        let number = self.starts.len() as u64;
        let mut scanner = Scanner::new(json);
        let scanned = scanner.members(&mut members, limits::RECORD_BYTES_MAX);
        let done = match scanned {
            Ok(depth) => {
                within_limits(json.len(), depth).and_then(|()| self.events.event(&members, number))
            }
            Err(_) => Err(Refusal::new(Code::DamagedRecord, "the record is damaged")),
        };
        if let Err(refusal) = done {
            let refused = rejected(refusal, number, place);
            self.events.reject(refused);
        }
        self.starts.push(place as u64);
    }

    fn damaged(&mut self, at: usize, reason: &'static str) {
        self.refuse(at, Code::DamagedRecord, reason);
    }

    fn refuse(&mut self, at: usize, code: Code, reason: &'static str) {
        let number = self.starts.len() as u64;
        let refused = rejected(Refusal::new(code, reason), number, at);
        self.events.reject(refused);
        self.starts.push(at as u64);
    }
}
