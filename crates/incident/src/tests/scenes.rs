//! Scenes with a known truth: several intrusions at once in one tenant, among noise.
//!
//! People work at their own computers; some accounts are used everywhere (an administrator, a deployment
//! service), some devices are touched by every intrusion (domain controllers, a file server), some
//! addresses are everybody's (the proxy), some hashes are everywhere (the shells). Intrusions are of
//! five sorts and overlap in time. Sources name things differently: mail knows addresses, Windows
//! knows SIDs, only some alerts know both.

use std::collections::BTreeMap;

use model::{AlertId, AlertSeverity, EntityKind, KeyKind};
use testkit::SeededRandom;

use super::kit::*;
use crate::{Input, State};

/// What a scene is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) people: u64,
    pub(crate) intrusions: u64,
    /// Hours over which the intrusions begin.
    pub(crate) hours: u64,
    /// Alerts of common rules on the day of the intrusions.
    pub(crate) noise: u64,
    /// Days before it on which there was only noise.
    pub(crate) quiet_days: u64,
    /// Of 100 intrusions, those whose person has another one too.
    pub(crate) shared_people: u64,
    /// Of 100 alerts, those that arrive up to an hour late.
    pub(crate) late: u64,
}

pub(crate) const USUAL: Scene = Scene {
    seed: 0,
    people: 300,
    intrusions: 12,
    hours: 8,
    noise: 150,
    quiet_days: 7,
    shared_people: 0,
    late: 5,
};

/// An alert, the intrusion that it is of, and when it arrives.
pub(crate) type Told = (Make, Option<u64>, i64);

struct Teller {
    random: SeededRandom,
    scene: Scene,
    told: Vec<Told>,
    n: u64,
    /// Minutes from the start of everything to the day of the intrusions.
    day: i64,
}

fn n(value: u64) -> i64 {
    i64::try_from(value).unwrap()
}

pub(crate) fn tell(scene: Scene) -> Vec<Told> {
    let mut teller = Teller {
        random: SeededRandom::new(scene.seed),
        scene,
        told: Vec::new(),
        n: 0,
        day: n(scene.quiet_days) * 1_440,
    };
    for day in 0..scene.quiet_days {
        for _ in 0..scene.noise {
            teller.noise(n(day) * 1_440, 1_440);
        }
    }
    for _ in 0..scene.noise {
        teller.noise(teller.day, n(scene.hours) * 60 + 360);
    }
    let mut people = Vec::new();
    for intrusion in 0..scene.intrusions {
        let again = !people.is_empty() && teller.random.chance(scene.shared_people);
        let person = if again {
            people[teller.random.index(people.len())]
        } else {
            loop {
                let person = teller.random.below(scene.people);
                if !people.contains(&person) {
                    break person;
                }
            }
        };
        people.push(person);
        teller.intrusion(intrusion, person);
    }
    let mut told = teller.told;
    told.sort_by_key(|(make, _, arrives)| (*arrives, make.0.id));
    told
}

impl Teller {
    fn minutes(&self, from: u64, to: u64) -> i64 {
        n(from + self.random.below(to - from + 1))
    }

    fn make(&mut self, label: Option<u64>, minutes: i64, rule: &str) -> Make {
        self.n += 1;
        let name = format!("s{}-{}-{}", self.scene.seed, label.unwrap_or(999), self.n);
        alert(&name, minutes).rule(rule)
    }

    fn tell(&mut self, label: Option<u64>, make: Make) {
        let late = if self.random.chance(self.scene.late) {
            self.minutes(1, 60)
        } else {
            0
        };
        let arrives = make.0.last_at.0 + late * 600_000_000;
        self.told.push((make, label, arrives));
    }

    fn mailbox(person: u64) -> String {
        format!("p{person}@example.org")
    }

    fn pc(person: u64) -> String {
        format!("pc{person}")
    }

    /// An account as Windows knows it; `both` if the alert also has the address.
    fn windows(make: Make, person: &str, both: bool) -> Make {
        let sid = format!("S-{person}");
        let address = format!("{person}@example.org");
        let mut keys = vec![(KeyKind::AccountSid, sid.as_str())];
        if both {
            keys.push((KeyKind::Address, address.as_str()));
        }
        make.entity(EntityKind::Account, &keys)
    }

    fn machine(&self, make: Make, device: &str) -> Make {
        let device_id = format!("id-{device}");
        let mut keys = vec![(KeyKind::DeviceName, device)];
        if self.random.chance(60) {
            keys.push((KeyKind::DeviceId, device_id.as_str()));
        }
        make.entity(EntityKind::Device, &keys)
    }

