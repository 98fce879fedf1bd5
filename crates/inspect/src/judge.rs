//! Found places against expected ones.
//!
//! Where a marker may lie is computed from its tenant and table alone: the region that the storage
//! rules give, nowhere else, and under its own tenant. There is no list of exceptions.

use std::collections::{BTreeMap, BTreeSet};

use model::{RegionCode, TenantId};
use serde::Serialize;

use crate::marker::Planted;
use crate::opened::{Found, Opened};

/// A marker where it must not be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Misplaced {
    /// Where it was found.
    pub found: Found,
    /// Where it belongs; nothing if it may rest nowhere.
    pub expected: Option<RegionCode>,
}

/// What the opened search proves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Verdict {
    /// Markers with a place.
    pub expected: u64,
    /// Of these, those found in it.
    pub in_place: u64,
    /// Markers that may rest nowhere (their service is refused) and were found nowhere.
    pub absent: u64,
    /// Places where a marker must not be.
    pub misplaced: Vec<Misplaced>,
    /// Markers with a place that were not found in it.
    pub missing: Vec<usize>,
    /// Markers found in their place, by region.
    pub by_region: BTreeMap<RegionCode, u64>,
}

impl Verdict {
    /// Whether every marker is where it belongs and nowhere else.
    pub fn is_clean(&self) -> bool {
        self.misplaced.is_empty() && self.missing.is_empty()
    }
}

/// Compares what was found with the place that `expected` gives for a tenant's table. `planted` are the
/// markers that were searched for, in the same order.
pub fn judge(
    planted: &[Planted],
    opened: &[Opened],
    expected: impl Fn(&TenantId, &str) -> Option<RegionCode>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut places: BTreeMap<usize, BTreeSet<&Found>> = BTreeMap::new();
    for found in opened.iter().flat_map(|opened| &opened.found) {
        places.entry(found.marker).or_default().insert(found);
    }
    for (number, marker) in planted.iter().enumerate() {
        let place = expected(&marker.tenant, &marker.table);
        let mut in_place = false;
        let mut elsewhere = false;
        for found in places.remove(&number).unwrap_or_default() {
            if Some(&found.region) == place.as_ref() && found.tenant == Some(marker.tenant) {
                in_place = true;
            } else {
                elsewhere = true;
                verdict.misplaced.push(Misplaced {
                    found: found.clone(),
                    expected: place.clone(),
                });
            }
        }
        match place {
            Some(place) => {
                verdict.expected += 1;
                if in_place {
                    verdict.in_place += 1;
                    *verdict.by_region.entry(place).or_default() += 1;
                } else {
                    verdict.missing.push(number);
                }
            }
            None if !elsewhere => verdict.absent += 1,
            None => {}
        }
    }
    verdict
}
