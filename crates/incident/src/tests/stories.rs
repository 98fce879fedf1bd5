//! The path of an incident.

use model::KeyKind;

use super::joins::intrusion;
use super::kit::*;
use crate::{Stage, State, Tactic, story};

#[test]
fn an_intrusion_reads_as_a_path() {
    let mut state = sharing();
    let alerts = intrusion("x", 0);
    give_all(&mut state, &alerts);
    let digests: Vec<_> = alerts.into_iter().map(|a| a.0).collect();
    let path = story(&held(&state, 1), &digests);
    assert_eq!(
        path.to_string(),
        "mail → click → sign-in → process → consent"
    );
    let kinds: Vec<Option<KeyKind>> = path.steps.iter().map(|s| s.via.map(|v| v.kind)).collect();
    assert_eq!(kinds[0], None);
    assert_eq!(kinds[1], Some(KeyKind::Url));
    assert!(kinds[2..].iter().all(|k| *k == Some(KeyKind::Address)));
}

#[test]
fn several_devices_are_several_steps_and_strangers_are_left_out() {
    let mut state = State::new();
    let alerts = [
        alert("a", 0).device("d1").account("u1"),
        alert("b", 1).device("d2").account("u1"),
        alert("c", 2).device("d1").account("u1"),
    ];
    give_all(&mut state, &alerts);
    let mut digests: Vec<_> = alerts.into_iter().map(|a| a.0).collect();
    digests.push(alert("stranger", 0).device("d1").0);
    let path = story(&held(&state, 1), &digests);
    assert_eq!(path.to_string(), "process (×2)");
    assert_eq!(path.steps[0].alerts, [id("a"), id("c")]);
    assert_eq!(path.steps[1].alerts, [id("b")]);
}

#[test]
fn an_alert_over_rows_of_several_stages_is_in_each_of_them() {
    let mut state = sharing();
    let mut phished = alert("phished", 30)
        .service("email")
        .account("u1")
        .message("m1")
        .table("EmailEvents")
        .table("UrlClickEvents")
        .table("EntraIdSignInEvents");
    for (record, minutes) in phished.0.records.iter_mut().zip([0, 10, 30]) {
        record.at = at(minutes);
    }
    phished.0.first_at = at(0);
    let alerts = [phished, alert("ran", 20).account("u1").device("d1")];
    give_all(&mut state, &alerts);
    let digests: Vec<_> = alerts.into_iter().map(|a| a.0).collect();
    let path = story(&held(&state, 1), &digests);
    assert_eq!(path.to_string(), "mail → click → process → sign-in");
    let times: Vec<_> = path.steps.iter().map(|s| (s.first_at, s.last_at)).collect();
    assert_eq!(times[..2], [(at(0), at(0)), (at(10), at(10))]);
    assert_eq!(times[3], (at(30), at(30)));
    assert_eq!(path.steps[0].alerts, [id("phished")]);
    assert_eq!(path.steps[1].via, None, "an alert is not its own reason");
    assert_eq!(path.steps[3].via.map(|v| v.from), Some(id("ran")));
}

#[test]
fn stages_come_from_tables_then_entities_and_service() {
    let stage = |make: Make| Stage::of(&make.0);
    assert_eq!(stage(alert("a", 0)), Stage::Process);
    assert_eq!(
        stage(alert("a", 0).table("DeviceLogonEvents")),
        Stage::SignIn
    );
    assert_eq!(
        stage(alert("a", 0).table("Unheard").table("IdentityQueryEvents")),
        Stage::Directory
    );
    assert_eq!(stage(alert("a", 0).service("email").url("u")), Stage::Click);
    assert_eq!(stage(alert("a", 0).service("xdr")), Stage::Other);
    assert_eq!(
        stage(alert("a", 0).table("CloudAppEvents").app("x")),
        Stage::Consent
    );
    assert_eq!(stage(alert("a", 0).table("CloudAppEvents")), Stage::Cloud);
}

#[test]
fn tactics_are_read_as_rules_and_products_write_them() {
    for (text, tactic) in [
        ("InitialAccess", Some(Tactic::InitialAccess)),
        ("initial-access", Some(Tactic::InitialAccess)),
        ("Command and Control", Some(Tactic::CommandAndControl)),
        ("stealth", Some(Tactic::Stealth)),
        ("defense-impairment", Some(Tactic::DefenseImpairment)),
        ("Malware", None),
        ("", None),
    ] {
        assert_eq!(Tactic::parse(text), tactic, "{text}");
    }
    for pair in Tactic::ALL.windows(2) {
        assert!(pair[0] < pair[1]);
        assert!(pair[0].rank() <= pair[1].rank());
    }
}
