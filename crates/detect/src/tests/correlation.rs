//! Several rows that mean something together: counting, order, limits, and going back.

use model::{RowId, Ticks};
use serde_json::{Value, json};

use super::help;
use crate::{CorrelationHit, CorrelationState, Engine, SigmaEngine, Step};

const BASE: &str = "
title: wrong password
id: base
name: base
logsource: {product: bailiwick, service: entraidsigninevents}
detection: {wrong: {ErrorCode: 50126}, condition: wrong}
level: low
---
";

fn engine(correlation: &str) -> SigmaEngine {
    let text = format!("{BASE}title: c\nid: c\nlevel: high\ncorrelation:\n{correlation}");
    help::engine(&text)
}

fn sign_in(minute: i64, who: &str, from: &str) -> Value {
    json!({
        "Timestamp": format!("2026-07-18T{:02}:{:02}:00Z", 9 + minute / 60, minute % 60),
        "AccountUpn": who,
        "IPAddress": from,
        "ErrorCode": 50126,
        "ReportId": format!("{minute}{who}{from}"),
    })
}

fn steps(engine: &SigmaEngine, rows: &[Value], first: u64) -> Vec<Step> {
    let (table, batch) = help::rows_from("EntraIdSignInEvents", rows, first);
    engine.evaluate(&table, &batch).steps
}

fn advance(
    state: &mut CorrelationState,
    engine: &SigmaEngine,
    steps: &[Step],
) -> Vec<CorrelationHit> {
    state.advance(engine.rules(), steps, &help::hash)
}

fn at(minute: i64) -> Ticks {
    Ticks::parse(&format!(
        "2026-07-18T{:02}:{:02}:00Z",
        9 + minute / 60,
        minute % 60
    ))
    .unwrap()
}

const COUNT: &str = "
  type: event_count
  rules: [base]
  group-by: [AccountUpn]
  timespan: 10m
  condition: {gte: 3}
";

#[test]
fn a_count_is_reported_once_a_window_and_anew_after_it() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    let minutes = [0, 1, 2, 3, 9, 20, 21, 22];
    let rows: Vec<Value> = minutes
        .iter()
        .map(|m| sign_in(*m, "a@b.example", "192.0.2.1"))
        .collect();
    let hits = advance(&mut state, &engine, &steps(&engine, &rows, 0));
    let windows: Vec<_> = hits.iter().map(|h| (h.start, h.end, h.rows)).collect();
    assert_eq!(windows, [(at(0), at(10), 3), (at(20), at(30), 3)]);
    assert_eq!(
        hits[0].group,
        [("AccountUpn".to_owned(), "a@b.example".to_owned())]
    );
    assert_ne!(hits[0].id, hits[1].id);
}

#[test]
fn rows_a_little_further_apart_than_the_span_are_not_together() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    let rows: Vec<Value> = [0, 5, 10]
        .map(|m| sign_in(m, "a@b.example", "192.0.2.1"))
        .into();
    assert_eq!(advance(&mut state, &engine, &steps(&engine, &rows, 0)), []);
}

#[test]
fn groups_are_apart_and_a_row_without_the_field_is_in_none() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    let rows: Vec<Value> = ["a@b.example", "c@d.example", "", "", "", "a@b.example"]
        .iter()
        .enumerate()
        .map(|(n, who)| sign_in(i64::try_from(n).unwrap(), who, "192.0.2.1"))
        .collect();
    assert_eq!(advance(&mut state, &engine, &steps(&engine, &rows, 0)), []);
    assert_eq!(state.groups(), 2);
}

#[test]
fn going_back_to_an_older_cursor_gives_the_same_alerts_and_no_other() {
    let engine = engine(COUNT);
    let rows: Vec<Value> = (0..40)
        .map(|m| sign_in(m, "a@b.example", "192.0.2.1"))
        .collect();
    let all = steps(&engine, &rows, 0);
    let mut straight = CorrelationState::default();
    let wanted: Vec<_> = advance(&mut straight, &engine, &all)
        .iter()
        .map(|h| h.id)
        .collect();
    assert_eq!(wanted.len(), 4);
    for cut in 0..all.len() {
        // The state was kept after `cut` steps, and after a crash all of them come again …
        let mut state = CorrelationState::default();
        let mut found: Vec<_> = advance(&mut state, &engine, &all[..cut])
            .iter()
            .map(|h| h.id)
            .collect();
        let kept = serde_json::to_string(&state).unwrap();
        let mut newer: CorrelationState = serde_json::from_str(&kept).unwrap();
        let back = cut.saturating_sub(7);
        let again: Vec<_> = advance(&mut newer, &engine, &all[back..])
            .iter()
            .map(|h| h.id)
            .collect();
        found.extend(again.iter().copied());
        found.sort();
        found.dedup();
        let mut sorted = wanted.clone();
        sorted.sort();
        assert_eq!(found, sorted, "cut at {cut}");
        // … and whatever was reported within what is repeated is reported again.
        let mut older = CorrelationState::default();
        let before = advance(&mut older, &engine, &all[..back]).len();
        assert_eq!(again.len(), wanted.len() - before, "cut at {cut}");
    }
}

