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
use crate::member::{Member, in_time};
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

/// A stretch of the path: what happened of one stage, on a device at one device.
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

/// The path of an incident; alerts that are not its own are left out.
pub fn story(incident: &Summary, alerts: &[AlertDigest]) -> Path {
    let own: BTreeSet<AlertId> = incident.alerts.iter().copied().collect();
    let members: BTreeMap<AlertId, Member> = alerts
        .iter()
        .filter(|alert| own.contains(&alert.id))
        .map(|alert| (alert.id, Member::new(alert, alert.created_at)))
        .collect();
    let mut steps: Vec<(Place, Vec<(AlertId, &Member)>)> = Vec::new();
    for (id, member) in in_time(members.iter()) {
        let place = place(member);
        match steps.iter_mut().find(|(held, _)| *held == place) {
            Some((_, alerts)) => alerts.push((id, member)),
            None => steps.push((place, vec![(id, member)])),
        }
    }
    let mut before: Vec<(AlertId, &Member)> = Vec::new();
    let mut path = Path::default();
    for (place, alerts) in steps {
        path.steps
            .push(step(place.0, &alerts, via(&alerts, &before)));
        before.extend(alerts);
    }
    path
}

/// A stage, and the device if it is one that happens on a device.
type Place = (Stage, Option<KeyToken>);

fn place(member: &Member) -> Place {
    let device = (member.stage == Stage::Process)
        .then(|| member.places(Class::File, |_| false).first().copied());
    (member.stage, device.flatten())
}

fn step(stage: Stage, alerts: &[(AlertId, &Member)], via: Option<Via>) -> Step {
    let each = || alerts.iter().map(|(_, member)| *member);
    let services: BTreeSet<ServiceName> = each().map(|m| m.service.clone()).collect();
    let tactics: BTreeSet<Tactic> = each().filter_map(|m| m.tactic).collect();
    Step {
        stage,
        first_at: each().map(|m| m.first_at).min().unwrap_or_default(),
        last_at: each().map(|m| m.last_at).max().unwrap_or_default(),
        alerts: alerts.iter().map(|(id, _)| *id).collect(),
        services: services.into_iter().collect(),
        tactics: tactics.into_iter().collect(),
        severity: each()
            .map(|m| m.severity)
            .max()
            .unwrap_or(AlertSeverity::Informational),
        via,
    }
}

fn via(alerts: &[(AlertId, &Member)], before: &[(AlertId, &Member)]) -> Option<Via> {
    let rarity = Rarity::default();
    let mut best: Option<(u32, Via)> = None;
    for (id, member) in alerts.iter().take(VIA_ALERTS_MAX) {
        for (from, earlier) in before.iter().rev().take(VIA_ALERTS_MAX) {
            let Some(link) = weigh::link(earlier, member, &rarity, |_| false) else {
                continue;
            };
            if best.is_none_or(|(weight, _)| link.weight > weight) {
                let via = Via {
                    alert: *id,
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
