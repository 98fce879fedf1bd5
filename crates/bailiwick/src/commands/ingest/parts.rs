//! An input in parts that are requests of their own.
//!
//! Lines of JSON are cut at the first line end after [`PART_BYTES`], so the same bytes are always cut
//! alike, however much is appended later. Event logs are cut at chunks. A document of several lines
//! goes as it is. A line that no request could hold is refused here, and the lines around it go on.

use std::collections::VecDeque;
use std::io::Read;

use model::{Code, limits};

use super::resume::Prefix;
use crate::failure::Failure;

/// Lines are cut at the first line end after so many bytes. Longer lines than this are refused,
/// unless they hold many records.
pub(super) const PART_BYTES: usize = 8 << 20;
const CHUNK: usize = 1 << 18;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines, each with whole records.
    Lines,
    /// One document, or too short to be cut.
    Whole,
    /// A binary Windows event log.
    Evtx,
}

/// Bytes of one request.
#[derive(Debug)]
pub(super) struct Part {
    /// Where in the input its records begin.
    pub(super) offset: u64,
    /// Bytes before the records that are not the input's own (an event log's header).
    pub(super) lead: u64,
    /// Number of the first line, from 1; 0 where there are no lines.
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
}

/// A line that was not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) offset: u64,
    pub(super) line: u64,
    pub(super) bytes: u64,
}

/// What comes next of an input.
#[derive(Debug)]
pub(super) enum Piece {
    Part(Part),
    Refused(Refused),
}

/// Cuts an input.
pub(super) struct Cutter<'r> {
    reader: &'r mut dyn Read,
    pub(super) kind: Kind,
    /// Read and not yet given out.
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out; they go when more is read.
    head: usize,
    at_end: bool,
    /// Number of the next line, from 1.
    line: u64,
    waiting: VecDeque<Piece>,
    /// The next line is too long.
    skip: bool,
    /// What was given out so far, refused lines included.
    pub(super) prefix: Prefix,
}

