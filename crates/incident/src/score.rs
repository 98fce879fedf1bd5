//! How much an incident looks like an intrusion, from 0 to 100.
//!
//! Along its alerts in the order of time, the heaviest way up the kill chain: each alert weighs its
//! severity times how rare its rule is, and each next one must be a later step of the chain. Alerts
//! without a tactic count as a way of one. The sum saturates, so that 100 is never reached.

use model::AlertSeverity;

use crate::member::Member;
use crate::rarity::Rarity;

/// Thousandths of weight at which the score is 50.
const HALF: u64 = 30_000;

const fn weight(severity: AlertSeverity) -> u64 {
    match severity {
        AlertSeverity::Informational => 1,
        AlertSeverity::Low => 3,
        AlertSeverity::Medium => 8,
        AlertSeverity::High => 16,
    }
}

/// The score of alerts that are in the order of time.
pub(crate) fn score<'a>(in_time: impl Iterator<Item = &'a Member>, rarity: &Rarity) -> u8 {
    // The heaviest way that ends at each step of the chain.
    let mut ways = [0_u64; 16];
    let mut best = 0;
    for alert in in_time {
        let own = weight(alert.severity) * u64::from(rarity.of_rule(alert));
        let rank = alert.tactic.map(|tactic| usize::from(tactic.rank()));
        let before = rank.map_or(0, |r| ways.iter().take(r).copied().max().unwrap_or(0));
        let total = before + own;
        if let Some(way) = rank.and_then(|r| ways.get_mut(r)) {
            *way = (*way).max(total);
        }
        best = best.max(total);
    }
    u8::try_from(100 * best / (best + HALF)).unwrap_or(100)
}
