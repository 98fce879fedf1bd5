//! Alerts of which more becomes known after they joined.

use model::KeyKind;
use model::limits::INCIDENT_ENTITIES_MAX;

use super::kit::*;
use crate::{Input, Outcome, State, Update, What};

fn grow(state: &mut State, alert: &Make, minutes: i64) -> Outcome {
    let input = Input::Grown(Box::new(alert.0.clone()));
    state.step(input, at(minutes)).unwrap()
}

#[test]
fn an_alert_without_evidence_joins_once_it_has_some_and_the_reason_is_said() {
    let mut state = sharing();
    give_all(&mut state, &[alert("a", 0).device("d1"), alert("v", 5)]);
    assert_eq!(places(&state, &["a", "v"]), [1, 2]);
    let done = grow(&mut state, &alert("v", 5).device("d1"), 300);
    assert_eq!(places(&state, &["a", "v"]), [1, 1]);
    assert_eq!(done.incident.map(|i| i.0), Some(1));
    let whats: Vec<&What> = done.effects.iter().map(|e| &e.what).collect();
    assert_eq!(*whats[0], What::Grown { alert: id("v") });
    let merged = whats.iter().find_map(|what| match what {
        What::Merged { reason, .. } => reason.as_ref(),
        _ => None,
    });
    let (alert, reason) = merged.unwrap();
    assert_eq!((*alert, reason.through), (id("v"), id("a")));
    assert_eq!(reason.key, key(KeyKind::DeviceName, "d1"));
    assert!(reason.weight >= crate::strength::JOIN_WEIGHT);
}

#[test]
fn growing_again_by_nothing_changes_nothing() {
    let mut state = sharing();
    let whole = alert("v", 5).device("d1");
    give_all(&mut state, &[alert("a", 0).device("d1"), whole.clone()]);
    let before = state.to_bytes();
    let done = grow(&mut state, &whole, 300);
    assert_eq!(done.effects, []);
    assert_eq!(done.incident.map(|i| i.0), Some(1));
    let mut after = state.clone();
    after.counters.repeated -= 1;
    assert_eq!(after.to_bytes(), before);
}

#[test]
fn the_same_parts_in_any_order_are_the_same_incidents() {
    // Three alerts grow in two steps each; the order in which anything arrives does not matter.
    let whole = [
        alert("a", 0).device("d1").account("u1"),
        alert("b", 10).account("u1").process("p1"),
        alert("c", 20).process("p1").device("d9"),
    ];
    let first = [alert("a", 0).device("d1"), alert("b", 10), alert("c", 20)];
    let mut expected = None;
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        for late in [false, true] {
            let mut state = sharing();
            let mut steps: Vec<(bool, usize)> = Vec::new();
            for n in order {
                steps.push((false, n));
                if !late {
                    steps.push((true, n));
                }
            }
            if late {
                steps.extend(order.iter().rev().map(|n| (true, *n)));
            }
            for (grows, n) in steps {
                if grows {
                    grow(&mut state, &whole[n], 30);
                } else {
                    give(&mut state, &first[n]);
                }
            }
            let parts = partition(&state);
            assert_eq!(expected.get_or_insert_with(|| parts.clone()), &parts);
            assert_eq!(parts.len(), 1);
            let again = State::from_bytes(&state.to_bytes()).unwrap();
            assert_eq!(again, state, "the indexes follow");
        }
    }
}

#[test]
fn an_incident_that_people_closed_is_not_opened_by_evidence() {
    let mut state = sharing();
    give_all(&mut state, &[alert("a", 0).device("d1"), alert("v", 5)]);
    let resolved = Update {
        status: Some(model::IncidentStatus::Resolved),
        ..Update::default()
    };
    update(&mut state, 1, resolved).unwrap();
    grow(&mut state, &alert("v", 5).device("d1"), 300);
    assert_eq!(places(&state, &["a", "v"]), [1, 2]);
}

#[test]
fn an_unknown_alert_that_grows_is_a_new_one() {
    let mut state = sharing();
    let done = grow(&mut state, &alert("v", 5).device("d1"), 5);
    assert!(matches!(done.effects[0].what, What::Created { .. }));
    assert_eq!(places(&state, &["v"]), [1]);
}

#[test]
fn evidence_beyond_the_cap_stays_out_and_is_said_once() {
    let mut state = sharing();
    let mut n = 0;
    let mut full = 0;
    while full + 60 <= INCIDENT_ENTITIES_MAX {
        let mut one = alert(&format!("f{n}"), 0).process("p");
        for k in 0..59 {
            one = one.file(&format!("{n}-{k}"));
        }
        give(&mut state, &one);
        n += 1;
        full = held(&state, 1).entities;
    }
    give(&mut state, &alert("v", 0).process("p"));
    let mut more = alert("v", 0).process("p");
    for k in 0..60 {
        more = more.file(&format!("more-{k}"));
    }
    let done = grow(&mut state, &more, 5);
    let capped = |o: &Outcome| {
        let said = |e: &&crate::Effect| matches!(e.what, What::Capped(_));
        o.effects.iter().filter(said).count()
    };
    assert_eq!(capped(&done), 1);
    assert_eq!(capped(&grow(&mut state, &more, 6)), 0);
    assert!(held(&state, 1).entities <= INCIDENT_ENTITIES_MAX);
}
