//! What people may change, and the rules for it.
//!
//! Promises
//! - All or nothing: a refused change leaves the incident as it was.
//! - A determination stands only with the classification that it belongs to; setting another
//!   classification alone takes a determination away that does not fit.
//! - What people move apart is not merged again by correlation.

use model::limits::{
    INCIDENT_ALERTS_MAX, INCIDENT_APART_MAX, INCIDENT_COMMENT_CHARS_MAX, INCIDENT_ENTITIES_MAX,
    INCIDENT_MERGE_MAX, INCIDENT_TAGS_MAX, INCIDENT_TEXT_BYTES_MAX,
};
use model::{
    AlertId, AlertSeverity, Classification, Determination, IncidentId, IncidentStatus, Ticks,
};

use crate::effect::{Actor, Apart, Effect, What};
use crate::incident::Incident;
use crate::join::too_large;
use crate::state::{Outcome, Refusal, State};

/// A person's change to one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Fields, tags and a comment, all at once.
    Update(Box<Update>),
    /// Moves an alert from where it is into this incident.
    Link(AlertId),
    /// Moves an alert out of this incident into a new one.
    Unlink(AlertId),
    /// Merges these with this incident; the oldest stays.
    Merge(Vec<IncidentId>),
}

/// New values; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    /// Any but `redirected`.
    pub status: Option<IncidentStatus>,
    /// The owner; `Some(None)` takes the owner away.
    pub assigned: Option<Option<String>>,
    /// What it turned out to be.
    pub classification: Option<Classification>,
    /// What kind of it.
    pub determination: Option<Determination>,
    /// Severity in place of the alerts' highest; `Some(None)` goes back to that.
    pub severity: Option<Option<AlertSeverity>>,
    /// Name in place of the made one; `Some(None)` goes back to that.
    pub name: Option<Option<String>>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Tags to take away.
    pub remove_tags: Vec<String>,
    /// Something to note in the activity log.
    pub comment: Option<String>,
}

impl State {
    pub(crate) fn analyst(
        &mut self,
        who: String,
        incident: IncidentId,
        change: Change,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        text("the person's name", &who)?;
        self.held(incident)?;
        let actor = Actor::Person(who);
        match change {
            Change::Update(update) => self.update(incident, *update, &actor, now, outcome),
            Change::Link(alert) => self.link(incident, alert, &actor, now, outcome),
            Change::Unlink(alert) => self.unlink(incident, alert, &actor, now, outcome),
            Change::Merge(others) => self.merge_all(incident, others, &actor, now, outcome),
        }
    }

    fn held(&self, id: IncidentId) -> Result<&Incident, Refusal> {
        if let Some(to) = self.redirects.get(&id.0) {
            return Err(Refusal::Redirected {
                from: id,
                to: IncidentId(*to),
            });
        }
        self.incidents
            .get(&id.0)
            .ok_or(Refusal::UnknownIncident(id))
    }

    fn update(
        &mut self,
        id: IncidentId,
        update: Update,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let verdict = check(self.held(id)?, &update)?;
        let was_open = self.held(id)?.is_open();
        let is_open = match update.status {
            None => was_open,
            Some(status) => status != IncidentStatus::Resolved,
        };
        if is_open != was_open {
            self.delist(id.0);
        }
        if let Some(incident) = self.incidents.get_mut(&id.0) {
            let said = apply(incident, update, verdict);
            incident.touched_at = now;
            if !said.is_empty() {
                incident.updated_at = now;
            }
            outcome.effects.extend(said.into_iter().map(|what| Effect {
                incident: id,
                at: now,
                actor: actor.clone(),
                what,
            }));
        }
        if is_open != was_open {
            self.enlist(id.0);
        }
        Ok(())
    }

