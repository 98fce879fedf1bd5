//! An incident as the path that an intrusion took: mail → click → sign-in → process → consent.
//!
//! Works on digests, so a path over several geographies can be told at home without any content.
//! The stage of an alert is what its rows' tables say it was; the order is that of time.
//!
//! Does not claim causes: a step's [`Via`] is the key that it shares with an earlier step.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AlertDigest, AlertId, AlertSeverity, EntityKind, KeyKind, KeyToken, ServiceName, Span100ns,
    Ticks,
};
use serde::{Deserialize, Serialize};

use crate::incident::Summary;
use crate::member::Member;
use crate::rarity::Rarity;
use crate::strength::Class;
use crate::tactic::Tactic;
use crate::weigh;

/// Alerts of a step, and of the steps before it, that are looked at for a [`Via`].
const VIA_ALERTS_MAX: usize = 32;

/// What sort of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// A message came.
    Mail,
    /// A link was followed.
    Click,
    /// Somebody signed in, or tried.
    SignIn,
    /// Something ran or was done on a device.
    Process,
    /// The directory was read or changed.
    Directory,
    /// An application was given rights.
    Consent,
    /// Something was done in a cloud application.
    Cloud,
    /// None of these.
    Other,
}

impl Stage {
    /// Every stage; the position is its number in stored bytes.
    pub const ALL: &'static [Self] = &[
        Self::Mail,
        Self::Click,
        Self::SignIn,
        Self::Process,
        Self::Directory,
        Self::Consent,
        Self::Cloud,
        Self::Other,
    ];

    /// As a path names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Click => "click",
            Self::SignIn => "sign-in",
            Self::Process => "process",
            Self::Directory => "directory",
            Self::Consent => "consent",
            Self::Cloud => "cloud",
            Self::Other => "other",
        }
    }

    /// The stage of an alert: by the first of its tables that says one, else by its entities and
    /// service.
    pub fn of(alert: &AlertDigest) -> Self {
        let has = |kind| alert.entities.iter().any(|entity| entity.kind == kind);
        if has(EntityKind::OAuthApp) {
            return Self::Consent;
        }
        let by_table = alert
            .records
            .iter()
            .find_map(|record| Self::of_table(record.table.as_str()));
        if let Some(stage) = by_table {
            return stage;
        }
        match alert.service.as_str() {
            "email" if has(EntityKind::Url) && !has(EntityKind::MailMessage) => Self::Click,
            "email" => Self::Mail,
            "identity" | "identity_protection" => Self::SignIn,
            "endpoint" => Self::Process,
            "cloud_apps" => Self::Cloud,
            _ if has(EntityKind::MailMessage) => Self::Mail,
            _ if has(EntityKind::Process) => Self::Process,
            _ => Self::Other,
        }
    }

    fn of_table(table: &str) -> Option<Self> {
        match table {
            "UrlClickEvents" => Some(Self::Click),
            "IdentityDirectoryEvents" | "IdentityQueryEvents" => Some(Self::Directory),
            "CloudAppEvents" | "GraphApiAuditEvents" | "CloudAuditEvents" => Some(Self::Cloud),
            "OAuthAppInfo" => Some(Self::Consent),
            _ if table.contains("SignIn") || table.contains("Logon") => Some(Self::SignIn),
            _ if table.starts_with("Email") || table.starts_with("Message") => Some(Self::Mail),
            _ if table.starts_with("Device") => Some(Self::Process),
            _ => None,
        }
    }
}

/// What a step shares with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The alert of this step.
    pub alert: AlertId,
    /// The earlier step's alert.
    pub from: AlertId,
    /// The kind of the key that says most.
    pub kind: KeyKind,
    /// Time from the other alert to this one, in ticks of 100 ns; none if they overlap, and negative if
    /// this one came first (a step begins with its first alert, and any of its alerts may be the one).
    pub gap_ticks: i64,
}

impl Via {
    /// Time from the other alert to this one; see [`Self::gap_ticks`].
    pub const fn gap(&self) -> Span100ns {
        Span100ns(self.gap_ticks)
    }
}

/// A stretch of the path: what happened of one stage, on a device at one device. An alert over rows of
/// several stages (mail, click, sign-in) is in each of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What sort of thing.
    pub stage: Stage,
    /// Time of the first row behind it.
    pub first_at: Ticks,
    /// Time of the last row behind it.
    pub last_at: Ticks,
    /// Its alerts, in the order of time.
    pub alerts: Vec<AlertId>,
    /// The services that saw it, sorted.
    pub services: Vec<ServiceName>,
    /// Its tactics, in the kill chain's order.
    pub tactics: Vec<Tactic>,
    /// The highest severity.
    pub severity: AlertSeverity,
    /// What connects it with the steps before; nothing at the first step.
    pub via: Option<Via>,
}

/// The steps, in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Path {
    /// See the type.
    pub steps: Vec<Step>,
}

/// An alert's share in one stage: all of it, or for a correlation over several tables those of its
/// rows that are of the stage.
struct Part<'a> {
    alert: AlertId,
    member: &'a Member,
    stage: Stage,
    first_at: Ticks,
    last_at: Ticks,
}

