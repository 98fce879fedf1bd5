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

use model::{AlertSeverity, KeyKind, KeyToken, Span100ns, Ticks};

use crate::member::Member;
use crate::rarity::{Rarity, WHOLE};
use crate::strength::{self, Class, Strength};
use crate::tactic::Tactic;

/// Times longer that weak keys hold along the kill chain, inside one service and between two.
const REACH_CHAIN: i64 = 2;
const REACH_SERVICES: i64 = 5;
/// Times longer that weak keys hold between alerts of one common rule: what repeats at one place all day
/// is one matter, whatever it is.
const REACH_REPEAT: i64 = 12;
/// What is left of a shared device, in thousandths, if different accounts were used on it.
const OTHER_ACCOUNTS: u32 = 700;
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
    let disagrees = accounts_differ(a, b, rarity, &is_noise);
    let mut best: BTreeMap<Class, (u32, u32, KeyToken)> = BTreeMap::new();
    for key in shared(&a.keys, &b.keys) {
        if is_noise(key) {
            continue;
        }
        let row = strength::of(key.kind);
        let rare = rarity_of(key, a, rarity).min(rarity_of(key, b, rarity));
        let mut weight = row.weight * rare / WHOLE;
        if row.class == Class::Device && disagrees {
            weight = weight * OTHER_ACCOUNTS / WHOLE;
        }
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
