//! Files that are known by their first bytes and hold nothing of a tenant.

/// Magic of a key ring, which must not lie in a data directory.
pub(crate) const KEY_RING_MAGIC: &[u8; 4] = b"BWKR";
pub(crate) const LOCK_MAGIC: &[u8; 8] = b"BWDLOCK\n";

/// Magic of the mark that says which files of the log must be there.
pub(crate) const LOG_MARK_MAGIC: &[u8; 8] = b"BWLOGMRK";

/// Bytes of that mark.
pub(crate) const LOG_MARK_LEN: u64 = 82;

/// Whether these are all the bytes of a log mark: two numbers and a random id, with their digest.
pub(crate) fn is_log_mark(bytes: &[u8]) -> bool {
    let Some((fields, digest)) = bytes.split_last_chunk::<32>() else {
        return false;
    };
    let version = fields.strip_prefix(LOG_MARK_MAGIC).map(<[u8]>::first_chunk);
    fields.len() == 50
        && version == Some(Some(&1_u16.to_le_bytes()))
        && crypto::sha256(fields) == *digest
}

/// Whether these are all the bytes of a lock file: magic, version, the owner's process number. An
/// empty one was taken and not yet written.
pub(crate) fn is_lock(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(LOCK_MAGIC) else {
        return bytes.is_empty();
    };
    let number = rest
        .strip_prefix(&1_u16.to_le_bytes())
        .and_then(|rest| rest.strip_prefix(b"\nowned by process "))
        .and_then(|rest| rest.strip_suffix(b"\n"));
    number.is_some_and(|n| (1..=10).contains(&n.len()) && n.iter().all(u8::is_ascii_digit))
}