#[test]
fn the_state_is_the_same_after_a_rest() {
    let engine = engine(COUNT);
    let rows: Vec<Value> = (0..5)
        .map(|m| sign_in(m, "a@b.example", "192.0.2.1"))
        .collect();
    let mut state = CorrelationState::default();
    advance(&mut state, &engine, &steps(&engine, &rows, 0));
    let rest: CorrelationState =
        serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert_eq!(rest, state);
}

#[test]
fn a_late_row_completes_the_window_it_belongs_to() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    let rows: Vec<Value> = [0, 8, 5]
        .map(|m| sign_in(m, "a@b.example", "192.0.2.1"))
        .into();
    let hits = advance(&mut state, &engine, &steps(&engine, &rows, 0));
    assert_eq!(hits.len(), 1);
    assert_eq!((hits[0].start, hits[0].last_at), (at(0), at(8)));
}

#[test]
fn a_row_from_the_future_does_not_silence_its_group() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    let mut rows: Vec<Value> = vec![sign_in(0, "a@b.example", "192.0.2.1")];
    rows[0]["Timestamp"] = json!("2031-01-01T00:00:00Z");
    // It counts as of its arrival, 16:00.
    rows.extend([415, 416, 417].map(|m| sign_in(m, "a@b.example", "192.0.2.1")));
    assert_eq!(
        advance(&mut state, &engine, &steps(&engine, &rows, 0)).len(),
        1
    );
}

#[test]
fn distinct_values_count_once() {
    let engine = engine(
        "
  type: value_count
  rules: [base]
  group-by: [IPAddress]
  timespan: 1h
  condition: {field: AccountUpn, gte: 3}
",
    );
    let mut state = CorrelationState::default();
    let who = ["a@b.example", "a@b.example", "c@b.example", "A@b.example"];
    let rows: Vec<Value> = (0..4)
        .map(|n| sign_in(n, who[usize::try_from(n).unwrap()], "192.0.2.1"))
        .collect();
    // Values are compared as they are: three of these differ.
    assert_eq!(
        advance(&mut state, &engine, &steps(&engine, &rows, 0)).len(),
        1
    );
    let mut state = CorrelationState::default();
    assert_eq!(
        advance(&mut state, &engine, &steps(&engine, &rows[..3], 0)),
        []
    );
}

fn two_rules(kind: &str, more: &str) -> SigmaEngine {
    help::engine(&format!(
        "{BASE}title: right\nid: right\nname: right\n\
         logsource: {{product: bailiwick, service: entraidsigninevents}}\n\
         detection: {{right: {{ErrorCode: 0}}, condition: right}}\nlevel: low\n---\n\
         title: c\nid: c\nlevel: high\ncorrelation:\n  type: {kind}\n  rules: [base, right]\n  \
         group-by: [AccountUpn]\n  timespan: 10m\n{more}"
    ))
}

fn right(minute: i64, who: &str) -> Value {
    let mut row = sign_in(minute, who, "192.0.2.9");
    row["ErrorCode"] = json!(0);
    row
}

