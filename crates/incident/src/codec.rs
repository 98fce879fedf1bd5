//! A state, or one archived incident, as bytes.
//!
//! Layout: magic `BWIN`, version `u16`, kind `u8` (1 state, 2 archived incident), then a table of the
//! texts, a table of the key tokens, and the body, which names both by their place in the tables.
//! Counts and places are LEB128, instants eight bytes, all little-endian. An enum's value is its place
//! in `ALL`, so `ALL` only grows at its end.
//!
//! Promises
//! - The same state makes the same bytes.
//! - Reading damaged bytes ends with an error and takes memory in proportion to their number.
//!
//! Does not seal: the names and tags that people gave are content, and the caller seals the whole.

use std::collections::BTreeMap;

use model::limits::{INCIDENT_STATE_BYTES_MAX, INCIDENTS_HELD_MAX};
use model::{
    AlertId, AlertSeverity, Classification, DetectionRuleId, Determination, EntityKind, EntityRef,
    EntityRole, IncidentStatus, KeyKind, KeyToken, RegionCode, RuleKind, RuleRef, ServiceName,
    Ticks,
};

use crate::effect::Cap;
use crate::incident::{Facts, Incident};
use crate::member::{Member, keys_of};
use crate::rarity::{Fired, Rarity, Seen};
use crate::state::{Counters, State};
use crate::story::Stage;
use crate::tactic::Tactic;

const MAGIC: &[u8; 4] = b"BWIN";
const VERSION: u16 = 1;
const KIND_STATE: u8 = 1;
const KIND_ARCHIVED: u8 = 2;
/// The caps, in the order of their numbers.
const CAPS: &[Cap] = &[Cap::Alerts, Cap::Entities];

/// Why bytes are not a state or an archived incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBytes {
    /// They do not begin as ours do.
    #[error("not a correlation state")]
    NotOurs,
    /// They are of a version that this program does not read.
    #[error("version {0} of the correlation state is not known")]
    Version(u16),
    /// They are more than the limit.
    #[error("the correlation state is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Something in them cannot be.
    #[error("the correlation state is damaged at byte {at}")]
    Damaged {
        /// Where it was found.
        at: usize,
    },
}

pub(crate) fn write_state(state: &State) -> Vec<u8> {
    let mut w = Writer::default();
    w.number(state.last);
    w.many(state.consent.iter(), |w, (a, b)| {
        w.text(a.as_str());
        w.text(b.as_str());
    });
    w.many(state.noise.iter(), Writer::token);
    w.many(state.redirects.iter(), |w, (from, to)| {
        w.number(*from);
        w.number(*to);
    });
    w.many(state.remembered.iter(), |w, (alert, (id, at))| {
        w.body.extend(alert.as_bytes());
        w.number(*id);
        w.ticks(*at);
    });
    w.many(state.rarity.keys.iter(), |w, (key, seen)| {
        w.token(key);
        w.seen(seen);
    });
    w.many(state.rarity.rules.iter(), |w, (rule, fired)| {
        w.text(rule.as_str());
        w.seen(&fired.seen);
        w.many(fired.since.iter(), |w, (place, day)| {
            w.body.extend(place.to_le_bytes());
            w.body.extend(day.to_le_bytes());
        });
        w.many(fired.company.iter(), |w, place| {
            w.body.extend(place.to_le_bytes());
        });
    });
    w.option(state.rarity.days, |w, (first, last)| {
        w.body.extend(first.to_le_bytes());
        w.body.extend(last.to_le_bytes());
    });
    for n in numbers(&state.counters) {
        w.number(n);
    }
    w.many(state.incidents.iter(), |w, (id, incident)| {
        w.number(*id);
        w.incident(incident);
    });
    w.finish(KIND_STATE)
}