    fn link(
        &mut self,
        to: IncidentId,
        alert: AlertId,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let (from, member) = self.member(alert).ok_or(Refusal::UnknownAlert(alert))?;
        if from == to.0 {
            return Err(Refusal::NothingToMove(alert));
        }
        let (source, target) = (self.held(IncidentId(from))?, self.held(to)?);
        let services = std::iter::once(member.service.clone()).collect();
        if !self.may_all_share(&target.facts.services, &services) {
            return Err(Refusal::NoConsent);
        }
        refuse(too_large(target, 1, std::iter::once(member)))?;
        if source.members.len() == 1 {
            self.merge(to.0, from, None, actor, now, outcome);
            return Ok(());
        }
        room_to_keep_apart(source)?;
        room_to_keep_apart(target)?;
        self.carry(alert, from, to.0);
        outcome.effects.extend([
            said(from, now, actor, What::Unlinked { alert, to }),
            said(
                to.0,
                now,
                actor,
                What::Linked {
                    alert,
                    from: IncidentId(from),
                },
            ),
        ]);
        self.refresh(from, actor, now, outcome);
        self.refresh(to.0, actor, now, outcome);
        Ok(())
    }

    fn unlink(
        &mut self,
        from: IncidentId,
        alert: AlertId,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let source = self.held(from)?;
        if !source.members.contains_key(&alert) {
            return Err(Refusal::UnknownAlert(alert));
        }
        if source.members.len() == 1 {
            return Err(Refusal::NothingToMove(alert));
        }
        room_to_keep_apart(source)?;
        self.last += 1;
        let to = self.last;
        self.incidents.insert(to, Incident::new(now));
        self.carry(alert, from.0, to);
        outcome.effects.extend([
            said(
                to,
                now,
                actor,
                What::Created {
                    alert,
                    beside: None,
                },
            ),
            said(
                from.0,
                now,
                actor,
                What::Unlinked {
                    alert,
                    to: IncidentId(to),
                },
            ),
        ]);
        if let Some(incident) = self.incidents.get_mut(&to) {
            incident.refresh();
            incident.touch(&self.rarity, now);
        }
        self.refresh(from.0, actor, now, outcome);
        Ok(())
    }

    /// Moves an alert and keeps the two incidents apart from then on.
    fn carry(&mut self, alert: AlertId, from: u64, to: u64) {
        self.delist(from);
        self.delist(to);
        let member = self
            .incidents
            .get_mut(&from)
            .and_then(|source| source.members.remove(&alert));
        if let (Some(member), Some(target)) = (member, self.incidents.get_mut(&to)) {
            target.members.insert(alert, member);
            target.apart.insert(from);
        }
        if let Some(source) = self.incidents.get_mut(&from) {
            source.apart.insert(to);
        }
        self.enlist(from);
        self.enlist(to);
    }

    fn merge_all(
        &mut self,
        id: IncidentId,
        others: Vec<IncidentId>,
        actor: &Actor,
        now: Ticks,
        outcome: &mut Outcome,
    ) -> Result<(), Refusal> {
        let mut all: Vec<u64> = others.iter().map(|o| o.0).chain([id.0]).collect();
        all.sort_unstable();
        let n = all.len();
        all.dedup();
        if n < 2 || all.len() < n {
            return Err(Refusal::NothingToMerge);
        }
        if n > INCIDENT_MERGE_MAX {
            return Err(Refusal::TooLong {
                what: "the list of incidents to merge",
                max: INCIDENT_MERGE_MAX,
            });
        }
        let mut together = Incident::new(now);
        for id in &all {
            let one = self.held(IncidentId(*id))?;
            refuse(self.merge_forbidden(&together, one))?;
            together.members.extend(one.members.clone());
            together.apart.extend(&one.apart);
            together.facts = crate::incident::Facts::of(&together.members);
        }
        if together.apart.len() > INCIDENT_APART_MAX + n {
            return Err(too_many_apart());
        }
        if let [kept, gone @ ..] = all.as_slice() {
            for gone in gone {
                self.merge(*kept, *gone, None, actor, now, outcome);
            }
        }
        Ok(())
    }
}

fn said(incident: u64, at: Ticks, actor: &Actor, what: What) -> Effect {
    Effect {
        incident: IncidentId(incident),
        at,
        actor: actor.clone(),
        what,
    }
}

fn refuse(apart: Option<Apart>) -> Result<(), Refusal> {
    match apart {
        None => Ok(()),
        Some(Apart::Alerts) => Err(Refusal::TooLarge {
            what: "alerts",
            max: INCIDENT_ALERTS_MAX,
        }),
        Some(Apart::Entities) => Err(Refusal::TooLarge {
            what: "entities",
            max: INCIDENT_ENTITIES_MAX,
        }),
        Some(_) => Err(Refusal::NoConsent),
    }
}

