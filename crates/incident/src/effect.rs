//! What a step did: one effect per thing that changed, each an entry of its incident's activity log.
//!
//! Effects hold no content of telemetry: keys are tokens. They do hold what people wrote (a comment, a
//! tag, a name, who did it); whoever stores them seals them.

use model::{
    AlertId, AlertSeverity, Classification, Determination, IncidentId, IncidentStatus, KeyToken,
    Span100ns, Ticks,
};
use serde::{Deserialize, Serialize};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Correlation itself.
    System,
    /// A person, by the name that the caller knows them by.
    Person(String),
}

/// Why two alerts are in one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The alert that was there already.
    pub through: AlertId,
    /// The shared key that says most, with its kind.
    pub key: KeyToken,
    /// Time between the two alerts.
    #[serde(with = "ticks_of_span")]
    pub gap: Span100ns,
    /// Weight of all that they share, in thousandths of [`crate::JOIN_WEIGHT`]'s unit: 1000 is needed.
    pub weight: u32,
}

/// Why an alert did not join the incident that it is related to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Apart {
    /// The incident is resolved.
    Resolved,
    /// People said that the incident is no attack.
    Classified,
    /// The two are assigned to different people.
    Assigned,
    /// People said different things of the two.
    ClassifiedDifferently,
    /// The tenant does not let the services share.
    NoConsent,
    /// The incident would have too many alerts.
    Alerts,
    /// The incident would have too many entities.
    Entities,
    /// People keep them apart.
    KeptApart,
}

impl Apart {
    /// As an activity log says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Classified => "classified as no attack",
            Self::Assigned => "assigned to different people",
            Self::ClassifiedDifferently => "classified differently",
            Self::NoConsent => "no consent between services",
            Self::Alerts => "too many alerts",
            Self::Entities => "too many entities",
            Self::KeptApart => "kept apart by people",
        }
    }
}

/// A cap that an incident reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cap {
    /// `INCIDENT_ALERTS_MAX`.
    Alerts,
    /// `INCIDENT_ENTITIES_MAX`.
    Entities,
}

/// An incident that an alert is related to without joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The other incident.
    pub incident: IncidentId,
    /// What relates them.
    pub reason: Reason,
    /// What keeps them apart.
    pub apart: Apart,
}

/// What happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It began with this alert.
    Created {
        /// Its first alert.
        alert: AlertId,
        /// The related incident that the alert could not join, if there is one.
        beside: Option<Beside>,
    },
    /// An alert joined it by itself.
    Joined {
        /// The alert.
        alert: AlertId,
        /// Why.
        reason: Reason,
    },
    /// Evidence came after an alert: more is known of it than when it joined.
    Grown {
        /// The alert.
        alert: AlertId,
    },
    /// A person moved an alert in.
    Linked {
        /// The alert.
        alert: AlertId,
        /// Where it was.
        from: IncidentId,
    },
    /// A person moved an alert out.
    Unlinked {
        /// The alert.
        alert: AlertId,
        /// Where it is now.
        to: IncidentId,
    },
    /// It took in another incident.
    Merged {
        /// The other one, now redirected here.
        from: IncidentId,
        /// The alerts that came over.
        alerts: Vec<AlertId>,
        /// The new alert that showed it and what it shares with the other incident; `None` if a person
        /// did it.
        reason: Option<(AlertId, Reason)>,
    },
    /// It was merged into another one and is no more.
    Redirected {
        /// The other one.
        to: IncidentId,
    },
    /// Its severity is another.
    Severity {
        /// Before.
        from: AlertSeverity,
        /// Now.
        to: AlertSeverity,
    },
    /// Its status is another.
    Status {
        /// Before.
        from: IncidentStatus,
        /// Now.
        to: IncidentStatus,
    },
    /// Its name is another.
    Name {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// Its owner is another.
    Assigned {
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
    },
    /// Its classification is another.
    Classification {
        /// Before.
        from: Classification,
        /// Now.
        to: Classification,
    },
    /// Its determination is another.
    Determination {
        /// Before.
        from: Determination,
        /// Now.
        to: Determination,
    },
    /// It has a new tag.
    Tagged(String),
    /// It lost a tag.
    Untagged(String),
    /// Somebody wrote this.
    Comment(String),
    /// It is full; related alerts open the next incident. Said once per incident and cap.
    Capped(Cap),
    /// Correlation holds it no longer; nothing joins it by itself any more.
    Archived,
}

/// Something that a step did to one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The incident.
    pub incident: IncidentId,
    /// When, by the caller's clock.
    pub at: Ticks,
    /// Who.
    pub actor: Actor,
    /// What.
    pub what: What,
}