#[test]
fn order_matters_where_it_is_asked_for() {
    let forward = [
        sign_in(0, "a@b.example", "192.0.2.1"),
        right(1, "a@b.example"),
    ];
    let backward = [
        right(0, "a@b.example"),
        sign_in(1, "a@b.example", "192.0.2.1"),
    ];
    for (kind, rows, hits) in [
        ("temporal", &forward, 1),
        ("temporal", &backward, 1),
        ("temporal_ordered", &forward, 1),
        ("temporal_ordered", &backward, 0),
    ] {
        let engine = two_rules(kind, "");
        let mut state = CorrelationState::default();
        let found = advance(&mut state, &engine, &steps(&engine, rows, 0));
        assert_eq!(found.len(), hits, "{kind}");
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let wrong = sign_in(0, "a@b.example", "192.0.2.1");
    let rights = [right(3, "a@b.example"), right(4, "a@b.example")];
    let engine = two_rules("temporal_ordered", "");
    for rows in [
        vec![rights[0].clone(), rights[1].clone(), wrong.clone()],
        vec![rights[1].clone(), wrong.clone(), rights[0].clone()],
        vec![wrong, rights[0].clone(), rights[1].clone()],
    ] {
        let mut state = CorrelationState::default();
        let hits = advance(&mut state, &engine, &steps(&engine, &rows, 0));
        assert_eq!(hits.len(), 1, "{rows:?}");
    }
}

#[test]
fn a_backlog_that_brings_one_table_days_ahead_of_another_loses_nothing() {
    let engine = two_rules("temporal_ordered", "");
    let ahead = [sign_in(0, "a@b.example", "192.0.2.1"), {
        let mut next_days = sign_in(0, "a@b.example", "192.0.2.1");
        next_days["Timestamp"] = json!("2026-07-18T15:59:00Z");
        next_days
    }];
    let mut state = CorrelationState::default();
    advance(&mut state, &engine, &steps(&engine, &ahead, 0));
    let behind = steps(&engine, &[right(3, "a@b.example")], 50);
    assert_eq!(advance(&mut state, &engine, &behind).len(), 1);
}

#[test]
fn a_hit_has_the_rows_and_entities_of_all_its_steps() {
    let engine = two_rules("temporal", "");
    let mut state = CorrelationState::default();
    let first = steps(&engine, &[sign_in(0, "a@b.example", "192.0.2.1")], 0);
    let second = steps(&engine, &[right(1, "a@b.example")], 50);
    assert_eq!(advance(&mut state, &engine, &first), []);
    let hits = advance(&mut state, &engine, &second);
    let rows: Vec<RowId> = hits[0].records.iter().map(|r| r.row).collect();
    assert_eq!(
        rows,
        [1_u128, 51].map(|n| RowId::from_bytes(n.to_be_bytes()))
    );
    let names: Vec<&str> = hits[0].entities.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["a@b.example", "192.0.2.1", "192.0.2.9"]);
    let alert = help::making(|m| crate::alert::of_hit(engine.rules(), &hits[0], m)).unwrap();
    assert_eq!(alert.id, hits[0].id);
    assert_eq!((alert.first_at, alert.last_at), (at(0), at(1)));
}

#[test]
fn rules_that_only_feed_a_correlation_make_no_alerts_unless_it_says_so() {
    let (table, batch) = help::rows_of(
        "EntraIdSignInEvents",
        &[sign_in(0, "a@b.example", "192.0.2.1")],
    );
    assert_eq!(engine(COUNT).evaluate(&table, &batch).detections, []);
    let loud = help::engine(&format!(
        "{BASE}title: c\nid: c\ngenerate: true\ncorrelation:\n{COUNT}"
    ));
    assert_eq!(loud.evaluate(&table, &batch).detections.len(), 1);
}

#[test]
fn a_correlation_of_correlations_sees_their_hits() {
    let engine = help::engine(&format!(
        "{BASE}title: c\nid: c\nname: c\nlevel: low\ncorrelation:\n{COUNT}---\n\
         title: d\nid: d\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [c]\n  \
         group-by: [AccountUpn]\n  timespan: 1h\n  condition: {{gte: 2}}\n"
    ));
    let mut state = CorrelationState::default();
    let rows: Vec<Value> = [0, 1, 2, 20, 21, 22]
        .map(|m| sign_in(m, "a@b.example", "192.0.2.1"))
        .into();
    let hits = advance(&mut state, &engine, &steps(&engine, &rows, 0));
    let titles: Vec<&str> = hits
        .iter()
        .map(|h| engine.rules().rules()[h.rule].title.as_str())
        .collect();
    assert_eq!(titles, ["d"]);
    // Its rows are those behind the hits: what is no row can be found nowhere.
    let rows: Vec<RowId> = hits[0].records.iter().map(|r| r.row).collect();
    let row = |n: u128| RowId::from_bytes(n.to_be_bytes());
    assert_eq!(rows, [1, 2, 3, 4, 5, 6].map(row));
}

#[test]
fn the_rows_of_a_path_are_the_latest_that_make_it_one() {
    let engine = two_rules("temporal_ordered", "");
    let early = sign_in(0, "a@b.example", "192.0.2.1");
    let (late, done) = (
        sign_in(5, "a@b.example", "192.0.2.2"),
        right(6, "a@b.example"),
    );
    for rows in [
        vec![early.clone(), late.clone(), done.clone()],
        vec![done.clone(), late.clone(), early.clone()],
        vec![early, done, late],
    ] {
        let mut state = CorrelationState::default();
        let hits = advance(&mut state, &engine, &steps(&engine, &rows, 0));
        let last = hits.last().unwrap();
        if hits.len() == 1 && last.start == at(0) {
            // The late one came when the window was reported already.
            assert_eq!(rows.last().unwrap()["IPAddress"], "192.0.2.2");
            continue;
        }
        assert_eq!((last.start, last.last_at, last.rows), (at(5), at(6), 2));
        let names: Vec<&str> = last.entities.iter().map(|e| e.name.as_str()).collect();
        assert!(!names.contains(&"192.0.2.1"), "{names:?}");
        assert!(names.contains(&"192.0.2.2") && names.contains(&"192.0.2.9"));
    }
}