    fn noise(&mut self, from: i64, length: i64) {
        let minutes = from + self.minutes(0, length.unsigned_abs());
        let person = self.random.below(self.scene.people);
        let which = self.random.below(10);
        let make = self.make(None, minutes, &format!("noisy-{which}"));
        let make = match which {
            0..=1 => make
                .severity(AlertSeverity::Low)
                .service("identity")
                .tactic("InitialAccess")
                .table("IdentityLogonEvents")
                .account(&Self::mailbox(person))
                .ip("198.51.100.1"),
            2 => make
                .severity(AlertSeverity::Informational)
                .service("email")
                .tactic("InitialAccess")
                .table("EmailEvents")
                .account(&Self::mailbox(person))
                .message(&format!("m{}", self.n)),
            3..=4 => {
                let make = make
                    .severity(AlertSeverity::Medium)
                    .tactic("Execution")
                    .file("powershell");
                let make = Self::windows(make, "admin", false);
                self.machine(make, &Self::pc(person))
            }
            5 => {
                let server = format!("dc{}", self.random.below(2));
                let make = make.severity(AlertSeverity::Low).tactic("Discovery");
                let make = Self::windows(make, "deploy", false);
                self.machine(make, &server)
            }
            _ => {
                let both = self.random.chance(50);
                let make = make
                    .severity(AlertSeverity::Low)
                    .tactic("DefenseEvasion")
                    .process(&format!("noise{}", self.n))
                    .file("cmd");
                let make = Self::windows(make, &format!("p{person}"), both);
                self.machine(make, &Self::pc(person))
            }
        };
        self.tell(None, make);
    }

    fn intrusion(&mut self, label: u64, person: u64) {
        let begins = self.day + self.minutes(0, self.scene.hours * 60);
        match self.random.below(5) {
            0 | 1 => {
                let at = self.phished(label, person, begins);
                let user = format!("p{person}");
                let at = self.on_device(label, &Self::pc(person), &user, at, 4);
                if self.random.chance(40) {
                    self.sideways(label, person, at);
                }
                if self.random.chance(60) {
                    self.in_cloud(label, person, at + self.minutes(10, 150));
                }
            }
            2 => {
                let user = format!("p{person}");
                let at = self.on_device(label, &Self::pc(person), &user, begins, 8);
                if self.random.chance(60) {
                    self.sideways(label, person, at);
                }
            }
            3 => {
                self.signed_in(label, person, begins);
                self.in_cloud(label, person, begins + self.minutes(5, 120));
            }
            _ => self.everywhere(label, person, begins),
        }
    }

    /// Mail, click and sign-in; gives back when.
    fn phished(&mut self, label: u64, person: u64, begins: i64) -> i64 {
        let (mail, link) = (format!("m-{label}"), format!("https://bad/{label}"));
        let make = self
            .make(Some(label), begins, "phish-mail")
            .service("email")
            .tactic("InitialAccess")
            .table("EmailEvents")
            .message(&mail)
            .url(&link)
            .account(&Self::mailbox(person));
        self.tell(Some(label), make);
        let click = begins + self.minutes(2, 200);
        let make = self
            .make(Some(label), click, "phish-click")
            .service("email")
            .tactic("InitialAccess")
            .table("UrlClickEvents")
            .url(&link)
            .account(&Self::mailbox(person));
        self.tell(Some(label), make);
        let at = click + self.minutes(1, 90);
        self.signed_in(label, person, at);
        at + self.minutes(2, 120)
    }

    fn signed_in(&mut self, label: u64, person: u64, at: i64) {
        let address = Self::mailbox(person);
        let sid = format!("S-p{person}");
        let from = if self.random.chance(30) {
            "198.51.100.1".to_owned()
        } else {
            format!("203.0.113.{label}")
        };
        let make = self
            .make(Some(label), at, "odd-sign-in")
            .service("identity")
            .tactic("InitialAccess")
            .table("IdentityLogonEvents")
            .entity(
                EntityKind::Account,
                &[(KeyKind::Address, &address), (KeyKind::AccountSid, &sid)],
            )
            .ip(&from);
        self.tell(Some(label), make);
    }

