//! What holds for whatever arrives, tried on generated inputs.

use std::collections::{BTreeMap, BTreeSet};

use model::{AlertId, AlertSeverity, IncidentId, IncidentStatus};
use testkit::SeededRandom;

use super::kit::*;
use super::scenes::{Scene, USUAL, judge, play, tell};
use crate::{Archived, Change, Found, Input, State, Update};

const TACTICS: &[&str] = &[
    "InitialAccess",
    "Execution",
    "LateralMovement",
    "Impact",
    "",
];

/// An alert about a few of very few things, within three hours.
fn any_alert(random: &SeededRandom, n: u64) -> Make {
    let minutes = i64::try_from(random.below(180)).unwrap();
    let mut make = alert(&format!("any{n}"), minutes)
        .service(SERVICES[random.index(SERVICES.len())])
        .severity(AlertSeverity::ALL[random.index(4)])
        .tactic(TACTICS[random.index(TACTICS.len())]);
    if random.chance(60) {
        make = make.device(&format!("d{}", random.below(2)));
    }
    if random.chance(60) {
        make = make.account(&format!("u{}", random.below(3)));
    }
    if random.chance(30) {
        make = make.process(&format!("p{}", random.below(8)));
    }
    if random.chance(20) {
        make = make.url(&format!("url{}", random.below(5)));
    }
    make
}

fn any_change(random: &SeededRandom, alerts: u64) -> Change {
    let some = |random: &SeededRandom| id(&format!("any{}", random.below(alerts)));
    match random.below(6) {
        0 => Change::Link(some(random)),
        1 => Change::Unlink(some(random)),
        2 => Change::Merge(vec![IncidentId(1 + random.below(alerts))]),
        3 => Change::Update(Box::new(Update {
            status: Some(IncidentStatus::ALL[random.index(3)]),
            ..Update::default()
        })),
        4 => Change::Update(Box::new(Update {
            assigned: Some(random.chance(50).then(|| format!("a{}", random.below(3)))),
            comment: Some("seen".into()),
            ..Update::default()
        })),
        _ => Change::Update(Box::new(Update {
            classification: Some(model::Classification::ALL[random.index(4)]),
            add_tags: vec![format!("t{}", random.below(4))],
            ..Update::default()
        })),
    }
}

/// Every alert given is in exactly one incident, and the state knows which.
fn check_whole(state: &State, given: &BTreeSet<AlertId>) {
    let mut found = BTreeMap::new();
    for incident in state.incidents() {
        assert!(!incident.alerts.is_empty(), "{incident:?}");
        for alert in incident.alerts {
            assert_eq!(found.insert(alert, incident.id), None);
        }
    }
    assert_eq!(found.keys().copied().collect::<BTreeSet<_>>(), *given);
    for (alert, incident) in found {
        assert_eq!(state.incident_of(alert), Some(incident));
    }
}

#[test]
fn whatever_people_do_every_alert_is_in_one_incident_and_a_restart_changes_nothing() {
    for seed in 0..20 {
        let random = SeededRandom::new(seed);
        let mut state = sharing();
        let mut given = BTreeSet::new();
        for n in 0..60 {
            let now = at(i64::try_from(n).unwrap());
            let input = if random.chance(60) {
                let make = any_alert(&random, n);
                given.insert(make.0.id);
                Input::NewAlert(Box::new(make.0))
            } else {
                Input::Analyst {
                    who: "an analyst".into(),
                    incident: IncidentId(1 + random.below(20)),
                    change: Box::new(any_change(&random, n + 1)),
                }
            };
            let mut restarted = State::from_bytes(&state.to_bytes()).unwrap();
            assert_eq!(restarted, state, "seed {seed}");
            let before = state.clone();
            let outcome = state.step(input.clone(), now);
            assert_eq!(restarted.step(input, now), outcome, "seed {seed}");
            assert_eq!(restarted, state, "seed {seed}");
            if outcome.is_err() {
                assert_eq!(state, before, "seed {seed}");
            }
            check_whole(&state, &given);
        }
    }
}

fn shuffled<T: Clone>(items: &[T], random: &SeededRandom) -> Vec<T> {
    let mut out = items.to_vec();
    for i in (1..out.len()).rev() {
        out.swap(i, random.index(i + 1));
    }
    out
}

fn at_once(alerts: &[Make]) -> State {
    let mut state = sharing();
    for make in alerts {
        let input = Input::NewAlert(Box::new(make.0.clone()));
        state.step(input, at(300)).unwrap();
    }
    state
}

#[test]
fn the_order_of_arrival_does_not_matter_while_nothing_is_common() {
    for seed in 0..60 {
        let random = SeededRandom::new(seed);
        let alerts: Vec<Make> = (0..14).map(|n| any_alert(&random, n)).collect();
        let expected = partition(&at_once(&alerts));
        for _ in 0..4 {
            let other = shuffled(&alerts, &random);
            assert_eq!(partition(&at_once(&other)), expected, "seed {seed}");
        }
    }
}

