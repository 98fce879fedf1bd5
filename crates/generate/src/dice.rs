//! Seeded choices: the only source of variety in this crate.
//!
//! SplitMix64 (Steele, Lea, Flood 2014) over a state folded from the seed and a list of words, so
//! that every purpose has a stream of its own and adding a tenant moves no other tenant's choices.
//!
//! Does not do cryptography: ids and hashes made here are invented, not secret.

use model::{Span100ns, Ticks};

/// A stream of choices.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The stream of `seed` for the purpose named by `words`.
    pub(crate) fn new(seed: u64, words: &[&str]) -> Self {
        let mut state = fold(0xcbf2_9ce4_8422_2325, &seed.to_le_bytes());
        for word in words {
            // The terminator keeps ["ab", "c"] and ["a", "bc"] apart.
            state = fold(fold(state, word.as_bytes()), &[0xff]);
        }
        let mut dice = Self { state };
        dice.next();
        dice
    }

    /// 64 even bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `n - 1`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // The high half of the product: no division, a bias below 2^-40 for the sizes used here.
        u64::try_from((u128::from(self.next()) * u128::from(n)) >> 64).unwrap_or(0)
    }

    /// `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A small number, `low` to `high`, both included.
    pub(crate) fn small(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.between(u64::from(low), u64::from(high))).unwrap_or(low)
    }

    /// True `permille` times in a thousand.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// A position in a list of `len` items.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of `items`, which must not be empty.
    #[expect(
        clippy::indexing_slicing,
        reason = "`index` is below the length, and every list given is non-empty by construction"
    )]
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// `low` to `high` milliseconds, to the tick.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Span100ns {
        let ticks = self.between(low * 10_000, high * 10_000);
        Span100ns(i64::try_from(ticks).unwrap_or(0))
    }

    /// `at` moved on by `low` to `high` milliseconds.
    pub(crate) fn after(&mut self, at: Ticks, low: u64, high: u64) -> Ticks {
        at.saturating_add(self.millis(low, high))
    }

    /// Appends `digits` lower-case hex digits.
    pub(crate) fn push_hex(&mut self, out: &mut String, digits: usize) {
        let mut left = digits;
        while left > 0 {
            let mut bits = self.next();
            for _ in 0..left.min(16) {
                out.push(char::from(hex_digit(bits)));
                bits >>= 4;
            }
            left -= left.min(16);
        }
    }

    /// `digits` lower-case hex digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut out = String::with_capacity(digits);
        self.push_hex(&mut out, digits);
        out
    }

    /// A word of 26 characters that occurs nowhere else.
    pub(crate) fn token(&mut self) -> String {
        let mut out = String::from("zq");
        self.push_hex(&mut out, 24);
        out
    }

    /// A guid of version 4 in its usual hyphenated, lower-case form.
    pub(crate) fn guid(&mut self) -> String {
        let mut out = String::with_capacity(36);
        self.push_hex(&mut out, 8);
        out.push('-');
        self.push_hex(&mut out, 4);
        out.push_str("-4");
        self.push_hex(&mut out, 3);
        out.push_str("-a");
        self.push_hex(&mut out, 3);
        out.push('-');
        self.push_hex(&mut out, 12);
        out
    }
}

fn hex_digit(bits: u64) -> u8 {
    match u8::try_from(bits & 15).unwrap_or(0) {
        n @ 0..=9 => b'0' + n,
        n => b'a' + (n - 10),
    }
}

/// FNV-1a.
fn fold(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |s, b| {
        (s ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
