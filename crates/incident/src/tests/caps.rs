//! Caps, each at its edge: what is beyond goes elsewhere and is never lost.

use model::limits::{
    INCIDENT_ALERT_KEYS_MAX, INCIDENT_ALERTS_MAX, INCIDENT_CONSENTS_MAX, INCIDENT_ENTITIES_MAX,
    INCIDENT_NOISE_KEYS_MAX, INCIDENTS_HELD_MAX,
};
use model::{EntityKind, IncidentId, KeyKind};

use super::kit::*;
use crate::{Apart, Cap, Change, Input, Refusal, State, What};

fn filled(alerts: usize) -> (State, Vec<What>) {
    let mut state = State::new();
    let mut said = Vec::new();
    for n in 0..alerts {
        let minutes = i64::try_from(n / 10).unwrap();
        let outcome = give(&mut state, &alert(&format!("a{n}"), minutes).device("d1"));
        said.extend(outcome.effects.into_iter().map(|e| e.what));
    }
    (state, said)
}

#[test]
fn a_full_incident_is_continued_in_a_new_one() {
    let (mut state, said) = filled(INCIDENT_ALERTS_MAX);
    assert_eq!(state.incidents().count(), 1);
    assert!(!said.contains(&What::Capped(Cap::Alerts)));

    for n in 0..30 {
        let minutes = i64::try_from(INCIDENT_ALERTS_MAX / 10).unwrap();
        let outcome = give(&mut state, &alert(&format!("b{n}"), minutes).device("d1"));
        let capped = outcome
            .effects
            .iter()
            .filter(|e| e.what == What::Capped(Cap::Alerts));
        assert_eq!(capped.count(), usize::from(n == 0));
        if n == 0 {
            let created = outcome.effects.iter().find_map(|e| match &e.what {
                What::Created { beside, .. } => *beside,
                _ => None,
            });
            assert_eq!(created.unwrap().apart, Apart::Alerts);
            assert_eq!(created.unwrap().incident, IncidentId(1));
        }
    }
    let sizes: Vec<usize> = state.incidents().map(|i| i.alerts.len()).collect();
    assert_eq!(sizes, [INCIDENT_ALERTS_MAX, 30]);
    assert_eq!(held(&state, 1).capped, [Cap::Alerts]);
    assert_eq!(state.counters().capped_alerts, 1);
    assert!(state.counters().capped_fanout > 0);
    assert_eq!(
        change(&mut state, 1, Change::Merge(vec![IncidentId(2)]), 0),
        Err(Refusal::TooLarge {
            what: "alerts",
            max: INCIDENT_ALERTS_MAX
        })
    );
}

#[test]
fn an_incident_has_no_more_entities_than_its_cap() {
    let mut state = State::new();
    let many = |name: &str, from: usize, n: usize| {
        let mut make = alert(name, 0).process("p1");
        for i in from..from + n {
            make = make.entity(EntityKind::File, &[(KeyKind::Sha256, &format!("f{i}"))]);
        }
        make
    };
    // The process is one entity, so 25 times 39 others leave room for 24.
    for n in 0..25 {
        give(&mut state, &many(&format!("a{n}"), n * 39, 39));
    }
    assert_eq!(held(&state, 1).entities, 976);
    give(&mut state, &many("known", 0, 39));
    assert_eq!(places(&state, &["known"]), [1]);
    let outcome = give(&mut state, &many("beyond", 2_000, 25));
    assert_eq!(places(&state, &["beyond"]), [2]);
    assert!(
        outcome
            .effects
            .iter()
            .any(|e| e.what == What::Capped(Cap::Entities))
    );
    give(&mut state, &many("fits", 3_000, 24));
    assert!(
        state
            .incidents()
            .all(|i| i.entities <= INCIDENT_ENTITIES_MAX)
    );
    assert_eq!(state.counters().capped_entities, 2);
    assert_eq!(state.incidents().map(|i| i.alerts.len()).sum::<usize>(), 28);
}

#[test]
fn an_alert_has_no_more_keys_than_its_cap_and_the_important_ones_stay() {
    let mut state = State::new();
    let mut make = alert("a", 0).device("d1");
    for i in 0..100 {
        make = make.file(&format!("f{i}"));
    }
    give(&mut state, &make);
    assert_eq!(held(&state, 1).entities, INCIDENT_ALERT_KEYS_MAX);
    give(&mut state, &alert("b", 1).device("d1"));
    assert_eq!(places(&state, &["b"]), [1]);
}

#[test]
fn too_many_incidents_archive_the_longest_quiet_and_done_ones_first() {
    let mut state = State::new();
    let mut archived = Vec::new();
    for n in 0..INCIDENTS_HELD_MAX {
        let minutes = i64::try_from(n).unwrap();
        let make = alert(&format!("a{n}"), minutes).device(&format!("d{n}"));
        archived.extend(give(&mut state, &make).archived);
    }
    assert_eq!(archived, []);
    let done = crate::Update {
        status: Some(model::IncidentStatus::Resolved),
        ..crate::Update::default()
    };
    update(&mut state, 9, done).unwrap();
    for n in 0..3 {
        let make = alert(&format!("b{n}"), 5_000).device(&format!("e{n}"));
        archived.extend(give(&mut state, &make).archived);
    }
    let ids: Vec<u64> = archived.iter().map(|a| a.incident.0).collect();
    assert_eq!(ids, [9, 1, 2]);
    assert_eq!(state.incidents().count(), INCIDENTS_HELD_MAX);
    assert_eq!(state.counters().archived_early, 3);
    // An alert of an archived incident is still known.
    let again = give(&mut state, &alert("a0", 0).device("d0"));
    assert_eq!(again.incident, Some(IncidentId(1)));
    assert_eq!(again.effects, []);
}

#[test]
fn lists_that_are_too_long_are_refused() {
    let mut state = State::new();
    let keys = |n: usize| {
        (0..n)
            .map(|i| key(KeyKind::IpAddress, &i.to_string()))
            .collect()
    };
    assert!(
        state
            .step(Input::Noise(keys(INCIDENT_NOISE_KEYS_MAX)), start())
            .is_ok()
    );
    let before = state.clone();
    assert!(
        state
            .step(Input::Noise(keys(INCIDENT_NOISE_KEYS_MAX + 1)), start())
            .is_err()
    );
    let pairs = vec![(service("email"), service("endpoint")); INCIDENT_CONSENTS_MAX + 1];
    assert!(state.step(Input::Consent(pairs), start()).is_err());
    assert_eq!(state, before);
}
