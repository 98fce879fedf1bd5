//! Files that are known by their first bytes and hold nothing of a tenant.

/// Magic of a key ring, which must not lie in a data directory.
pub(crate) const KEY_RING_MAGIC: &[u8; 4] = b"BWKR";
pub(crate) const LOCK_MAGIC: &[u8; 8] = b"BWDLOCK\n";

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