pub(crate) fn read_state(bytes: &[u8]) -> Result<State, BadBytes> {
    let mut r = Reader::new(bytes, KIND_STATE)?;
    let last = r.number()?;
    let consent = r.many(|r| Ok((r.service()?, r.service()?)))?;
    let noise = r.many(Reader::token)?;
    let redirects = r.many(|r| Ok((r.number()?, r.number()?)))?;
    let remembered = r.many(|r| Ok((r.alert()?, (r.number()?, r.ticks()?))))?;
    let keys = r.many(|r| Ok((r.token()?, r.seen()?)))?;
    let rules = r.many(|r| Ok((r.word(DetectionRuleId::new)?, r.fired()?)))?;
    let days = r.option(|r| Ok((r.day()?, r.day()?)))?;
    let mut counters = Counters::default();
    for slot in slots(&mut counters) {
        *slot = r.number()?;
    }
    let incidents: BTreeMap<u64, Incident> = r
        .many(|r| Ok((r.number()?, r.incident()?)))?
        .into_iter()
        .collect();
    if incidents.keys().next_back().is_some_and(|id| *id > last)
        || incidents.len() > INCIDENTS_HELD_MAX
    {
        return Err(r.damaged());
    }
    r.end()?;
    Ok(State {
        last,
        incidents,
        redirects: redirects.into_iter().collect(),
        remembered: remembered.into_iter().collect(),
        rarity: Rarity {
            days,
            keys: keys.into_iter().collect(),
            rules: rules.into_iter().collect(),
        },
        consent: consent.into_iter().collect(),
        noise: noise.into_iter().collect(),
        counters,
        ..State::default()
    })
}

pub(crate) fn write_archived(id: u64, incident: &Incident) -> Vec<u8> {
    let mut w = Writer::default();
    w.number(id);
    w.incident(incident);
    w.finish(KIND_ARCHIVED)
}

pub(crate) fn read_archived(bytes: &[u8]) -> Result<(u64, Incident), BadBytes> {
    let mut r = Reader::new(bytes, KIND_ARCHIVED)?;
    let (id, incident) = (r.number()?, r.incident()?);
    r.end()?;
    Ok((id, incident))
}

fn numbers(counters: &Counters) -> [u64; 7] {
    let mut copy = *counters;
    slots(&mut copy).map(|slot| *slot)
}

fn slots(counters: &mut Counters) -> [&mut u64; 7] {
    [
        &mut counters.alerts,
        &mut counters.repeated,
        &mut counters.capped_alerts,
        &mut counters.capped_entities,
        &mut counters.capped_fanout,
        &mut counters.archived_early,
        &mut counters.without_consent,
    ]
}

#[derive(Default)]
struct Writer {
    texts: BTreeMap<String, u64>,
    tokens: BTreeMap<KeyToken, u64>,
    body: Vec<u8>,
}

impl Writer {
    fn finish(self, kind: u8) -> Vec<u8> {
        let mut out = Self::default();
        out.body.extend(MAGIC);
        out.body.extend(VERSION.to_le_bytes());
        out.body.push(kind);
        let mut texts: Vec<(u64, String)> = self.texts.into_iter().map(|(t, n)| (n, t)).collect();
        texts.sort();
        out.many(texts.into_iter(), |w, (_, text)| {
            w.size(text.len());
            w.body.extend(text.as_bytes());
        });
        let mut tokens: Vec<(u64, KeyToken)> =
            self.tokens.into_iter().map(|(t, n)| (n, t)).collect();
        tokens.sort();
        out.many(tokens.into_iter(), |w, (_, key)| {
            w.choice(KeyKind::ALL, key.kind);
            w.body.extend(key.token);
        });
        out.body.extend(self.body);
        out.body
    }

    fn number(&mut self, mut n: u64) {
        loop {
            let [low, ..] = n.to_le_bytes();
            n >>= 7;
            if n == 0 {
                self.body.push(low & 0x7F);
                return;
            }
            self.body.push(low | 0x80);
        }
    }

    fn size(&mut self, n: usize) {
        self.number(u64::try_from(n).unwrap_or(u64::MAX));
    }

    fn ticks(&mut self, at: Ticks) {
        self.body.extend(at.0.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        let next = u64::try_from(self.texts.len()).unwrap_or(u64::MAX);
        let n = *self.texts.entry(text.to_owned()).or_insert(next);
        self.number(n);
    }

    fn token(&mut self, key: &KeyToken) {
        let next = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX);
        let n = *self.tokens.entry(*key).or_insert(next);
        self.number(n);
    }

    fn many<T>(&mut self, items: impl ExactSizeIterator<Item = T>, each: impl Fn(&mut Self, T)) {
        self.size(items.len());
        items.for_each(|item| each(self, item));
    }

    fn option<T>(&mut self, value: Option<T>, some: impl Fn(&mut Self, T)) {
        self.body.push(u8::from(value.is_some()));
        if let Some(value) = value {
            some(self, value);
        }
    }

    fn choice<T: PartialEq>(&mut self, all: &[T], value: T) {
        self.size(all.iter().position(|v| *v == value).unwrap_or(all.len()));
    }

    fn seen(&mut self, seen: &Seen) {
        self.body.extend(seen.newest.to_le_bytes());
        self.body.extend(seen.days.to_le_bytes());
        self.many(seen.places.iter(), |w, (place, day)| {
            w.body.extend(place.to_le_bytes());
            w.body.extend(day.to_le_bytes());
        });
    }

