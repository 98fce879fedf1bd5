//! Temporary files: `BWTF`, version, then blocks: `u32` length and 64 KiB, sealed; the last block is
//! shorter or as long.
//!
//! Without the key, which is gone with the process, a block is known by its length and by looking like
//! noise. Whatever calls itself compressed is not sealed.

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
            && (!shape::noise(&block) || is_compressed(&block))
        {
            return Ok(Some(Fault::clear(start, "a block is not sealed")));
        }
        offset = start + u64::from(length);
        if length < BLOCK_BYTES_MAX && offset < bytes.len {
            let detail = "something follows the last block";
            return Ok(Some(Fault::malformed(offset, detail)));
        }
    }
    Ok(None)
}

/// Whether the first bytes are those of a compressed file; sealed bytes are so once in 2^30.
fn is_compressed(block: &[u8]) -> bool {
    let gzip = matches!(
        block,
        [
            0x1f,
            0x8b,
            8,
            0..=0x1f,
            _,
            _,
            _,
            _,
            0 | 2 | 4,
            0..=13 | 255,
            ..
        ]
    );
    let others: [&[u8]; 5] = [
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"\xfd7zXZ\0",
        b"BZh91AY",
        b"\x04\x22\x4d\x18",
    ];
    gzip || others.iter().any(|magic| block.starts_with(magic))
}
