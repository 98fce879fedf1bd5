//! Which alerts are one incident's.

use model::{AlertSeverity, Classification, IncidentStatus, KeyKind};

use super::kit::*;
use crate::{Apart, Found, Input, State, Update, What};

#[test]
fn alerts_on_one_device_within_half_an_hour_join() {
    let mut state = State::new();
    let outcomes = give_all(
        &mut state,
        &[
            alert("a", 0).device("d1"),
            alert("b", 20).device("d1"),
            alert("c", 20).device("d2"),
            alert("d", 200).device("d1"),
        ],
    );
    assert_eq!(places(&state, &["a", "b", "c", "d"]), [1, 1, 2, 3]);
    let What::Joined { alert, reason } = &outcomes[1].effects[0].what else {
        panic!("{:?}", outcomes[1].effects);
    };
    assert_eq!(*alert, id("b"));
    assert_eq!(reason.through, id("a"));
    assert_eq!(reason.key, key(KeyKind::DeviceName, "d1"));
    assert_eq!(reason.gap.0, 20 * 60 * 10_000_000);
    assert_eq!(reason.weight, 1_400);
}

#[test]
fn a_process_joins_over_days_and_a_device_does_not() {
    let day = 24 * 60;
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1").process("p1"),
            alert("b", 2 * day).device("d1").process("p1"),
            alert("c", 2 * day + 180).device("d1").process("p2"),
        ],
    );
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 2]);
}

#[test]
fn two_weak_keys_join_longer_than_one() {
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1").account("u1"),
            alert("b", 80).device("d1"),
            alert("c", 80).device("d1").account("u1"),
        ],
    );
    let [a, b, c] = places(&state, &["a", "b", "c"])[..] else {
        panic!()
    };
    assert_eq!(a, c);
    // The device alone is too little for `b` and `a`, but `b` and `c` are at one time.
    assert_eq!(b, c);
    assert_eq!(state.incidents().count(), 1);
}

#[test]
fn an_intrusion_joins_from_mail_to_consent_over_hours() {
    let mut state = sharing();
    give_all(&mut state, &intrusion("x", 0));
    assert_eq!(state.incidents().count(), 1);
    let incident = held(&state, 1);
    assert_eq!(incident.alerts.len(), 5);
    assert_eq!(incident.severity, AlertSeverity::High);
    assert_eq!(
        incident.name,
        "Multi-stage attack, initial access to collection, 4 tactics on 1 device and 1 account"
    );
    assert!(incident.score > 50, "{}", incident.score);
}

/// Mail, click, sign-in, process, consent of one person within seven hours.
pub(crate) fn intrusion(name: &str, minutes: i64) -> Vec<Make> {
    let person = format!("{name}@example.org");
    let (mail, link) = (format!("m-{name}"), format!("https://bad.example/{name}"));
    let own = |step: &str, after: i64| alert(&format!("{name}-{step}"), minutes + after);
    vec![
        own("mail", 0)
            .service("email")
            .tactic("InitialAccess")
            .table("EmailEvents")
            .message(&mail)
            .url(&link)
            .account(&person),
        own("click", 120)
            .service("email")
            .tactic("InitialAccess")
            .table("UrlClickEvents")
            .url(&link)
            .account(&person),
        own("sign-in", 240)
            .service("identity")
            .tactic("CredentialAccess")
            .table("IdentityLogonEvents")
            .account(&person)
            .ip(&format!("ip-{name}")),
        own("process", 250)
            .tactic("Execution")
            .severity(AlertSeverity::High)
            .table("DeviceProcessEvents")
            .account(&person)
            .device(&format!("pc-{name}"))
            .process(&format!("p-{name}")),
        own("consent", 420)
            .service("cloud_apps")
            .tactic("Collection")
            .table("CloudAppEvents")
            .account(&person)
            .app(&format!("app-{name}")),
    ]
}

#[test]
fn without_consent_services_stay_apart_and_the_effect_says_so() {
    let mut state = State::new();
    let pairs = vec![(service("email"), service("identity"))];
    state.step(Input::Consent(pairs), start()).unwrap();
    let outcomes = give_all(&mut state, &intrusion("x", 0));
    let by_service: Vec<usize> = state.incidents().map(|i| i.services.len()).collect();
    assert_eq!(by_service, [2, 1, 1]);
    let What::Created {
        beside: Some(beside),
        ..
    } = &outcomes[3].effects[0].what
    else {
        panic!("{:?}", outcomes[3].effects);
    };
    assert_eq!(beside.apart, Apart::NoConsent);
    assert_eq!(beside.incident.0, 1);
    assert!(state.counters().without_consent > 0);
}

#[test]
fn an_alert_of_another_region_joins_by_its_tokens() {
    let mut state = sharing();
    give_all(
        &mut state,
        &[
            alert("a", 0).account("u1").service("identity").origin("eu"),
            alert("b", 5).account("u1").device("d1").origin("uk"),
        ],
    );
    let incident = held(&state, 1);
    let origins: Vec<&str> = incident
        .origins
        .iter()
        .map(model::RegionCode::as_str)
        .collect();
    assert_eq!(origins, ["eu", "uk"]);
}