/// An entry of an activity log, as words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The incident.
    pub incident: IncidentId,
    /// When.
    pub at: Ticks,
    /// Who; `system` if nobody.
    pub who: String,
    /// What, one word of a fixed list.
    pub what: String,
    /// Before.
    pub from: Option<String>,
    /// Now.
    pub to: Option<String>,
    /// The alert that it is about.
    pub alert: Option<AlertId>,
    /// Why, in words and tokens.
    pub why: Option<String>,
    /// What `why` speaks of, for whoever may put the value in place of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

/// What two alerts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The key.
    pub key: KeyToken,
    /// The other alert that has it.
    pub through: AlertId,
}

impl Activity {
    /// Why, with the value of the key instead of its token; as it is if it speaks of none.
    pub fn why_by(&self, value: &str) -> Option<String> {
        let why = self.why.as_ref()?;
        let Some(shared) = &self.shared else {
            return Some(why.clone());
        };
        let token = named(&shared.key);
        let value = format!("{} {value}", shared.key.kind);
        Some(why.replacen(&token, &value, 1))
    }
}

impl Effect {
    /// The entry of the activity log.
    pub fn activity(&self) -> Activity {
        let (what, from, to) = self.what.words();
        let (alert, why) = self.what.because();
        Activity {
            incident: self.incident,
            at: self.at,
            who: match &self.actor {
                Actor::System => "system".to_owned(),
                Actor::Person(name) => name.clone(),
            },
            what: what.to_owned(),
            from,
            to,
            alert,
            why,
            shared: self.what.reason().map(|reason| Shared {
                key: reason.key,
                through: reason.through,
            }),
        }
    }
}

impl What {
    fn words(&self) -> (&'static str, Option<String>, Option<String>) {
        let number = |id: &IncidentId| Some(id.to_string());
        match self {
            Self::Created { .. } => ("created", None, None),
            Self::Joined { .. } => ("joined", None, None),
            Self::Grown { .. } => ("grown", None, None),
            Self::Linked { from, .. } => ("linked", number(from), None),
            Self::Unlinked { to, .. } => ("unlinked", None, number(to)),
            Self::Merged { from, .. } => ("merged", number(from), None),
            Self::Redirected { to } => ("redirected", None, number(to)),
            Self::Severity { from, to } => changed("severity", from, to),
            Self::Status { from, to } => changed("status", from, to),
            Self::Name { from, to } => changed("name", from, to),
            Self::Assigned { from, to } => ("assigned", from.clone(), to.clone()),
            Self::Classification { from, to } => changed("classification", from, to),
            Self::Determination { from, to } => changed("determination", from, to),
            Self::Tagged(tag) => ("tagged", None, Some(tag.clone())),
            Self::Untagged(tag) => ("untagged", Some(tag.clone()), None),
            Self::Comment(text) => ("comment", None, Some(text.clone())),
            Self::Capped(Cap::Alerts) => ("capped", None, Some("alerts".to_owned())),
            Self::Capped(Cap::Entities) => ("capped", None, Some("entities".to_owned())),
            Self::Archived => ("archived", None, None),
        }
    }

    /// What two alerts share, where that is why.
    const fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Created {
                beside: Some(beside),
                ..
            } => Some(&beside.reason),
            Self::Joined { reason, .. }
            | Self::Merged {
                reason: Some((_, reason)),
                ..
            } => Some(reason),
            _ => None,
        }
    }

    fn because(&self) -> (Option<AlertId>, Option<String>) {
        match self {
            Self::Created { alert, beside } => (
                Some(*alert),
                beside.map(|b| {
                    let (incident, apart) = (b.incident, b.apart.as_str());
                    format!("beside incident {incident} ({apart}): {}", b.reason)
                }),
            ),
            Self::Joined { alert, reason } => (Some(*alert), Some(reason.to_string())),
            Self::Grown { alert } | Self::Linked { alert, .. } | Self::Unlinked { alert, .. } => {
                (Some(*alert), None)
            }
            Self::Merged { reason, .. } => (
                reason.map(|(alert, _)| alert),
                reason.map(|(_, reason)| reason.to_string()),
            ),
            _ => (None, None),
        }
    }
}

fn changed(
    what: &'static str,
    from: &impl ToString,
    to: &impl ToString,
) -> (&'static str, Option<String>, Option<String>) {
    (what, Some(from.to_string()), Some(to.to_string()))
}

/// A key by its kind and the beginning of its token.
fn named(key: &KeyToken) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} ", key.kind);
    for byte in key.token.iter().take(4) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl std::fmt::Display for Reason {
    /// For example `account_sid 0a1b2c3d within 00:12:00 of alert …, weight 1.4`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&named(&self.key))?;
        let (whole, rest) = (self.weight / 1_000, self.weight % 1_000);
        let (gap, through) = (self.gap, self.through);
        write!(
            f,
            " within {gap} of alert {through}, weight {whole}.{rest:03}"
        )
    }
}

/// A span as its number of ticks.
mod ticks_of_span {
    use model::Span100ns;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(span: &Span100ns, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_i64(span.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Span100ns, D::Error> {
        i64::deserialize(d).map(Span100ns)
    }
}