    fn incident(&mut self, incident: &Incident) {
        self.choice(IncidentStatus::ALL, incident.status);
        self.choice(Classification::ALL, incident.classification);
        self.choice(Determination::ALL, incident.determination);
        self.option(incident.assigned.as_deref(), Self::text);
        self.option(incident.name_set.as_deref(), Self::text);
        self.option(incident.severity_set, |w, severity| {
            w.choice(AlertSeverity::ALL, severity);
        });
        self.many(incident.tags.iter(), |w, tag| w.text(tag));
        self.ticks(incident.created_at);
        self.ticks(incident.updated_at);
        self.ticks(incident.touched_at);
        self.body.push(incident.score);
        self.many(incident.capped.iter(), |w, cap| w.choice(CAPS, *cap));
        self.many(incident.apart.iter(), |w, id| w.number(*id));
        self.many(incident.members.iter(), |w, (alert, member)| {
            w.body.extend(alert.as_bytes());
            w.member(member);
        });
    }

    fn member(&mut self, member: &Member) {
        self.text(member.rule.id.as_str());
        self.number(member.rule.version);
        self.choice(RuleKind::ALL, member.rule.kind);
        self.choice(AlertSeverity::ALL, member.severity);
        self.option(member.tactic, |w, tactic| w.choice(Tactic::ALL, tactic));
        self.many(member.techniques.iter(), |w, technique| w.text(technique));
        self.text(member.service.as_str());
        self.text(member.origin.as_str());
        self.choice(Stage::ALL, member.stage);
        self.ticks(member.first_at);
        self.ticks(member.last_at);
        self.ticks(member.arrived_at);
        self.many(member.entities.iter(), |w, entity| {
            w.choice(EntityKind::ALL, entity.kind);
            w.choice(EntityRole::ALL, entity.role);
            w.many(entity.keys.iter(), Self::token);
        });
    }
}

