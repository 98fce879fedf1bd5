//! Figures about one cell: counters, gauges and histograms, rendered for Prometheus.
//!
//! A metric is a constant of the crate that counts ([`Counter`], [`Gauge`], [`Histogram`]); its
//! value lives in the cell's [`Metrics`], so that three cells in one process do not mix.
//!
//! ```text
//! const ROWS: Counter = Counter::new("ingest_rows_total", "Rows made durable.");
//! cx.metrics.add(&ROWS, &[("region", Label::from(&region))], 12);
//! ```
//!
//! Promises
//! - Label values are words of the program or of the registry ([`Label`] has no way in for data),
//!   and one metric has at most `limits::METRIC_SERIES_MAX` series.
//! - Output is sorted: the same figures render to the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use model::limits;

use crate::log::Word;

/// The value of a label: a word that cannot be data.
pub type Label = Word;

/// Bounds of a histogram of durations in seconds: 0.1 ms to 100 s.
pub const SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 100.0,
];

/// Something that only grows. The name ends in `_total`.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    name: &'static str,
    help: &'static str,
}

/// Something that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    name: &'static str,
    help: &'static str,
}

/// How often a measure fell under each of some bounds. The name ends in its base unit.
#[derive(Clone, Copy, Debug)]
pub struct Histogram {
    name: &'static str,
    help: &'static str,
    bounds: &'static [f64],
}

impl Counter {
    /// `name` is `area_noun_unit_total`, `help` one sentence.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help }
    }
}

impl Gauge {
    /// `name` is `area_noun_unit`, `help` one sentence.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help }
    }
}

impl Histogram {
    /// `bounds` grow; see [`SECONDS`].
    pub const fn new(name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self { name, help, bounds }
    }
}

type Labels = Vec<(&'static str, Label)>;

#[derive(Debug)]
struct Family {
    help: &'static str,
    series: Series,
}

#[derive(Debug)]
enum Series {
    Counter(BTreeMap<Labels, u64>),
    Gauge(BTreeMap<Labels, i64>),
    Histogram(&'static [f64], BTreeMap<Labels, Observed>),
}

#[derive(Debug, Default)]
struct Observed {
    /// One per bound; what lies above the last is in `count` only.
    under: Vec<u64>,
    count: u64,
    sum: f64,
}

/// The figures of one cell.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Written by whoever counts, read by `render`; held for a map look-up only.
    families: Mutex<BTreeMap<&'static str, Family>>,
}

impl Metrics {
    /// Adds `n` to a counter.
    pub fn add(&self, counter: &Counter, labels: &[(&'static str, Label)], n: u64) {
        self.with(counter.name, counter.help, new_counter, |series| {
            if let Series::Counter(map) = series {
                let value = entry(map, labels);
                *value = value.saturating_add(n);
            }
        });
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: &Gauge, labels: &[(&'static str, Label)], value: i64) {
        self.with(gauge.name, gauge.help, new_gauge, |series| {
            if let Series::Gauge(map) = series {
                *entry(map, labels) = value;
            }
        });
    }

    /// Counts a measure in a histogram.
    pub fn observe(&self, histogram: &Histogram, labels: &[(&'static str, Label)], value: f64) {
        let fresh = || Series::Histogram(histogram.bounds, BTreeMap::new());
        self.with(histogram.name, histogram.help, fresh, |series| {
            if let Series::Histogram(bounds, map) = series {
                let observed = entry(map, labels);
                observed.under.resize(bounds.len(), 0);
                for (under, bound) in observed.under.iter_mut().zip(bounds.iter()) {
                    *under += u64::from(value <= *bound);
                }
                observed.count += 1;
                observed.sum += value;
            }
        });
    }

    /// The value of a counter; 0 if nothing was counted.
    pub fn counter(&self, counter: &Counter, labels: &[(&'static str, Label)]) -> u64 {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        match families.get(counter.name).map(|family| &family.series) {
            Some(Series::Counter(map)) => map.get(labels).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// All figures in the Prometheus text format, each name with the prefix `bailiwick_`.
    pub fn render(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, family) in families.iter() {
            family.render(name, &mut out);
        }
        out
    }

    /// A name that is used as two kinds of metric keeps the first; the second counts nowhere, and
    /// the test that renders it shows that.
    fn with(
        &self,
        name: &'static str,
        help: &'static str,
        fresh: impl FnOnce() -> Series,
        change: impl FnOnce(&mut Series),
    ) {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Family {
            help,
            series: fresh(),
        });
        change(&mut family.series);
    }
}

fn new_counter() -> Series {
    Series::Counter(BTreeMap::new())
}

fn new_gauge() -> Series {
    Series::Gauge(BTreeMap::new())
}

/// LIMIT: `METRIC_SERIES_MAX` series per metric; further ones share one in which each label is `other`.
fn entry<'m, V: Default>(
    map: &'m mut BTreeMap<Labels, V>,
    labels: &[(&'static str, Label)],
) -> &'m mut V {
    let full = map.len() >= limits::METRIC_SERIES_MAX && !map.contains_key(labels);
    let key = if full {
        labels
            .iter()
            .map(|(name, _)| (*name, Label::from("other")))
            .collect()
    } else {
        labels.to_vec()
    };
    map.entry(key).or_default()
}

impl Family {
    fn render(&self, name: &str, out: &mut String) {
        let kind = match &self.series {
            Series::Counter(_) => "counter",
            Series::Gauge(_) => "gauge",
            Series::Histogram(..) => "histogram",
        };
        let _ = writeln!(out, "# HELP bailiwick_{name} {}", self.help);
        let _ = writeln!(out, "# TYPE bailiwick_{name} {kind}");
        match &self.series {
            Series::Counter(map) => {
                for (labels, value) in map {
                    let _ = writeln!(out, "bailiwick_{name}{} {value}", braces(labels, None));
                }
            }
            Series::Gauge(map) => {
                for (labels, value) in map {
                    let _ = writeln!(out, "bailiwick_{name}{} {value}", braces(labels, None));
                }
            }
            Series::Histogram(bounds, map) => {
                for (labels, observed) in map {
                    observed.render(name, labels, bounds, out);
                }
            }
        }
    }
}

impl Observed {
    fn render(&self, name: &str, labels: &Labels, bounds: &[f64], out: &mut String) {
        for (bound, under) in bounds.iter().zip(&self.under) {
            let le = bound.to_string();
            let _ = writeln!(
                out,
                "bailiwick_{name}_bucket{} {under}",
                braces(labels, Some(&le))
            );
        }
        let all = braces(labels, Some("+Inf"));
        let _ = writeln!(out, "bailiwick_{name}_bucket{all} {}", self.count);
        let plain = braces(labels, None);
        let _ = writeln!(out, "bailiwick_{name}_sum{plain} {}", self.sum);
        let _ = writeln!(out, "bailiwick_{name}_count{plain} {}", self.count);
    }
}

fn braces(labels: &Labels, le: Option<&str>) -> String {
    let mut parts: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value.as_str())))
        .collect();
    parts.extend(le.map(|le| format!("le=\"{le}\"")));
    if parts.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", parts.join(","))
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