    fn in_cloud(&mut self, label: u64, person: u64, at: i64) {
        let make = self
            .make(Some(label), at, "consent")
            .service("cloud_apps")
            .tactic("Persistence")
            .severity(AlertSeverity::High)
            .table("CloudAppEvents")
            .account(&Self::mailbox(person))
            .app(&format!("app{label}"));
        self.tell(Some(label), make);
        if self.random.chance(60) {
            let at = at + self.minutes(5, 60);
            let make = self
                .make(Some(label), at, "mass-download")
                .service("cloud_apps")
                .tactic("Exfiltration")
                .table("CloudAppEvents")
                .account(&Self::mailbox(person));
            self.tell(Some(label), make);
        }
    }

    fn logon(make: Make, label: u64, device: &str) -> Make {
        let session = format!("{label}-{device}");
        make.entity(EntityKind::Session, &[(KeyKind::Session, &session)])
    }

    /// Some alerts on one device, a few minutes apart; gives back when the last was.
    fn on_device(&mut self, label: u64, device: &str, user: &str, begins: i64, most: u64) -> i64 {
        const STEPS: &[(&str, &str)] = &[
            ("Execution", "shell"),
            ("Persistence", "run-key"),
            ("DefenseEvasion", "tamper"),
            ("CredentialAccess", "dump"),
            ("Discovery", "survey"),
            ("CommandAndControl", "beacon"),
            ("Collection", "archive"),
            ("Exfiltration", "upload"),
        ];
        let mut at = begins;
        let steps = 2 + self.random.below(most);
        for (i, (tactic, rule)) in (0..steps).zip(STEPS.iter().cycle()) {
            let severity = [AlertSeverity::Medium, AlertSeverity::High][self.random.index(2)];
            let make = self
                .make(Some(label), at, rule)
                .severity(severity)
                .tactic(tactic)
                .table("DeviceProcessEvents");
            let both = self.random.chance(70);
            let mut make = self.machine(Self::windows(make, user, both), device);
            if self.random.chance(60) {
                make = make.process(&format!("{label}-{device}-{}", i / 2));
            }
            // The logon that it runs under, where the source says it.
            if self.random.chance(50) {
                make = Self::logon(make, label, device);
            }
            if *rule == "beacon" {
                make = make.ip(&format!("192.0.2.{label}"));
            }
            if *rule == "shell" {
                make = make.file("powershell");
            }
            self.tell(Some(label), make);
            at += self.minutes(1, 25);
        }
        at
    }

    /// On to a server, as the administrator or as the person.
    fn sideways(&mut self, label: u64, person: u64, at: i64) {
        let server = [
            "dc0".to_owned(),
            "files".to_owned(),
            format!("srv{}", self.random.below(40)),
        ][self.random.index(3)]
        .clone();
        let as_admin = self.random.chance(40);
        let user = if as_admin {
            "admin".to_owned()
        } else {
            format!("p{person}")
        };
        let at = at + self.minutes(1, 20);
        let make = self
            .make(Some(label), at, "remote-service")
            .severity(AlertSeverity::High)
            .tactic("LateralMovement")
            .table("DeviceLogonEvents")
            .ip(&format!("10.0.0.{person}"));
        let make = Self::windows(make, &user, false);
        let make = if self.random.chance(50) {
            Self::logon(make, label, &server)
        } else {
            make
        };
        // The logon names both ends in most sources.
        let make = self.machine(make, &server);
        let make = if self.random.chance(70) {
            self.machine(make, &Self::pc(person))
        } else {
            make
        };
        self.tell(Some(label), make);
        self.on_device(label, &server, &user, at + 2, 3);
    }

    /// One program on many devices by one account within half an hour.
    fn everywhere(&mut self, label: u64, person: u64, begins: i64) {
        let user = format!("p{person}");
        for i in 0..5 + self.random.below(4) {
            let device = if i == 0 {
                Self::pc(person)
            } else {
                Self::pc(self.random.below(self.scene.people))
            };
            let at = begins + self.minutes(0, 30);
            let make = self
                .make(Some(label), at, "encryptor")
                .severity(AlertSeverity::High)
                .tactic("Impact")
                .table("DeviceFileEvents")
                .file(&format!("locker{label}"));
            let make = self.machine(Self::windows(make, &user, true), &device);
            self.tell(Some(label), make);
        }
    }
}

/// How well incidents match the truth.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quality {
    pub(crate) alerts: f64,
    pub(crate) intrusions: f64,
    /// Alerts of intrusions that are in their incident's main intrusion, of all alerts there.
    pub(crate) purity: f64,
    /// Alerts of an intrusion that are in its largest incident.
    pub(crate) recall: f64,
    pub(crate) b3_precision: f64,
    pub(crate) b3_recall: f64,
    /// Incidents per intrusion.
    pub(crate) fragments: f64,
    /// Incidents of more than one intrusion.
    pub(crate) mixed: f64,
    /// Alerts of noise in incidents of intrusions.
    pub(crate) strangers: f64,
    /// Incidents of noise alone.
    pub(crate) false_incidents: f64,
    /// Of pairs of an intrusion's largest incident and a false one, those that the score orders right.
    pub(crate) ranked: f64,
}