#[test]
fn an_alert_between_two_incidents_merges_them_into_the_older() {
    let mut state = sharing();
    let outcomes = give_all(
        &mut state,
        &[
            alert("a", 0).account("u1").service("identity"),
            alert("b", 5).device("d1"),
            alert("c", 6).device("d1").account("u1"),
        ],
    );
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 1]);
    assert_eq!(
        state.incident(model::IncidentId(2)),
        Some(Found::Redirected(model::IncidentId(1)))
    );
    let whats: Vec<&What> = outcomes[2].effects.iter().map(|e| &e.what).collect();
    assert!(
        whats
            .iter()
            .any(|w| matches!(w, What::Merged { from, reason: Some((alert, _)), .. } if from.0 == 2 && *alert == id("c"))),
        "{whats:?}"
    );
    assert!(
        whats
            .iter()
            .any(|w| matches!(w, What::Redirected { to } if to.0 == 1)),
        "{whats:?}"
    );
}

#[test]
fn values_that_identify_nobody_join_nothing() {
    let both = [
        alert("a", 0)
            .entity(
                model::EntityKind::Account,
                &[(KeyKind::AccountSid, "S-1-5-18")],
            )
            .ip("127.0.0.1"),
        alert("b", 1)
            .entity(
                model::EntityKind::Account,
                &[(KeyKind::AccountSid, "S-1-5-18")],
            )
            .ip("127.0.0.1"),
    ];
    let mut state = State::new();
    give_all(&mut state, &both);
    assert_eq!(state.incidents().count(), 1);
    let mut state = State::new();
    let noise = crate::WELL_KNOWN.iter().map(|(k, v)| key(*k, v)).collect();
    state.step(Input::Noise(noise), start()).unwrap();
    give_all(&mut state, &both);
    assert_eq!(state.incidents().count(), 2);
}

#[test]
fn an_account_that_is_everywhere_joins_no_more() {
    let mut state = State::new();
    for n in 0..12 {
        let device = format!("d{n}");
        give(
            &mut state,
            &alert(&format!("old{n}"), n * 300)
                .account("admin")
                .device(&device),
        );
    }
    give_all(
        &mut state,
        &[
            alert("a", 4_000).account("admin").device("x1"),
            alert("b", 4_001).account("admin").device("x2"),
            alert("c", 4_002).account("u1").device("x3"),
            alert("d", 4_003).account("u1").device("x4"),
        ],
    );
    let [a, b, c, d] = places(&state, &["a", "b", "c", "d"])[..] else {
        panic!()
    };
    assert_ne!(a, b);
    assert_eq!(c, d);
}

#[test]
fn a_rule_that_fires_everywhere_does_not_draw_others_in() {
    let mut state = State::new();
    for n in 0..30 {
        let noise = alert(&format!("n{n}"), n * 130)
            .rule("noisy")
            .severity(AlertSeverity::Low)
            .device(&format!("d{n}"));
        give(&mut state, &noise);
    }
    give_all(
        &mut state,
        &[
            alert("a", 4_000)
                .rule("noisy")
                .severity(AlertSeverity::Low)
                .device("x1"),
            alert("b", 4_001).device("x1"),
            alert("c", 4_002).device("x1"),
        ],
    );
    let [a, b, c] = places(&state, &["a", "b", "c"])[..] else {
        panic!()
    };
    assert_ne!(a, b);
    assert_eq!(b, c);
}

#[test]
fn nothing_joins_what_is_resolved_or_called_no_attack() {
    for done in [
        Update {
            status: Some(IncidentStatus::Resolved),
            ..Update::default()
        },
        Update {
            classification: Some(Classification::FalsePositive),
            ..Update::default()
        },
    ] {
        let mut state = State::new();
        give(&mut state, &alert("a", 0).device("d1"));
        update(&mut state, 1, done).unwrap();
        let outcome = give(&mut state, &alert("b", 1).device("d1"));
        assert_eq!(places(&state, &["a", "b"]), [1, 2]);
        let What::Created {
            beside: Some(beside),
            ..
        } = &outcome.effects[0].what
        else {
            panic!("{:?}", outcome.effects);
        };
        assert_eq!(beside.incident.0, 1);
        assert!(matches!(beside.apart, Apart::Resolved | Apart::Classified));
        // The next one goes where it may.
        give(&mut state, &alert("c", 2).device("d1"));
        assert_eq!(places(&state, &["c"]), [2]);
    }
}

