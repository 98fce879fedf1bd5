//! What people may change.

use model::limits::{INCIDENT_COMMENT_CHARS_MAX, INCIDENT_TAGS_MAX};
use model::{AlertSeverity, Classification, Determination, IncidentId, IncidentStatus};

use super::kit::*;
use crate::{Actor, Change, Refusal, State, Update, What};

fn one() -> State {
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1"),
            alert("b", 1).device("d1"),
            alert("c", 500).device("d1"),
        ],
    );
    state
}

fn with(change: impl FnOnce(&mut Update)) -> Update {
    let mut update = Update::default();
    change(&mut update);
    update
}

#[test]
fn every_change_is_said_with_who_when_from_and_to() {
    let mut state = one();
    let outcome = update(
        &mut state,
        1,
        with(|u| {
            u.status = Some(IncidentStatus::InProgress);
            u.assigned = Some(Some("somebody".into()));
            u.classification = Some(Classification::TruePositive);
            u.determination = Some(Determination::Phishing);
            u.severity = Some(Some(AlertSeverity::High));
            u.name = Some(Some("the case".into()));
            u.add_tags = vec!["t".into()];
            u.comment = Some("look".into());
        }),
    )
    .unwrap();
    let said: Vec<String> = outcome
        .effects
        .iter()
        .map(|e| {
            assert_eq!(e.actor, Actor::Person("an analyst".into()));
            assert_eq!(e.at, at(600));
            let a = e.activity();
            format!(
                "{} {} {:?} {:?}",
                a.who,
                a.what,
                a.from.unwrap_or_default(),
                a.to.unwrap_or_default()
            )
        })
        .collect();
    expect_test::expect![[r#"
        an analyst status "active" "inProgress"
        an analyst assigned "" "somebody"
        an analyst classification "unknown" "truePositive"
        an analyst determination "unknown" "phishing"
        an analyst severity "Medium" "High"
        an analyst name "Execution on 1 device" "the case"
        an analyst tagged "" "t"
        an analyst comment "" "look""#]]
    .assert_eq(&said.join("\n"));
    let summary = held(&state, 1);
    assert_eq!(summary.name, "the case");
    assert_eq!(summary.severity, AlertSeverity::High);
    assert_eq!(summary.updated_at, at(600));

    let back = update(
        &mut state,
        1,
        with(|u| {
            u.severity = Some(None);
            u.name = Some(None);
            u.remove_tags = vec!["t".into(), "unheard".into()];
        }),
    )
    .unwrap();
    assert_eq!(back.effects.len(), 3);
    assert_eq!(held(&state, 1).name, "Execution on 1 device");
}

#[test]
fn a_determination_needs_its_classification() {
    let mut state = one();
    let before = state.clone();
    let refused = update(
        &mut state,
        1,
        with(|u| {
            u.determination = Some(Determination::Malware);
            u.comment = Some("lost with the rest".into());
        }),
    );
    assert_eq!(
        refused,
        Err(Refusal::DeterminationMismatch {
            determination: Determination::Malware,
            needed: Classification::TruePositive,
        })
    );
    assert_eq!(state, before);
    update(
        &mut state,
        1,
        with(|u| {
            u.classification = Some(Classification::TruePositive);
            u.determination = Some(Determination::Malware);
        }),
    )
    .unwrap();
    let changed = update(
        &mut state,
        1,
        with(|u| u.classification = Some(Classification::FalsePositive)),
    )
    .unwrap();
    assert_eq!(changed.effects.len(), 2);
    assert_eq!(held(&state, 1).determination, Determination::Unknown);
}

#[test]
fn limits_and_nonsense_are_refused_and_change_nothing() {
    let mut state = one();
    let before = state.clone();
    let tags = |n: usize| (0..n).map(|i| format!("t{i}")).collect::<Vec<_>>();
    let long = "x".repeat(257);
    for bad in [
        with(|u| u.status = Some(IncidentStatus::Redirected)),
        with(|u| u.add_tags = tags(INCIDENT_TAGS_MAX + 1)),
        with(|u| u.add_tags = vec![String::new()]),
        with(|u| u.comment = Some("x".repeat(INCIDENT_COMMENT_CHARS_MAX + 1))),
        with(|u| u.comment = Some(" ".into())),
        with(|u| u.name = Some(Some(long.clone()))),
        with(|u| u.assigned = Some(Some(String::new()))),
    ] {
        assert!(update(&mut state, 1, bad.clone()).is_err(), "{bad:?}");
        assert_eq!(state, before);
    }
    update(
        &mut state,
        1,
        with(|u| {
            u.add_tags = tags(INCIDENT_TAGS_MAX);
            u.comment = Some("x".repeat(INCIDENT_COMMENT_CHARS_MAX));
        }),
    )
    .unwrap();
    let unknown = update(&mut state, 9, Update::default());
    assert_eq!(unknown, Err(Refusal::UnknownIncident(IncidentId(9))));
}

#[test]
fn what_people_move_stays_where_they_put_it() {
    let mut state = one();
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 2]);
    let outcome = change(&mut state, 1, Change::Unlink(id("b")), 600).unwrap();
    assert_eq!(places(&state, &["a", "b"]), [1, 3]);
    assert!(matches!(outcome.effects[0].what, What::Created { .. }));
    // Related to both, yet they are not merged again.
    give(&mut state, &alert("d", 2).device("d1"));
    assert_eq!(state.incidents().count(), 3);

    change(&mut state, 3, Change::Link(id("a")), 601).unwrap();
    assert_eq!(places(&state, &["a", "b"]), [3, 3]);
    assert_eq!(
        change(&mut state, 3, Change::Link(id("a")), 602),
        Err(Refusal::NothingToMove(id("a")))
    );
    assert_eq!(
        change(&mut state, 2, Change::Unlink(id("c")), 602),
        Err(Refusal::NothingToMove(id("c")))
    );
    assert_eq!(
        change(&mut state, 2, Change::Unlink(id("a")), 602),
        Err(Refusal::UnknownAlert(id("a")))
    );
}

