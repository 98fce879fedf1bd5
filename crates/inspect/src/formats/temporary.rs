//! Temporary files: `BWTF`, version, then blocks: `u32` length and up to 64 KiB, sealed.

use std::io;

use super::{Bytes, Fault};
use crate::shape;

pub(crate) const MAGIC: &[u8; 4] = b"BWTF";
const HEADER_BYTES: u64 = 6;
const BLOCK_BYTES_MIN: u32 = 16;
const BLOCK_BYTES_MAX: u32 = (64 << 10) + 16;

/// The last block may be cut short: its query still writes, or was killed.
pub(crate) fn check(bytes: &Bytes) -> io::Result<Option<Fault>> {
    let version: Option<[u8; 2]> = bytes.array(4)?;
    if version.is_some_and(|version| version != [1, 0]) {
        return Ok(Some(Fault::malformed(4, "of another version")));
    }
    let mut offset = HEADER_BYTES;
    while let Some(length) = bytes.array::<4>(offset)? {
        let length = u32::from_le_bytes(length);
        if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&length) {
            return Ok(Some(Fault::malformed(offset, "no block stands here")));
        }
        let start = offset + 4;
        let len = u64::from(length).min(bytes.len.saturating_sub(start));
        if let Some(block) = bytes.read(start, len)?
            && !shape::noise(&block)
        {
            return Ok(Some(Fault::clear(start, "a block is not sealed")));
        }
        offset = start + u64::from(length);
    }
    Ok(None)
}
