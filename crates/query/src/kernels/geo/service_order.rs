//! The order in which the service gives the cells around one.
//!
//! It collects their names in a hash set and gives them as the set has them. The orders that are
//! known (of Geohash, S2 and H3) all follow from one set: the GNU C++ library's, which hashes text
//! with 64-bit MurmurHash2 (A. Appleby) and has a prime number of buckets, no fewer than names.

/// What the library begins with.
const SEED: u64 = 0xc70f_6907;
const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
/// Numbers of buckets for sets as small as these.
const BUCKETS: [u64; 6] = [2, 3, 5, 7, 11, 13];

fn hash(text: &str) -> u64 {
    let mut hash = SEED ^ (text.len() as u64).wrapping_mul(FACTOR);
    let mix = |n: u64| n ^ (n >> 47);
    for part in text.as_bytes().chunks(8) {
        let number = part
            .iter()
            .rev()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        if part.len() == 8 {
            hash ^= mix(number.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
        } else {
            hash ^= number;
        }
        hash = hash.wrapping_mul(FACTOR);
    }
    mix(mix(hash).wrapping_mul(FACTOR))
}

/// Names, each once, in the order of a set into which they were put one after the other.
pub(super) fn of(names: Vec<String>) -> Vec<String> {
    let count = names.len() as u64;
    let buckets = BUCKETS.iter().find(|n| **n >= count).copied();
    let Some(buckets) = buckets else {
        return names;
    };
    // A new bucket comes first of all; a name comes first in its bucket.
    let mut list: Vec<(u64, String)> = Vec::new();
    for name in names {
        let bucket = hash(&name) % buckets;
        if list.iter().any(|(_, known)| *known == name) {
            continue;
        }
        let at = list.iter().position(|(b, _)| *b == bucket);
        list.insert(at.unwrap_or(0), (bucket, name));
    }
    list.into_iter().map(|(_, name)| name).collect()
}
