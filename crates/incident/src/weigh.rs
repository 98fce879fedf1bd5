//! What two alerts have in common, as one number with its main reason.
//!
//! For each class of keys that both have, the best shared key counts: its strength, times how rare it
//! is, faded by the time between the two. Causal keys (a process, a logon session, a message) hold over
//! days (a session for hours); an account or a device over half an hour to two hours, twice as long when
//! the later alert is further along the kill chain, and five times when it also is another service's: an intrusion that
//! goes from mail to a device takes its time. Weak evidence is made less of when a rule fires
//! everywhere, except among its own alerts.
//!
//! Promises
//! - Symmetric, and a function of the two alerts and the rarity alone: no order of arrival in it.
//! - Whole numbers only, so that every machine finds the same.

use std::collections::BTreeMap;

use model::{AlertSeverity, EntityKind, KeyKind, KeyToken, Span100ns, Ticks};

use crate::member::Member;
use crate::rarity::{Rarity, WHOLE};
use crate::story::Stage;
use crate::strength::{self, Class, Strength};
use crate::tactic::Tactic;

/// Times longer that weak keys hold along the kill chain, inside one service and between two.
const REACH_CHAIN: i64 = 2;
const REACH_SERVICES: i64 = 5;
/// Times longer that weak keys hold between alerts of one common rule: what repeats at one place all day
/// is one matter, whatever it is.
const REACH_REPEAT: i64 = 12;
/// What is left of who or where two alerts share, in thousandths, if something else speaks against
/// their being one matter: alone it is then not enough, any second sign makes it so again.
const DOUBTED: u32 = 700;
/// The same of a device on which one was somebody's doing and the other nobody's: the machine's own
/// services do things all day, and only what is near in time goes with what somebody did.
const NOBODYS: u32 = 850;
/// Thousandths of rarity below which an account is a shared one: stolen or lent, it is no sign of
/// another person.
const COMMON: u32 = 700;
/// What one severe rule at several places at about one time adds, in thousandths, to two other pieces
/// of evidence, while the tenant's memory is young.
const SAME_RULE: u32 = 400;
const WAVE: Strength = strength::of(KeyKind::DeviceName);
/// Ticks that one alert's own span counts for at most: a rule that looks back a day is not near to
/// everything of that day.
const SPAN_MAX: i64 = 2 * 3_600 * model::ticks::PER_SECOND;

/// The outcome of weighing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) weight: u32,
    /// What it would be if neither rule was common.
    pub(crate) undoubted: u32,
    /// The key that says most.
    pub(crate) key: KeyToken,
    pub(crate) gap: Span100ns,
}

/// What `a` and `b` have in common; `None` if they share no key that counts.
pub(crate) fn link(
    a: &Member,
    b: &Member,
    rarity: &Rarity,
    is_noise: impl Fn(&KeyToken) -> bool,
) -> Option<Link> {
    let gap = gap(a, b);
    let doubt = rarity.of_rule(a).min(rarity.of_rule(b));
    let is_repeat = doubt < WHOLE && a.rule.id == b.rule.id;
    let (reach, doubt) = if is_repeat {
        (REACH_REPEAT, WHOLE)
    } else {
        (reach(a, b), doubt)
    };
    let against = Against::of(a, b, rarity, &is_noise);
    let mut best: BTreeMap<Class, (u32, u32, KeyToken)> = BTreeMap::new();
    for key in shared(&a.keys, &b.keys) {
        if is_noise(key) {
            continue;
        }
        let row = strength::of(key.kind);
        let rare = rarity_of(key, a, rarity).min(rarity_of(key, b, rarity));
        let mut weight = row.weight * rare / WHOLE;
        weight = weight * against.leaves(row.class, key) / WHOLE;
        let reach = if against.nobodys && row.class == Class::Device && !is_repeat {
            1
        } else {
            reach
        };
        weight = weight * fade(&row, gap.0, reach) / WHOLE;
        let doubted = if row.causal {
            weight
        } else {
            weight * doubt / WHOLE
        };
        let held = best.entry(row.class).or_insert((doubted, weight, *key));
        if doubted > held.0 {
            *held = (doubted, weight, *key);
        }
    }
    if is_wave(a, b, rarity) && best.len() > 1 {
        let wave = SAME_RULE * fade(&WAVE, gap.0, 1) / WHOLE;
        for held in best.values_mut().take(1) {
            *held = (held.0 + wave, held.1 + wave, held.2);
        }
    }
    let undoubted = best.values().map(|(_, weight, _)| *weight).sum();
    let weight = best.values().map(|(weight, _, _)| *weight).sum();
    // Of equal reasons the first class and the smallest key, whatever the order of arrival.
    let (_, _, key) = best
        .into_values()
        .reduce(|held, new| if new.0 > held.0 { new } else { held })?;
    (undoubted > 0).then_some(Link {
        weight,
        undoubted,
        key,
        gap,
    })
}