impl Quality {
    pub(crate) fn mean(all: impl ExactSizeIterator<Item = Self>) -> Self {
        let many = real(all.len());
        all.fold(Self::default(), |sum, one| Self {
            alerts: sum.alerts + one.alerts / many,
            intrusions: sum.intrusions + one.intrusions / many,
            purity: sum.purity + one.purity / many,
            recall: sum.recall + one.recall / many,
            b3_precision: sum.b3_precision + one.b3_precision / many,
            b3_recall: sum.b3_recall + one.b3_recall / many,
            fragments: sum.fragments + one.fragments / many,
            mixed: sum.mixed + one.mixed / many,
            strangers: sum.strangers + one.strangers / many,
            false_incidents: sum.false_incidents + one.false_incidents / many,
            ranked: sum.ranked + one.ranked / many,
        })
    }

    pub(crate) fn f(&self) -> f64 {
        2.0 * self.b3_precision * self.b3_recall / (self.b3_precision + self.b3_recall)
    }
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "alerts {:.0} intrusions {:.1} purity {:.3} recall {:.3} B3 {:.3}/{:.3} F {:.3} fragments {:.2} mixed {:.2} strangers {:.2} false {:.1} ranked {:.3}",
            self.alerts,
            self.intrusions,
            self.purity,
            self.recall,
            self.b3_precision,
            self.b3_recall,
            self.f(),
            self.fragments,
            self.mixed,
            self.strangers,
            self.false_incidents,
            self.ranked
        )
    }
}

pub(crate) fn play(told: &[Told]) -> State {
    let mut state = sharing();
    for (make, _, arrives) in told {
        let input = Input::NewAlert(Box::new(make.0.clone()));
        state.step(input, model::Ticks(*arrives)).unwrap();
    }
    state
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn real(n: usize) -> f64 {
    n as f64
}

pub(crate) fn judge(told: &[Told], state: &State) -> Quality {
    let truth: BTreeMap<AlertId, u64> = told
        .iter()
        .filter_map(|(make, label, _)| Some((make.0.id, (*label)?)))
        .collect();
    let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
    for label in truth.values() {
        *sizes.entry(*label).or_default() += 1;
    }
    let mut best: BTreeMap<u64, (usize, u8)> = BTreeMap::new();
    let mut q = Quality {
        alerts: real(told.len()),
        intrusions: real(sizes.len()),
        ..Quality::default()
    };
    let (mut main, mut all, mut false_scores) = (0, 0, Vec::new());
    for incident in state.incidents() {
        let mut own: BTreeMap<u64, usize> = BTreeMap::new();
        for alert in &incident.alerts {
            if let Some(label) = truth.get(alert) {
                *own.entry(*label).or_default() += 1;
            }
        }
        let size = incident.alerts.len();
        let Some(most) = own.values().max() else {
            false_scores.push(incident.score);
            continue;
        };
        main += most;
        all += size;
        q.mixed += f64::from(own.len() > 1);
        q.strangers += real(size - own.values().sum::<usize>());
        q.fragments += real(own.len());
        for (label, n) in own {
            let held = best.entry(label).or_default();
            *held = (*held).max((n, incident.score));
            let share = real(n) / real(truth.len());
            q.b3_precision += share * real(n) / real(size);
            q.b3_recall += share * real(n) / real(sizes[&label]);
        }
    }
    q.purity = real(main) / real(all);
    q.recall = real(best.values().map(|(n, _)| n).sum()) / real(truth.len());
    q.fragments /= real(sizes.len());
    q.false_incidents = real(false_scores.len());
    let pairs = best
        .values()
        .flat_map(|(_, score)| false_scores.iter().map(move |f| (score, f)));
    let right: f64 = pairs
        .map(|(score, f)| f64::from(score > f) + f64::from(score == f) / 2.0)
        .sum();
    q.ranked = right / real(best.len() * false_scores.len()).max(1.0);
    q
}

/// The mean over several seeds.
pub(crate) fn mean(scene: Scene, seeds: std::ops::Range<u64>) -> Quality {
    Quality::mean(seeds.collect::<Vec<_>>().into_iter().map(|seed| {
        let told = tell(Scene { seed, ..scene });
        judge(&told, &play(&told))
    }))
}
