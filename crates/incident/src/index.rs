//! Which alerts have a key, in the order of time.
//!
//! Made anew from the incidents when a state is read, never written: so a state that was stored and
//! one that was not cannot differ.

use std::collections::{BTreeMap, BTreeSet};

use model::limits::INCIDENT_JOIN_FANOUT_MAX;
use model::{AlertId, KeyToken, Ticks};

use crate::member::Member;

/// See the header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Index {
    by_key: BTreeMap<KeyToken, BTreeSet<(Ticks, AlertId)>>,
}

impl Index {
    pub(crate) fn add(&mut self, id: AlertId, alert: &Member) {
        for key in &alert.keys {
            self.by_key
                .entry(*key)
                .or_default()
                .insert((alert.last_at, id));
        }
    }

    pub(crate) fn remove(&mut self, id: AlertId, alert: &Member) {
        for key in &alert.keys {
            if let Some(alerts) = self.by_key.get_mut(key) {
                alerts.remove(&(alert.last_at, id));
                if alerts.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }

    /// The alerts with this key that are nearest to `at` and that `wanted` keeps, a bounded number
    /// before and after; true if there were more.
    pub(crate) fn near(
        &self,
        key: &KeyToken,
        at: Ticks,
        wanted: impl Fn(&AlertId) -> bool,
        found: &mut BTreeSet<AlertId>,
    ) -> bool {
        let Some(alerts) = self.by_key.get(key) else {
            return false;
        };
        let middle = (at, AlertId::from_bytes([0; 16]));
        let before = take(alerts.range(..middle).rev(), &wanted, found);
        let after = take(alerts.range(middle..), &wanted, found);
        before || after
    }
}

fn take<'a>(
    alerts: impl Iterator<Item = &'a (Ticks, AlertId)>,
    wanted: &impl Fn(&AlertId) -> bool,
    found: &mut BTreeSet<AlertId>,
) -> bool {
    let mut alerts = alerts.map(|(_, id)| *id).filter(|id| wanted(id));
    found.extend(alerts.by_ref().take(INCIDENT_JOIN_FANOUT_MAX));
    alerts.next().is_some()
}