#[test]
fn what_only_earlier_rows_name_waits_for_its_own_window() {
    let engine = two_rules("temporal_ordered", "");
    let rows = [
        sign_in(0, "a@b.example", "192.0.2.1"),
        sign_in(8, "a@b.example", "192.0.2.2"),
        right(9, "a@b.example"),
    ];
    let mut state = CorrelationState::default();
    let mut found = advance(&mut state, &engine, &steps(&engine, &rows, 0));
    // Late: a second way to the end, by the first row, before the window that was reported.
    let late = steps(&engine, &[right(4, "a@b.example")], 50);
    found.extend(advance(&mut state, &engine, &late));
    let windows: Vec<_> = found.iter().map(|h| (h.start, h.last_at)).collect();
    assert_eq!(windows, [(at(8), at(9)), (at(0), at(4))]);
    assert!(found[1].entities.iter().any(|e| e.name == "192.0.2.1"));
    assert!(!found[0].entities.iter().any(|e| e.name == "192.0.2.1"));
}

#[test]
fn groups_and_rows_are_bounded() {
    let engine = engine(
        "\n  type: event_count\n  rules: [base]\n  group-by: [AccountUpn]\n  timespan: 1d\n  condition: {gte: 900}\n",
    );
    let mut state = CorrelationState::default();
    let most = model::limits::CORRELATION_GROUPS_MAX;
    let rows: Vec<Value> = (0..most + 10)
        .map(|n| sign_in(0, &format!("p{n}@b.example"), "192.0.2.1"))
        .collect();
    advance(&mut state, &engine, &steps(&engine, &rows, 0));
    assert!(state.groups() <= most, "{}", state.groups());
    assert!(state.forgotten() > 0);
    let mut state = CorrelationState::default();
    let rows: Vec<Value> = (0..850)
        .map(|n| sign_in(n / 2, "a@b.example", "192.0.2.1"))
        .collect();
    let all = steps(&engine, &rows, 0);
    advance(&mut state, &engine, &all);
    assert_eq!(state.rows(), 850);
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    for (correlation, reason) in [
        (
            "\n  type: event_count\n  rules: [base]\n  timespan: 10m\n  condition: {gte: 5000}\n",
            "threshold",
        ),
        (
            "\n  type: event_count\n  rules: [nobody]\n  timespan: 10m\n  condition: {gte: 2}\n",
            "`nobody`",
        ),
        (
            "\n  type: event_count\n  rules: [c]\n  timespan: 10m\n  condition: {gte: 2}\n",
            "`c`",
        ),
        (
            "\n  type: value_count\n  rules: [base]\n  timespan: 10m\n  condition: {gte: 2}\n",
            "field",
        ),
        (
            "\n  type: event_count\n  rules: [base]\n  timespan: 90d\n  condition: {gte: 2}\n",
            "time span",
        ),
        (
            "\n  type: event_count\n  rules: [base]\n  timespan: 10m\n  window: tumbling\n  condition: {gte: 2}\n",
            "tumbling",
        ),
    ] {
        let text = format!("{BASE}title: c\nid: c\nname: c\ncorrelation:\n{correlation}");
        let compiled = crate::compile(&[crate::RuleText {
            name: "t",
            text: &text,
        }]);
        let messages: Vec<&str> = compiled
            .problems
            .iter()
            .map(|p| p.message.as_str())
            .collect();
        assert!(
            messages.iter().any(|m| m.contains(reason)),
            "{reason}: {messages:?}"
        );
        assert_eq!(
            compiled.engine.rules().rules().len(),
            1,
            "the base is there"
        );
        assert!(compiled.engine.rules().rules()[0].alerts, "{reason}");
    }
}

#[test]
fn what_belongs_to_other_rules_is_forgotten() {
    let engine = engine(COUNT);
    let mut state = CorrelationState::default();
    advance(
        &mut state,
        &engine,
        &steps(&engine, &[sign_in(0, "a@b.example", "192.0.2.1")], 0),
    );
    state.retain(&[engine.rules()]);
    assert_eq!(state.groups(), 1);
    let changed = help::engine(&format!(
        "{BASE}title: c\nid: c\ncorrelation:\n{}",
        COUNT.replace("10m", "11m")
    ));
    state.retain(&[changed.rules()]);
    assert_eq!((state.groups(), state.rows()), (0, 0));
}
