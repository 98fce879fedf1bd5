//! Whatever a source writes, alerts and states keep to their bytes, and what had to go is counted.

use model::{Alert, Ticks, limits};
use serde_json::{Value, json};

use super::help;
use crate::schedule::{ResultRows, ScheduleState, compile_scheduled};
use crate::{CorrelationState, Engine, RuleText, VendorAlerts, alert_bytes, fit};

/// Long, and longer still as JSON.
fn long(n: usize) -> String {
    format!("{}\u{1}\"{n}", "x".repeat(8_000))
}

fn info(id: &str) -> Value {
    json!({"Timestamp": "2026-07-18T09:00:00Z", "AlertId": id, "Title": "T", "Severity": "High",
        "Category": long(1), "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR",
        "AttackTechniques": "[\"X (T1059)\"]"})
}

fn evidence(id: &str, n: usize) -> Value {
    json!({"Timestamp": "2026-07-18T09:00:00Z", "AlertId": id, "EntityType": "File", "EvidenceRole": "Related",
        "FileName": long(n), "FolderPath": long(n), "SHA256": format!("{n:064x}"), "AccountName": long(n),
        "AccountUpn": long(n), "EmailSubject": long(n), "RegistryKey": long(n), "RegistryValueData": long(n),
        "RemoteUrl": long(n), "ProcessCommandLine": long(n)})
}

#[test]
fn an_alert_of_a_hundred_large_entities_fits_and_keeps_the_first_ones() {
    let mut state = VendorAlerts::default();
    let advance = |state: &mut VendorAlerts, table: &str, rows: &[Value]| -> Vec<Alert> {
        let (table, batch) = help::rows_of(table, rows);
        help::making(|m| state.advance(&table, &batch, m))
    };
    let rows: Vec<Value> = (0..100).map(|n| evidence("a", n)).collect();
    assert!(advance(&mut state, "AlertEvidence", &rows).is_empty());
    let alerts = advance(&mut state, "AlertInfo", &[info("a")]);
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    let size = |alert: &Alert| serde_json::to_vec(alert).unwrap().len();
    assert!(size(alert) <= limits::ALERT_BYTES_MAX, "{}", size(alert));
    assert!(alert_bytes(alert) >= size(alert), "an upper bound");
    assert_eq!(alert.title, "T");
    assert_eq!(alert.category.len(), limits::ALERT_WORD_BYTES_MAX);
    let first = &alert.entities[0];
    assert!(
        first.details.iter().any(|(name, _)| name == "SHA256"),
        "the first is whole"
    );
    assert!(alert.entities.len() > 10, "{}", alert.entities.len());

    // The door that every alert goes through.
    let mut grown = alert.clone();
    for n in 0..500 {
        grown.entities.push(model::Entity {
            name: long(n),
            ..first.clone()
        });
    }
    assert!(fit(&mut grown) && size(&grown) <= limits::ALERT_BYTES_MAX);
    assert!(!fit(&mut grown), "what fits is left as it is");
}

#[test]
fn evidence_without_its_alert_is_kept_by_bytes_and_the_oldest_goes_first() {
    let mut state = VendorAlerts::default();
    for k in 0..8 {
        let rows: Vec<Value> = (0..100)
            .map(|n| evidence(&format!("p{k}-{n}"), n))
            .collect();
        let (table, batch) = help::rows_of("AlertEvidence", &rows);
        help::making(|m| state.advance(&table, &batch, m));
    }
    let rest = serde_json::to_vec(&state).unwrap();
    assert!(
        rest.len() <= limits::VENDOR_PENDING_BYTES_MAX,
        "{}",
        rest.len()
    );
    assert!(state.pending() > 50, "{}", state.pending());
    assert_eq!(
        state.forgotten(),
        800 - u64::try_from(state.pending()).unwrap()
    );
    let again: VendorAlerts = serde_json::from_slice(&rest).unwrap();
    assert_eq!(again, state);
    state.shrink(1 << 20);
    assert!(serde_json::to_vec(&state).unwrap().len() <= 1 << 20);
    // An id that nobody could keep.
    let (table, batch) = help::rows_of("AlertInfo", &[info(&"i".repeat(2_000))]);
    let before = state.forgotten();
    assert!(help::making(|m| state.advance(&table, &batch, m)).is_empty());
    assert_eq!(state.forgotten(), before + 1);
}

