//! Whether bytes look sealed.
//!
//! A cheap test without a key: sealed bytes are like random ones. What passes may still be clear (a
//! compressed file is close to random, too); what fails is clear. The chance that anything in a gigabyte
//! of sealed bytes fails is below one in a million.

/// Nonce and tag of an empty sealed blob.
pub(crate) const SEALED_BYTES_MIN: usize = 12 + 16;

/// As many printable characters in a row do not come by chance.
const PRINTABLE_RUN_MAX: usize = 36;
/// Of so many bytes in a row not all but a few are printable by chance: text with line ends and odd bytes
/// in between is.
const TEXT_BYTES: usize = 64;
const TEXT_ODD_MAX: usize = 8;
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
    !is_text(bytes) && bytes.chunks(BLOCK_BYTES).all(block)
}

/// Whether some stretch of the bytes is nearly all text. A short one is judged as a whole, more
/// strictly; below the least length of something sealed nothing can be said.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r');
    if bytes.len() < TEXT_BYTES {
        let odd = bytes.iter().filter(|b| !text(b)).count();
        return bytes.len() >= SEALED_BYTES_MIN && odd <= bytes.len() / 16;
    }
    let mut odd = 0;
    for (at, byte) in bytes.iter().enumerate() {
        odd += usize::from(!text(byte));
        let left = at.checked_sub(TEXT_BYTES).and_then(|at| bytes.get(at));
        odd -= usize::from(left.is_some_and(|b| !text(b)));
        if at + 1 >= TEXT_BYTES && odd <= TEXT_ODD_MAX {
            return true;
        }
    }
    false
}

/// Runs of printable characters that are longer than chance makes them.
pub(crate) fn long_runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let runs = bytes.split(|byte| !matches!(byte, b' '..=b'~'));
    runs.filter(|run| run.len() > PRINTABLE_RUN_MAX)
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