#[test]
fn the_last_alert_takes_its_incident_along() {
    let mut state = one();
    change(&mut state, 1, Change::Link(id("c")), 600).unwrap();
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 1]);
    assert_eq!(
        update(&mut state, 2, Update::default()),
        Err(Refusal::Redirected {
            from: IncidentId(2),
            to: IncidentId(1)
        })
    );
}

#[test]
fn people_merge_into_the_oldest_and_everything_comes_along() {
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1"),
            alert("b", 0).device("d2"),
            alert("c", 0).device("d3"),
        ],
    );
    update(&mut state, 3, with(|u| u.add_tags = vec!["t".into()])).unwrap();
    update(
        &mut state,
        1,
        with(|u| u.status = Some(IncidentStatus::Resolved)),
    )
    .unwrap();
    change(
        &mut state,
        3,
        Change::Merge(vec![IncidentId(1), IncidentId(2)]),
        600,
    )
    .unwrap();
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 1]);
    let merged = held(&state, 1);
    assert_eq!(merged.tags, ["t"]);
    assert_eq!(merged.status, IncidentStatus::Active);
    assert_eq!(merged.devices, 3);
    for bad in [vec![], vec![IncidentId(1)], vec![IncidentId(7)]] {
        assert!(change(&mut state, 1, Change::Merge(bad), 601).is_err());
    }
}

#[test]
fn people_cannot_cross_consent() {
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1"),
            alert("b", 0).device("d1").service("identity"),
            alert("c", 0).device("d1").service("identity"),
        ],
    );
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 2, 2]);
    assert_eq!(
        change(&mut state, 1, Change::Merge(vec![IncidentId(2)]), 600),
        Err(Refusal::NoConsent)
    );
    assert_eq!(
        change(&mut state, 1, Change::Link(id("b")), 600),
        Err(Refusal::NoConsent)
    );
}

#[test]
fn what_is_reopened_takes_alerts_again() {
    let mut state = one();
    let status = |s| with(|u| u.status = Some(s));
    update(&mut state, 1, status(IncidentStatus::Resolved)).unwrap();
    update(&mut state, 1, status(IncidentStatus::Active)).unwrap();
    give(&mut state, &alert("d", 2).device("d1"));
    assert_eq!(places(&state, &["d"]), [1]);
}