/// Time between the end of one and the beginning of the other; none if they overlap.
pub(crate) fn gap(a: &Member, b: &Member) -> Span100ns {
    let first = |m: &Member| Ticks(m.first_at.0.max(m.last_at.0 - SPAN_MAX));
    let between = (first(a).0 - b.last_at.0).max(first(b).0 - a.last_at.0);
    Span100ns(between.max(0))
}

/// True if two alerts may be one thing done to many, and the memory is too young to know that their
/// keys are new.
fn is_wave(a: &Member, b: &Member, rarity: &Rarity) -> bool {
    let is_severe = a.severity == AlertSeverity::High && b.severity == AlertSeverity::High;
    a.rule.id == b.rule.id && is_severe && !rarity.remembers()
}

/// How rare a key is, or another key of the entity that has it: an administrator whose address is new
/// is still the administrator.
fn rarity_of(key: &KeyToken, alert: &Member, rarity: &Rarity) -> u32 {
    let class = strength::of(key.kind).class;
    alert
        .entities
        .iter()
        .filter(|entity| entity.keys.contains(key))
        .flat_map(|entity| &entity.keys)
        .filter(|other| strength::of(other.kind).class == class)
        .map(|other| rarity.of_key(other))
        .min()
        .unwrap_or(WHOLE)
}

fn in_order<'a>(a: &'a Member, b: &'a Member) -> (&'a Member, &'a Member) {
    if (a.first_at, a.last_at) <= (b.first_at, b.last_at) {
        (a, b)
    } else {
        (b, a)
    }
}

/// What speaks against two alerts of one person, or from one place, being one matter.
struct Against<'a> {
    /// Different people's accounts: a machine has more users than one.
    other_account: bool,
    /// Somebody's account, and none.
    nobodys: bool,
    /// At least one names no account, and they name different runs of programs: on one machine the
    /// system's own work is everywhere beside what people do.
    other_runs: bool,
    /// An account moved on to one machine, and later something was done with it on another, which is no
    /// further move: there sits its owner.
    moved_elsewhere: bool,
    /// Both say which cloud session, which message or which site it was, and it was another one.
    other_matter: bool,
    /// One of them is an action in a cloud application that says in which session or from where. Its
    /// owner works there all day: whether it was them is told by that, not by the account.
    cloud_action: bool,
    /// Both were seen from outside, where everybody in a house has one address.
    outside: bool,
    /// One is what somebody was sent or followed, the other what was done in their name: the address is
    /// the sender's or the person's own there, and the doer's here.
    own_address: bool,
    alerts: [&'a Member; 2],
}

impl<'a> Against<'a> {
    fn of(
        a: &'a Member,
        b: &'a Member,
        rarity: &Rarity,
        is_noise: &impl Fn(&KeyToken) -> bool,
    ) -> Self {
        let other = |class| differ(a, b, class, is_noise);
        let (x, y) = (Seen::of(a), Seen::of(b));
        let (of_a, of_b) = (has_account(a, is_noise), has_account(b, is_noise));
        let either = |seen| x == seen || y == seen;
        let both_did = x.is_done_outside() && y.is_done_outside();
        Self {
            other_account: accounts_differ(a, b, rarity, is_noise),
            nobodys: of_a != of_b,
            other_runs: !(of_a && of_b) && other(Class::Process),
            moved_elsewhere: other(Class::Device) && {
                let (earlier, later) = in_order(a, b);
                let moves = |m: &Member| m.tactic == Some(Tactic::LateralMovement);
                moves(earlier) && !moves(later)
            },
            other_matter: (both_did && other(Class::Session))
                || other(Class::Message)
                || other(Class::Web),
            cloud_action: [(a, x), (b, y)].into_iter().any(|(m, seen)| {
                let tells = |key: &KeyToken| {
                    matches!(
                        strength::of(key.kind).class,
                        Class::Session | Class::Network
                    ) && !is_noise(key)
                };
                seen == Seen::Action && m.keys.iter().any(tells)
            }),
            outside: x != Seen::Inside && y != Seen::Inside,
            own_address: either(Seen::Mail) && (x.is_done_outside() || y.is_done_outside()),
            alerts: [a, b],
        }
    }

    /// What is left of a shared key, in thousandths.
    fn leaves(&self, class: Class, key: &KeyToken) -> u32 {
        let received = || self.alerts.iter().any(|m| only_received(m, key));
        let doubted = match class {
            Class::Network if self.own_address => return 0,
            Class::Network => self.outside,
            Class::Device if self.other_account || self.other_matter || self.other_runs => true,
            Class::Device if self.nobodys => return NOBODYS,
            Class::Account => {
                self.other_matter || self.moved_elsewhere || self.cloud_action || received()
            }
            _ => false,
        };
        if doubted { DOUBTED } else { WHOLE }
    }
}