#[test]
fn the_order_of_arrival_hardly_matters_among_noise_and_hubs() {
    let scene = Scene {
        seed: 5,
        quiet_days: 0,
        ..USUAL
    };
    let told = tell(scene);
    let random = SeededRandom::new(9);
    let (one, other) = (play(&told), {
        // Everything arrives at the end, in any order.
        let mut state = sharing();
        for (make, _, _) in shuffled(&told, &random) {
            let input = Input::NewAlert(Box::new(make.0));
            state.step(input, at(2_000)).unwrap();
        }
        state
    });
    let mates = |state: &State| -> BTreeMap<AlertId, BTreeSet<AlertId>> {
        let mut mates = BTreeMap::new();
        for incident in state.incidents() {
            let all: BTreeSet<AlertId> = incident.alerts.iter().copied().collect();
            mates.extend(incident.alerts.iter().map(|alert| (*alert, all.clone())));
        }
        mates
    };
    let (quality, shuffled) = (judge(&told, &one), judge(&told, &other));
    println!("in order: {quality}");
    println!("shuffled: {shuffled}");
    assert!(shuffled.f() > quality.f() - 0.06);
    let (one, other) = (mates(&one), mates(&other));
    let alike = one.iter().filter(|(a, m)| other[a] == **m).count();
    assert!(alike * 10 >= one.len() * 8, "{alike} of {}", one.len());
}

#[test]
fn an_alert_again_at_any_time_changes_nothing() {
    for seed in 0..20 {
        let random = SeededRandom::new(seed);
        let alerts: Vec<Make> = (0..14).map(|n| any_alert(&random, n)).collect();
        let mut twice = alerts.clone();
        twice.extend(alerts.iter().cloned());
        let mut with_repeats: Vec<Make> = Vec::new();
        for (i, make) in alerts.iter().enumerate() {
            with_repeats.push(make.clone());
            with_repeats.push(alerts[random.index(i + 1)].clone());
        }
        let expected = at_once(&alerts);
        for again in [twice, with_repeats] {
            let state = at_once(&again);
            assert_eq!(state.incidents, expected.incidents, "seed {seed}");
            assert_eq!(state.rarity, expected.rarity, "seed {seed}");
        }
    }
}

#[test]
fn consent_is_never_crossed() {
    for seed in 0..60 {
        let random = SeededRandom::new(seed);
        let mut state = State::new();
        let mut pairs = BTreeSet::new();
        for a in SERVICES {
            for b in SERVICES {
                if a < b && random.chance(50) {
                    pairs.insert((*a, *b));
                }
            }
        }
        let given = pairs.iter().map(|(a, b)| (service(b), service(a)));
        state
            .step(Input::Consent(given.collect()), start())
            .unwrap();
        for n in 0..50 {
            if random.chance(80) {
                let make = any_alert(&random, n);
                let input = Input::NewAlert(Box::new(make.0));
                state.step(input, at(300)).unwrap();
            } else {
                let incident = 1 + random.below(10);
                let _refused = change(&mut state, incident, any_change(&random, n + 1), 300);
            }
        }
        for incident in state.incidents() {
            for a in &incident.services {
                for b in &incident.services {
                    assert!(
                        a >= b || pairs.contains(&(a.as_str(), b.as_str())),
                        "seed {seed}: {a} and {b}"
                    );
                }
            }
        }
    }
}

#[test]
fn ticks_change_what_is_held_and_not_what_joins() {
    let scene = Scene {
        seed: 3,
        intrusions: 6,
        noise: 30,
        quiet_days: 12,
        ..USUAL
    };
    let told = tell(scene);
    let quiet = play(&told);
    let mut ticking = sharing();
    let mut archived: Vec<Archived> = Vec::new();
    for (make, _, arrives) in &told {
        let now = model::Ticks(*arrives);
        archived.extend(ticking.step(Input::Tick, now).unwrap().archived);
        let input = Input::NewAlert(Box::new(make.0.clone()));
        ticking.step(input, now).unwrap();
    }
    // Some are resolved, so that ticks have something to archive.
    assert_eq!(archived, []);
    let end = at(90 * 1_440);
    archived.extend(ticking.step(Input::Tick, end).unwrap().archived);
    assert_eq!(ticking.incidents().count(), 0);
    let mut of_quiet: Vec<_> = quiet.incidents().map(|i| (i.id, i.alerts)).collect();
    let mut of_ticking: Vec<_> = archived
        .iter()
        .map(|a| (a.incident, a.summary.alerts.clone()))
        .collect();
    of_quiet.sort();
    of_ticking.sort();
    assert_eq!(of_quiet, of_ticking);
}

#[test]
fn what_is_archived_can_be_recalled_and_is_as_it_was() {
    let mut state = super::bytes::busy();
    let before: Vec<_> = state.incidents().collect();
    let end = at(90 * 1_440);
    let archived = state.step(Input::Tick, end).unwrap().archived;
    assert_eq!(archived.len(), before.len());
    assert_eq!(state.incident(IncidentId(1)), None);
    for one in &archived {
        state.step(Input::Recall(one.bytes.clone()), end).unwrap();
        assert_eq!(
            state.incident(one.incident),
            Some(Found::Held(Box::new(one.summary.clone())))
        );
        let again = state.step(Input::Recall(one.bytes.clone()), end);
        assert_eq!(again, Err(crate::Refusal::NotRecallable(one.incident)));
    }
    assert_eq!(state.incidents().collect::<Vec<_>>(), before);
    // Held again for a while, because somebody wanted it.
    let outcome = state.step(Input::Tick, end).unwrap();
    assert_eq!(outcome.archived, []);
    assert!(state.step(Input::Recall(b"BWIN".to_vec()), end).is_err());
}
