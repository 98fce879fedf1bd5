//! Versions of rules and rule sets: 64 bits of their texts.
//!
//! The hash (FNV-1a) tells texts apart; it is no defence against somebody who makes two texts alike,
//! who would have to be allowed to write rules anyway.

/// A hash that takes parts one after the other; where a part ends counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version(u64);

impl Version {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn part(self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes();
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(length.iter().chain(bytes).fold(self.0, step))
    }

    pub(crate) const fn finish(self) -> u64 {
        self.0
    }
}
