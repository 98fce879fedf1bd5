//! Key tables: `BWKT`, version, key version `u32`, generation `u64`, nonce 12, then 48 bytes a key and
//! a tag, sealed.

use std::io;

use model::TenantId;

use super::{Bytes, Fault};
use crate::shape;

pub(crate) const MAGIC: &[u8; 4] = b"BWKT";
const HEADER_BYTES: u64 = 30;
const KEY_BYTES: u64 = 48;
const TAG_BYTES: u64 = 16;

pub(crate) fn check(bytes: &Bytes, unfinished: bool) -> io::Result<Option<Fault>> {
    let Some(body) = bytes.len.checked_sub(HEADER_BYTES + TAG_BYTES) else {
        return Ok((!unfinished).then(|| Fault::malformed(0, "too short")));
    };
    if !body.is_multiple_of(KEY_BYTES) && !unfinished {
        return Ok(Some(Fault::malformed(
            HEADER_BYTES,
            "not a whole number of keys",
        )));
    }
    let version: Option<[u8; 2]> = bytes.array(4)?;
    if version != Some([1, 0]) {
        return Ok(Some(Fault::malformed(4, "of another version")));
    }
    let body = bytes.read(HEADER_BYTES, bytes.len - HEADER_BYTES)?;
    let sealed = body.is_some_and(|body| shape::noise(&body));
    Ok((!sealed).then(|| Fault::clear(HEADER_BYTES, "the keys are not sealed")))
}

/// The name of a tenant's key table.
pub(crate) fn name(tenant: TenantId, generation: u64) -> String {
    format!("{tenant}.{generation:016x}")
}
