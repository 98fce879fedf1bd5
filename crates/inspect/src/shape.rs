//! Whether bytes look sealed.
//!
//! A cheap test without a key: sealed bytes are like random ones. What passes may still be clear (a
//! compressed file is close to random, too); what fails is clear. The chance that anything in a gigabyte
//! of sealed bytes fails is below one in a million.

/// Nonce and tag of an empty sealed blob.
pub(crate) const SEALED_BYTES_MIN: usize = 12 + 16;

/// As many printable characters in a row do not come by chance.
const PRINTABLE_RUN_MAX: usize = 36;
/// Bytes that are judged together.
const BLOCK_BYTES: usize = 64 << 10;
/// From as many bytes on entropy says something.
const ENTROPY_BYTES_MIN: usize = 512;
/// Bits a byte; 512 random bytes have 7.6 with little spread, and more come closer to 8.
const ENTROPY_BITS_MIN: f64 = 7.2;

/// Whether `bytes` could be sealed.
pub(crate) fn looks_sealed(bytes: &[u8]) -> bool {
    bytes.len() >= SEALED_BYTES_MIN && noise(bytes)
}

/// The same without the least length, for parts of something sealed.
pub(crate) fn noise(bytes: &[u8]) -> bool {
    let mut run = 0;
    for byte in bytes {
        run = if matches!(byte, b' '..=b'~') {
            run + 1
        } else {
            0
        };
        if run > PRINTABLE_RUN_MAX {
            return false;
        }
    }
    bytes.chunks(BLOCK_BYTES).all(block)
}

fn block(bytes: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    // Texts of two bytes a character and padding are full of zeros; one byte in 256 is by chance.
    let [zeros, ..] = counts;
    let zeros = usize::try_from(zeros).unwrap_or(usize::MAX);
    if zeros > 8 + bytes.len() / 32 {
        return false;
    }
    bytes.len() < ENTROPY_BYTES_MIN || entropy(&counts, bytes.len()) >= ENTROPY_BITS_MIN
}

/// Shannon's entropy in bits a byte.
fn entropy(counts: &[u32; 256], len: usize) -> f64 {
    let len = f64::from(u32::try_from(len).unwrap_or(u32::MAX));
    let present = counts.iter().filter(|count| **count > 0);
    present
        .map(|count| {
            let share = f64::from(*count) / len;
            -share * share.log2()
        })
        .sum()
}