struct Reader<'a> {
    all: usize,
    rest: &'a [u8],
    texts: Vec<String>,
    tokens: Vec<KeyToken>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], kind: u8) -> Result<Self, BadBytes> {
        if bytes.len() > INCIDENT_STATE_BYTES_MAX {
            return Err(BadBytes::TooLong {
                max: INCIDENT_STATE_BYTES_MAX,
            });
        }
        let mut r = Self {
            all: bytes.len(),
            rest: bytes,
            texts: Vec::new(),
            tokens: Vec::new(),
        };
        if r.fixed().ok() != Some(*MAGIC) {
            return Err(BadBytes::NotOurs);
        }
        let version = u16::from_le_bytes(r.fixed()?);
        if version != VERSION {
            return Err(BadBytes::Version(version));
        }
        if r.fixed()? != [kind] {
            return Err(BadBytes::NotOurs);
        }
        r.texts = r.many(|r| {
            let len = r.size()?;
            let bytes = r.take(len)?.to_vec();
            String::from_utf8(bytes).map_err(|_| r.damaged())
        })?;
        r.tokens = r.many(|r| {
            Ok(KeyToken {
                kind: r.choice(KeyKind::ALL)?,
                token: r.fixed()?,
            })
        })?;
        Ok(r)
    }

    fn damaged(&self) -> BadBytes {
        BadBytes::Damaged {
            at: self.all - self.rest.len(),
        }
    }

    fn end(&self) -> Result<(), BadBytes> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BadBytes> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], BadBytes> {
        self.take(N)?.try_into().map_err(|_| self.damaged())
    }

    fn number(&mut self) -> Result<u64, BadBytes> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(self.damaged());
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(self.damaged())
    }

    fn size(&mut self) -> Result<usize, BadBytes> {
        usize::try_from(self.number()?).map_err(|_| self.damaged())
    }

    fn ticks(&mut self) -> Result<Ticks, BadBytes> {
        let at = Ticks(i64::from_le_bytes(self.fixed()?));
        if (Ticks::MIN..=Ticks::MAX).contains(&at) {
            Ok(at)
        } else {
            Err(self.damaged())
        }
    }

    fn text(&mut self) -> Result<String, BadBytes> {
        let n = self.size()?;
        self.texts.get(n).cloned().ok_or_else(|| self.damaged())
    }

    fn word<T, E>(&mut self, new: impl Fn(&str) -> Result<T, E>) -> Result<T, BadBytes> {
        let n = self.size()?;
        self.texts
            .get(n)
            .and_then(|text| new(text).ok())
            .ok_or_else(|| self.damaged())
    }

    fn service(&mut self) -> Result<ServiceName, BadBytes> {
        self.word(ServiceName::new)
    }

    fn token(&mut self) -> Result<KeyToken, BadBytes> {
        let n = self.size()?;
        self.tokens.get(n).copied().ok_or_else(|| self.damaged())
    }

    fn alert(&mut self) -> Result<AlertId, BadBytes> {
        Ok(AlertId::from_bytes(self.fixed()?))
    }

    /// A counted list. Nothing is set aside for the count: each item takes at least one byte.
    fn many<T>(
        &mut self,
        each: impl Fn(&mut Self) -> Result<T, BadBytes>,
    ) -> Result<Vec<T>, BadBytes> {
        let len = self.size()?;
        if len > self.rest.len() {
            return Err(self.damaged());
        }
        (0..len).map(|_| each(self)).collect()
    }

    fn option<T>(
        &mut self,
        some: impl Fn(&mut Self) -> Result<T, BadBytes>,
    ) -> Result<Option<T>, BadBytes> {
        match self.fixed()? {
            [0] => Ok(None),
            [1] => some(self).map(Some),
            [_] => Err(self.damaged()),
        }
    }

    fn choice<T: Copy>(&mut self, all: &[T]) -> Result<T, BadBytes> {
        let n = self.size()?;
        all.get(n).copied().ok_or_else(|| self.damaged())
    }

    fn day(&mut self) -> Result<i32, BadBytes> {
        Ok(i32::from_le_bytes(self.fixed()?))
    }

    fn place(&mut self) -> Result<u32, BadBytes> {
        Ok(u32::from_le_bytes(self.fixed()?))
    }

    fn seen(&mut self) -> Result<Seen, BadBytes> {
        Ok(Seen {
            newest: self.day()?,
            days: self.place()?,
            places: self
                .many(|r| Ok((r.place()?, r.day()?)))?
                .into_iter()
                .collect(),
        })
    }

    fn fired(&mut self) -> Result<Fired, BadBytes> {
        Ok(Fired {
            seen: self.seen()?,
            since: self
                .many(|r| Ok((r.place()?, r.day()?)))?
                .into_iter()
                .collect(),
            company: self.many(Self::place)?.into_iter().collect(),
        })
    }

    fn incident(&mut self) -> Result<Incident, BadBytes> {
        let mut incident = Incident::new(Ticks::MIN);
        incident.status = self.choice(IncidentStatus::ALL)?;
        incident.classification = self.choice(Classification::ALL)?;
        incident.determination = self.choice(Determination::ALL)?;
        incident.assigned = self.option(Self::text)?;
        incident.name_set = self.option(Self::text)?;
        incident.severity_set = self.option(|r| r.choice(AlertSeverity::ALL))?;
        incident.tags = self.many(Self::text)?.into_iter().collect();
        incident.created_at = self.ticks()?;
        incident.updated_at = self.ticks()?;
        incident.touched_at = self.ticks()?;
        [incident.score] = self.fixed()?;
        incident.capped = self.many(|r| r.choice(CAPS))?.into_iter().collect();
        incident.apart = self.many(Self::number)?.into_iter().collect();
        incident.members = self
            .many(|r| Ok((r.alert()?, r.member()?)))?
            .into_iter()
            .collect();
        incident.facts = Facts::of(&incident.members);
        Ok(incident)
    }

    fn member(&mut self) -> Result<Member, BadBytes> {
        let rule = RuleRef {
            id: self.word(DetectionRuleId::new)?,
            version: self.number()?,
            kind: self.choice(RuleKind::ALL)?,
        };
        let severity = self.choice(AlertSeverity::ALL)?;
        let tactic = self.option(|r| r.choice(Tactic::ALL))?;
        let techniques = self.many(Self::text)?;
        let service = self.service()?;
        let origin = self.word(RegionCode::new)?;
        let stage = self.choice(Stage::ALL)?;
        let (first_at, last_at, arrived_at) = (self.ticks()?, self.ticks()?, self.ticks()?);
        let entities = self.many(|r| {
            Ok(EntityRef {
                kind: r.choice(EntityKind::ALL)?,
                role: r.choice(EntityRole::ALL)?,
                keys: r.many(Self::token)?,
            })
        })?;
        Ok(Member {
            rule,
            severity,
            tactic,
            techniques,
            service,
            origin,
            stage,
            first_at,
            last_at,
            arrived_at,
            keys: keys_of(&entities),
            entities,
        })
    }
}
