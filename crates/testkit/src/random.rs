//! Randomness that repeats: SplitMix64 (Steele, Lea, Flood 2014) from a seed.
//!
//! Not secure, and never part of the shipped program.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Random;

/// The step of SplitMix64: the golden ratio in 64 bits, so that every state is visited once.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A deterministic [`Random`]. Clones share one stream.
#[derive(Clone)]
pub struct SeededRandom {
    seed: u64,
    state: Arc<AtomicU64>,
}

impl SeededRandom {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            state: Arc::new(AtomicU64::new(seed)),
        }
    }

    /// The seed, to be printed by a failing test.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 64 bits.
    pub fn next_u64(&self) -> u64 {
        let z = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0. The bias is of no matter to a test.
    pub fn below(&self, end: u64) -> u64 {
        self.next_u64().checked_rem(end).unwrap_or(0)
    }

    /// An index below `len`; 0 if `len` is 0.
    pub fn index(&self, len: usize) -> usize {
        let end = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// True in `percent` of 100 calls.
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// `len` bytes of the stream.
    pub fn bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeededRandom(seed {})", self.seed)
    }
}

/// The seed of a generated test: `BAILIWICK_SEED` if it is set, else `default`; printed, so that a
/// failure can be repeated.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "testkit is the one library that may read the environment and speak to the person"
)]
pub fn seed(default: u64) -> u64 {
    let chosen = std::env::var("BAILIWICK_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default);
    eprintln!("seed: {chosen} (set BAILIWICK_SEED to repeat)");
    chosen
}
