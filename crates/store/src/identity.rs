//! Which rows are stored already.
//!
//! Exact sets of row ids by ingestion day, kept in memory over
//! [`limits::IDENTITY_HORIZON_DAYS`] and rebuilt from segments and log at start. Only the commit
//! thread writes them, so of two concurrent equal rows the second one always sees the first.
//!
//! Cost: 16 bytes a row and a few for the set, for the rows of the horizon.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use model::{RowId, limits};

/// Row ids are uniform already: their first eight bytes are the hash.
#[derive(Debug, Default, Clone)]
pub(crate) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length: usize) {}
}

type Ids = HashSet<RowId, BuildHasherDefault<FirstBytes>>;

/// The row ids of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    days: BTreeMap<i32, Ids>,
}

impl Identities {
    /// Whether the row is stored.
    pub(crate) fn contains(&self, id: RowId) -> bool {
        self.days.values().rev().any(|ids| ids.contains(&id))
    }

    /// Notes that the row was stored on `day`.
    pub(crate) fn insert(&mut self, day: i32, id: RowId) {
        self.days.entry(day).or_default().insert(id);
    }

    /// Forgets days that the horizon left behind.
    pub(crate) fn forget_before(&mut self, today: i32) {
        let first = first_day(today);
        if self.days.keys().next().is_some_and(|day| *day < first) {
            self.days = self.days.split_off(&first);
        }
    }
}

/// The first ingestion day within the horizon.
pub(crate) fn first_day(today: i32) -> i32 {
    today.saturating_sub(limits::IDENTITY_HORIZON_DAYS - 1)
}
