//! Figures and their text form.

use std::sync::Arc;

use expect_test::expect;
use model::{Clock, Random, RegionCode, TenantId, Ticks, limits};

use crate::{Counter, Credential, Cx, Discard, Gauge, Histogram, Hunt, Label, Metrics, Policy};

const ROWS: Counter = Counter::new("ingest_rows_total", "Rows made durable.");
const OPEN: Gauge = Gauge::new("hunts_running", "Hunts that run now.");
const WAIT: Histogram = Histogram::new("commit_seconds", "Time to durable.", &[0.01, 0.5]);

#[test]
fn figures_render_sorted() {
    let metrics = Metrics::default();
    let (eu, uk) = (
        RegionCode::new("eu").unwrap(),
        RegionCode::new("uk").unwrap(),
    );
    metrics.add(&ROWS, &[("region", Label::from(&uk))], 5);
    metrics.add(&ROWS, &[("region", Label::from(&eu))], 1);
    metrics.add(&ROWS, &[("region", Label::from(&eu))], 2);
    metrics.set(&OPEN, &[], 3);
    metrics.set(&OPEN, &[], -1);
    metrics.observe(&WAIT, &[("kind", "fsync".into())], 0.01);
    metrics.observe(&WAIT, &[("kind", "fsync".into())], 0.25);
    metrics.observe(&WAIT, &[("kind", "fsync".into())], 7.0);
    expect![[r##"
        # HELP bailiwick_commit_seconds Time to durable.
        # TYPE bailiwick_commit_seconds histogram
        bailiwick_commit_seconds_bucket{kind="fsync",le="0.01"} 1
        bailiwick_commit_seconds_bucket{kind="fsync",le="0.5"} 2
        bailiwick_commit_seconds_bucket{kind="fsync",le="+Inf"} 3
        bailiwick_commit_seconds_sum{kind="fsync"} 7.26
        bailiwick_commit_seconds_count{kind="fsync"} 3
        # HELP bailiwick_hunts_running Hunts that run now.
        # TYPE bailiwick_hunts_running gauge
        bailiwick_hunts_running -1
        # HELP bailiwick_ingest_rows_total Rows made durable.
        # TYPE bailiwick_ingest_rows_total counter
        bailiwick_ingest_rows_total{region="eu"} 3
        bailiwick_ingest_rows_total{region="uk"} 5
    "##]]
    .assert_eq(&metrics.render());
    assert_eq!(metrics.counter(&ROWS, &[("region", Label::from(&eu))]), 3);
    assert_eq!(metrics.counter(&ROWS, &[]), 0);
}

#[test]
fn one_metric_has_a_bounded_number_of_series() {
    let metrics = Metrics::default();
    let n = limits::METRIC_SERIES_MAX + 7;
    for i in 0..n {
        let region = RegionCode::new(&format!("r{i}")).unwrap();
        metrics.add(&ROWS, &[("region", Label::from(&region))], 1);
    }
    assert_eq!(metrics.counter(&ROWS, &[("region", "other".into())]), 7);
    let series = metrics
        .render()
        .lines()
        .filter(|l| !l.starts_with('#'))
        .count();
    assert_eq!(series, limits::METRIC_SERIES_MAX + 1);
}

#[test]
fn a_refusal_is_counted_on_the_context_that_refused() {
    let (one, two) = (context(), context());
    let tenant = TenantId::from_bytes([1; 16]);
    assert!(
        one.decide::<Hunt>(&Credential::system("flush"), tenant)
            .is_err()
    );
    assert!(
        one.decide::<Hunt>(&Credential::local_operator(), tenant)
            .is_ok()
    );
    expect![[r##"
        # HELP bailiwick_access_denied_total Requests that the policy refused, by action and code.
        # TYPE bailiwick_access_denied_total counter
        bailiwick_access_denied_total{action="hunt",code="denied"} 1
    "##]]
    .assert_eq(&one.metrics.render());
    assert_eq!(two.metrics.render(), "");
}

fn context() -> Cx {
    Cx::new(
        Arc::new(Still),
        Arc::new(Zeros),
        Arc::new(Discard),
        Arc::new(Policy::shipped().unwrap()),
    )
}

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Ticks {
        Ticks(638_000_000_000_000_000)
    }
}

#[derive(Debug)]
struct Zeros;

impl Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}
