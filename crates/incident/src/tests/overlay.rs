//! The public recordings' attacks, all in one tenant within four hours.
//!
//! What is read of the shared data is each recording's length, hosts and tactics; its alerts are drawn
//! around them, because the alerts of a rule set are the business of `detect`. Hosts are made different
//! per attack, accounts come from a few that all attacks share, as in the labs that were recorded.

use testkit::SeededRandom;

use super::kit::*;
use super::scenes::{Told, judge, play};

fn attacks() -> Option<Vec<serde_json::Value>> {
    let path = testkit::shared_data()?.join("telemetry/otrf/truth.json");
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The alerts of one attack, from `begins` on.
fn alerts_of(
    attack: &serde_json::Value,
    label: u64,
    users: u64,
    random: &SeededRandom,
) -> Vec<Told> {
    const USERS: &[&str] = &["administrator", "one", "two", "three"];
    let minutes = |name: &str| {
        let text = attack[name].as_str().unwrap_or_default();
        model::Ticks::parse(text).map_or(0, |t| t.0 / 600_000_000)
    };
    let long = (minutes("tmax") - minutes("tmin")).clamp(2, 60);
    let names = |name: &str| -> Vec<String> {
        let list = attack[name].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let hosts: Vec<String> = names("hosts")
        .iter()
        .map(|host| host.split('.').next().unwrap_or_default().to_lowercase())
        .collect();
    let tactic = |id: &str| match id {
        "TA0002" => "Execution",
        "TA0003" => "Persistence",
        "TA0004" => "PrivilegeEscalation",
        "TA0005" => "Stealth",
        "TA0006" => "CredentialAccess",
        "TA0007" => "Discovery",
        "TA0008" => "LateralMovement",
        "TA0009" => "Collection",
        "TA0010" => "Exfiltration",
        "TA0011" => "CommandAndControl",
        _ => "InitialAccess",
    };
    let tactics = names("tactics");
    let begins = i64::try_from(random.below(240)).unwrap();
    let user = match users {
        0 => format!("user{label}"),
        n => USERS[usize::try_from(random.below(n)).unwrap()].to_owned(),
    };
    let n = 4 + random.below(30);
    let mut process = 0;
    (0..n)
        .map(|i| {
            let at = begins + i64::try_from(random.below(long.unsigned_abs())).unwrap();
            let rule = format!("r{}", random.below(80));
            let mut make = alert(&format!("o{label}-{i}"), at).rule(&rule);
            if let Some(id) = tactics.get(random.index(tactics.len())) {
                make = make.tactic(tactic(id));
            }
            // Most of an attack is on one host; logons and connections name the other end.
            let which = if random.chance(70) {
                0
            } else {
                random.index(hosts.len())
            };
            let host = format!("{label}-{which}");
            make = make.device(&host);
            if random.chance(25) {
                make = make.ip(&format!("10.{label}.0.{}", random.index(hosts.len())));
            }
            if random.chance(25) {
                make = make.ip(&format!("10.{label}.0.{which}"));
            }
            if random.chance(80) {
                make = make.account(&user);
            }
            process += u64::from(random.chance(40));
            if random.chance(60) {
                make = make.process(&format!("{host}-{process}"));
            }
            if random.chance(30) {
                make = make.file("powershell");
            }
            let arrives = make.0.last_at.0;
            (make, Some(label), arrives)
        })
        .collect()
}

#[test]
fn recorded_attacks_all_at_once() {
    let Some(attacks) = attacks() else {
        testkit::skip("no shared data: the overlay of recorded attacks");
        return;
    };
    for (users, purity, recall) in [(0, 0.99, 0.97), (4, 0.97, 0.96)] {
        let random = SeededRandom::new(11);
        let mut told: Vec<Told> = Vec::new();
        for (label, attack) in (0..).zip(&attacks) {
            told.extend(alerts_of(attack, label, users, &random));
        }
        told.sort_by_key(|(make, _, arrives)| (*arrives, make.0.id));
        let quality = judge(&told, &play(&told));
        println!("overlay, {users} shared accounts: {quality}");
        assert!(quality.purity >= purity, "{quality}");
        assert!(quality.recall >= recall, "{quality}");
    }
}
