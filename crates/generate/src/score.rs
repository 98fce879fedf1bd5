//! Alerts and incidents against the ground truth: a pure function, of which the measured side sees
//! nothing.
//!
//! | figure | means |
//! |---|---|
//! | found | intrusions of which any alert is in an incident |
//! | stages | steps of all intrusions that an alert names a record of |
//! | inside | an intrusion's alerts that are in the incident which has most of them |
//! | strangers | alerts of no intrusion in an incident that has an intrusion's |
//! | mixed | incidents with alerts of two intrusions or more; by plan if those share somebody, a machine or an address |
//! | pieces | incidents per intrusion |
//! | others | incidents without any alert of an intrusion |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use model::{IncidentId, Ticks};

use crate::truth::{IntrusionTruth, RecordKey, Truth};

/// A record as both sides name it.
pub type Key = (String, Ticks);

/// An alert with the rows behind it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its title, to speak of it.
    pub title: String,
    /// The id that a vendor gave it.
    pub vendor_id: Option<String>,
    /// The incident that it is in.
    pub incident: Option<IncidentId>,
    /// Its records, by table and their own time.
    pub records: BTreeSet<Key>,
}

/// What came of one world, or of several.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Intrusions found, of how many.
    pub found: (usize, usize),
    /// Stages seen, of how many.
    pub stages: (usize, usize),
    /// Alerts of intrusions in the incident that has most of each, of how many.
    pub inside: (usize, usize),
    /// See the header of the module.
    pub strangers: usize,
    /// See the header of the module.
    pub mixed: usize,
    /// Those of `mixed` that plan explains.
    pub mixed_by_plan: usize,
    /// Incidents with an alert of an intrusion, counted once for each of these.
    pub incidents: usize,
    /// Incidents without one.
    pub others: usize,
    /// All alerts.
    pub alerts: usize,
    unseen: BTreeMap<String, usize>,
    said: String,
}

impl Score {
    /// Adds what came of another world.
    pub fn add(&mut self, other: &Self) {
        let add = |a: &mut (usize, usize), b: (usize, usize)| *a = (a.0 + b.0, a.1 + b.1);
        add(&mut self.found, other.found);
        add(&mut self.stages, other.stages);
        add(&mut self.inside, other.inside);
        self.strangers += other.strangers;
        self.mixed += other.mixed;
        self.mixed_by_plan += other.mixed_by_plan;
        self.incidents += other.incidents;
        self.others += other.others;
        self.alerts += other.alerts;
    }

    /// Incidents per intrusion that was found.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn pieces(&self) -> String {
        format!("{:.2}", self.incidents as f64 / self.found.0.max(1) as f64)
    }

    /// What is behind the figures, for whoever works on them.
    pub fn details(&self, world: &str) -> String {
        let mut text = format!("seed {world}\n{}", self.said);
        for (stage, n) in &self.unseen {
            let _ = writeln!(text, "  unseen: {stage} {n}");
        }
        text
    }
}

/// Alerts by tenant against what happened there.
pub fn score(truth: &Truth, seen: &[Vec<Seen>]) -> Score {
    let mut score = Score::default();
    for (tenant, alerts) in seen.iter().enumerate() {
        let intrusions = truth.intrusions.iter().filter(|i| i.tenant == tenant);
        let intrusions: Vec<Rows<'_>> = intrusions.map(Rows::new).collect();
        score.tenant(&intrusions, alerts);
    }
    score
}

/// An intrusion with its rows.
struct Rows<'t> {
    truth: &'t IntrusionTruth,
    rows: BTreeSet<Key>,
}

fn key(record: &RecordKey) -> Key {
    (record.table.to_owned(), record.time)
}

impl<'t> Rows<'t> {
    fn new(truth: &'t IntrusionTruth) -> Self {
        let records = truth.stages.iter().flat_map(|stage| &stage.records);
        Self {
            truth,
            rows: records.map(key).collect(),
        }
    }

    fn has(&self, alert: &Seen) -> bool {
        let vendor = alert.vendor_id.as_ref();
        vendor.is_some_and(|id| self.truth.alerts.iter().any(|a| a.id == *id))
            || alert
                .records
                .iter()
                .any(|record| self.rows.contains(record))
    }
}