/// The path of an incident; alerts that are not its own are left out.
pub fn story(incident: &Summary, alerts: &[AlertDigest]) -> Path {
    let own: BTreeSet<AlertId> = incident.alerts.iter().copied().collect();
    let digests = alerts.iter().filter(|alert| own.contains(&alert.id));
    let members: BTreeMap<AlertId, (Member, &AlertDigest)> = digests
        .map(|alert| (alert.id, (Member::new(alert, alert.created_at), alert)))
        .collect();
    let each = members.iter();
    let mut parts: Vec<Part<'_>> = each
        .flat_map(|(id, (member, digest))| parts(*id, member, digest))
        .collect();
    parts.sort_by_key(|p| (p.first_at, p.last_at, p.alert, p.stage));
    let mut steps: Vec<(Place, Vec<Part<'_>>)> = Vec::new();
    for part in parts {
        let place = place(&part);
        match steps.iter_mut().find(|(held, _)| *held == place) {
            Some((_, parts)) => parts.push(part),
            None => steps.push((place, vec![part])),
        }
    }
    let mut before: Vec<(AlertId, &Member)> = Vec::new();
    let mut path = Path::default();
    for (place, parts) in steps {
        path.steps.push(step(place.0, &parts, via(&parts, &before)));
        before.extend(parts.iter().map(|p| (p.alert, p.member)));
    }
    path
}

/// The stages of one alert's rows, each with the time of its own.
fn parts<'a>(alert: AlertId, member: &'a Member, digest: &AlertDigest) -> Vec<Part<'a>> {
    let whole = Stage::of(digest);
    let mut times: BTreeMap<Stage, (Ticks, Ticks)> = BTreeMap::new();
    for record in &digest.records {
        let Some(stage) = Stage::of_table(record.table.as_str()) else {
            continue;
        };
        // An activity of an application that was given rights is told by what it is about.
        let stage = match stage {
            Stage::Cloud if whole == Stage::Consent => Stage::Consent,
            stage => stage,
        };
        let (first, last) = times.entry(stage).or_insert((record.at, record.at));
        (*first, *last) = ((*first).min(record.at), (*last).max(record.at));
    }
    if times.len() < 2 {
        times = BTreeMap::from([(whole, (member.first_at, member.last_at))]);
    }
    let part = |(stage, (first_at, last_at))| Part {
        alert,
        member,
        stage,
        first_at,
        last_at,
    };
    times.into_iter().map(part).collect()
}

/// A stage, and the device if it is one that happens on a device.
type Place = (Stage, Option<KeyToken>);

fn place(part: &Part<'_>) -> Place {
    let device = (part.stage == Stage::Process)
        .then(|| part.member.places(Class::File, |_| false).first().copied());
    (part.stage, device.flatten())
}

fn step(stage: Stage, parts: &[Part<'_>], via: Option<Via>) -> Step {
    let each = || parts.iter().map(|part| part.member);
    let services: BTreeSet<ServiceName> = each().map(|m| m.service.clone()).collect();
    let tactics: BTreeSet<Tactic> = each().filter_map(|m| m.tactic).collect();
    Step {
        stage,
        first_at: parts.iter().map(|p| p.first_at).min().unwrap_or_default(),
        last_at: parts.iter().map(|p| p.last_at).max().unwrap_or_default(),
        alerts: parts.iter().map(|part| part.alert).collect(),
        services: services.into_iter().collect(),
        tactics: tactics.into_iter().collect(),
        severity: each()
            .map(|m| m.severity)
            .max()
            .unwrap_or(AlertSeverity::Informational),
        via,
    }
}

fn via(parts: &[Part<'_>], before: &[(AlertId, &Member)]) -> Option<Via> {
    let rarity = Rarity::default();
    let mut best: Option<(u32, Via)> = None;
    for Part { alert, member, .. } in parts.iter().take(VIA_ALERTS_MAX) {
        // What one alert over several stages shares with itself says nothing.
        let others = before.iter().rev().filter(|(from, _)| from != alert);
        for (from, earlier) in others.take(VIA_ALERTS_MAX) {
            let Some(link) = weigh::link(earlier, member, &rarity, |_| false) else {
                continue;
            };
            if best.is_none_or(|(weight, _)| link.weight > weight) {
                let via = Via {
                    alert: *alert,
                    from: *from,
                    kind: link.key.kind,
                    gap_ticks: if member.first_at < earlier.first_at {
                        -link.gap.0
                    } else {
                        link.gap.0
                    },
                };
                best = Some((link.weight, via));
            }
        }
    }
    best.map(|(_, via)| via)
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The stages with arrows; a stage at several devices in a row is written once, with their number.
impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut runs: Vec<(Stage, usize)> = Vec::new();
        for step in &self.steps {
            match runs.last_mut() {
                Some((stage, n)) if *stage == step.stage => *n += 1,
                _ => runs.push((step.stage, 1)),
            }
        }
        for (i, (stage, n)) in runs.iter().enumerate() {
            if i > 0 {
                f.write_str(" → ")?;
            }
            write!(f, "{stage}")?;
            if *n > 1 {
                write!(f, " (×{n})")?;
            }
        }
        Ok(())
    }
}
