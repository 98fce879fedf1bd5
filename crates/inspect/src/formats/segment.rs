//! Segments: Parquet files with an encrypted footer (Parquet Modular Encryption).
//!
//! ```text
//! file   = "PARE" module* crypto module len:u32 "PARE"      len = bytes of crypto and the last module
//! module = len:u32 nonce:12 ciphertext tag:16               len counts what follows it
//! crypto = FileCryptoMetaData, Thrift's compact protocol: algorithm, key metadata
//! key metadata (ours) = version:u16 len:u8 region code  key id:16
//! ```
//!
//! Every byte before the footer must belong to a module: what a writer left in clear between them (a
//! bloom filter, say) ends the walk.

use std::io;

use model::{KeyId, RegionCode};

use super::{Bytes, Fault, Fields};
use crate::shape;

pub(crate) const MAGIC: &[u8; 4] = b"PARE";
/// Magic of a Parquet file whose footer is in clear.
pub(crate) const CLEAR_MAGIC: &[u8; 4] = b"PAR1";
/// Nonce and tag.
const MODULE_BYTES_MIN: u32 = 28;
/// No module of ours comes near: a page has 1 MiB as a rule.
const MODULE_BYTES_MAX: u32 = 1 << 30;
const KEY_METADATA_VERSION: u16 = 1;

/// What a segment says without a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) region: RegionCode,
    pub(crate) key: KeyId,
}

/// Reads the label of a whole segment, and walks all of its modules.
pub(crate) fn read(bytes: &Bytes) -> io::Result<Result<Label, Fault>> {
    let footer = match footer(bytes)? {
        Ok(footer) => footer,
        Err(fault) => return Ok(Err(fault)),
    };
    if let Some(fault) = modules(bytes, footer.start, false)? {
        return Ok(Err(fault));
    }
    Ok(Ok(footer.label))
}

/// Walks what there is of a segment that is still being written.
pub(crate) fn read_unfinished(bytes: &Bytes) -> io::Result<Option<Fault>> {
    if let Ok(Ok(_)) = read(bytes) {
        return Ok(None);
    }
    modules(bytes, bytes.len, true)
}

struct Footer {
    label: Label,
    /// Where modules end.
    start: u64,
}

fn footer(bytes: &Bytes) -> io::Result<Result<Footer, Fault>> {
    let fault = |detail| Ok(Err(Fault::malformed(bytes.len.saturating_sub(8), detail)));
    let Some(tail) = bytes.len.checked_sub(8) else {
        return fault("too short");
    };
    let end: Option<[u8; 8]> = bytes.array(tail)?;
    let Some([a, b, c, d, magic @ ..]) = end else {
        return fault("too short");
    };
    if magic != *MAGIC {
        return fault("it does not end as a sealed file does");
    }
    let len = u64::from(u32::from_le_bytes([a, b, c, d]));
    let Some(start) = tail.checked_sub(len).filter(|start| *start >= 4) else {
        return fault("the footer is longer than the file");
    };
    let Some(footer) = bytes.read(start, len)? else {
        return fault("too short");
    };
    let mut thrift = Thrift(&footer);
    let label = thrift
        .crypto()
        .and_then(|key_metadata| label(&key_metadata));
    let Some(label) = label else {
        return Ok(Err(Fault::malformed(
            start,
            "the key metadata is not readable",
        )));
    };
    // The footer itself: one module, to the end.
    let mut rest = Fields(thrift.0);
    let sealed = rest.sized().filter(|_| rest.0.is_empty());
    Ok(if sealed.is_some_and(shape::looks_sealed) {
        Ok(Footer { label, start })
    } else {
        Err(Fault::clear(start, "the footer is not sealed"))
    })
}

fn modules(bytes: &Bytes, end: u64, unfinished: bool) -> io::Result<Option<Fault>> {
    let mut offset = 4;
    while offset < end {
        let length: Option<[u8; 4]> = bytes.array(offset)?;
        let Some(length) = length.map(u32::from_le_bytes) else {
            return Ok((!unfinished).then(|| Fault::malformed(offset, "cut short")));
        };
        if !(MODULE_BYTES_MIN..=MODULE_BYTES_MAX).contains(&length) {
            return Ok(Some(Fault::clear(offset, "no sealed module stands here")));
        }
        let start = offset + 4;
        offset = start + u64::from(length);
        if offset > end && !unfinished {
            return Ok(Some(Fault::clear(start, "no sealed module ends here")));
        }
        let len = offset.min(end) - start;
        let Some(module) = bytes.read(start, len)? else {
            return Ok((!unfinished).then(|| Fault::malformed(start, "cut short")));
        };
        if !shape::noise(&module) {
            return Ok(Some(Fault::clear(start, "a module is not sealed")));
        }
    }
    Ok(None)
}

fn label(key_metadata: &[u8]) -> Option<Label> {
    let mut fields = Fields(key_metadata);
    if fields.u16()? != KEY_METADATA_VERSION {
        return None;
    }
    let len = usize::from(fields.u8()?);
    let region = RegionCode::new(std::str::from_utf8(fields.bytes(len)?).ok()?).ok()?;
    let key = KeyId::from_bytes(fields.take()?);
    fields.0.is_empty().then_some(Label { region, key })
}

/// What stands for the end of a struct among fields.
const STOP: (i16, u8) = (0, 0);

/// As much of Thrift's compact protocol as FileCryptoMetaData takes.
struct Thrift<'a>(&'a [u8]);

impl Thrift<'_> {
    /// FileCryptoMetaData { 1: union { 1: AesGcmV1 { 1: aad prefix, 2: unique part, 3: bool } },
    /// 2: key metadata }. An AAD prefix must not be there: ours is not kept in the file.
    fn crypto(&mut self) -> Option<Vec<u8>> {
        const STRUCT: u8 = 12;
        const BINARY: u8 = 8;
        self.expect(1, STRUCT)?;
        self.expect(1, STRUCT)?;
        let mut last = 0;
        loop {
            match self.field(last)? {
                STOP => break,
                (2, BINARY) => {
                    self.binary()?;
                    last = 2;
                }
                // A bool's value is its type.
                (3, 1 | 2) => last = 3,
                _ => return None,
            }
        }
        // The end of the union, the second field, the end of it all.
        (self.field(1)? == STOP).then_some(())?;
        (self.field(1)? == (2, BINARY)).then_some(())?;
        let key_metadata = self.binary()?;
        (self.field(2)? == STOP).then_some(key_metadata)
    }

    fn expect(&mut self, id: i16, kind: u8) -> Option<()> {
        (self.field(0)? == (id, kind)).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next field's id and type; [`STOP`] at the end of the struct.
    fn field(&mut self, before: i16) -> Option<(i16, u8)> {
        let head = self.byte()?;
        if head == 0 {
            return Some(STOP);
        }
        let step = i16::from(head >> 4);
        // Long form of ids: none of these structs has it.
        (step > 0).then_some((before + step, head & 0x0f))
    }

    fn binary(&mut self) -> Option<Vec<u8>> {
        let mut len = 0_usize;
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                return Some(bytes.to_vec());
            }
        }
        None
    }
}