fn room_to_keep_apart(incident: &Incident) -> Result<(), Refusal> {
    if incident.apart.len() >= INCIDENT_APART_MAX {
        return Err(too_many_apart());
    }
    Ok(())
}

fn too_many_apart() -> Refusal {
    Refusal::TooLong {
        what: "the list of incidents kept apart",
        max: INCIDENT_APART_MAX,
    }
}

fn text(what: &'static str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Empty(what));
    }
    if text.len() > INCIDENT_TEXT_BYTES_MAX {
        return Err(Refusal::TooLong {
            what,
            max: INCIDENT_TEXT_BYTES_MAX,
        });
    }
    Ok(())
}

/// The classification and determination after an update, or why it is refused.
fn check(incident: &Incident, update: &Update) -> Result<(Classification, Determination), Refusal> {
    if update.status == Some(IncidentStatus::Redirected) {
        return Err(Refusal::StatusRedirected);
    }
    if let Some(Some(owner)) = &update.assigned {
        text("the owner", owner)?;
    }
    if let Some(Some(name)) = &update.name {
        text("the name", name)?;
    }
    for tag in &update.add_tags {
        text("a tag", tag)?;
    }
    let new = update
        .add_tags
        .iter()
        .filter(|tag| !incident.tags.contains(*tag));
    if incident.tags.len() + new.count() > INCIDENT_TAGS_MAX {
        return Err(Refusal::TooLong {
            what: "the list of tags",
            max: INCIDENT_TAGS_MAX,
        });
    }
    if let Some(comment) = &update.comment {
        if comment.trim().is_empty() {
            return Err(Refusal::Empty("the comment"));
        }
        if comment.chars().count() > INCIDENT_COMMENT_CHARS_MAX {
            return Err(Refusal::TooLong {
                what: "the comment",
                max: INCIDENT_COMMENT_CHARS_MAX,
            });
        }
    }
    verdict(incident, update)
}

fn verdict(
    incident: &Incident,
    update: &Update,
) -> Result<(Classification, Determination), Refusal> {
    let classification = update.classification.unwrap_or(incident.classification);
    let fits = |d: Determination| d.classification().is_none_or(|c| c == classification);
    match update.determination {
        Some(determination) if !fits(determination) => Err(Refusal::DeterminationMismatch {
            determination,
            needed: determination.classification().unwrap_or(classification),
        }),
        Some(determination) => Ok((classification, determination)),
        None if fits(incident.determination) => Ok((classification, incident.determination)),
        None => Ok((classification, Determination::Unknown)),
    }
}

/// Makes the changes, and says those that are any.
fn apply(
    incident: &mut Incident,
    update: Update,
    (classification, determination): (Classification, Determination),
) -> Vec<What> {
    let mut said = Vec::new();
    let (severity, name) = (incident.severity(), incident.name().to_owned());
    if let Some(to) = update.status {
        let from = std::mem::replace(&mut incident.status, to);
        said.extend((from != to).then_some(What::Status { from, to }));
    }
    if let Some(to) = update.assigned {
        let from = std::mem::replace(&mut incident.assigned, to.clone());
        said.extend((from != to).then_some(What::Assigned { from, to }));
    }
    let from = std::mem::replace(&mut incident.classification, classification);
    let to = classification;
    said.extend((from != to).then_some(What::Classification { from, to }));
    let from = std::mem::replace(&mut incident.determination, determination);
    let to = determination;
    said.extend((from != to).then_some(What::Determination { from, to }));
    if let Some(set) = update.severity {
        incident.severity_set = set;
        let (from, to) = (severity, incident.severity());
        said.extend((from != to).then_some(What::Severity { from, to }));
    }
    if let Some(set) = update.name {
        incident.name_set = set;
        let to = incident.name().to_owned();
        said.extend((name != to).then_some(What::Name { from: name, to }));
    }
    for tag in update.remove_tags {
        if incident.tags.remove(&tag) {
            said.push(What::Untagged(tag));
        }
    }
    for tag in update.add_tags {
        if incident.tags.insert(tag.clone()) {
            said.push(What::Tagged(tag));
        }
    }
    said.extend(update.comment.map(What::Comment));
    said
}