impl Score {
    fn tenant(&mut self, intrusions: &[Rows<'_>], alerts: &[Seen]) {
        let mut of: BTreeMap<IncidentId, BTreeSet<usize>> = BTreeMap::new();
        let whose = |alert: &Seen| -> BTreeSet<usize> {
            let all = intrusions.iter().enumerate();
            all.filter(|(_, i)| i.has(alert)).map(|(n, _)| n).collect()
        };
        let owners: Vec<BTreeSet<usize>> = alerts.iter().map(whose).collect();
        for (alert, owners) in alerts.iter().zip(&owners) {
            if let Some(incident) = alert.incident {
                of.entry(incident).or_default().extend(owners);
            }
        }
        self.alerts += alerts.len();
        self.others += of.values().filter(|o| o.is_empty()).count();
        for (alert, owners) in alerts.iter().zip(&owners) {
            let attacked = alert.incident.and_then(|i| of.get(&i));
            if owners.is_empty() && attacked.is_some_and(|o| !o.is_empty()) {
                self.strangers += 1;
                self.say(&format!(
                    "stranger in {:?}: {}",
                    alert.incident, alert.title
                ));
            }
        }
        for (incident, owners) in of.iter().filter(|(_, o)| o.len() > 1) {
            self.mixed += 1;
            let named: Vec<&IntrusionTruth> = owners
                .iter()
                .filter_map(|n| intrusions.get(*n).map(|i| i.truth))
                .collect();
            let ids: Vec<&str> = named.iter().map(|t| t.id.as_str()).collect();
            let common = |t: &&IntrusionTruth| {
                let other = |id: &String| *id != t.id && ids.contains(&id.as_str());
                t.shares.iter().any(|(id, _)| other(id))
            };
            let by_plan = named.iter().all(common);
            self.mixed_by_plan += usize::from(by_plan);
            let shared: BTreeSet<String> = named
                .iter()
                .flat_map(|t| &t.shares)
                .filter(|(id, _)| ids.contains(&id.as_str()))
                .map(|(_, entity)| entity.kind.to_string())
                .collect();
            self.say(&format!("mixed {incident}: {ids:?}, share {shared:?}"));
        }
        for (n, intrusion) in intrusions.iter().enumerate() {
            self.intrusion(n, intrusion, alerts, &owners);
        }
    }

    fn intrusion(
        &mut self,
        number: usize,
        intrusion: &Rows<'_>,
        alerts: &[Seen],
        owners: &[BTreeSet<usize>],
    ) {
        let all = alerts.iter().zip(owners);
        let own: Vec<&Seen> = all
            .filter(|(_, o)| o.contains(&number))
            .map(|(a, _)| a)
            .collect();
        let mut pieces: BTreeMap<IncidentId, usize> = BTreeMap::new();
        for incident in own.iter().filter_map(|a| a.incident) {
            *pieces.entry(incident).or_default() += 1;
        }
        let main = pieces.values().copied().max().unwrap_or(0);
        self.found.1 += 1;
        self.found.0 += usize::from(main > 0);
        self.inside.0 += main;
        self.inside.1 += own.len();
        self.incidents += pieces.len();
        let caught: BTreeSet<&Key> = own.iter().flat_map(|a| &a.records).collect();
        for stage in &intrusion.truth.stages {
            let is_seen = stage.records.iter().any(|r| caught.contains(&key(r)));
            self.stages.1 += 1;
            self.stages.0 += usize::from(is_seen);
            if !is_seen {
                let name = format!("{} {}", intrusion.truth.form, stage.name);
                *self.unseen.entry(name).or_default() += 1;
            }
        }
        if pieces.len() > 1 {
            let most = pieces.iter().max_by_key(|(_, n)| **n).map(|(i, _)| *i);
            let lost = own.iter().filter(|a| a.incident != most);
            let lost: Vec<String> = lost
                .map(|a| format!("{:?} {}", a.incident.map(|i| i.0), a.title))
                .collect();
            let id = &intrusion.truth.id;
            self.say(&format!("{id} in pieces {pieces:?}: {}", lost.join("; ")));
        }
    }

    fn say(&mut self, line: &str) {
        let _ = writeln!(self.said, "  {line}");
    }
}