/// Who saw what an alert is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// A machine of the tenant, or its directory.
    Inside,
    /// The mail service: something came, or a link in it was followed.
    Mail,
    /// The cloud directory: somebody signed in.
    SignIn,
    /// A cloud application: somebody did something.
    Action,
}

impl Seen {
    fn of(alert: &Member) -> Self {
        match (alert.service.as_str(), alert.stage) {
            (_, Stage::Mail | Stage::Click) => Self::Mail,
            ("endpoint" | "identity", _) => Self::Inside,
            (_, Stage::SignIn) => Self::SignIn,
            (_, Stage::Cloud | Stage::Consent) => Self::Action,
            _ => Self::Inside,
        }
    }

    fn is_done_outside(self) -> bool {
        matches!(self, Self::SignIn | Self::Action)
    }
}

fn has_account(alert: &Member, is_noise: &impl Fn(&KeyToken) -> bool) -> bool {
    let is_account = |key: &&KeyToken| strength::of(key.kind).class == Class::Account;
    alert
        .keys
        .iter()
        .filter(is_account)
        .any(|key| !is_noise(key))
}

/// True if an account is in an alert only as the mailbox that something came to: what somebody is sent
/// says little of what they do.
fn only_received(alert: &Member, key: &KeyToken) -> bool {
    let mut having = alert.entities.iter().filter(|e| e.keys.contains(key));
    having.all(|entity| entity.kind == EntityKind::Mailbox)
}

/// True if both have keys of a class, of a kind that can be compared, and none in common.
fn differ(a: &Member, b: &Member, class: Class, is_noise: &impl Fn(&KeyToken) -> bool) -> bool {
    let of = |m: &Member| -> Vec<KeyToken> {
        let keys = m.keys.iter();
        keys.filter(|key| strength::of(key.kind).class == class && !is_noise(key))
            .copied()
            .collect()
    };
    let (of_a, of_b) = (of(a), of(b));
    let comparable = of_a.iter().any(|x| of_b.iter().any(|y| x.kind == y.kind));
    comparable && !of_a.iter().any(|x| of_b.contains(x))
}

/// True if both name accounts, in a way that can be compared, none is the same, and neither says where
/// the other's account is from.
fn accounts_differ(
    a: &Member,
    b: &Member,
    rarity: &Rarity,
    is_noise: &impl Fn(&KeyToken) -> bool,
) -> bool {
    let accounts = |m: &Member| -> Vec<KeyToken> {
        m.keys
            .iter()
            .filter(|key| strength::of(key.kind).class == Class::Account && !is_noise(key))
            .copied()
            .collect()
    };
    let (of_a, of_b) = (accounts(a), accounts(b));
    let comparable = of_a.iter().any(|x| of_b.iter().any(|y| x.kind == y.kind));
    if !comparable || of_a.iter().any(|x| of_b.contains(x)) {
        return false;
    }
    let everybodys =
        |keys: &[KeyToken], m: &Member| keys.iter().all(|key| rarity_of(key, m, rarity) < COMMON);
    let passes = |earlier: &Member, later: &Member, of_later: &[KeyToken]| {
        let steals = matches!(
            earlier.tactic,
            Some(Tactic::PrivilegeEscalation | Tactic::CredentialAccess)
        );
        let moves = later.tactic == Some(Tactic::LateralMovement);
        earlier.first_at <= later.first_at && (steals || moves) && everybodys(of_later, later)
    };
    !passes(a, b, &of_b) && !passes(b, a, &of_a)
}

fn reach(a: &Member, b: &Member) -> i64 {
    let (earlier, later) = in_order(a, b);
    let rank = |m: &Member| m.tactic.map(Tactic::rank);
    let (from, to) = (rank(earlier), rank(later));
    if earlier.service != later.service && (from.is_none() || to.is_none() || from <= to) {
        return REACH_SERVICES;
    }
    if earlier.service == later.service && from.is_some() && from < to {
        return REACH_CHAIN;
    }
    1
}

/// What the time between leaves of a key's strength, in thousandths.
fn fade(row: &Strength, gap: i64, reach: i64) -> u32 {
    let reach = if matches!(row.class, Class::Account | Class::Device) {
        reach
    } else {
        1
    };
    let (near, far) = (row.near * reach, row.far * reach);
    if gap <= near {
        return WHOLE;
    }
    if gap >= far {
        return 0;
    }
    u32::try_from(i64::from(WHOLE) * (far - gap) / (far - near)).unwrap_or(0)
}

/// The keys that two sorted lists share.
fn shared<'a>(a: &'a [KeyToken], b: &[KeyToken]) -> impl Iterator<Item = &'a KeyToken> {
    a.iter().filter(|key| b.binary_search(key).is_ok())
}
