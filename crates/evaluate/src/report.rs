//! What came of each case, and the totals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One case's outcome.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) file: String,
    pub(crate) id: String,
    /// Lines of the totals that it counts in.
    pub(crate) families: Vec<String>,
    /// Why it fails; `None` if it passes.
    pub(crate) failure: Option<String>,
    /// Only counted: no promise is made about it.
    pub(crate) reported_only: bool,
}

/// Every outcome of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) outcomes: Vec<Outcome>,
}

impl Report {
    /// Passed and all, per family.
    pub(crate) fn counts(&self) -> BTreeMap<(String, String), (usize, usize)> {
        let mut counts: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
        for outcome in &self.outcomes {
            for family in &outcome.families {
                let key = (outcome.file.clone(), family.clone());
                let count = counts.entry(key).or_default();
                count.0 += usize::from(outcome.failure.is_none());
                count.1 += 1;
            }
        }
        counts
    }

    /// The totals as lines of text.
    pub(crate) fn totals(&self) -> String {
        let mut out = String::new();
        let mut file = String::new();
        for ((name, family), (passed, all)) in self.counts() {
            if name != file {
                let _ = writeln!(out, "{name}");
                file = name;
            }
            let permille = (passed * 1_000).checked_div(all).unwrap_or(0);
            let _ = writeln!(
                out,
                "  {family:32} {passed:5} of {all:5}  {:3}.{} %",
                permille / 10,
                permille % 10
            );
        }
        out
    }

    /// The failing cases, one a line: file, id, why.
    pub(crate) fn failing(&self) -> String {
        let mut out = String::new();
        for outcome in &self.outcomes {
            if let Some(why) = &outcome.failure {
                let why = why.replace(['\t', '\n', '\r'], " ");
                let _ = writeln!(out, "{}\t{}\t{why}", outcome.file, outcome.id);
            }
        }
        out
    }
}