#[test]
fn incidents_of_different_owners_or_verdicts_are_not_merged() {
    let two = [alert("a", 0).device("d1"), alert("b", 0).device("d2")];
    let between = alert("c", 1).device("d1").device("d2");
    let owner = |name: &str| Update {
        assigned: Some(Some(name.into())),
        ..Update::default()
    };
    let mut state = State::new();
    give_all(&mut state, &two);
    update(&mut state, 1, owner("x")).unwrap();
    update(&mut state, 2, owner("y")).unwrap();
    give(&mut state, &between);
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 2, 1]);

    let mut state = State::new();
    give_all(&mut state, &two);
    update(&mut state, 2, owner("y")).unwrap();
    give(&mut state, &between);
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 1]);
    assert_eq!(held(&state, 1).assigned.as_deref(), Some("y"));

    let mut state = State::new();
    give_all(&mut state, &two);
    let verdict = Update {
        classification: Some(Classification::TruePositive),
        ..Update::default()
    };
    update(&mut state, 1, verdict).unwrap();
    give(&mut state, &between);
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 2, 1]);
}

#[test]
fn the_same_alert_again_changes_nothing() {
    let mut state = State::new();
    let first = alert("a", 0).device("d1");
    give(&mut state, &first);
    let before = state.clone();
    let outcome = give(&mut state, &first);
    assert_eq!(outcome.effects, []);
    assert_eq!(outcome.incident.unwrap().0, 1);
    assert_eq!(state.incidents, before.incidents);
    assert_eq!(state.rarity, before.rarity);
    assert_eq!(state.counters().repeated, 1);
}

#[test]
fn an_alert_that_spans_a_day_is_not_near_to_all_of_it() {
    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("d1"),
            alert("b", 0).until(1_440).device("d1"),
            alert("c", 1_500).device("d1"),
        ],
    );
    let [a, b, c] = places(&state, &["a", "b", "c"])[..] else {
        panic!()
    };
    assert_ne!(a, b);
    assert_ne!(b, c);
}

#[test]
fn different_people_on_one_server_stay_apart_and_a_stolen_shared_account_does_not() {
    let mut state = State::new();
    // The administrator is everybody's.
    for n in 0..6 {
        let make = alert(&format!("old{n}"), n * 300).account("admin");
        give(&mut state, &make.device(&format!("d{n}")));
    }
    give_all(
        &mut state,
        &[
            alert("a", 4_000).device("server").account("u1"),
            alert("b", 4_005).device("server").account("u2"),
            alert("c", 4_006)
                .device("server")
                .account("admin")
                .tactic("LateralMovement"),
        ],
    );
    let [a, b, c] = places(&state, &["a", "b", "c"])[..] else {
        panic!()
    };
    assert_eq!([a, b], [c, c], "the administrator's alert belongs to both");

    let mut state = State::new();
    give_all(
        &mut state,
        &[
            alert("a", 0).device("server").account("u1"),
            alert("b", 5).device("server").account("u2"),
        ],
    );
    assert_eq!(places(&state, &["a", "b"]), [1, 2]);
}

#[test]
fn a_new_name_of_a_shared_account_does_not_make_it_rare() {
    let admin =
        |make: Make, keys: &[(KeyKind, &str)]| make.entity(model::EntityKind::Account, keys);
    let (sid, address) = (
        (KeyKind::AccountSid, "S-admin"),
        (KeyKind::Address, "admin@example.org"),
    );
    let mut state = State::new();
    for n in 0..12 {
        let make = alert(&format!("old{n}"), n * 600).device(&format!("d{n}"));
        give(&mut state, &admin(make, &[sid]));
    }
    give_all(
        &mut state,
        &[
            admin(alert("a", 8_000).device("x1"), &[sid, address]),
            admin(alert("b", 8_001).device("x2"), &[sid, address]),
        ],
    );
    let [a, b] = places(&state, &["a", "b"])[..] else {
        panic!()
    };
    assert_ne!(a, b);
}

#[test]
fn an_outbreak_is_no_hub() {
    let wave = |state: &mut State, from: i64| -> usize {
        let mut incidents = std::collections::BTreeSet::new();
        for n in 0..8 {
            let make = alert(&format!("w{n}"), from + n)
                .rule("encryptor")
                .severity(AlertSeverity::High)
                .tactic("Impact")
                .account("u1")
                .file("locker")
                .device(&format!("pc{n}"));
            give(state, &make);
        }
        for n in 0..8 {
            incidents.extend(state.incident_of(id(&format!("w{n}"))));
        }
        incidents.len()
    };
    // With a memory of days the keys are known to be new.
    let mut state = State::new();
    for n in 0..5 {
        give(
            &mut state,
            &alert(&format!("old{n}"), n * 1_440).device("d"),
        );
    }
    assert_eq!(wave(&mut state, 8_000), 1);
    // Without one, a severe rule that sweeps over devices is enough.
    assert_eq!(wave(&mut State::new(), 0), 1);
}

#[test]
fn withdrawn_consent_stops_joining_and_takes_nothing_apart() {
    let mut state = sharing();
    give_all(
        &mut state,
        &[
            alert("a", 0).account("u1").service("identity"),
            alert("b", 1).account("u1"),
        ],
    );
    state.step(Input::Consent(Vec::new()), start()).unwrap();
    give(&mut state, &alert("c", 2).account("u1"));
    assert_eq!(places(&state, &["a", "b", "c"]), [1, 1, 2]);
}