const COUNT: &str = "
title: wrong password
id: base
name: base
logsource: {product: bailiwick, service: entraidsigninevents}
detection: {wrong: {ErrorCode: 50126}, condition: wrong}
level: low
---
title: c
id: c
level: high
correlation:
  type: event_count
  rules: [base]
  group-by: [AccountObjectId]
  timespan: 10m
  condition: {gte: 3}
";

fn failed(who: &str, n: usize) -> Value {
    json!({"Timestamp": "2026-07-18T09:00:00Z", "ErrorCode": 50126, "AccountObjectId": who,
        "AccountUpn": format!("{n}@b.example"), "ReportId": format!("{n}{who}")})
}

#[test]
fn groups_with_long_names_are_told_apart_and_kept_by_bytes() {
    let engine = help::engine(COUNT);
    let mut state = CorrelationState::default();
    let advance = |state: &mut CorrelationState, rows: &[Value], first: u64| {
        let (table, batch) = help::rows_from("EntraIdSignInEvents", rows, first);
        let steps = engine.evaluate(&table, &batch).steps;
        state.advance(engine.rules(), &steps, &help::hash)
    };
    // The same long beginning, another end: two groups; three of one make the alert.
    let (a, b) = (
        format!("{}a", "g".repeat(8_100)),
        format!("{}b", "g".repeat(8_100)),
    );
    let rows = [
        failed(&a, 1),
        failed(&b, 2),
        failed(&a, 3),
        failed(&b, 4),
        failed(&a, 5),
    ];
    let hits = advance(&mut state, &rows, 0);
    assert_eq!((hits.len(), hits[0].rows), (1, 3));
    assert!(hits[0].group[0].1.len() <= limits::CORRELATION_VALUE_BYTES_MAX);
    for k in 0..3_usize {
        let rows: Vec<Value> = (0..600)
            .map(|n| failed(&format!("u{:06}{}", k * 600 + n, "g".repeat(8_100)), n))
            .collect();
        advance(&mut state, &rows, 100 + u64::try_from(k * 600).unwrap());
    }
    let rest = serde_json::to_vec(&state).unwrap();
    assert!(
        rest.len() <= limits::CORRELATION_BYTES_MAX,
        "{}",
        rest.len()
    );
    assert!(
        state.bytes() >= rest.len() - 100,
        "an upper bound: {}",
        state.bytes()
    );
    let again: CorrelationState = serde_json::from_slice(&rest).unwrap();
    assert_eq!(again, state);
    let (before, groups) = (state.forgotten(), state.groups());
    state.shrink(1 << 20);
    assert!(serde_json::to_vec(&state).unwrap().len() <= 1 << 20);
    assert!(state.groups() < groups && state.forgotten() > before);
}

#[test]
fn what_a_scheduled_rule_remembers_of_long_values_is_short() {
    let text = "
id: 5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f
title: Somebody did something
severity: Low
category: Discovery
frequency: 1h
look_back: 6h
query: T
entities:
  - {type: User, columns: {AccountUpn: AccountUpn}}
";
    let rules = compile_scheduled(&[RuleText {
        name: "s.yml",
        text,
    }])
    .rules;
    let rule = &rules[0];
    let columns = ["Timestamp", "AccountUpn"].map(str::to_owned);
    let at = |n: usize| json!(format!("2026-07-18T09:00:{n:02}Z"));
    let rows: Vec<Vec<Value>> = (0..20)
        .map(|n| vec![at(n), json!(format!("{}{n}@b.example", "y".repeat(7_000)))])
        .collect();
    let mut state = ScheduleState::default();
    let window = state.due(rule, Ticks::parse(help::ARRIVAL).unwrap())[0];
    let result = ResultRows {
        columns: &columns,
        rows: &rows,
    };
    let outcome = help::making(|m| rule.finish(&mut state, window, &result, m));
    assert_eq!(outcome.alerts.len(), 20);
    assert!(serde_json::to_vec(&state).unwrap().len() < 20 * 400);
    state.shrink();
    assert!(serde_json::to_vec(&state).unwrap().len() < 11 * 400);
}
