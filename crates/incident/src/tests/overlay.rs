//! The public recordings' attacks, all in one tenant within four hours.
//!
//! What is read of the shared data is each recording's length, hosts and tactics; its alerts are drawn
//! around them, because the alerts of a rule set are the business of `detect`. Hosts are made different
//! per attack, accounts come from a few that all attacks share, as in the labs that were recorded.

use std::collections::BTreeSet;

use testkit::SeededRandom;

use super::kit::*;
use super::scenes::{Quality, Told, judge, play};

fn attacks() -> Option<Vec<serde_json::Value>> {
    let path = testkit::shared_data()?.join("telemetry/otrf/truth.json");
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// What is read of a recording.
struct Attack {
    minutes: u64,
    hosts: usize,
    tactics: Vec<String>,
}

fn read(attack: &serde_json::Value) -> Attack {
    let minutes = |name: &str| {
        let text = attack[name].as_str().unwrap_or_default();
        model::Ticks::parse(text).map_or(0, |t| t.0 / 600_000_000)
    };
    let names = |name: &str| -> BTreeSet<String> {
        let list = attack[name].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(|v| v.as_str())
            .map(|text| text.split('.').next().unwrap_or_default().to_lowercase())
            .collect()
    };
    Attack {
        minutes: (minutes("tmax") - minutes("tmin"))
            .clamp(2, 60)
            .unsigned_abs(),
        hosts: names("hosts").len(),
        tactics: names("tactics")
            .iter()
            .map(|id| tactic(id).to_owned())
            .collect(),
    }
}

fn tactic(id: &str) -> &'static str {
    match id {
        "ta0002" => "Execution",
        "ta0003" => "Persistence",
        "ta0004" => "PrivilegeEscalation",
        "ta0005" => "Stealth",
        "ta0006" => "CredentialAccess",
        "ta0007" => "Discovery",
        "ta0008" => "LateralMovement",
        "ta0009" => "Collection",
        "ta0010" => "Exfiltration",
        "ta0011" => "CommandAndControl",
        _ => "InitialAccess",
    }
}

/// The alerts of one attack; `users` accounts are everybody's, or each attack has its own.
fn alerts_of(attack: &Attack, label: u64, users: u64, random: &SeededRandom) -> Vec<Told> {
    const USERS: &[&str] = &["administrator", "one", "two", "three"];
    let begins = random.below(240);
    let user = match users {
        0 => format!("user{label}"),
        n => USERS[usize::try_from(random.below(n)).unwrap()].to_owned(),
    };
    let mut process = 0;
    let mut one = |i: u64| {
        let at = i64::try_from(begins + random.below(attack.minutes)).unwrap();
        let rule = format!("r{}", random.below(80));
        let mut make = alert(&format!("o{label}-{i}"), at).rule(&rule);
        if let Some(tactic) = attack.tactics.get(random.index(attack.tactics.len())) {
            make = make.tactic(tactic);
        }
        // Most of an attack is on one host; logons and connections name the other end.
        let which = if random.chance(70) {
            0
        } else {
            random.index(attack.hosts)
        };
        let host = format!("{label}-{which}");
        make = make.device(&host);
        if random.chance(25) {
            make = make.ip(&format!("10.{label}.0.{}", random.index(attack.hosts)));
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
    };
    (0..4 + random.below(30)).map(&mut one).collect()
}

#[test]
fn recorded_attacks_all_at_once() {
    let Some(attacks) = attacks() else {
        testkit::skip("no shared data: the overlay of recorded attacks");
        return;
    };
    for (users, purity, recall) in [(0, 0.98, 0.96), (4, 0.95, 0.94)] {
        let seeds = 11..15;
        let qualities = seeds.collect::<Vec<u64>>().into_iter().map(|seed| {
            let random = SeededRandom::new(seed);
            let mut told: Vec<Told> = Vec::new();
            for (label, attack) in (0..).zip(&attacks) {
                told.extend(alerts_of(&read(attack), label, users, &random));
            }
            told.sort_by_key(|(make, _, arrives)| (*arrives, make.0.id));
            judge(&told, &play(&told))
        });
        let quality = Quality::mean(qualities);
        println!("overlay, {users} shared accounts: {quality}");
        assert!(quality.purity >= purity, "{quality}");
        assert!(quality.recall >= recall, "{quality}");
    }
}
