//! When a scheduled rule is due: windows on a grid, each run once.
//!
//! A window ends on a multiple of the rule's frequency and reaches back over its look-back; the very
//! first reaches back [`limits::SCHEDULE_FIRST_RUN_DAYS`]. The state remembers which ends are done,
//! as ranges, and never how late it is: a clock that jumps ahead makes the windows there due and
//! leaves those skipped open, so that they are run when it comes back; one that jumps back makes
//! nothing due that was done.
//!
//! After a pause the newest [`limits::SCHEDULE_CATCH_UP_MAX`] windows are run, oldest first; older
//! ones are counted by [`ScheduleState::missed`].

use std::collections::BTreeMap;

use model::ticks::Span100ns;
use model::{Ticks, limits};
use serde::{Deserialize, Serialize};

use super::ScheduledRule;

/// A span of time to run a rule over: from `from`, included, to `to`, not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// First moment.
    pub from: Ticks,
    /// End, and what alerts of the window are known by.
    pub to: Ticks,
}

/// One tenant's progress with one rule. Content where it remembers entities: rests sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleState {
    /// The grid that the ranges are on.
    frequency: Span,
    /// Ends of windows that are done: first and last of each run without a gap, sorted.
    done: Vec<(Ticks, Ticks)>,
    /// Windows missed in gaps that were forgotten.
    missed_before: u64,
    /// Hash of an entity tuple → what was reported for it.
    pub(super) reported: BTreeMap<String, Reported>,
}

/// What is remembered of entities that were reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reported {
    /// The rows' own time of the newest row.
    pub(super) newest: Ticks,
    /// End of the last window in which rows of it were found. Windows go by arrival: rows that came
    /// days late are found again by the next run, however old they say they are.
    pub(super) found: Ticks,
}

/// A span at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Span(i64);

/// Ranges kept; each gap is a pause that was too long to catch up, or a clock that jumped.
const RANGES_MAX: usize = 16;

impl ScheduleState {
    /// The windows that are due at `now`, oldest first. Changes nothing: a window that was run is
    /// told with [`ScheduleState::finish`].
    pub fn due(&self, rule: &ScheduledRule, now: Ticks) -> Vec<Window> {
        let newest = on_grid(now, rule.frequency);
        if self.done.is_empty() {
            let back = Span100ns::days(limits::SCHEDULE_FIRST_RUN_DAYS);
            let back = Span100ns(back.0.max(rule.look_back.0));
            return vec![window(newest, back)];
        }
        let (done, _) = self.on_grid_of(rule);
        let Some((first, _)) = done.first().copied() else {
            return vec![window(newest, rule.look_back)];
        };
        let steps = i64::try_from(limits::SCHEDULE_CATCH_UP_MAX).unwrap_or(i64::MAX);
        let ends = (0..steps).rev().map(|back| {
            let span = rule.frequency.0.saturating_mul(back);
            Ticks(newest.0.saturating_sub(span))
        });
        ends.filter(|end| *end > first && !is_done(&done, *end))
            .map(|end| window(end, rule.look_back))
            .collect()
    }

    /// When the next window becomes due, if none is now.
    pub fn next(&self, rule: &ScheduledRule, now: Ticks) -> Ticks {
        let newest = on_grid(now, rule.frequency);
        if self.due(rule, now).is_empty() {
            newest.saturating_add(rule.frequency)
        } else {
            now
        }
    }

    /// Notes that a window was run and its alerts are kept.
    pub fn finish(&mut self, rule: &ScheduledRule, window: Window) {
        let (done, missed) = self.on_grid_of(rule);
        self.missed_before = missed;
        self.frequency = Span(rule.frequency.0);
        self.done = done;
        self.done.push((window.to, window.to));
        self.done.sort_unstable();
        let mut joined: Vec<(Ticks, Ticks)> = Vec::with_capacity(self.done.len());
        for (first, last) in std::mem::take(&mut self.done) {
            match joined.last_mut() {
                Some(before) if first.since(before.1).0 <= rule.frequency.0 => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        while joined.len() > RANGES_MAX {
            let gap = gap(&joined, rule.frequency);
            self.missed_before += gap;
            joined.remove(0);
        }
        self.done = joined;
    }

    /// Windows that will not be run any more at `now`: they lie in gaps that are too old.
    pub fn missed(&self, rule: &ScheduledRule, now: Ticks) -> u64 {
        let (done, missed) = self.on_grid_of(rule);
        let newest = on_grid(now, rule.frequency);
        let steps = i64::try_from(limits::SCHEDULE_CATCH_UP_MAX).unwrap_or(i64::MAX);
        let span = rule.frequency.0.saturating_mul(steps);
        let oldest = Ticks(newest.0.saturating_sub(span));
        let gaps = done.windows(2).map(|pair| match pair {
            // What a jump ahead left open can still come due.
            [(_, last), (first, _)] => ends_between(*last, *first, oldest, rule.frequency),
            _ => 0,
        });
        let open = done.last().map_or(0, |(_, last)| {
            ends_between(*last, Ticks::MAX, oldest, rule.frequency)
        });
        missed + gaps.sum::<u64>() + open
    }

    /// The ranges on the rule's grid: another frequency begins where the old one ended.
    fn on_grid_of(&self, rule: &ScheduledRule) -> (Vec<(Ticks, Ticks)>, u64) {
        if self.done.is_empty() || self.frequency.0 == rule.frequency.0 {
            return (self.done.clone(), self.missed_before);
        }
        let last = self.done.iter().map(|(_, last)| *last).max();
        let end = last.map(|last| on_grid(last, rule.frequency));
        (
            end.map(|end| (end, end)).into_iter().collect(),
            self.missed_before,
        )
    }
}

fn window(end: Ticks, back: Span100ns) -> Window {
    Window {
        from: Ticks(end.0.saturating_sub(back.0).max(0)),
        to: end,
    }
}

/// The newest end that is not after `at`.
fn on_grid(at: Ticks, frequency: Span100ns) -> Ticks {
    Ticks(at.0 - at.0.rem_euclid(frequency.0.max(1)))
}

fn is_done(done: &[(Ticks, Ticks)], end: Ticks) -> bool {
    done.iter()
        .any(|(first, last)| (*first..=*last).contains(&end))
}

fn gap(done: &[(Ticks, Ticks)], frequency: Span100ns) -> u64 {
    match done {
        [(_, last), (first, _), ..] => ends_between(*last, *first, *first, frequency),
        _ => 0,
    }
}

/// Ends strictly between two, and not after `oldest`.
fn ends_between(last: Ticks, first: Ticks, oldest: Ticks, frequency: Span100ns) -> u64 {
    let to = first.0.saturating_sub(frequency.0).min(oldest.0);
    let steps = to.saturating_sub(last.0) / frequency.0.max(1);
    u64::try_from(steps).unwrap_or(0)
}