impl<'r> Cutter<'r> {
    /// Cuts what comes after `prefix`, which has so many lines.
    pub(super) fn new(
        reader: &'r mut dyn Read,
        prefix: Prefix,
        lines: u64,
    ) -> anyhow::Result<Self> {
        let mut cutter = Self {
            reader,
            kind: Kind::Whole,
            buffer: Vec::new(),
            head: 0,
            at_end: false,
            line: lines + 1,
            waiting: VecDeque::new(),
            skip: false,
            prefix,
        };
        cutter.fill(PART_BYTES)?;
        cutter.kind = cutter.tell();
        if cutter.kind != Kind::Lines {
            cutter.read_whole()?;
        }
        Ok(cutter)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.head..).unwrap_or_default()
    }

    /// Reads until `wanted` bytes wait or the input ends.
    fn fill(&mut self, wanted: usize) -> anyhow::Result<()> {
        self.buffer.drain(..self.head);
        self.head = 0;
        while self.buffer.len() < wanted && !self.at_end {
            let from = self.buffer.len();
            self.buffer.resize(from + CHUNK, 0);
            let free = self.buffer.get_mut(from..).unwrap_or_default();
            let n = self.reader.read(free).map_err(|e| {
                let failure = Failure::new(Code::FileFailed, "the input cannot be read to its end");
                anyhow::Error::new(e).context(failure)
            })?;
            self.buffer.truncate(from + n);
            self.at_end = n == 0;
        }
        Ok(())
    }

    fn tell(&self) -> Kind {
        if self.buffer.starts_with(b"ElfFile\0") {
            return Kind::Evtx;
        }
        if self.at_end {
            return Kind::Whole;
        }
        let Some(end) = self.buffer.iter().position(|b| *b == b'\n') else {
            // One long line: a document may be that long, a record may not.
            return if holds_many(&self.buffer) {
                Kind::Whole
            } else {
                Kind::Lines
            };
        };
        let first = self.buffer.get(..end).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(without_mark(first))
            .into_iter::<serde::de::IgnoredAny>();
        let goes_on = values.any(|value| value.is_err_and(|e| e.is_eof()));
        if goes_on { Kind::Whole } else { Kind::Lines }
    }

    fn read_whole(&mut self) -> anyhow::Result<()> {
        let max = limits::REQUEST_BYTES_DECODED_MAX;
        if self.kind == Kind::Evtx {
            // An event log is cut once it is there: its chunks are of one size.
            self.fill(usize::MAX)?;
            let parts = ingest::evtx_parts(&self.buffer, PART_BYTES)
                .map_err(|e| Failure::new(e.code(), e.to_string()))?;
            for (offset, bytes) in parts {
                let lead = 4096;
                self.waiting.push_back(Piece::Part(Part {
                    offset,
                    lead,
                    line: 0,
                    bytes,
                }));
            }
            self.buffer = Vec::new();
            return Ok(());
        }
        self.fill(max.saturating_add(1))?;
        if self.buffer.len() > max {
            let message = format!("the document is longer than {max} bytes");
            return Err(Failure::new(Code::TooLarge, message)
                .with_help("write it as JSON Lines, one record a line: these are sent in parts")
                .into());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.waiting.push_back(Piece::Part(Part {
            offset: self.prefix.bytes,
            lead: 0,
            line: self.line,
            bytes,
        }));
        Ok(())
    }

    /// The next piece, if there is one.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Piece>> {
        if std::mem::take(&mut self.skip) {
            return Ok(Some(Piece::Refused(self.skip_line()?)));
        }
        if self.kind == Kind::Lines {
            self.cut_lines()?;
            if self.waiting.is_empty() && self.skip {
                return self.next();
            }
        }
        let piece = self.waiting.pop_front();
        if let Some(Piece::Part(part)) = &piece {
            let lead = usize::try_from(part.lead).unwrap_or(0);
            self.prefix.add(part.bytes.get(lead..).unwrap_or_default());
        }
        Ok(piece)
    }

    /// Takes whole lines until there are [`PART_BYTES`] of them, or a line is too long.
    fn cut_lines(&mut self) -> anyhow::Result<()> {
        let mut part = Vec::new();
        let (offset, line) = (self.prefix.bytes, self.line);
        while part.len() < PART_BYTES && !self.skip {
            match self.line_end()? {
                Some(0) => break,
                Some(end) => {
                    part.extend_from_slice(self.rest().get(..end).unwrap_or_default());
                    self.head += end;
                    self.line += 1;
                }
                None => self.skip = true,
            }
        }
        if !part.is_empty() {
            self.waiting.push_back(Piece::Part(Part {
                offset,
                lead: 0,
                line,
                bytes: part,
            }));
        }
        Ok(())
    }

    /// Bytes of the line that begins the buffer, its end included; `None` if it is too long.
    fn line_end(&mut self) -> anyhow::Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let fresh = self.rest().get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|b| *b == b'\n') {
                return Ok(Some(searched + at + 1));
            }
            searched = self.rest().len();
            if self.at_end {
                return Ok(Some(searched));
            }
            let max = if holds_many(self.rest()) {
                limits::REQUEST_BYTES_DECODED_MAX
            } else {
                PART_BYTES
            };
            if searched > max {
                return Ok(None);
            }
            self.fill(searched + CHUNK)?;
        }
    }

    fn skip_line(&mut self) -> anyhow::Result<Refused> {
        let (offset, line) = (self.prefix.bytes, self.line);
        loop {
            let end = self.rest().iter().position(|b| *b == b'\n');
            let n = end.map_or(self.rest().len(), |at| at + 1);
            let from = self.head;
            self.head += n;
            self.prefix
                .add(self.buffer.get(from..self.head).unwrap_or_default());
            if end.is_some() || (self.at_end && self.rest().is_empty()) {
                break;
            }
            self.fill(CHUNK)?;
        }
        let bytes = self.prefix.bytes - offset;
        self.line += 1;
        Ok(Refused {
            offset,
            line,
            bytes,
        })
    }
}

/// Whether the text begins as an array or as an object whose `records` are one.
fn holds_many(text: &[u8]) -> bool {
    let text = without_mark(text);
    let rest = text
        .strip_prefix(b"{")
        .unwrap_or_default()
        .trim_ascii_start();
    text.starts_with(b"[") || rest.starts_with(b"\"records\"")
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(text)
        .trim_ascii_start()
}

/// Line ends of a text.
pub(super) fn newlines(text: &[u8]) -> u64 {
    text.split(|b| *b == b'\n').skip(1).count() as u64
}
